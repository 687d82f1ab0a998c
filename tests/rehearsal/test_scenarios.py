"""
The shipped scenarios, on production as shipped; and that a scenario which breaks a promise says so.

Each is played in virtual time. Those in PACKAGED, see conftest.py, are also played with real processes under real load.
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import replace
from html import unescape
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import ANY

import pytest

from rehearsal.report import Switch
from rehearsal.scenarios import NEW_VERSION, OLD_VERSION, OTHER_VERSION, SCENARIOS, Scenario
from rehearsal.scenarios.promises import MOST_CRITICAL_CALLS
from rehearsal.scenarios.pushes import LATER, PUSHED, STORM
from rehearsal.stage import Execution
from rehearsal.world.customer import CAPACITY
from tests.rehearsal.conftest import Kept, scenario
from tests.rehearsal.reports import report, users
from tests.rehearsal.unused_permissions import allowed_actions, findings

FIELDS: dict[str, Any] = {
    "scenario": str,
    "expected": str,
    "outcome": str,
    "seconds": {"total": float, "rollback_to_switched": float},
    "simulated_seconds": float,
    "clock": {},
    "requests": {"total": int, "failed": int, "by_color": {"blue": int, "green": int}},
    "final": {
        "weights": {"blue": int, "green": int},
        "phase": str,
        "lease_holder": str,
        "versions": {"blue": str, "green": str},
        "instances": {"blue": int, "green": int},
    },
    "listener_changes": [{"at_seconds": float, "by": str, "route": str, "percent": {"blue": int, "green": int}}],
    "executions": [{"machine": str, "status": str, "states": [str]}],
    "beside": [
        {
            "environment": str,
            "outcome": str,
            "weights": {"blue": int, "green": int},
            "executions": [{"machine": str, "status": str, "states": [str]}],
        }
    ],
    "invariants": {"checked": int, "violated": []},
    "databases": {
        "serving": str,
        "instances": [{"name": str, "status": str, "receipts": int}],
        "exported_rows": int,
    },
    "infrastructure": {"builds": [{"work": str, "status": str, "version": str}], "changes_applied": [str]},
    "api_calls": {"rollback_critical_path": int},
    "github": {
        "statuses": [{"commit": str, "context": str, "state": str}],
        "deployments": [{"environment": str, "commit": str, "states": [str]}],
        "comments": [{"commit": str, "text": str}],
        "pull_requests": [str],
    },
    "messages": [str],
    "release_reports": [str],
    "unsupported_calls": [],
    "aws_requests": {
        "judged": int,
        "denied": [],
        "malformed": [],
        "used_actions": [{"by": str, "actions": [str]}],
    },
    "template_sha256": str,
    "rehearsed_on": str,
}
CLOCKS: dict[str, dict[str, Any]] = {
    "packaged": {
        "mode": str,
        "speeds": {"working": float, "waiting": float, "judging": float, "baking": float, "idle": float},
    },
    "virtual": {"mode": str, "seed": int},
}


class End(NamedTuple):
    """
    How a scenario ends.

    final: weights and phase. versions: what each color runs; None for a color without instances. executions: machine
    and status of each but reports, once where several are alike, in any order. has_switched_back: whether a rollback
    changed the listener; by default those did that rolled the release back, if no operator did it by hand.
    """

    final: dict[str, Any]
    versions: dict[str, str | None]
    executions: list[tuple[str, str]]
    has_switched_back: bool = False

    @property
    def tells_the_way_back(self) -> bool:
        """Whether the report says how long traffic took to be back."""
        rolled_back = self.final["phase"] == "rolled_back" and ("rollback", "SUCCEEDED") in self.executions
        return self.has_switched_back or rolled_back

    @property
    def has_moved(self) -> bool:
        """Whether the release has brought users to green, for however long."""
        return self.final["phase"] not in (None, "aborted")

    @property
    def is_by_hand(self) -> bool:
        """Whether a human's weights stand."""
        return bool(self.final["weights"] == BY_HAND["weights"])


