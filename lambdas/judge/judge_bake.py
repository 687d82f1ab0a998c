"""Judge a step of the release while it is observed, and decide whether it has been observed for long enough."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from json import loads
from os import environ
from typing import Any, Self

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.checks.application_log import ApplicationLog
from lambdas.checks.rules import LogRules
from lambdas.clients import client
from lambdas.database.snapshots import Snapshots
from lambdas.errors import EnvironmentBusy, NotTheRelease, ReleaseUnhealthy
from lambdas.judge.alarm_rules import AlarmSettings
from lambdas.judge.alarms import Alarms
from lambdas.judge.evidence_rules import (
    NOTHING_YET,
    Evidence,
    JudgeSettings,
    Source,
    added_up,
    as_record,
    queries,
    span_of,
)
from lambdas.judge.log_counts import LogCounts
from lambdas.judge.metrics import Metrics
from lambdas.judge.rules import (
    Blame,
    Decision,
    Judgement,
    Observed,
    Standards,
    Standing,
    Verdict,
    decide,
    hold,
    is_asking,
    judge,
    standing,
)
from lambdas.judge.way_back import WayBack
from lambdas.judge.way_back_rules import Looked, Wanted, explain_trouble, is_due, is_news, require_shifted
from lambdas.observability import logger, step
from lambdas.operate.rules import remembered
from lambdas.release.bake_rules import Look, bake_of, look_at_bake
from lambdas.release.record import Orders, ReleaseRecord
from lambdas.release.rules import Bake, Lease, Live, OrderAction, Work, as_timestamp, later, other_color
from lambdas.traffic.load_balancer import LoadBalancer
from lambdas.traffic.rules import Route

_SOON_SECONDS = 10
"""When to look again after somebody else has changed the record at the same time."""


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment. `groups` is color → Auto Scaling group."""

    environment: str
    table: str
    routes: tuple[Route, ...]
    groups: Mapping[str, str]
    standards: Standards
    longest_pause_seconds: int
    alarms: AlarmSettings
    log: LogRules

    @property
    def judge(self) -> JudgeSettings:
        """Return what a release is judged by."""
        return self.standards.settings


