"""What became of a release, out of its record, the histories of its executions and what was measured. All pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any

from lambdas.notices.rules import Kind, Notice, compose, waits_for_somebody
from lambdas.release.request_rules import GateStatus, ReleaseAsked
from lambdas.release.rules import OrderAction, Phase, other_color, parse_moment
from lambdas.reports.event_rules import (
    TELL,
    decisions_of,
    events_of,
    in_order,
    request_of,
    stretches_of,
    weights_of,
)
from lambdas.reports.history_rules import Failure, History, plain
from lambdas.reports.recovery_rules import Recovery, recovery_of
from lambdas.reports.restore_event_rules import frozen_for, losses_of
from lambdas.reports.story import Decision, Event, Figure, Gate, Story, Told, Tone, Traffic, Weights
from lambdas.reports.traffic_rules import NOBODY

Item = Mapping[str, Any]
TrafficByColor = Mapping[str, Sequence[Traffic]]

MOST_SECONDS_BACK = 60
"""What a rollback promises: the old version has the traffic again in seconds, so in less than a minute."""

_FULL = 100
_LONGEST_REASON = 300
_PRECISE_BELOW = 10
"""Milliseconds, of which a tenth is worth telling."""
_MINUTE, _HOUR = 60, 3600
_UNDER_WAY = "under way"
_OUTCOMES: Mapping[str, tuple[str, Tone]] = {
    "promoted": ("Version {version} is live on {color}.", Tone.GOOD),
    "aborted": ("Version {version} was given up before it received traffic.", Tone.WARNING),
    "rolled_back": ("Version {version} was rolled back to {before}.", Tone.WARNING),
    Phase.ESCALATED.value: ("Version {version} could not be brought to an end, and a human was told.", Tone.BAD),
    "refused": ("Version {version} was refused, and nothing was changed.", Tone.WARNING),
    _UNDER_WAY: ("Version {version} has not come to its end yet.", Tone.PLAIN),
}
_TOLD_TO = "the people on call"
_TONES: Mapping[GateStatus, Tone] = {
    GateStatus.PASSED: Tone.GOOD,
    GateStatus.FAILED: Tone.BAD,
    GateStatus.ERROR: Tone.BAD,
    GateStatus.PENDING: Tone.WARNING,
    GateStatus.SKIPPED: Tone.WARNING,
    GateStatus.OFF: Tone.PLAIN,
}


@dataclass(frozen=True)
class Evidence:
    """
    All that is known of a release.

    `record` is its history in the record, `histories` those of its executions, at least of one, oldest first. `traffic`
    is None when CloudWatch could not be read. `forgotten` are executions that Step Functions does not know any more.
    `asked` is how it was asked for, with the results of its gates; None where nothing of that is kept.
    """

    release_id: str
    record: Item
    histories: Sequence[History]
    now: datetime
    traffic: TrafficByColor | None = field(default_factory=dict)
    forgotten: Sequence[str] = ()
    asked: ReleaseAsked | None = None

    @property
    def decisive(self) -> list[History]:
        """Return the executions that decided about the traffic: a clean-up comes when everything is decided."""
        return [each for each in self.histories if each.execution.machine != "clean-up"] or list(self.histories)

    @property
    def began(self) -> datetime:
        """Return when the release was asked for."""
        claimed = [parse_moment(self.record["requested_at"])] if "requested_at" in self.record else []
        return min([*claimed, *(each.began for each in self.decisive)])

    @property
    def ended(self) -> datetime:
        """Return when the last execution that decided about the traffic had ended."""
        return max(each.ended for each in self.decisive)

    @property
    def deployment(self) -> History | None:
        """Return the execution of the deploy machine, if its history is known."""
        return next((each for each in self.histories if each.execution.machine == "deploy"), None)

    @property
    def old_color(self) -> str:
        """Return the color that served before; empty when that was not recorded."""
        return str(self.record.get("rollback_point", {}).get("color", ""))

    @property
    def new_color(self) -> str:
        """Return the color that the release was brought up on; empty when that was not recorded."""
        return str(self.record.get("idle", {}).get("color", ""))


def tell(evidence: Evidence, link: str, service: str, environment: str) -> Story:
    """Write the story of a release. `link` is where its report is, as its messages say."""
    outcome = _outcome(evidence)
    headline, tone = _headline(evidence, outcome)
    weights = _weights(evidence)
    return Story(
        title=f"Release {evidence.release_id}",
        place=f"{service}, {environment}",
        outcome=outcome.replace("_", " "),
        headline=headline,
        tone=tone,
        began=evidence.began,
        ended=evidence.ended,
        facts=list(_facts(evidence)),
        traffic=evidence.traffic or {},
        weights=weights,
        stretches=[stretch for each in evidence.decisive for stretch in stretches_of(each)],
        decisions=_decisions(evidence),
        events=in_order([*_orders(evidence), *(event for each in evidence.histories for event in events_of(each))]),
        gates=_gates(evidence),
        figures=list(_figures(evidence, weights)),
        told=_told(evidence, link, service, environment),
        notes=list(_notes(evidence)),
    )


def _outcome(evidence: Evidence) -> str:
    """Return how the release ended. That it was refused stands in no record, because it never began."""
    recorded = evidence.record.get("outcome")
    if recorded:
        return str(recorded)
    refused = evidence.deployment is not None and evidence.deployment.error == "ReleaseRefused"
    return "refused" if refused else _UNDER_WAY


def _headline(evidence: Evidence, outcome: str) -> tuple[str, Tone]:
    sentence, tone = _OUTCOMES.get(outcome, _OUTCOMES[_UNDER_WAY])
    point = evidence.record.get("rollback_point", {})
    before = f"{point['version']} on {point['color']}" if point else "what served before"
    version = evidence.record.get("version", "unknown")
    text = sentence.format(version=version, color=evidence.new_color or "its color", before=before)
    why = "" if outcome == "promoted" else _why(evidence)
    return f"{text} {why}".strip(), tone


def _why(evidence: Evidence) -> str:
    """
    Return why a release is not live.

    What failed in its deployment says more than the rollback, which only knows how that one ended; but not what failed
    after the promotion.
    """
    before_it_was_live = evidence.deployment.visits if evidence.deployment and not _promoted_at(evidence) else ()
    failed = [
        f"{visit.state} failed: {visit.failure.why}"
        for visit in before_it_was_live
        if visit.failure and visit.failure.error != "LeaseLost"
    ]
    asked = [request_of(each) for each in evidence.histories if each.execution.machine == "rollback"]
    why = next(iter([*failed, *asked]), _plain(str(evidence.record.get("issue", "")), evidence))
    return why if len(why) <= _LONGEST_REASON else f"{why[:_LONGEST_REASON]} …"


def _promoted_at(evidence: Evidence) -> str:
    return str(evidence.record.get("promoted_at", ""))


def _plain(text: str, evidence: Evidence) -> str:
    return plain(text, evidence.histories[0].execution.prefix)


def _facts(evidence: Evidence) -> Iterator[tuple[str, str]]:
    record, point = evidence.record, evidence.record.get("rollback_point", {})
    yield "Version", str(record.get("version", "unknown"))
    if evidence.asked and evidence.asked.pushed_by:
        yield "Pushed by", evidence.asked.pushed_by
    if evidence.asked and evidence.asked.emergency:
        yield "Emergency", f"{evidence.asked.emergency} (without {', '.join(evidence.asked.skipped)})"
    if evidence.new_color:
        yield "Color", evidence.new_color
    if point:
        yield "Version before", f"{point['version']} on {point['color']}"
    if "snapshot" in record:
        yield "Snapshot", str(record["snapshot"]["id"])
    for each in evidence.histories:
        yield f"Execution of {each.execution.machine}", each.execution.arn


def _gates(evidence: Evidence) -> list[Gate]:
    """Return the last look at every gate, also at those where nobody looked: what is off is a decision, too."""
    results = evidence.asked.gates if evidence.asked else ()
    return [Gate(each.gate, each.level, each.status, each.detail, _TONES[each.status]) for each in results]


def _weights(evidence: Evidence) -> list[Weights]:
    """Return the weights from the beginning on, when all traffic was on the old color."""
    changed = sorted((each for history in evidence.histories for each in weights_of(history)), key=lambda each: each.at)
    if not evidence.old_color:
        return changed
    return [Weights(evidence.began, {evidence.old_color: _FULL, other_color(evidence.old_color): 0}), *changed]


def _decisions(evidence: Evidence) -> list[Decision]:
    given = [Decision(parse_moment(order["at"]), str(order["action"])) for order in _given_orders(evidence)]
    # an order to a release that has ended long ago would make the plot as long
    ordered = [decision for decision in given if decision.at <= evidence.ended]
    found = [*ordered, *(decision for each in evidence.decisive for decision in decisions_of(each))]
    return sorted(found, key=lambda decision: decision.at)


def _given_orders(evidence: Evidence) -> Sequence[Item]:
    orders: Sequence[Item] = evidence.record.get("orders", [])
    return orders


def _orders(evidence: Evidence) -> list[Event]:
    return [_order(order, evidence) for order in _given_orders(evidence)]


def _order(order: Item, evidence: Evidence) -> Event:
    until = f" until {order['until']}" if order.get("until") else ""
    text = _plain(f"Ordered {order['action']}{until}: {order['reason']} ({order['by']})", evidence)
    is_harmless = order["action"] not in (OrderAction.PAUSE, OrderAction.ABORT)
    return Event(parse_moment(order["at"]), "operator", text, Tone.PLAIN if is_harmless else Tone.WARNING)


def _figures(evidence: Evidence, weights: Sequence[Weights]) -> Iterator[Figure]:
    yield from _durations(evidence, weights)
    yield from _restores(evidence)
    traffic = evidence.traffic or {}
    during = [each for samples in traffic.values() for each in samples if _touches(each, evidence)]
    if requests := sum(each.requests for each in during):
        yield Figure("Requests that failed, of all", _share(sum(each.errors for each in during), requests))
    yield from _errors_of_steps(evidence, weights, traffic)
    yield from _latencies(evidence, weights, traffic)


def _durations(evidence: Evidence, weights: Sequence[Weights]) -> Iterator[Figure]:
    if promoted_at := _promoted_at(evidence):
        yield Figure("From request to promotion", _lasted(parse_moment(promoted_at) - evidence.began))
    elif evidence.deployment and evidence.deployment.end:
        yield Figure("From request to the end of the deployment", _lasted(evidence.deployment.ended - evidence.began))
    if recovery := recovery_of(evidence.histories):
        yield from _way_back(recovery, weights)


def _way_back(recovery: Recovery, weights: Sequence[Weights]) -> Iterator[Figure]:
    """Tell how long it took to notice, to switch and to verify, each by itself: who is slow is mended elsewhere."""
    shifts = [each.at for each in weights[1:] if each.at <= recovery.noticed]
    if shifts:
        yield Figure("Detection: from the last shift before", _lasted(recovery.noticed - shifts[-1]))
    yield Figure("Reaction: from there to the start of the rollback", _lasted(recovery.began - recovery.noticed))
    back = recovery.safe - recovery.began
    yield Figure(
        "Switch: from the start of the rollback to all traffic back",
        _lasted(back),
        f"at most {MOST_SECONDS_BACK} s",
        met=back.total_seconds() <= MOST_SECONDS_BACK,
    )
    if recovery.verified:
        yield Figure(
            "Verification: from there to an old version that was checked", _lasted(recovery.verified - recovery.safe)
        )


def _restores(evidence: Evidence) -> Iterator[Figure]:
    """Tell what it cost that the database was brought back."""
    for lost in losses_of(evidence.histories):
        yield Figure("Rows that a restore has taken from users", lost)
    if frozen := frozen_for(evidence.histories):
        yield Figure("Traffic was frozen for", _lasted(frozen))


def _errors_of_steps(evidence: Evidence, weights: Sequence[Weights], traffic: TrafficByColor) -> Iterator[Figure]:
    """Compare both colors while each share was in force, by the steps of the metrics that lie wholly in it."""
    for now, since, until in _shares_in_force(evidence, weights):
        for color in sorted(now, key=lambda each: each != evidence.new_color):
            samples = _within(traffic.get(color, ()), since, until)
            if requests := sum(each.requests for each in samples):
                name = f"Errors of {color}, with {now[color]} % of the traffic"
                yield Figure(name, _share(sum(each.errors for each in samples), requests))


def _latencies(evidence: Evidence, weights: Sequence[Weights], traffic: TrafficByColor) -> Iterator[Figure]:
    before = _within(traffic.get(evidence.old_color, ()), evidence.began - timedelta(hours=1), _first_shift(weights))
    yield from _latency(f"{evidence.old_color} before the first shift", before)
    for now, since, until in _shares_in_force(evidence, weights):
        if now.get(evidence.new_color) == _FULL:
            samples = _within(traffic.get(evidence.new_color, ()), since, until)
            yield from _latency(f"{evidence.new_color} with all traffic", samples)


def _first_shift(weights: Sequence[Weights]) -> datetime | None:
    return weights[1].at if len(weights) > 1 else None


def _latency(of: str, samples: Sequence[Traffic]) -> Iterator[Figure]:
    measured = [each.p95 for each in samples if each.p95 is not None]
    if measured:
        shown = f"{median(measured):,.0f}" if median(measured) >= _PRECISE_BELOW else f"{median(measured):.1f}"
        yield Figure(f"95 % of the requests to {of} took at most", f"{shown} ms (median of the minutes)")


def _shares_in_force(
    evidence: Evidence, weights: Sequence[Weights]
) -> Iterator[tuple[Mapping[str, int], datetime, datetime]]:
    """Return each division of the traffic in which the new color had a part, from when, and until when."""
    last = Weights(evidence.ended, {})
    for present, following in pairwise([*weights, last]):
        if present.percent.get(evidence.new_color):
            yield present.percent, present.at, following.at


def _within(samples: Iterable[Traffic], since: datetime, until: datetime | None) -> list[Traffic]:
    return [
        each
        for each in samples
        if each.at >= since and (until is None or each.at + timedelta(seconds=each.seconds) <= until)
    ]


def _touches(sample: Traffic, evidence: Evidence) -> bool:
    """Say whether a minute was at least partly in the release: rather one failure too many than one hidden."""
    return sample.at < evidence.ended and sample.at + timedelta(seconds=sample.seconds) > evidence.began


def _share(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,} ({100 * part / whole:.2f} %)"


def _lasted(time: timedelta) -> str:
    if time < timedelta(minutes=1):
        return f"{time.total_seconds():.1f} s"
    seconds = round(time.total_seconds())
    if seconds < _HOUR:
        return f"{seconds // _MINUTE} min {seconds % _MINUTE} s"
    return f"{seconds // _HOUR} h {seconds % _HOUR // _MINUTE} min"


def _told(evidence: Evidence, link: str, service: str, environment: str) -> list[Told]:
    sent = [visit for each in evidence.histories for visit in each.visits if visit.function == TELL and visit.answer]
    found = []
    for visit in sent:
        notice = replace(Notice.from_event(visit.given), report=link)
        # the commands that this one carried are not in the history
        body = compose(notice, service, environment).body if notice.kind is not Kind.RECORD_UNREACHABLE else ""
        subject = str(visit.answer["told"])
        found.append(Told(visit.entered, _TOLD_TO, subject, body, waits_for_somebody(notice.kind)))
    return sorted(found, key=lambda told: told.at)


def _notes(evidence: Evidence) -> Iterator[str]:
    yield f"Made at {evidence.now:%Y-%m-%d %H:%M:%S} UTC. A report is made anew when an execution of its release ends."
    if evidence.traffic is None:
        yield "CloudWatch could not be read, so nothing is said about the traffic. Start the report machine again."
    else:
        yield (
            "What users got is what the load balancer reports to CloudWatch, by the minute and some minutes late. What"
            " lies on both sides of a change of the listener is in no figure of a share of the traffic."
        )
        if evidence.traffic.get(NOBODY):
            yield "Errors of the load balancer itself are those of all that it serves, not of this product alone."
    if any(each.error == "ListenerDrifted" for each in _failures(evidence)):
        yield "Somebody else has moved the listener. The shares of the traffic are those that Runback has set."
    for name in evidence.forgotten:
        yield f"Step Functions does not know execution {name} any more: it forgets them after 90 days."
    for each in evidence.histories:
        if not each.end:
            yield f"Execution {each.execution.machine} {each.execution.name} still runs."


def _failures(evidence: Evidence) -> Iterator[Failure]:
    for each in evidence.histories:
        for visit in each.visits:
            yield from visit.failures
