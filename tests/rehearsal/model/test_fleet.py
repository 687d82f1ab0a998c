"""Load balancer and fleet on models: an account whose instances live in this process, on either clock."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from rehearsal.clock import TwoSpeedClock
from rehearsal.engine.calls import Calls
from rehearsal.engine.virtual import VirtualTime
from rehearsal.model.applications import ModelNetwork
from rehearsal.model.data_plane import ModelDataPlane
from rehearsal.model.health import probe_of
from rehearsal.model.traffic import ModelTraffic
from rehearsal.world.application import Behaviour
from rehearsal.world.fleet import Fleet
from rehearsal.world.load_balancer import LoadBalancer
from rehearsal.world.network import Network
from rehearsal.world.traffic import Sample, summarise
from tests.rehearsal.model.planes import model_applications
from tests.rehearsal.world.conftest import (
    ACCOUNT,
    BAD_SHA,
    BLUE,
    GREEN,
    LISTENER,
    NEW_SHA,
    OLD_SHA,
    REGION,
    TEST_LISTENER,
    World,
)
from tests.waiting import eventually

Until = Callable[[Callable[[], bool]], object]


class Modelled:
    """A world of models, and the clock's way to wait for something in it."""

    def __init__(self, world: World, until: Until) -> None:
        self.world, self.until = world, until

    def serve(self, color: str, group: str, capacity: int) -> None:
        self.world.scale(color, capacity)
        self.until(lambda: self.world.load_balancer.healthy_targets(group) == capacity)

    def both_colors_serve(self) -> None:
        self.world.forward(TEST_LISTENER, {GREEN: 1})
        self.serve("blue", BLUE, 2)
        self.serve("green", GREEN, 2)

    def versions(self, color: str) -> set[str]:
        return {instance.version for instance in self.world.fleet.instances(color)}

    def ended(self, group: str) -> dict[str, Any]:
        self.until(lambda: "EndTime" in self.world.refresh_described(group))
        return self.world.refresh_described(group)


@contextmanager
def world_on(clock: Any, folder: Path, seed: int = 0) -> Iterator[World]:
    with ExitStack() as open_things:
        open_things.enter_context(mock_aws())
        calls = open_things.enter_context(Calls(clock))
        applications = model_applications()
        network, data_plane = ModelNetwork(applications), ModelDataPlane(clock, applications, seed=seed)
        place = (ACCOUNT, REGION)
        load_balancer = LoadBalancer(clock, network, data_plane, *place, probe=probe_of(applications))
        open_things.enter_context(load_balancer)
        fleet = Fleet(
            clock,
            network,
            load_balancer,
            *place,
            account_lock=calls.lock,
            log_directory=folder,
            colors={"blue": "blue", "green": "green"},
            behaviours={BAD_SHA: Behaviour(health_status=503)},
            refresh_patience_seconds=120.0,
            start=applications.start,
        )
        open_things.enter_context(fleet)
        calls.add_observer(fleet.observe)
        calls.add_observer(load_balancer.observe)
        world = World(clock, load_balancer, fleet, data_plane, None)
        world.build()
        yield world


@pytest.fixture(params=["virtual", "two speeds"])
def modelled(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Modelled]:
    with ExitStack() as open_things:
        if request.param == "virtual":
            virtual = open_things.enter_context(VirtualTime())
            world = open_things.enter_context(world_on(virtual.clock, tmp_path))
            yield Modelled(world, lambda condition: virtual.run_until(condition, seconds=7200))
        else:
            world = open_things.enter_context(world_on(TwoSpeedClock(speed=500.0), tmp_path))
            yield Modelled(world, eventually)


def test_a_refresh_replaces_every_application(modelled: Modelled) -> None:
    world = modelled.world
    modelled.both_colors_serve()
    old = [instance.application for instance in world.fleet.instances("green")]
    world.refresh("green", world.new_version(NEW_SHA), MinHealthyPercentage=50, InstanceWarmup=10)
    assert "Successful" == modelled.ended("green")["Status"]
    assert {NEW_SHA} == modelled.versions("green")
    assert 2 == world.load_balancer.healthy_targets(GREEN)
    modelled.until(lambda: not any(each.is_running() for each in old))


def test_a_version_that_never_becomes_healthy_fails_its_refresh(modelled: Modelled) -> None:
    world = modelled.world
    modelled.both_colors_serve()
    world.refresh("green", world.new_version(BAD_SHA), MinHealthyPercentage=0, InstanceWarmup=0)
    assert ("Failed", 0) == (modelled.ended("green")["Status"], modelled.ended("green")["PercentageComplete"])
    assert ("unhealthy", "Target.ResponseCodeMismatch") in world.target_health(GREEN)
    assert 0 == world.load_balancer.healthy_targets(GREEN)


