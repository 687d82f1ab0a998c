"""What must never be true, not even for one call: planted here, it is reported with the call that did it."""

import itertools
from datetime import UTC, datetime
from threading import Event
from typing import Any

import pytest

from rehearsal.engine.calls import Call
from rehearsal.invariants import (
    APPLIED,
    APPLIED_OUT,
    FREEZE,
    IN_USE,
    LET_GO,
    LET_IN,
    ONE_APPLY,
    ONE_HOLDER,
    SECRET,
    SERVED,
    SETTLE_WITHIN_SECONDS,
    WAY_BACK,
    Invariants,
)
from rehearsal.scenarios import NEW_VERSION
from rehearsal.settings import Settings
from rehearsal.stage import Stage
from rehearsal.world.builds import Build
from rehearsal.world.terraform import Terraform
from tests.rehearsal.conftest import Quiet

SETTINGS = Settings.read("production")
ROUTE = SETTINGS.routes[0]
ALL_BLUE, ALL_GREEN = {ROUTE.blue: 100, ROUTE.green: 0}, {ROUTE.blue: 0, ROUTE.green: 100}
FREEZES = {"runback:freeze": "r-1"}
FROZEN, THEIRS, NEW_RULE = (
    f"{ROUTE.arn.replace(':listener/', ':listener-rule/')}/{name}" for name in ("freeze", "theirs", "new")
)
OF_STAGING = FROZEN.replace("-production/", "-staging/")
CANARY = {ROUTE.blue: 90, ROUTE.green: 10}


class World:
    """Stands for clock, load balancer, fleet, record and builds: what the invariants look at, as a test wants."""

    def __init__(self) -> None:
        self.now = 0.0
        self.weights = dict(ALL_BLUE)
        self.healthy = {ROUTE.blue: 2, ROUTE.green: 0}
        self.unchecked: set[str] = set()
        self.alive = {"blue": 2, "green": 2}
        self.kept: dict[str, dict[str, str]] = {THEIRS: {}}
        self.lease: dict[str, Any] = {}
        self.live: dict[str, Any] = {}
        self.at_work: list[Build] = []
        self.terraform = Terraform({"aws_lb_listener.https": {}, "aws_sqs_queue.thumbnails": {}})
        self._numbers = itertools.count(1)
        self.invariants = Invariants(SETTINGS, self, self, self, self, self, self.terraform)  # type: ignore[arg-type]

    def seconds(self) -> float:
        return self.now

    def forwards(self) -> dict[str, dict[str, int]]:
        return {ROUTE.arn: dict(self.weights)}

    def rules(self) -> dict[str, dict[str, str]]:
        return dict(self.kept)

    def answers_itself(self, listener: str) -> bool:
        assert listener == ROUTE.arn
        return FREEZES in self.kept.values()

    def in_use(self, target_group: str) -> bool:
        return target_group not in self.unchecked

    def healthy_targets(self, target_group: str) -> int:
        return self.healthy[target_group] if self.in_use(target_group) else 0

    def instances(self, group: str) -> list[int]:
        (color,) = [name for name, each in SETTINGS.colors.items() if each.auto_scaling_group == group]
        return [0] * self.alive[color]

    def running(self) -> list[Build]:
        return self.at_work

    def call(
        self,
        service: str = "elbv2",
        action: str = "ModifyListener",
        caller: str | None = "switch",
        **parameters: Any,
    ) -> None:
        number, mutating = next(self._numbers), not action.startswith("Describe")
        self.invariants.observe(Call(number, self.now, self.now, service, action, caller, parameters, mutating))

    def move(self, weights: dict[str, int], caller: str | None = "switch") -> None:
        self.weights = dict(weights)
        self.call(caller=caller)

    def intend(self, weights: dict[str, int]) -> None:
        self.lease = {"holder": "somebody", "intents": {ROUTE.name: weights}}
        self.call("dynamodb", "TransactWriteItems")

    @property
    def found(self) -> list[tuple[str, str]]:
        return [(violation.invariant, violation.call) for violation in self.invariants.violations]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def released(quiet: Quiet) -> Quiet:
    """Return an account in which all traffic is on green, and blue is its way back."""
    deployment = quiet.stage.start_deployment({"version": NEW_VERSION})
    quiet.stage.until_entered(deployment, "Bake at 100 %")
    return quiet


