"""What alarms and evidence mean for a release that is observed. All pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, StrEnum, auto
from typing import Any

from lambdas.judge.alarm_rules import Alarm, Effect
from lambdas.judge.evidence_rules import (
    FAILED,
    SLOW,
    Evidence,
    JudgeSettings,
    Kind,
    Tally,
    WhenInconclusive,
    described,
    hits,
    percent,
)
from lambdas.judge.sequential_rules import Strictness, log_evidence
from lambdas.release.bake_rules import Look, look_at_bake
from lambdas.release.rules import Bake, Order, OrderAction, Work, as_timestamp, later, other_color, seconds_since


class Question(Enum):
    """What is asked of the counts of a kind."""

    LIMIT = auto()
    """Is a version beyond the hard limit of settings?"""
    COMPARISON = auto()
    """Is the new version worse than the old one?"""


SHARES = {
    (Question.COMPARISON, FAILED): 0.7,
    (Question.COMPARISON, SLOW): 0.1,
    (Question.LIMIT, FAILED): 0.1,
    (Question.LIMIT, SLOW): 0.1,
}
"""
How the false alarms that settings allow are divided among the tests of a step.

They are spent where they buy most. At a small weight there are about ten errors to see in half a minute, and only the
comparison can tell from so few; seven times the share is one of them less to wait for.
"""

TOLERATED_RATIO = 1.25
"""
How many times as bad as the old version the new one may be, before the comparison counts anything against it.

