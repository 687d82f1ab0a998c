import json
import os
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambdas.fleet.auto_scaling import AutoScaling
from lambdas.fleet.instances import Instances
from lambdas.release.rules import parse_moment
from lambdas.traffic.listeners import Listeners
from lambdas.traffic.load_balancer import LoadBalancer
from tests.rehearsal.world.conftest import BAD_SHA, BLUE, GREEN, LISTENER, NEW_SHA, OLD_SHA, TEST_LISTENER, World
from tests.waiting import eventually

pytestmark = pytest.mark.rehearsed


def health(world: World, listener: str) -> dict[str, Any]:
    with urllib.request.urlopen(world.load_balancer.url(listener) + "/health", timeout=10) as response:  # noqa: S310  loopback
        return json.load(response)


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def pids(world: World, group: str) -> set[int]:
    return set(world.pids(group))


def test_a_refresh_really_replaces_every_application(world: World) -> None:
    """New processes, the new commit in /health, the old ones gone."""
    world.forward(TEST_LISTENER, {GREEN: 1})
    world.serve_from("green", capacity=2)
    old = pids(world, "green")
    world.refresh("green", world.new_version(NEW_SHA), MinHealthyPercentage=0, InstanceWarmup=0)
    assert world.refresh_described("green")["Status"] in {"Pending", "InProgress"}
    ended = world.refreshed("green")
    assert (ended["Status"], ended["PercentageComplete"], ended["InstancesToUpdate"]) == ("Successful", 100, 0)
    assert not old & pids(world, "green")
    assert health(world, TEST_LISTENER) == {"status": "ok", "version": NEW_SHA}
    assert world.load_balancer.healthy_targets(GREEN) == 2
    eventually(lambda: not any(exists(pid) for pid in old))


def test_a_group_takes_the_desired_version_once_its_refresh_succeeded(world: World) -> None:
    world.scale("green", 1)
    version = world.new_version(NEW_SHA)
    world.refresh("green", version, MinHealthyPercentage=0, InstanceWarmup=0)
    (group,) = world.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=["green"])["AutoScalingGroups"]
    assert group["LaunchTemplate"]["Version"] == "1"
    world.refreshed("green")
    (group,) = world.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=["green"])["AutoScalingGroups"]
    assert version == group["LaunchTemplate"]["Version"]
    assert [version] == [instance["LaunchTemplate"]["Version"] for instance in group["Instances"]]
    world.scale("green", 2)
    assert {NEW_SHA} == {instance.version for instance in world.fleet.instances("green")}


def test_a_refresh_leaves_what_must_stay_healthy(world: World) -> None:
    """At 50 % one of two instances serves at any time, so that nobody notices."""
    world.serve_from("blue", capacity=2)
    world.refresh("blue", world.new_version(NEW_SHA), MinHealthyPercentage=50, InstanceWarmup=10)
    healthy: set[int] = set()

    def has_ended() -> bool:
        healthy.add(world.load_balancer.healthy_targets(BLUE))
        assert health(world, LISTENER)["status"] == "ok"
        return "EndTime" in world.refresh_described("blue")

    eventually(has_ended)
    assert {1, 2} == healthy


def test_a_restart_behind_a_freeze_leaves_nothing_old_and_never_too_few(world: World) -> None:
    """As after an exchange of the database: the same version again, on new instances, while users are kept away."""
    world.serve_from("blue", capacity=2)
    before = {each.instance_id for each in world.fleet.instances("blue")}
    Listeners(world.elbv2).freeze(LISTENER, {"runback:freeze": "r-1"})
    old = Instances(world.ec2).launched_at(before)
    with world.clock.at_real_speed():
        swapped_at = world.clock.now().isoformat()
    assert AutoScaling(world.autoscaling).restart("blue")
    healthy: set[int] = set()

    def has_ended() -> bool:
        healthy.add(world.load_balancer.healthy_targets(BLUE))
        return "EndTime" in world.refresh_described("blue")

    eventually(has_ended)
    assert world.refresh_described("blue")["Status"] == "Successful"
    now = LoadBalancer(world.elbv2).healthy_instances(BLUE)
    assert len(now) == 2
    assert not now & before
    assert min(healthy) >= 2
    new = Instances(world.ec2).launched_at(now)
    assert all(parse_moment(moment) <= parse_moment(swapped_at) for moment in old.values())
    assert all(parse_moment(moment) >= parse_moment(swapped_at) for moment in new.values())