LIVE = {"weights": {"blue": 0, "green": 100}, "phase": "committed"}
BACK = {"weights": {"blue": 100, "green": 0}, "phase": "rolled_back"}
ABORTED = {"weights": {"blue": 100, "green": 0}, "phase": "aborted"}
BY_HAND = {"weights": {"blue": 70, "green": 30}}
UP: dict[str, str | None] = {"blue": OLD_VERSION, "green": NEW_VERSION}
NOT_UP: dict[str, str | None] = {"blue": OLD_VERSION, "green": None}
CLEANED_UP: dict[str, str | None] = {"blue": None, "green": NEW_VERSION}
PROMOTED = [("deploy", "SUCCEEDED"), ("clean-up", "SUCCEEDED")]
ORDERED = [("deploy", "SUCCEEDED"), ("operate", "SUCCEEDED"), ("clean-up", "SUCCEEDED")]
FAILED = [("deploy", "FAILED"), ("rollback", "SUCCEEDED")]  # the status rule's rollback finds nothing to do
ALARMED = [*PROMOTED, ("rollback", "SUCCEEDED")]
STOPPED = [("deploy", "ABORTED"), ("rollback", "SUCCEEDED")]
PUSHED_PROMOTED = [*PROMOTED, ("push", "SUCCEEDED")]
UNTOUCHED = {"weights": {"blue": 100, "green": 0}, "phase": None}
ON_BLUE = {"weights": {"blue": 100, "green": 0}, "phase": "committed"}
PUSHED_LIVE: dict[str, str | None] = {"blue": None, "green": PUSHED}
LATER_LIVE: dict[str, str | None] = {"blue": LATER, "green": None}
ANSWERED = [*ORDERED, ("rollback", "SUCCEEDED")]  # who hears of a failure, or of an alarm behind a freeze, does nothing
ENDS = {
    "good-release": End(LIVE, CLEANED_UP, PROMOTED),
    "manual-rollback": End(BACK, UP, [*PROMOTED, ("rollback", "SUCCEEDED")]),
    "clean-up-races-rollback": End(BACK, UP, [*PROMOTED, ("rollback", "SUCCEEDED")]),
    "stopped-deployment": End(BACK, UP, STOPPED),
    "many-routes": End(BACK, UP, STOPPED),
    "unhealthy-green": End(ABORTED, NOT_UP, FAILED),
    "broken-smoke": End(ABORTED, NOT_UP, FAILED),
    "bad-release": End(BACK, UP, FAILED),
    "error-rate": End(BACK, UP, STOPPED),
    "slow": End(BACK, UP, FAILED),
    "low-traffic": End(LIVE, CLEANED_UP, ORDERED),
    "both-bad": End({"weights": {"blue": 50, "green": 50}, "phase": "escalated"}, UP, FAILED),
    "blue-unhealthy": End(
        {"weights": {"blue": 0, "green": 100}, "phase": "escalated"}, UP, [*FAILED, ("rollback", "FAILED")]
    ),
    "alarm-storm": End(BACK, UP, ALARMED),
    "duplicate-alarms": End(BACK, UP, ALARMED),
    "flapping": End(BACK, UP, ALARMED),
    "cpu-then-errors": End(BACK, UP, ALARMED),
    "lost-alarm-event": End(BACK, UP, ALARMED),
    "rollback-lambda-throttled": End(BACK, UP, ALARMED),
    "alarm-while-next-prepares": End(BACK, UP, [*ALARMED, ("deploy", "ABORTED")]),
    "alarm-during-claim": End(ABORTED, NOT_UP, FAILED),
    "missing-permission": End(ABORTED, NOT_UP, FAILED),
    "rule-disabled": End(ABORTED, NOT_UP, FAILED),
    "already-alarming": End(LIVE, CLEANED_UP, [*ALARMED, ("deploy", "FAILED")]),
    "database-connections": End(LIVE, CLEANED_UP, ALARMED),
    "memory-leak": End(LIVE, CLEANED_UP, ALARMED),
    "maintenance": End(LIVE, CLEANED_UP, [*ALARMED, ("operate", "SUCCEEDED")]),
    "stale-alarm": End(LIVE, CLEANED_UP, ALARMED),
    "late-alarm": End(LIVE, {"blue": None, "green": OTHER_VERSION}, ALARMED, has_switched_back=True),
    "alarm-ok-again": End(LIVE, CLEANED_UP, ALARMED),
    "database-down": End(ABORTED, NOT_UP, FAILED),
    "cache-down": End(ABORTED, NOT_UP, FAILED),
    "refresh-fails": End(ABORTED, UP, FAILED),
    "slow-snapshot": End(LIVE, CLEANED_UP, PROMOTED),
    "snapshot-fails": End(ABORTED, NOT_UP, FAILED),
    "drift": End({**BY_HAND, "phase": None}, NOT_UP, FAILED),
    "drift-mid-shift": End({**BY_HAND, "phase": "escalated"}, UP, FAILED),
    "sticky-clients": End(BACK, UP, STOPPED),
    "repeat-rollback": End(BACK, UP, [*PROMOTED, ("rollback", "SUCCEEDED")]),
    "rollback-races-switch": End(BACK, UP, STOPPED),
    "human-mid-settle": End(
        {**BY_HAND, "phase": "escalated"},
        UP,
        [*PROMOTED, ("rollback", "FAILED"), ("rollback", "SUCCEEDED")],
        has_switched_back=True,
    ),
    "late-event": End(LIVE, CLEANED_UP, [*STOPPED, *PROMOTED]),
    "double-start": End(LIVE, {"blue": None, "green": ANY}, [*FAILED, *PROMOTED]),  # chance decides who was faster
    "timed-out-deployment": End(BACK, UP, [("deploy", "TIMED_OUT"), ("rollback", "SUCCEEDED")]),
    "dead-rollback": End(BACK, UP, [*PROMOTED, ("rollback", "ABORTED"), ("rollback", "SUCCEEDED")]),
    "dead-abort": End(ABORTED, NOT_UP, [*STOPPED, ("rollback", "ABORTED")]),
    "previous-color-gone": End(
        {"weights": {"blue": 0, "green": 100}, "phase": "escalated"},
        UP,
        [*PROMOTED, ("rollback", "FAILED"), ("rollback", "SUCCEEDED")],
    ),
    "record-down": End(BACK, UP, [*PROMOTED, ("rollback", "SUCCEEDED")]),
    "lambda-crash": End(BACK, UP, [*PROMOTED, ("rollback", "SUCCEEDED")]),
    "throttled": End(LIVE, CLEANED_UP, PROMOTED),
    "bad-input": End(
        {"weights": {"blue": 100, "green": 0}, "phase": None},
        NOT_UP,
        [*FAILED, ("rollback", "FAILED"), ("clean-up", "FAILED"), ("operate", "FAILED")],
    ),
    "pause-resume": End(LIVE, CLEANED_UP, ORDERED),
    "operator-promotes": End(LIVE, CLEANED_UP, ORDERED),
    "operator-aborts": End(BACK, UP, [("deploy", "ABORTED"), ("operate", "SUCCEEDED"), ("rollback", "SUCCEEDED")]),
    "freed-by-hand": End(BACK, UP, [("deploy", "ABORTED"), ("operate", "SUCCEEDED")]),
    "database-rollback": End(
        {**BACK, "phase": "restored"}, UP, [*ANSWERED, ("restore-database", "SUCCEEDED")], has_switched_back=True
    ),
    "approval-by-url": End(
        {**BACK, "phase": "restored"}, UP, [*ALARMED, ("restore-database", "SUCCEEDED")], has_switched_back=True
    ),
    "database-rollback-denied": End(LIVE, CLEANED_UP, [*ANSWERED, ("restore-database", "FAILED")]),
    "approval-expired": End(LIVE, CLEANED_UP, [*ALARMED, ("operate", "FAILED"), ("restore-database", "FAILED")]),
    "restore-fails": End(LIVE, CLEANED_UP, [*ANSWERED, ("restore-database", "FAILED")]),
    "undo-restore": End(
        {**BACK, "phase": "restored"}, UP, [*ANSWERED, ("restore-database", "SUCCEEDED")], has_switched_back=True
    ),
    "crash-after-freeze": End(
        LIVE,
        CLEANED_UP,
        [*ANSWERED, ("rollback", "FAILED"), ("restore-database", "ABORTED"), ("restore-database", "SUCCEEDED")],
    ),
    "point-in-time-restore": End(LIVE, CLEANED_UP, [*ANSWERED, ("restore-database", "SUCCEEDED")]),
    "encrypted-shared-snapshot": End(LIVE, CLEANED_UP, [*ANSWERED, ("restore-database", "SUCCEEDED")]),
    "way-back-lost": End(LIVE, CLEANED_UP, ORDERED),
    "backward-compatible-migration": End(BACK, UP, ALARMED),
    "breaking-migration": End(
        {**BACK, "phase": "restored"}, UP, [*ANSWERED, ("restore-database", "SUCCEEDED")], has_switched_back=True
    ),
    "migration-fails": End(ABORTED, NOT_UP, FAILED),
    "infrastructure-release": End(LIVE, CLEANED_UP, PROMOTED),
    "plan-touches-listener": End({"weights": {"blue": 100, "green": 0}, "phase": None}, NOT_UP, FAILED),
    "plan-fails": End({"weights": {"blue": 100, "green": 0}, "phase": None}, NOT_UP, FAILED),
    "complete-rollback": End(LIVE, {"blue": None, "green": OLD_VERSION}, ALARMED, has_switched_back=True),
    "infrastructure-stays": End(BACK, UP, [*PROMOTED, ("rollback", "SUCCEEDED")]),
    "infrastructure-follows": End(BACK, UP, [*PROMOTED, ("rollback", "SUCCEEDED")]),
    "apply-fails": End(ABORTED, NOT_UP, FAILED),
    "plan-overtaken": End(ABORTED, NOT_UP, FAILED),
    "abort-during-apply": End(ABORTED, NOT_UP, STOPPED),
    "apply-begun-twice": End(LIVE, CLEANED_UP, PROMOTED),
    "apply-unrecorded": End(ABORTED, NOT_UP, STOPPED),
    "push-to-production": End(LIVE, PUSHED_LIVE, PUSHED_PROMOTED),
    "window-closed": End(LIVE, CLEANED_UP, PROMOTED),
    "emergency": End(LIVE, CLEANED_UP, PROMOTED),
    "gate-error": End(UNTOUCHED, NOT_UP, FAILED),
    "approval-rejected": End(UNTOUCHED, NOT_UP, FAILED),
    "push-to-staging": End(LIVE, PUSHED_LIVE, PUSHED_PROMOTED),
    "forged-webhook": End(UNTOUCHED, NOT_UP, []),
    "replayed-webhook": End(ON_BLUE, LATER_LIVE, PUSHED_PROMOTED),
    "push-storm": End(ON_BLUE, {"blue": STORM[-1], "green": None}, PUSHED_PROMOTED),
    "old-push": End(LIVE, {"blue": None, "green": LATER}, [*PUSHED_PROMOTED, ("push", "FAILED")]),
    "fork-pull-request": End(UNTOUCHED, NOT_UP, []),
    "github-down": End(ON_BLUE, LATER_LIVE, PUSHED_PROMOTED),
    "missed-webhook": End(LIVE, PUSHED_LIVE, PUSHED_PROMOTED),
    "bad-head": End(BACK, {"blue": OLD_VERSION, "green": PUSHED}, [*FAILED, ("push", "SUCCEEDED")]),
    "window-open": End(
        {"weights": {"blue": 100, "green": 0}, "phase": "committed"},
        {"blue": OTHER_VERSION, "green": None},
        [*PROMOTED, *FAILED, ("operate", "SUCCEEDED")],
    ),
}
LONGEST_SILENCE_SECONDS = 3.0
"""Of the wall where users are real, simulated where they are a model."""