_release = loads(environ["RELEASE"])
settings = Settings(
    environment=environ["ENVIRONMENT"],
    table=environ["RECORD_TABLE"],
    routes=Route.all_from_json(environ["ROUTES"]),
    groups={color: each["auto_scaling_group"] for color, each in loads(environ["COLORS"]).items()},
    standards=Standards(JudgeSettings.from_json(environ["JUDGE"]), steps=len(_release["steps"])),
    longest_pause_seconds=int(_release["longest_pause_seconds"]),
    alarms=AlarmSettings.from_json(environ["ALARMS"]),
    log=LogRules.from_json(environ["LOGS"]),
)
cloudwatch = client("cloudwatch")
alarms = Alarms(cloudwatch, settings.alarms)
metrics = Metrics(cloudwatch)
way_back = WayBack(LoadBalancer(client("elbv2")), Snapshots(client("rds")), settings.routes)
log_counts = LogCounts(ApplicationLog(client("logs", read_seconds=10), settings.log.group), settings.log)
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@dataclass(frozen=True)
class Occasion:
    """Which step of which release is looked at. `color` is the one that its version is on."""

    lease: Lease
    release_id: str
    version: str
    color: str
    percent: int
    bake_seconds: int
    now: str

    @classmethod
    def from_event(cls, event: dict[str, Any]) -> Self:
        """Read {"lease", "release_id", "version", "color", "percent", "bake_seconds", "now"}."""
        return cls(
            lease=Lease.from_event(event),
            release_id=event["release_id"],
            version=event["version"],
            color=event["color"],
            percent=int(event["percent"]),
            bake_seconds=int(event["bake_seconds"]),
            now=event["now"],
        )


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Return {"done", "again_at": timestamp or "", "verdict", "reason", "asks"}.

    "asks" says that the release is held from now on, and that a human has to be told.
    """
    return judge_bake(Occasion.from_event(event))


def judge_bake(occasion: Occasion) -> dict[str, Any]:
    """
    Prove that the lease is held still, judge the release by alarms and evidence, and look at bake and orders.

    A release is judged while it is paused, too: a pause never keeps a bad one. What cannot be read is missing evidence.
    Safe to repeat. Raises LeaseLost before anything is read, ReleaseUnhealthy, NotTheRelease, ListenerDrifted when
    somebody else has moved the listener, and PauseExpired when nobody has let a paused release go on in time.
    """
    work, bake = _renew(occasion)
    history = record.release(occasion.release_id)
    live = record.read().live
    orders = standing(work, history.get("orders", []), bake, occasion.now)
    evidence = _evidence(occasion, bake, live)
    release = _observed(occasion, bake, live, history, orders)
    judgement = judge(release, alarms.readable_that_roll_back(), evidence, settings.standards)
    if _is_news(occasion, judgement, history):
        _note(occasion, judgement, evidence)
    if judgement.verdict is Verdict.UNHEALTHY:
        raise ReleaseUnhealthy(judgement.reason)
    if judgement.blame is Blame.ENVIRONMENT:
        raise NotTheRelease(judgement.reason)
    decision = decide(judgement, bake, orders, settings.judge, occasion.now)
    if trouble := _news_of_way_back(occasion, history, orders):
        is_paused = orders.present is not None and orders.present.action is OrderAction.PAUSE
        return _answer(trouble, replace(decision, holds=True) if is_paused else _hold(occasion, trouble, bake))
    return _answer(judgement, _hold(occasion, judgement, bake) if decision.holds else decision)


def _renew(occasion: Occasion) -> tuple[Work, Bake]:
    """Write down when the bake began, at the first look; later and repeated ones keep that."""
    work = record.renew_lease(occasion.lease, occasion.now)
    bake = bake_of(work.bake, occasion.percent, occasion.bake_seconds, occasion.now)
    if bake != work.bake:
        work = record.renew_lease(occasion.lease, occasion.now, bake=bake)
    return work, bake


def _observed(
    occasion: Occasion, bake: Bake, live: Live | None, history: Mapping[str, Any], orders: Standing
) -> Observed:
    return Observed(
        color=occasion.color,
        since=live.since if live and live.release_id == occasion.release_id else bake.began_at,
        # after breaking migrations the old version is expected to fail
        despite_trouble="despite_alarms" in history or "no_automatic_rollback" in history or orders.promotes,
    )


def _evidence(occasion: Occasion, bake: Bake, live: Live | None) -> Evidence | None:
    """Count for both colors; None when it cannot be read."""
    span = span_of(settings.judge, bake.began_at, occasion.now)
    if span.is_empty:
        return NOTHING_YET
    if settings.judge.source is Source.LOGS:
        point = live.rollback_point if live else None
        return log_counts.readable_evidence(occasion.version, point.version, span) if point else None
    new, old = (
        queries(settings.judge, settings.routes, settings.groups[color], color)
        for color in (occasion.color, other_color(occasion.color))
    )
    sums = metrics.readable_sums([*new, *old], span)
    return Evidence(added_up(new, sums[: len(new)]), added_up(old, sums[len(new) :])) if sums else None


def _news_of_way_back(occasion: Occasion, history: Mapping[str, Any], orders: Standing) -> Judgement | None:
    """Look at the way back, not at every look, and return what a human has to decide about, once; else None."""
    last, wanted = Looked.from_record(history), Wanted.from_record(history)
    if wanted is None or not is_due(last, occasion.percent, occasion.now):
        return None
    there = way_back.readable(wanted)
    if there is None:
        return None
    require_shifted(wanted, there, settings.routes, occasion.percent)
    trouble = explain_trouble(wanted, there, settings.routes)
    found = Looked(occasion.now, occasion.percent, trouble)
    record.note_release(occasion.release_id, found.as_record())
    if orders.promotes or not is_news(last, found):
        return None
    return Judgement(Verdict.INCONCLUSIVE, trouble)


def _is_news(occasion: Occasion, judgement: Judgement, history: Mapping[str, Any]) -> bool:
    """Say whether a judgement is another one than before at this step, or a bad one."""
    before = history.get("judgement", {})
    is_same = (before.get("percent"), before.get("verdict")) == (occasion.percent, judgement.verdict.value)
    return judgement.blame is not Blame.NOBODY or not is_same


def _note(occasion: Occasion, judgement: Judgement, evidence: Evidence | None) -> None:
    noted = {
        "at": occasion.now,
        "percent": occasion.percent,
        "verdict": judgement.verdict.value,
        "blame": judgement.blame.value,
        "reason": judgement.reason,
        "evidence": as_record(evidence),
    }
    record.note_release(occasion.release_id, {"judgement": noted})


def _hold(occasion: Occasion, judgement: Judgement, bake: Bake) -> Decision:
    """
    Order a pause, as an operator would, so that it is an operator who ends it.

    The release's history is read before the lease item: an order that is given after that, or in between, is not
    overwritten, but obeyed at the next look. A repeated look finds its own order, and asks again.
    """
    before = record.release(occasion.release_id).get("orders", [])
    work = record.renew_lease(occasion.lease, occasion.now)
    if work.order is None:
        order = hold(judgement, occasion.lease.holder, settings.longest_pause_seconds, occasion.now)
        try:
            record.give_order(work, order, Orders(occasion.release_id, before, remembered(before, order)))
        except EnvironmentBusy:
            logger.info("Somebody gave an order at the same time, or the answer to this one was lost")
        work = record.renew_lease(occasion.lease, occasion.now)
    if work.order is None or not is_asking(work, occasion.now):
        return Decision(Look(done=False, again_at=as_timestamp(later(occasion.now, _SOON_SECONDS))))
    note = f"A human has to decide until {work.order.until}."
    return Decision(look_at_bake(bake, work.order, occasion.now), note, holds=True)


def _answer(judgement: Judgement, decision: Decision) -> dict[str, Any]:
    return {
        "done": decision.look.done,
        "again_at": decision.look.again_at,
        "verdict": judgement.verdict.value,
        "reason": " ".join(filter(None, [judgement.reason, decision.note])),
        "asks": decision.holds,
    }
