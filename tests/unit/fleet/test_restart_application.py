"""A restart is over when everything that would serve users was launched after the database was swapped."""

from dataclasses import dataclass, replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from lambdas.errors import LeaseLost, RestartFailed
from lambdas.fleet import check_restart as checking
from lambdas.fleet import restart_application as function
from lambdas.fleet.auto_scaling import AutoScaling
from lambdas.fleet.instances import Instances
from lambdas.fleet.rules import Refresh, Restart, check_restarted, restarts_everything
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, Phase, Work
from lambdas.traffic.load_balancer import LoadBalancer
from lambdas.traffic.rules import Route
from tests.builders import BLUE, DEPLOYMENT, LISTENER, ROLLBACK, TEST_LISTENER, at

CONTEXT: Any = SimpleNamespace(
    function_name="it", memory_limit_in_mb=512, invoked_function_arn="arn:of:it", aws_request_id="1"
)
SWAPPED, BEFORE, AFTER, READY_BY = at(10), at(9), at(11), at(40)
BLUE_GROUP = "receipts-blue"
GROUP = {"AutoScalingGroupName": BLUE_GROUP}
WORKERS = {"AutoScalingGroupName": "receipts-workers"}
IN_PROGRESS = "InstanceRefreshInProgress"


class Healthy:
    """A load balancer with one healthy target in every group."""

    def healthy_instances(self, target_group: str) -> set[str]:
        assert target_group
        return {"i-1"}


@dataclass
class Launched:
    """EC2, which knows exactly these instances."""

    moments: dict[str, str]

    def launched_at(self, instance_ids: set[str]) -> dict[str, str]:
        assert instance_ids == set(self.moments)
        return self.moments


def described(name: str, instances: list[dict[str, Any]]) -> dict[str, Any]:
    """Return an Auto Scaling group of two instances as AWS describes it."""
    group: dict[str, Any] = {"AutoScalingGroupName": name, "MinSize": 1, "MaxSize": 4, "DesiredCapacity": 2}
    group |= {"DefaultCooldown": 300, "AvailabilityZones": ["eu-west-1a"], "HealthCheckType": "ELB"}
    return {"AutoScalingGroups": [{**group, "CreatedTime": datetime.fromisoformat(AFTER), "Instances": instances}]}