def end_of(name: str) -> End:
    assert name in ENDS, f"Nobody has said in ENDS, in {Path(__file__).name}, how {name} ends"
    return ENDS[name]


def test_every_scenario_has_its_end_in_the_table() -> None:
    """And nothing else has: a scenario that is taken away takes its end along."""
    assert [each.name for each in SCENARIOS if each.name not in ENDS] == []
    assert [name for name in ENDS if name not in {each.name for each in SCENARIOS}] == []


@pytest.mark.rehearsed
def test_every_promise_is_kept(kept: Kept) -> None:
    assert [] == kept.broken_promises


@pytest.mark.rehearsed
def test_the_report_has_the_documented_fields(kept: Kept) -> None:
    """Null stands for what does not apply, so that a reader never has to ask whether a field is there."""
    end = end_of(kept.scenario)
    empty = {"final.lease_holder"}
    empty |= {f"final.{name}" for name, value in end.final.items() if value is None}
    empty |= {f"final.versions.{color}" for color, version in end.versions.items() if version is None}
    if kept.staging != "packaged" and not scenario(kept.scenario).circumstances.real_database:
        empty.add("databases.instances.receipts")
    if not end.tells_the_way_back:
        empty |= {"seconds.rollback_to_switched", "api_calls.rollback_critical_path"}

    fields = {**FIELDS, "clock": CLOCKS[kept.staging]}
    if not (end.has_moved or end.is_by_hand):
        fields["listener_changes"] = []
    built = kept.report["infrastructure"]
    fields["infrastructure"] = {name: FIELDS["infrastructure"][name] if built[name] else [] for name in built}
    told = kept.report["github"]
    fields["github"] = {name: FIELDS["github"][name] if told[name] else [] for name in told}
    if not kept.report["release_reports"]:
        fields["release_reports"] = []
    if not end.executions:
        fields["executions"] = fields["messages"] = []
    if not scenario(kept.scenario).beside:
        fields["beside"] = []

    assert _with_types(fields, empty) == _with_types(kept.report)