def test_traffic_on_a_color_without_healthy_targets_is_reported(world: World) -> None:
    world.intend(ALL_GREEN)
    world.move(ALL_GREEN)

    assert [(SERVED, "switch: elbv2:ModifyListener (call 2)")] == world.found


def test_it_is_reported_although_it_was_put_right_at_once(world: World) -> None:
    """That is why every call is checked, and not only the end."""
    world.move(ALL_GREEN, caller=None)
    world.move(ALL_BLUE, caller=None)
    world.invariants.conclude([])

    assert [(SERVED, "nobody of ours: elbv2:ModifyListener (call 1)")] == world.found


def test_a_color_that_is_not_checked_any_more_is_judged_by_what_was_seen_of_it(world: World) -> None:
    """The same call that sends everybody to nobody may end the health checks of the only color that could serve."""
    world.unchecked = {ROUTE.blue}
    world.move(ALL_GREEN)

    assert [(SERVED, "switch: elbv2:ModifyListener (call 1)")] == world.found


def test_a_color_that_is_neither_checked_nor_there_any_more_is_no_better(world: World) -> None:
    world.unchecked, world.alive["blue"] = {ROUTE.blue}, 0
    world.move(ALL_GREEN)

    assert [] == world.found


@pytest.mark.parametrize("healthy", [{ROUTE.blue: 2, ROUTE.green: 1}, {ROUTE.blue: 0, ROUTE.green: 0}])
def test_traffic_may_be_where_no_other_color_is_better(world: World, healthy: dict[str, int]) -> None:
    world.healthy = healthy
    world.intend(ALL_GREEN)
    world.move(ALL_GREEN)

    assert [] == world.found


def test_reading_calls_are_not_checked(world: World) -> None:
    """They change nothing; `checked` counts what could have gone wrong."""
    world.call("elbv2", "DescribeListeners")
    world.call("ssm", "PutParameter")

    assert 0 == world.invariants.checked


def test_a_late_write_that_is_undone_in_time_is_no_violation(world: World) -> None:
    """Nobody can prevent it: a function that has passed its lease check may still write."""
    world.healthy[ROUTE.green] = 2
    world.intend(ALL_BLUE)
    world.move(CANARY)
    world.now = SETTLE_WITHIN_SECONDS - 1
    world.move(ALL_BLUE, caller="settle")
    world.now *= 2
    world.call("dynamodb", "PutItem")
    world.lease = {}
    world.invariants.conclude([])

    assert [] == world.found


def test_a_late_write_that_stays_is_reported_once_with_its_writer(world: World) -> None:
    world.healthy[ROUTE.green] = 2
    world.intend(ALL_BLUE)
    world.move(CANARY)
    world.now = SETTLE_WITHIN_SECONDS + 1
    world.call("dynamodb", "PutItem", caller="record-rollback")
    world.call("dynamodb", "PutItem", caller="record-rollback")

    assert [(ONE_HOLDER, "switch: elbv2:ModifyListener (call 2)")] == world.found


def test_a_late_write_that_nobody_saw_again_is_reported_at_the_end(world: World) -> None:
    world.healthy[ROUTE.green] = 2
    world.intend(ALL_BLUE)
    world.move(CANARY)
    world.lease = {}
    world.invariants.conclude([])

    assert [(ONE_HOLDER, "switch: elbv2:ModifyListener (call 2)")] == world.found