def test_instances_of_the_desired_version_may_be_skipped(world: World) -> None:
    world.scale("green", 1)
    before = pids(world, "green")
    world.refresh("green", "1", SkipMatching=True, MinHealthyPercentage=0)
    assert world.refreshed("green")["Status"] == "Successful"
    assert before == pids(world, "green")


def test_a_version_that_never_becomes_healthy_fails_its_refresh(world: World) -> None:
    world.forward(TEST_LISTENER, {GREEN: 1})
    world.serve_from("green")
    world.clock.pace(5000)  # AWS is patient for an hour
    world.refresh("green", world.new_version(BAD_SHA), MinHealthyPercentage=0, InstanceWarmup=0)
    ended = world.refreshed("green")
    assert (ended["Status"], ended["PercentageComplete"]) == ("Failed", 0)
    assert "did not become healthy" in ended["StatusReason"]
    eventually(lambda: ("unhealthy", "Target.ResponseCodeMismatch") in world.target_health(GREEN))


def test_nothing_more_is_replaced_after_a_cancellation(world: World) -> None:
    world.forward(TEST_LISTENER, {GREEN: 1})
    world.serve_from("green", capacity=2)
    refresh = world.refresh("green", world.new_version(NEW_SHA), MinHealthyPercentage=50, InstanceWarmup=3600)
    eventually(lambda: world.refresh_described("green")["Status"] == "InProgress")
    eventually(lambda: NEW_SHA in {instance.version for instance in world.fleet.instances("green")})
    assert refresh == world.autoscaling.cancel_instance_refresh(AutoScalingGroupName="green")["InstanceRefreshId"]
    assert world.refreshed("green")["Status"] == "Cancelled"
    world.clock.sleep(100)
    assert sorted((each.version for each in world.fleet.instances("green")), reverse=True) == [NEW_SHA, OLD_SHA]


def test_only_one_refresh_at_a_time(world: World) -> None:
    world.scale("green", 1)
    with pytest.raises(ClientError, match="ActiveInstanceRefreshNotFound"):
        world.autoscaling.cancel_instance_refresh(AutoScalingGroupName="green")
    world.refresh("green", "1", InstanceWarmup=3600)
    with pytest.raises(ClientError, match="InstanceRefreshInProgress"):
        world.refresh("green", "1")
    world.autoscaling.cancel_instance_refresh(AutoScalingGroupName="green")


def test_a_refresh_to_an_unknown_version_is_refused(world: World) -> None:
    with pytest.raises(ClientError, match="ValidationError"):
        world.refresh("green", "7")


def test_scaling_in_deregisters_and_stops(world: World) -> None:
    """Moto leaves the targets registered."""
    world.serve_from("blue", capacity=2)
    before = pids(world, "blue")
    with world.clock.at_real_speed():  # or the deregistration delay may be over before anybody looks
        world.scale("blue", 1)
        assert sorted(state for state, _ in world.target_health(BLUE)) == ["draining", "healthy"]
    (gone,) = before - pids(world, "blue")
    eventually(lambda: not exists(gone))


def test_another_launch_template_replaces_nothing_by_itself(world: World) -> None:
    world.scale("green", 1)
    before = pids(world, "green")
    template = {"LaunchTemplateId": world.launch_template, "Version": world.new_version(NEW_SHA)}
    world.autoscaling.update_auto_scaling_group(AutoScalingGroupName="green", LaunchTemplate=template)
    assert before == pids(world, "green")
    world.scale("green", 2)
    assert {OLD_SHA, NEW_SHA} == {instance.version for instance in world.fleet.instances("green")}


def test_a_launch_template_version_inherits_from_its_source(world: World) -> None:
    """Moto makes it of nothing but what the request holds."""
    version = world.new_version(NEW_SHA)
    (described,) = world.ec2.describe_launch_template_versions(
        LaunchTemplateId=world.launch_template, Versions=[version]
    )["LaunchTemplateVersions"]
    data = described["LaunchTemplateData"]
    assert (data["ImageId"], data["TagSpecifications"][0]["Tags"][0]["Value"]) == ("ami-12345678", NEW_SHA)


def test_a_repeated_client_token_makes_no_second_version(world: World) -> None:
    """Step Functions repeats the call when its answer was lost."""

    def make(instance_type: str) -> int:
        made = world.ec2.create_launch_template_version(
            LaunchTemplateId=world.launch_template,
            ClientToken="release-1",
            LaunchTemplateData={"InstanceType": instance_type},
        )
        return made["LaunchTemplateVersion"]["VersionNumber"]

    assert 2 == make("t3.small") == make("t3.small")
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        make("t3.large")