@pytest.mark.rehearsed
def test_the_report_tells_how_it_ended(kept: Kept) -> None:
    final, versions, executions, _ = end_of(kept.scenario)

    instances = {color: CAPACITY if version else 0 for color, version in versions.items()}
    assert {**final, "lease_holder": None, "versions": versions, "instances": instances} == kept.report["final"]
    shown = [(each["machine"], each["status"]) for each in kept.report["executions"] if each["machine"] != "report"]
    assert sorted(executions) == sorted(set(shown))  # rule and watchdog may both come, and one finds nothing to do
    assert scenario(kept.scenario).expected == kept.report["outcome"]


@pytest.mark.rehearsed
def test_every_end_is_reported_on(kept: Kept) -> None:
    """But where the events of ends are lost, or the record cannot be read. How a release ends does not depend on it."""
    ends = {each["status"] for each in kept.report["executions"] if each["machine"] == "report"}

    if kept.scenario in ("freed-by-hand", "dead-rollback"):
        assert ends <= {"SUCCEEDED"}
    elif not end_of(kept.scenario).executions:
        assert ends == set()
    else:
        assert {"SUCCEEDED"} <= ends <= ({"SUCCEEDED", "FAILED"} if kept.scenario == "record-down" else {"SUCCEEDED"})


@pytest.mark.rehearsed
def test_the_page_tells_what_the_report_does(kept: Kept) -> None:
    page = unescape(re.sub(r"<[^>]+>", " ", kept.page))

    assert f"Rehearsal of {kept.scenario}" in page
    assert all(subject in page for subject in kept.report["messages"])
    assert f"{kept.report['requests']['total']}, {kept.report['requests']['failed']} of them failed" in page
    assert "Share of traffic" in page
    assert page.count("all kept") > 1  # found, and as it should be