def test_a_human_may_move_the_listener(world: World) -> None:
    """Invariants are about Runback; what it does about a human's change is for the machines to show."""
    world.healthy[ROUTE.green] = 2
    world.intend(ALL_BLUE)
    world.move(CANARY, caller=None)
    world.now = SETTLE_WITHIN_SECONDS + 1
    world.call("dynamodb", "PutItem")

    assert [] == world.found


def test_a_human_who_moves_the_listener_ends_what_a_late_write_did(world: World) -> None:
    """It shows what he wants, and not what a loser has written there before."""
    world.healthy[ROUTE.green] = 2
    world.intend(ALL_BLUE)
    world.move(ALL_GREEN)
    world.move(CANARY, caller=None)
    world.now = SETTLE_WITHIN_SECONDS + 1
    world.call("dynamodb", "PutItem")
    world.lease = {}
    world.invariants.conclude([])

    assert [] == world.found


@pytest.mark.parametrize(
    ("shown", "is_frozen", "is_found"), [(CANARY, False, True), (ALL_BLUE, False, False), (CANARY, True, False)]
)
def test_what_users_are_sent_to_is_not_scaled_in(
    world: World, shown: dict[str, int], *, is_frozen: bool, is_found: bool
) -> None:
    """Also with some users on it only; but behind a freeze there are none."""
    group = {"AutoScalingGroupName": SETTINGS.colors["green"].auto_scaling_group, "DesiredCapacity": 0}
    world.healthy[ROUTE.green] = 2
    world.move(shown, caller=None)
    world.kept |= {FROZEN: FREEZES} if is_frozen else {}
    world.call("autoscaling", "UpdateAutoScalingGroup", caller=None, **group)
    assert [] == world.found
    world.call("autoscaling", "UpdateAutoScalingGroup", caller="scale-back", **group)
    found = [(IN_USE, "scale-back: autoscaling:UpdateAutoScalingGroup (call 3)")]
    assert (found if is_found else []) == [each for each in world.found if each[0] == IN_USE]


def test_a_way_back_that_shrinks_is_reported(world: World) -> None:
    world.live = {"rollback_point": {"status": "valid", "color": "blue", "capacity": 2}}
    world.call("dynamodb", "TransactWriteItems")
    world.alive["blue"] = 1
    world.call("autoscaling", "UpdateAutoScalingGroup", caller=None)

    assert [(WAY_BACK, "nobody of ours: autoscaling:UpdateAutoScalingGroup (call 2)")] == world.found


def test_a_clean_up_that_scales_in_before_it_gives_the_way_back_up_is_reported(world: World) -> None:
    """Even if it says so a moment later: a rollback in between would go back to nothing."""
    world.live = {"rollback_point": {"status": "valid", "color": "blue", "capacity": 2}}
    world.alive["blue"] = 0
    world.call("autoscaling", "UpdateAutoScalingGroup", caller="scale-in-old-color")
    world.live = {"rollback_point": {"status": "expired", "color": "blue", "capacity": 2}}
    world.call("dynamodb", "TransactWriteItems", caller="claim-clean-up")

    assert [(WAY_BACK, "scale-in-old-color: autoscaling:UpdateAutoScalingGroup (call 1)")] == world.found


@pytest.mark.parametrize("status", ["consumed", "expired"])
def test_what_is_no_way_back_any_more_may_shrink(world: World, status: str) -> None:
    world.live = {"rollback_point": {"status": status, "color": "blue", "capacity": 2}}
    world.alive["blue"] = 0
    world.call("autoscaling", "UpdateAutoScalingGroup")

    assert [] == world.found


def test_a_lease_that_outlives_all_executions_is_reported(world: World) -> None:
    world.lease = {"holder": "arn:dead"}
    world.invariants.conclude([])

    assert [(LET_GO, "the end")] == world.found


def applying() -> Build:
    started = datetime(2026, 3, 1, tzinfo=UTC)
    return Build("apply:1", f"{SETTINGS.prefix}-apply", "role", 1, NEW_VERSION, {}, started, Event(), 60.0)


