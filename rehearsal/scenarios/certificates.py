"""An account in which a rollback would fail: the release finds out before it changes anything."""

from rehearsal import fate
from rehearsal.report import Report
from rehearsal.scenarios.plays import release
from rehearsal.scenarios.promises import (
    Promise,
    because,
    executions_ended,
    green_is_as_it_was,
    moved_only,
    no_failed_requests,
    traffic_never_moved,
)
from rehearsal.scenarios.scenario import Scenario
from rehearsal.stage import Stage

_RIGHT = "elasticloadbalancing:ModifyListener"


def _release_without_a_right(stage: Stage) -> None:
    fate.take_right(stage.account, "switch-listener", _RIGHT)
    release(stage)


def _release_with_a_deaf_rule(stage: Stage) -> None:
    fate.lose_alarm_events(stage.account)
    release(stage)


def _nothing_was_begun(report: Report) -> str:
    """Promise that the release did not come as far as its first change."""
    begun = [each for each in report.executions if each.machine == "deploy" and "Take snapshot" in each.states]
    return "the release went on" if begun else ""


def _cause_names(*words: str) -> Promise:
    """Promise what the cause names, and that it names one thing alone."""

    def promise(report: Report) -> str:
        cause = next((each.cause or "" for each in report.executions if each.machine == "deploy"), "")
        missing = [word for word in ("1 of ", *words) if word not in cause]
        return f"the cause does not name {missing}: {cause}" if missing else ""

    return promise


_REFUSED: tuple[Promise, ...] = (
    no_failed_requests,
    traffic_never_moved,
    green_is_as_it_was,
    moved_only(),
    _nothing_was_begun,
    because("RollbackNotCertified"),
    executions_ended("deploy", "FAILED"),
)

SCENARIOS = (
    Scenario(
        "missing-permission",
        "A right of the function that switches back is gone: refused before anything changes, naming the right",
        expected="aborted",
        play=_release_without_a_right,
        promises=(*_REFUSED, _cause_names("switch-listener", _RIGHT, "f2f7dc8efc522ab2")),
    ),
    Scenario(
        "rule-disabled",
        "Somebody has switched off the rule on critical alarms: refused before anything changes, with the command",
        expected="aborted",
        play=_release_with_a_deaf_rule,
        promises=(*_REFUSED, _cause_names("critical-alarm", "DISABLED", "aws events enable-rule")),
    ),
)