@pytest.mark.rehearsed
def test_a_fault_that_was_noticed_has_its_seconds_on_the_page(kept: Kept) -> None:
    """Apart from those of the switch and of its verification: who is slow is mended elsewhere."""
    page = unescape(re.sub(r"<[^>]+>", " ", kept.page))
    faults = ("error-rate", "slow", "bad-release", *(name for name, end in ENDS.items() if end.executions is ALARMED))
    if kept.scenario in faults and end_of(kept.scenario).final == BACK:
        assert "Fault to detection" in page
        assert "Switch: from the start of the rollback" in page
        assert "Verification: from there" in page


@pytest.mark.rehearsed
def test_figures_can_be_recounted_from_the_raw_samples(kept: Kept) -> None:
    by_color = Counter(sample["color"] for sample in kept.samples)
    failed = sum(1 for sample in kept.samples if sample["status"] not in (200, 201))

    assert {
        "total": len(kept.samples),
        "failed": failed,
        "by_color": {"blue": by_color["blue"], "green": by_color["green"]},
    } == kept.report["requests"]
    assert (by_color["green"] > 0) is end_of(kept.scenario).has_moved


@pytest.mark.rehearsed
def test_traffic_was_there_all_the_time(kept: Kept) -> None:
    """Users who were asleep when it failed would have seen nothing."""
    sent = sorted(sample["sent_seconds"] for sample in kept.samples)

    wanted = scenario(kept.scenario).circumstances.requests_per_second or 1.0
    assert max(later - earlier for earlier, later in pairwise(sent)) < LONGEST_SILENCE_SECONDS / min(wanted, 1.0)