def test_an_apply_that_nobody_holds_the_environment_for_is_reported(world: World) -> None:
    """The next release would begin while Terraform still works for the last one."""
    world.at_work = [applying()]
    world.lease = {"holder": "somebody"}
    world.call("codebuild", "StartBuild", caller="start-apply")
    assert [] == world.found
    world.lease = {}
    world.call("dynamodb", "TransactWriteItems", caller="release-environment")
    assert [(ONE_APPLY, "release-environment: dynamodb:TransactWriteItems (call 2)")] == world.found


def test_a_color_that_is_scaled_in_while_terraform_applies_is_reported(world: World) -> None:
    """Whoever undoes a release must wait, or he undoes the half of it."""
    group = {"AutoScalingGroupName": SETTINGS.colors["green"].auto_scaling_group, "DesiredCapacity": 0}
    world.at_work, world.lease = [applying()], {"holder": "somebody"}
    world.call("autoscaling", "UpdateAutoScalingGroup", caller="scale-back", **{**group, "DesiredCapacity": 2})
    assert [] == world.found
    world.call("autoscaling", "UpdateAutoScalingGroup", caller="scale-back", **group)
    assert [(ONE_APPLY, "scale-back: autoscaling:UpdateAutoScalingGroup (call 2)")] == world.found


def test_what_another_environment_scales_in_is_no_concern_of_this_one_s_applies(world: World) -> None:
    world.at_work, world.lease = [applying()], {"holder": "somebody"}
    group = {"AutoScalingGroupName": "receipt-vault-staging-green", "DesiredCapacity": 0}
    world.call("autoscaling", "UpdateAutoScalingGroup", caller="scale-back", **group)
    assert [] == world.found


def test_an_apply_that_outlives_all_executions_is_reported(world: World) -> None:
    world.at_work = [applying()]
    world.invariants.conclude([])
    assert [(APPLIED_OUT, "the end")] == world.found


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("aws_sqs_queue.thumbnails", []),
        ("aws_lb_listener.https", [(APPLIED, "nobody of ours: elbv2:ModifyRule (call 2)")]),
    ],
)
def test_terraform_at_what_runback_holds_is_reported(world: World, address: str, found: list[tuple[str, str]]) -> None:
    """With the call after which it was seen, which need not be the guilty one: Terraform's own calls are no calls."""
    world.call()
    plan = Terraform(world.terraform.base, {NEW_VERSION: {address: {"name": "b"}}}).plan(NEW_VERSION, (), "now")
    list(world.terraform.apply(plan.file))
    world.call("elbv2", "ModifyRule", caller=None)
    assert found == world.found


def test_a_secret_that_was_told_is_reported(world: World) -> None:
    world.invariants.conclude(["the token stands in the record"])

    assert [(SECRET, "the end")] == world.found


def test_a_freeze_by_the_holder_is_none_of_the_rules_that_must_stay(world: World) -> None:
    world.lease = {"holder": "somebody"}
    world.kept[FROZEN] = FREEZES
    world.call(action="CreateRule", caller="freeze-traffic")
    del world.kept[FROZEN]
    world.call(action="DeleteRule", caller="thaw-traffic")
    world.lease = {}
    world.invariants.conclude([])

    assert [] == world.found


def test_a_thaw_that_takes_somebody_elses_rule_away_is_reported(world: World) -> None:
    world.lease = {"holder": "somebody"}
    del world.kept[THEIRS]
    world.call(action="DeleteRule", caller="thaw-traffic")

    assert [(FREEZE, "thaw-traffic: elbv2:DeleteRule (call 1)")] == world.found


def test_a_freeze_that_nobody_can_tell_whose_it_is_is_reported(world: World) -> None:
    """No thaw would ever find it."""
    world.lease = {"holder": "somebody"}
    world.kept[FROZEN] = {}
    world.call(action="CreateRule", caller="freeze-traffic")

    assert [(FREEZE, "freeze-traffic: elbv2:CreateRule (call 1)")] == world.found