@pytest.fixture
def lease(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> Lease:
    for module in (function, checking):
        monkeypatch.setattr(module, "record", record)
    return record.claim(Work(), Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new"))


@pytest.fixture
def autoscaling(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a stub that knows exactly the requests that it is told of."""
    client = boto3.client("autoscaling")
    for module in (function, checking):
        monkeypatch.setattr(module, "auto_scaling", AutoScaling(client))
    with Stubber(client) as stub:
        yield stub
        stub.assert_no_pending_responses()


def restart(lease: Lease, swapped_at: str = SWAPPED, now: str = SWAPPED) -> str:
    wanted = function.Restarting(lease, "new", "blue", swapped_at, now)
    begun, waiting = function.restart_application(wanted, (BLUE_GROUP,))
    assert ([] if begun else [BLUE_GROUP]) == waiting
    return begun.get(BLUE_GROUP, "")


def starts(stub: Any, refresh_id: str, group: dict[str, str] = GROUP) -> None:
    preferences = {
        "MinHealthyPercentage": 100,
        "MaxHealthyPercentage": 150,
        "InstanceWarmup": 0,
        "SkipMatching": False,
        "ScaleInProtectedInstances": "Refresh",
        "StandbyInstances": "Ignore",
    }
    stub.add_response(
        "start_instance_refresh", {"InstanceRefreshId": refresh_id}, {**group, "Preferences": preferences}
    )


def finds(stub: Any, refresh_id: str, started_at: str, **more: Any) -> None:
    """Let another refresh be under way."""
    stub.add_client_error("start_instance_refresh", IN_PROGRESS)
    described = {
        "InstanceRefreshId": refresh_id,
        "Status": "InProgress",
        "StartTime": datetime.fromisoformat(started_at),
        **more,
    }
    stub.add_response("describe_instance_refreshes", {"InstanceRefreshes": [described]}, {**GROUP, "MaxRecords": 1})


def test_restart_replaces_every_instance_and_never_leaves_too_few(lease: Lease, autoscaling: Any) -> None:
    """Those that have the version already, too: it is not the version that has changed."""
    starts(autoscaling, "refresh-1")
    assert restart(lease) == "refresh-1"


def test_repeated_restart_is_the_same_one(lease: Lease, autoscaling: Any) -> None:
    starts(autoscaling, "refresh-1")
    restart(lease)
    assert restart(lease) == "refresh-1"


def test_restart_after_the_swap_was_undone_is_another_one(lease: Lease, autoscaling: Any) -> None:
    """What the first one has launched knows the database that is given up."""
    starts(autoscaling, "refresh-1")
    starts(autoscaling, "refresh-2")
    restart(lease)
    assert restart(lease, swapped_at=at(20)) == "refresh-2"


def test_restart_whose_answer_was_lost_is_adopted(lease: Lease, autoscaling: Any) -> None:
    finds(autoscaling, "refresh-1", started_at=AFTER)
    assert restart(lease) == "refresh-1"
    assert restart(lease) == "refresh-1"


@pytest.mark.parametrize(
    ("started_at", "more"), [(BEFORE, {}), (AFTER, {"Preferences": {"SkipMatching": True}})], ids=["early", "sparing"]
)
def test_refresh_that_leaves_old_connections_is_waited_for(
    lease: Lease, autoscaling: Any, started_at: str, more: dict[str, Any]
) -> None:
    finds(autoscaling, "somebody's", started_at, **more)
    starts(autoscaling, "refresh-1")
    assert restart(lease) == ""
    assert restart(lease, now=AFTER) == "refresh-1"


def test_refresh_of_somebody_else_is_not_waited_for_for_ever(lease: Lease, autoscaling: Any) -> None:
    finds(autoscaling, "somebody's", BEFORE)
    event = {"lease": lease.as_event(), "release_id": "new", "color": "blue", "swapped_at": SWAPPED}
    with pytest.raises(RestartFailed, match=r"when the time was up at .*: receipts-blue"):
        function.lambda_handler({**event, "now": at(59)}, CONTEXT)


def test_restart_onto_a_database_that_was_given_up_is_cancelled(lease: Lease, autoscaling: Any) -> None:
    starts(autoscaling, "refresh-1")
    restart(lease)
    finds(autoscaling, "refresh-1", started_at=AFTER)
    autoscaling.add_response("cancel_instance_refresh", {}, GROUP)
    starts(autoscaling, "refresh-2")
    assert restart(lease, swapped_at=at(20)) == ""
    assert restart(lease, swapped_at=at(20)) == "refresh-2"


@pytest.mark.usefixtures("autoscaling")
def test_who_has_lost_the_environment_restarts_nothing(record: ReleaseRecord, lease: Lease) -> None:
    record.claim(record.read().work, Work(holder=ROLLBACK, phase=Phase.ROLLING_BACK))
    with pytest.raises(LeaseLost):
        restart(lease)


def test_workers_are_restarted_too_and_each_group_once(lease: Lease, autoscaling: Any) -> None:
    """They write to the database without being behind the load balancer, and would go on with the other one."""
    wanted = function.Restarting(lease, "new", "blue", SWAPPED, SWAPPED)
    groups = (BLUE_GROUP, WORKERS["AutoScalingGroupName"])
    starts(autoscaling, "refresh-1")
    autoscaling.add_client_error("start_instance_refresh", IN_PROGRESS)
    autoscaling.add_response("describe_instance_refreshes", {"InstanceRefreshes": []}, {**WORKERS, "MaxRecords": 1})
    assert function.restart_application(wanted, groups) == ({BLUE_GROUP: "refresh-1"}, ["receipts-workers"])
    starts(autoscaling, "refresh-2", WORKERS)
    begun = {BLUE_GROUP: "refresh-1", "receipts-workers": "refresh-2"}
    assert function.restart_application(wanted, groups) == (begun, [])


REFRESH = Refresh("refresh-1", "Successful", 100, "", "7")
DONE = Restart((REFRESH,), healthy=2, wanted=2, launched_at={"i-1": AFTER, "i-2": AFTER}, swapped_at=SWAPPED)


def test_restart_is_done_when_nothing_old_serves() -> None:
    assert check_restarted(DONE, READY_BY, AFTER)


@pytest.mark.parametrize(
    "found",
    [
        replace(DONE, refreshes=(replace(REFRESH, status="InProgress"),)),
        replace(DONE, refreshes=(REFRESH, replace(REFRESH, status="InProgress"))),
        replace(DONE, healthy=1),
        replace(DONE, launched_at={"i-1": AFTER, "i-2": BEFORE}),
    ],
    ids=["under way", "workers under way", "too few", "one is old"],
)
def test_restart_is_waited_for_until_its_time_is_up(found: Restart) -> None:
    assert not check_restarted(found, READY_BY, AFTER)
    with pytest.raises(RestartFailed, match="when the time was up"):
        check_restarted(found, READY_BY, READY_BY)


def test_an_instance_that_was_not_replaced_is_named() -> None:
    """Somebody has registered it by hand, and no refresh of the group would ever replace it."""
    with pytest.raises(RestartFailed, match="still run: i-2"):
        check_restarted(replace(DONE, launched_at={"i-1": AFTER, "i-2": BEFORE}), READY_BY, READY_BY)


def test_refresh_that_failed_is_not_waited_for() -> None:
    failed = replace(DONE, refreshes=(replace(REFRESH, status="Failed", reason="They did not become healthy."),))
    with pytest.raises(RestartFailed, match="refresh-1 is Failed: They did not become healthy"):
        check_restarted(failed, READY_BY, AFTER)


def test_refresh_that_has_not_begun_replaces_what_runs_now() -> None:
    pending = replace(REFRESH, status="Pending")
    assert restarts_everything(pending, SWAPPED)
    assert not restarts_everything(replace(pending, started_at=BEFORE), SWAPPED)
    assert not restarts_everything(REFRESH, SWAPPED)


def test_check_sees_the_route_with_the_fewest_targets_and_the_age_of_all(
    lease: Lease, autoscaling: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    elbv2, ec2 = boto3.client("elbv2"), boto3.client("ec2")
    site = BLUE.replace("receipts-blue", "site-blue")
    routes = tuple(Route(each, LISTENER, TEST_LISTENER, each, "green") for each in (BLUE, site))
    monkeypatch.setattr(checking, "settings", replace(checking.settings, routes=routes))
    monkeypatch.setattr(checking, "load_balancer", LoadBalancer(elbv2))
    monkeypatch.setattr(checking, "instances", Instances(ec2))
    found = {"InstanceRefreshes": [{"InstanceRefreshId": "refresh-1", "Status": "Successful"}]}
    autoscaling.add_response("describe_instance_refreshes", found, {**GROUP, "InstanceRefreshIds": ["refresh-1"]})
    asked = {"AutoScalingGroupNames": [BLUE_GROUP]}
    autoscaling.add_response("describe_auto_scaling_groups", described(BLUE_GROUP, []), asked)
    with Stubber(elbv2) as balancer, Stubber(ec2) as machines:
        for target_group, states in ((BLUE, ["healthy", "healthy"]), (site, ["healthy", "initial"])):
            targets = [{"Target": {"Id": f"i-{n}"}, "TargetHealth": {"State": state}} for n, state in enumerate(states)]
            answer = {"TargetHealthDescriptions": targets}
            balancer.add_response("describe_target_health", answer, {"TargetGroupArn": target_group})
        launched = [
            {"InstanceId": f"i-{n}", "LaunchTime": datetime.fromisoformat(moment)}
            for n, moment in enumerate((AFTER, BEFORE))
        ]
        machines.add_response(
            "describe_instances",
            {"Reservations": [{"Instances": launched}]},
            {"InstanceIds": ["i-0", "i-1"]},
        )
        restarted = checking.check_restart(checking.Check(lease, "new", "blue", "refresh-1", SWAPPED, READY_BY, AFTER))
    assert (restarted.healthy, restarted.wanted, restarted.old) == (1, 2, ["i-1"])


def test_who_has_lost_the_environment_says_nothing_of_it(
    record: ReleaseRecord, lease: Lease, autoscaling: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The application that the winner restarts is not this one."""
    record.claim(record.read().work, Work(holder=ROLLBACK, phase=Phase.ROLLING_BACK))
    monkeypatch.setattr(checking, "load_balancer", Healthy())
    monkeypatch.setattr(checking, "instances", Launched({"i-1": AFTER}))
    with pytest.raises(LeaseLost):
        checking.check_restart(checking.Check(lease, "new", "blue", "refresh-1", SWAPPED, READY_BY, AFTER))
    autoscaling.assert_no_pending_responses()


def test_check_sees_workers_that_were_not_replaced(
    record: ReleaseRecord, lease: Lease, autoscaling: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    record.note_release("new", {"restart": {"receipts-workers": {"refresh_id": "refresh-2", "swapped_at": SWAPPED}}})
    monkeypatch.setattr(checking, "settings", replace(checking.settings, worker_groups=("receipts-workers",)))
    monkeypatch.setattr(checking, "load_balancer", Healthy())
    monkeypatch.setattr(checking, "instances", Launched({"i-1": AFTER, "i-9": BEFORE}))
    states = {"i-9": "InService", "i-10": "Terminating"}
    workers = [
        {
            "InstanceId": each,
            "LifecycleState": state,
            "AvailabilityZone": "eu-west-1a",
            "HealthStatus": "Healthy",
            "ProtectedFromScaleIn": False,
        }
        for each, state in states.items()
    ]
    asked = {"AutoScalingGroupNames": ["receipts-workers"]}
    autoscaling.add_response("describe_auto_scaling_groups", described("receipts-workers", workers), asked)
    for group, refresh_id in ((GROUP, "refresh-1"), (WORKERS, "refresh-2")):
        found = {"InstanceRefreshes": [{"InstanceRefreshId": refresh_id, "Status": "Successful"}]}
        autoscaling.add_response("describe_instance_refreshes", found, {**group, "InstanceRefreshIds": [refresh_id]})
    asked = {"AutoScalingGroupNames": [BLUE_GROUP]}
    autoscaling.add_response("describe_auto_scaling_groups", described(BLUE_GROUP, []), asked)
    restarted = checking.check_restart(checking.Check(lease, "new", "blue", "refresh-1", SWAPPED, READY_BY, AFTER))
    assert [each.refresh_id for each in restarted.refreshes] == ["refresh-1", "refresh-2"]
    assert restarted.old == ["i-9"]


def test_nothing_healthy_is_not_taken_for_the_whole_account() -> None:
    assert Instances(boto3.client("ec2")).launched_at([]) == {}


def test_answers_are_as_the_machine_has_them(lease: Lease, autoscaling: Any) -> None:
    starts(autoscaling, "refresh-1")
    event = {"lease": lease.as_event(), "release_id": "new", "color": "blue", "swapped_at": SWAPPED, "now": SWAPPED}
    answer = function.lambda_handler(event, CONTEXT)
    assert answer["started"] is True
    assert answer["refresh_id"] == "refresh-1"
    assert answer["ready_by"] > SWAPPED