@pytest.mark.rehearsed
def test_what_was_rehearsed_is_what_ships(kept: Kept) -> None:
    """Other settings than production's would prove nothing about production, but for scenarios that need their own."""
    assert (kept.settings.environment == "production") is not bool(scenario(kept.scenario).environment)
    template = kept.assembly / f"{kept.settings.stack_name}.template.json"

    assert hashlib.sha256(template.read_bytes()).hexdigest() == kept.report["template_sha256"]


@pytest.mark.rehearsed
@pytest.mark.xdist_group("every scenario")  # the smallest groups come last: by then workers have played them
def test_every_permission_is_used_by_some_scenario(all_kept: list[Kept], templates: Mapping[str, Any]) -> None:
    """Or has its reason in a table, which may hold nothing else. What is missing, every scenario says for itself."""
    used: defaultdict[str, set[str]] = defaultdict(set)
    for each in (each for kept in all_kept for each in kept.report["aws_requests"]["used_actions"]):
        used[each["by"]].update(each["actions"])

    assert [] == findings(allowed_actions(templates["production"]["Resources"]), used)


GOOD, MANUAL, BY_RULE = (scenario(name) for name in ("good-release", "manual-rollback", "stopped-deployment"))
RACE = scenario("clean-up-races-rollback")
RELEASED = report(outcome="promoted", weights={"blue": 0, "green": 100})
ROLLED_BACK = report(
    outcome="rolled_back",
    weights={"blue": 100, "green": 0},
    switch=Switch(seconds=0.5, calls=MOST_CRITICAL_CALLS, in_force=5.0),
    samples=[*users(2.0, 4.9, color="green"), *users(5.1, 8.0, color="blue")],
)
VIOLATION = {"invariant": "law and order", "found": "chaos", "call": "somebody: elbv2:ModifyListener (call 7)"}