def test_a_freeze_without_the_lease_is_reported(world: World) -> None:
    world.kept[FROZEN] = FREEZES
    world.call(action="CreateRule", caller="freeze-traffic")

    assert (FREEZE, "freeze-traffic: elbv2:CreateRule (call 1)") in world.found


def test_a_freeze_of_another_environment_s_listener_needs_not_this_one_s_lease(world: World) -> None:
    world.kept[OF_STAGING] = FREEZES
    world.call(action="CreateRule", caller="freeze-traffic")
    world.invariants.conclude([])

    assert [] == [each for each in world.found if each[0] != SERVED]


def test_what_another_environment_broke_is_told_with_the_rest(world: World) -> None:
    other = World()
    other.lease = {"holder": "somebody"}
    for each in (world, other):
        each.call()
        each.invariants.conclude([])
    world.invariants.add(other.invariants)

    assert [(LET_GO, "the end")] == world.found
    assert 2 * other.invariants.checked == world.invariants.checked


def test_humans_may_do_as_they_like_with_their_rules(world: World) -> None:
    world.kept = {NEW_RULE: {}}
    world.call(action="CreateRule", caller=None)

    assert [] == world.found


@pytest.mark.parametrize(("phase", "found"), [("rolled_back", [(LET_IN, "the end")]), ("escalated", [])])
def test_users_who_are_still_shut_out_at_the_end_are_reported_unless_a_human_was_told(
    world: World, phase: str, found: list[tuple[str, str]]
) -> None:
    world.kept[FROZEN] = FREEZES
    world.lease = {"phase": phase}
    world.invariants.conclude([])

    assert found == world.found


def test_no_user_meets_a_color_behind_a_freeze(world: World) -> None:
    """A rollback may move the forward meanwhile, and what is restarted may be unhealthy for a while."""
    world.lease = {"holder": "somebody"}
    world.kept[FROZEN] = FREEZES
    world.call(action="CreateRule", caller="freeze-traffic")
    world.intend(ALL_GREEN)
    world.move(ALL_GREEN)
    assert [] == world.found
    del world.kept[FROZEN]
    world.call(action="DeleteRule", caller="thaw-traffic")
    assert [(SERVED, "thaw-traffic: elbv2:DeleteRule (call 4)")] == world.found


@pytest.mark.rehearsed
def test_an_operator_who_sends_everybody_to_nobody_is_reported(quiet: Quiet) -> None:
    """On the pretend account, and although the next call puts it right."""
    stage, route = quiet.stage, quiet.stage.account.settings.routes[0]
    elbv2 = stage.account.client("elbv2")
    for target_group in (route.green, route.blue):
        action = {"Type": "forward", "TargetGroupArn": target_group}
        elbv2.modify_listener(ListenerArn=route.arn, DefaultActions=[action])

    (violation,) = quiet.invariants.violations
    guilty, _ = _calls_of_operator(stage, "ModifyListener")[-2:]
    assert (SERVED, f"nobody of ours: elbv2:ModifyListener (call {guilty.number})") == (
        violation.invariant,
        violation.call,
    )


@pytest.mark.rehearsed
def test_an_operator_who_scales_the_way_back_in_is_reported(released: Quiet) -> None:
    stage = released.stage
    blue = stage.account.settings.colors["blue"].auto_scaling_group
    stage.account.client("autoscaling").update_auto_scaling_group(
        AutoScalingGroupName=blue, MinSize=0, DesiredCapacity=0
    )

    violation, *_ = released.invariants.violations
    (guilty,) = _calls_of_operator(stage, "UpdateAutoScalingGroup")
    assert (WAY_BACK, f"nobody of ours: autoscaling:UpdateAutoScalingGroup (call {guilty.number})") == (
        violation.invariant,
        violation.call,
    )


def _calls_of_operator(stage: Stage, action: str) -> list[Call]:
    return [call for call in stage.account.calls.log if call.action == action and call.caller is None]