def test_a_killed_application_becomes_unhealthy_and_is_not_replaced(modelled: Modelled) -> None:
    """That is what the Auto Scaling group's health check type EC2 means."""
    world = modelled.world
    modelled.serve("blue", BLUE, 2)
    killed, alive = world.fleet.instances("blue")
    killed.application.kill()
    modelled.until(lambda: ("unhealthy", "Target.FailedHealthChecks") in world.target_health(BLUE))
    assert [killed.instance_id, alive.instance_id] == [each.instance_id for each in world.fleet.instances("blue")]
    assert not world.fleet.is_ready(killed.instance_id)
    assert world.fleet.is_ready(alive.instance_id)


def test_a_version_can_begin_to_misbehave(modelled: Modelled) -> None:
    """On the instances that run it, and on those that are launched later; other versions go on as before."""
    world = modelled.world
    modelled.both_colors_serve()
    world.refresh("green", world.new_version(NEW_SHA), MinHealthyPercentage=50, InstanceWarmup=10)
    modelled.ended("green")
    world.fleet.behave(NEW_SHA, Behaviour(health_status=503))
    assert 503 == world.fleet.behaviour(NEW_SHA).health_status
    modelled.until(lambda: world.load_balancer.healthy_targets(GREEN) == 0)
    world.scale("green", 3)
    modelled.until(lambda: len(world.target_health(GREEN)) == 3)
    modelled.until(lambda: {"unhealthy"} == {state for state, _ in world.target_health(GREEN)})
    assert {"unhealthy": 3} == world.load_balancer.states(GREEN)
    assert {"healthy": 2} == world.load_balancer.states(BLUE)


def test_what_scales_in_is_deregistered_and_stops(modelled: Modelled) -> None:
    world = modelled.world
    modelled.serve("blue", BLUE, 2)
    before = {instance.instance_id: instance.application for instance in world.fleet.instances("blue")}
    world.scale("blue", 1)
    (stays,) = world.fleet.instances("blue")
    (gone,) = set(before) - {stays.instance_id}
    modelled.until(lambda: not before[gone].is_running())
    assert before[stays.instance_id].is_running()


def test_users_of_a_release_lose_nothing_and_see_the_same_in_every_run(tmp_path: Path) -> None:
    """A whole one: green gets its version, a tenth of the traffic, all of it; blue scales in."""

    def released(seed: int) -> tuple[list[Sample], str]:
        with VirtualTime(seed) as virtual, world_on(virtual.clock, tmp_path, seed) as world:
            modelled = Modelled(world, lambda condition: virtual.run_until(condition, seconds=7200))
            modelled.both_colors_serve()
            traffic = ModelTraffic.start(
                virtual.clock, world.data_plane, LISTENER, tmp_path / "samples.jsonl", sticky_share=0.1, seed=seed
            )
            world.refresh("green", world.new_version(NEW_SHA), MinHealthyPercentage=0, InstanceWarmup=0)
            modelled.ended("green")
            for weights in ({BLUE: 90, GREEN: 10}, {BLUE: 0, GREEN: 100}, {GREEN: 1}):
                world.forward(LISTENER, weights)
                virtual.sleep(60)
            world.scale("blue", 0)
            virtual.sleep(400)
            traffic.stop()
            return traffic.so_far(), virtual.trace.digest

    samples, digest = released(1)
    seen = summarise(samples)
    assert 0 == seen.failed
    assert {OLD_SHA, NEW_SHA} == set(seen.by_version)
    assert 0 < seen.by_version[OLD_SHA].requests < seen.by_version[NEW_SHA].requests
    assert (samples, digest) == released(1)
    assert (samples, digest) != released(2)


def test_a_modelled_world_opens_no_socket_and_reserves_no_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does it start a thread that the clock does not know: it is built once, and then forked."""

    def refuse(*_: Any) -> None:
        raise AssertionError("a real port")

    monkeypatch.setattr(Network, "reserve", refuse)
    with VirtualTime() as virtual:
        known = set(threading.enumerate())
        open_before = len(list(Path("/dev/fd").iterdir()))
        with world_on(virtual.clock, tmp_path) as world:
            modelled = Modelled(world, lambda condition: virtual.run_until(condition, seconds=7200))
            modelled.both_colors_serve()
            begun = {type(each).__name__ for each in set(threading.enumerate()) - known}
            assert begun <= {"VirtualThread"}
            assert open_before == len(list(Path("/dev/fd").iterdir()))