def test_a_kept_promise_is_not_called_broken() -> None:
    assert [] == list(GOOD.broken_promises(RELEASED))
    assert [] == list(MANUAL.broken_promises(ROLLED_BACK))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"outcome": "aborted"}, "the release ended as aborted, not as promoted", id="outcome"),
        pytest.param({"lease_holder": "arn:x"}, "the environment is still held by arn:x", id="lease"),
        pytest.param(
            {"invariants": {"checked": 1, "violated": [VIOLATION]}},
            "invariant broken by somebody: elbv2:ModifyListener (call 7): law and order: chaos",
            id="invariant",
        ),
        pytest.param(
            {"unsupported": ["rds:CreateDBSnapshot"]},
            "the emulator cannot answer rds:CreateDBSnapshot, so nothing is proven",
            id="unsupported call",
        ),
        pytest.param(
            {"judgement": replace(RELEASED.judgement, denied=["notify: sns:Publish needs sns:Publish (call 7)"])},
            "denied on AWS: notify: sns:Publish needs sns:Publish (call 7)",
            id="denied request",
        ),
        pytest.param(
            {"judgement": replace(RELEASED.judgement, malformed=["notify: sns:Publish: Message: is missing (call 7)"])},
            "no request that AWS's model accepts: notify: sns:Publish: Message: is missing (call 7)",
            id="malformed request",
        ),
        pytest.param({"samples": users(0.0, 8.0, status=502)}, "481 requests failed", id="failed requests"),
        pytest.param({"samples": users(0.0, 8.0, status=0)}, "481 requests failed", id="unanswered requests"),
        pytest.param(
            {"samples": users(0.0, 8.0, per_second=20)}, "only 20 requests per second, of 60", id="little traffic"
        ),
        pytest.param({"samples": []}, "only 0 requests per second, of 60", id="no traffic"),
        pytest.param({"weights": {"blue": 10, "green": 90}}, "green has 90 % of the traffic", id="divided traffic"),
        pytest.param(
            {"versions": {"blue": OLD_VERSION, "green": OLD_VERSION}},
            f"green runs {OLD_VERSION}, not {NEW_VERSION}",
            id="version",
        ),
        pytest.param({"instances": {"blue": 2, "green": 2}}, "blue still has 2 instances", id="no clean-up"),
        pytest.param({"release_reports": {}}, "no report of the release was written", id="no report"),
        pytest.param(
            {"release_reports": {"releases/one.html": "promoted 10 % of the traffic goes to green"}},
            "the report of the release does not say ['Requests per second']",
            id="report without traffic",
        ),
    ],
)
def test_a_release_says_which_promise_it_broke(changes: dict[str, Any], said: str) -> None:
    assert [said] == list(GOOD.broken_promises(replace(RELEASED, **changes)))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"switch": None}, "no rollback switched the listener", id="no switch"),
        pytest.param(
            {"samples": [*ROLLED_BACK.samples, *users(8.1, 8.1, color="green")]},
            "1 requests reached green after the rollback",
            id="green",
        ),
        pytest.param(
            {"switch": Switch(seconds=0.5, calls=MOST_CRITICAL_CALLS + 1, in_force=5.0)},
            "7 AWS calls before the listener was back",
            id="slow way",
        ),
    ],
)
def test_a_rollback_says_which_promise_it_broke(changes: dict[str, Any], said: str) -> None:
    assert [said] == list(MANUAL.broken_promises(replace(ROLLED_BACK, **changes)))


def cleaned_up(*ends: str) -> list[Execution]:
    """Return what ran when a rollback raced clean-ups with these ends."""
    clean_ups = [Execution("arn", "clean-up", "SUCCEEDED", states=["Claim clean-up", end]) for end in ends]
    return [*ROLLED_BACK.executions, *clean_ups]


@pytest.mark.parametrize(
    ("ends", "blue", "said"),
    [
        (["Nothing to clean up", "Nothing to clean up"], CAPACITY, []),
        ([], CAPACITY, ["no clean-up was started, so nothing is proven"]),
        (["Cleaned up"], CAPACITY, ["the clean-ups ended as ['Cleaned up']"]),
        (["Nothing to clean up"], 0, [f"blue has 0 instances, not {CAPACITY}"]),
    ],
    ids=["kept", "no race", "scaled in", "instances lost"],
)
def test_a_race_with_a_clean_up_says_which_promise_it_broke(ends: list[str], blue: int, said: list[str]) -> None:
    raced = replace(ROLLED_BACK, executions=cleaned_up(*ends), instances={"blue": blue, "green": CAPACITY})

    assert said == list(RACE.broken_promises(raced))


@pytest.mark.parametrize("each", SCENARIOS, ids=lambda each: each.name)
def test_no_scenario_is_proven_without_users(each: Scenario) -> None:
    """Nobody fails where nobody asks."""
    assert "only 0 requests per second, of 60" in list(each.broken_promises(replace(RELEASED, samples=[])))


def test_a_rollback_that_nobody_started_is_missed() -> None:
    stopped = replace(ROLLED_BACK, executions=[each for each in ROLLED_BACK.executions if each.machine == "deploy"])

    assert ["no rollback succeeded"] == list(BY_RULE.broken_promises(stopped))


def _with_types(value: Any, empty: Collection[str] = (), path: str = "") -> Any:
    """Replace every leaf by its type, every list by its first element's, and what is at a path in `empty` by null."""
    if path in empty:
        return None
    if isinstance(value, dict):
        return {name: _with_types(inner, empty, f"{path}.{name}".lstrip(".")) for name, inner in value.items()}
    if isinstance(value, list):
        return [_with_types(inner, empty, path) for inner in value[:1]]
    return value if value is None or isinstance(value, type) else type(value)