Versions are never quite alike: a new one begins with cold caches, and on other machines. It need not be more, because
where few requests fail TOLERATED_PERCENT_POINTS tolerates far more: 1.2 % beside 0.2 %.
"""

TOLERATED_PERCENT_POINTS = 1.0
"""By how much it must be worse besides, to be taken back: ten errors instead of one in a million are no outage."""


class Verdict(StrEnum):
    """What is known of a release."""

    HEALTHY = "healthy"
    """There were enough requests, and nothing speaks against it."""
    UNHEALTHY = "unhealthy"
    INCONCLUSIVE = "inconclusive"
    """There is not enough to judge by, or what there is does not speak of the release."""


class Blame(StrEnum):
    """Whose fault it is."""

    NOBODY = ""
    RELEASE = "release"
    ENVIRONMENT = "environment"
    """The old version is in trouble as well, or alone: what both need may be broken."""


@dataclass(frozen=True)
class Judgement:
    """A verdict, and why, in words with the numbers."""

    verdict: Verdict
    reason: str
    blame: Blame = Blame.NOBODY


_HITS_TO_DOUBT = 2
"""One request that failed on the old version is bad luck."""


@dataclass(frozen=True)
class Observed:
    """
    The release that is judged: its color, and since when it has had traffic at all.

    `despite_trouble`: a human has said that it goes on although something is wrong, so only its own faults count.
    """

    color: str
    since: str
    despite_trouble: bool = False


@dataclass(frozen=True)
class Standards:
    """By which limits, and how strictly. `steps` are those of a release: each of them is judged."""

    settings: JudgeSettings
    steps: int

    def strictness(self, question: Question, kind: Kind) -> Strictness:
        """Return how sure a test must be, so that all tests of all steps keep the promise together."""
        return Strictness.part(self.settings.false_alarms_percent, SHARES[question, kind] / self.steps)

    def limit_percent(self, kind: Kind) -> float:
        """Return how many percent may be of a kind."""
        return self.settings.maximum_error_percent if kind is FAILED else self.settings.maximum_slow_percent


def judge(
    release: Observed, alarms: Sequence[Alarm] | None, evidence: Evidence | None, standards: Standards
) -> Judgement:
    """
    Judge a release.

    `alarms` are those that roll back and are on; None, like no evidence, means that they could not be read. What the
    old version suffers from as well, no rollback would mend: then it is not the release, or not alone. As long as it
    only looks like that, the next look tells.
    """
    against_old = [*_alarms_of(other_color(release.color), release, alarms), *_too_bad(release, evidence, standards)]
    against_new = [
        *_alarms_of(release.color, release, alarms),
        *_alarms_of("", release, alarms),
        *_bad(release, evidence, standards),
    ]
    if against_old and (against_new or not release.despite_trouble):
        return Judgement(Verdict.INCONCLUSIVE, _told([*against_old, *against_new]), Blame.ENVIRONMENT)
    if against_new and (doubts := list(_doubts(release, evidence, standards))):
        return Judgement(Verdict.INCONCLUSIVE, _told([*against_new, *doubts]))
    if against_new:
        return Judgement(Verdict.UNHEALTHY, _told(against_new), Blame.RELEASE)
    if alarms is None:
        return Judgement(Verdict.INCONCLUSIVE, "The alarms could not be read.")
    return _unless_too_few(release, evidence, standards)


def _unless_too_few(release: Observed, evidence: Evidence | None, standards: Standards) -> Judgement:
    if evidence is None:
        return Judgement(Verdict.INCONCLUSIVE, "Requests and errors could not be read.")
    numbers = "; ".join(_both(release, evidence, kind) for kind in (FAILED, SLOW))
    if not _is_enough(evidence.new, standards):
        wanted = standards.settings.minimum_requests
        few = f"{release.color} had {evidence.new.requests:,} requests, and {wanted:,} are needed to judge by"
        return Judgement(Verdict.INCONCLUSIVE, f"{few}.")
    return Judgement(Verdict.HEALTHY, f"{numbers}.")


def _told(findings: Iterable[str]) -> str:
    return "; ".join(findings) + "."


# -- alarms


def _alarms_of(color: str, release: Observed, alarms: Sequence[Alarm] | None) -> Iterator[str]:
    """Tell the alarms that roll back, are on, and came on since the release has traffic; what was before is known."""
    for alarm in alarms or ():
        is_new = seconds_since(release.since, alarm.since) >= 0
        if is_new and alarm.name.effect is Effect.ROLLS_BACK and alarm.name.color == color:
            yield f"alarm {alarm.name.subject} of {color or 'all traffic'} is on since {as_timestamp(alarm.since)}"


# -- evidence


def _is_enough(tally: Tally, standards: Standards) -> bool:
    return tally.requests >= standards.settings.minimum_requests


def _too_bad(release: Observed, evidence: Evidence | None, standards: Standards) -> Iterator[str]:
    """Tell where the old version is beyond a hard limit."""
    for kind in (FAILED, SLOW):
        if evidence and _beyond_limit(evidence.old, kind, standards):
            limit = f"{standards.limit_percent(kind):g} % are allowed"
            yield f"{described(other_color(release.color), evidence.old, kind)}, and {limit}"


def _doubts(release: Observed, evidence: Evidence | None, standards: Standards) -> Iterator[str]:
    """Tell where the old version looks as bad as the new one, on too few requests to be sure."""
    if evidence is None or any(_is_worse(evidence, kind, standards) for kind in (FAILED, SLOW)):
        return
    for trouble in looks_bad(other_color(release.color), evidence.old, standards.settings):
        yield f"{trouble}, which may be the same trouble"


def looks_bad(color: str, tally: Tally, settings: JudgeSettings) -> Iterator[str]:
    """Tell where a color is beyond a hard limit, which on few requests may be bad luck."""
    limits = (FAILED, settings.maximum_error_percent), (SLOW, settings.maximum_slow_percent)
    for kind, limit in limits:
        if hits(tally, kind) >= _HITS_TO_DOUBT and percent(tally, kind) > limit:
            yield described(color, tally, kind)


def _bad(release: Observed, evidence: Evidence | None, standards: Standards) -> Iterator[str]:
    """Tell where the new version is beyond a hard limit, or worse than the old one."""
    for kind in (FAILED, SLOW):
        if evidence is None:
            continue
        if _beyond_limit(evidence.new, kind, standards):
            yield f"{_both(release, evidence, kind)}; {standards.limit_percent(kind):g} % are allowed"
        elif _is_worse(evidence, kind, standards):
            yield _both(release, evidence, kind)


def _beyond_limit(tally: Tally, kind: Kind, standards: Standards) -> bool:
    if not _is_enough(tally, standards):
        return False
    found = log_evidence(hits(tally, kind), tally.requests, standards.limit_percent(kind) / 100)
    return standards.strictness(Question.LIMIT, kind).rejects(found)


def _is_worse(evidence: Evidence, kind: Kind, standards: Standards) -> bool:
    """
    Compare the colors, at the same time and under the same load, by whom the errors of both have hit.

    If the new version is at most TOLERATED_RATIO times as bad, each error hits it with a probability that follows from
    its share of the requests, however many errors there are: what troubles both colors alike says nothing.
    """
    new, old = evidence.new, evidence.old
    if not (_is_enough(new, standards) and _is_enough(old, standards)):
        return False
    if percent(new, kind) - percent(old, kind) < TOLERATED_PERCENT_POINTS:
        return False
    bound = TOLERATED_RATIO * new.requests / (TOLERATED_RATIO * new.requests + old.requests)
    found = log_evidence(hits(new, kind), hits(new, kind) + hits(old, kind), bound)
    return standards.strictness(Question.COMPARISON, kind).rejects(found)


def _both(release: Observed, evidence: Evidence, kind: Kind) -> str:
    """Return "green: 41 of 512 requests failed (8.0 %), blue: 3 of 4,610 (0.1 %)"."""
    old = described(other_color(release.color), evidence.old, kind, briefly=True)
    return f"{described(release.color, evidence.new, kind)}, {old}"


# -- what follows for the bake


@dataclass(frozen=True)
class Standing:
    """
    What stands in the record beside the bake.

    `present` is the order in force. `was_held`: Runback has held this bake before, for want of evidence; who resumed it
    then has decided that it goes on. `is_asking`: that happened at this very look, and its answer was lost.
    """

    present: Order | None = None
    was_held: bool = False
    is_asking: bool = False

    @property
    def promotes(self) -> bool:
        """Say whether an operator wants no more bakes."""
        return self.present is not None and self.present.action is OrderAction.PROMOTE


def standing(work: Work, orders: Iterable[Mapping[str, Any]], bake: Bake, now: str) -> Standing:
    """Read it from the lease item and the release's orders; those by the holder of the lease are Runback's own."""
    own = [each for each in orders if each["by"] == work.holder]
    return Standing(
        present=work.order,
        was_held=any(seconds_since(bake.began_at, each["at"]) >= 0 for each in own),
        is_asking=is_asking(work, now),
    )


def is_asking(work: Work, now: str) -> bool:
    """Say whether the order in force is one that Runback itself gave at this very look."""
    return work.order is not None and work.order.by == work.holder and work.order.at == now


@dataclass(frozen=True)
class Decision:
    """Whether the release goes on, or when to look again. `holds`: it is held from now on, and a human is asked."""

    look: Look
    note: str = ""
    holds: bool = False


def decide(judgement: Judgement, bake: Bake, orders: Standing, settings: JudgeSettings, now: str) -> Decision:
    """
    Decide about a release that is not unhealthy.

    A bake without enough to judge by lasts longer; then settings say whether a human decides. Raises PauseExpired.
    """
    look = look_at_bake(bake, orders.present, now)
    if not look.done or orders.promotes or judgement.verdict is Verdict.HEALTHY:
        return Decision(look, holds=orders.is_asking)
    if orders.was_held:
        return Decision(look, "A human let it go on.")
    longest = later(bake.ends_at, settings.longest_extension_seconds)
    extended = look_at_bake(replace(bake, ends_at=longest), None, now)
    if not extended.done:
        return Decision(extended, "The bake is extended.")
    if settings.when_inconclusive is WhenInconclusive.PROCEED:
        return Decision(extended, "It goes on all the same, as settings say.")
    return Decision(Look(done=False), holds=True)


def hold(judgement: Judgement, holder: str, longest_pause_seconds: int, now: str) -> Order:
    """Return the order by which Runback itself holds a release that it cannot judge."""
    until = as_timestamp(later(now, longest_pause_seconds))
    return Order(OrderAction.PAUSE, at=now, reason=judgement.reason, by=holder, until=until)
