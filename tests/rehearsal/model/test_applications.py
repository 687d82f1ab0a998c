"""Applications on their network and in their fleet, and how healthy they are found: as processes, and as models."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rehearsal.clock import TwoSpeedClock
from rehearsal.engine.virtual import VirtualTime
from rehearsal.model.applications import ModelApplications, ModelNetwork, Reply
from rehearsal.model.health import probe_of
from rehearsal.model.stores import ReceiptsInModel, SessionsInModel
from rehearsal.world import health
from rehearsal.world.application import Behaviour, Identity, Services
from rehearsal.world.application_process import RunningApplication, StartApplication, start_process
from rehearsal.world.health import HEALTHY, TIMED_OUT, UNREACHABLE, CheckSettings, Probe, answered_with
from rehearsal.world.network import Addresses, Network
from tests.rehearsal.model.planes import SERVICE_TOKEN, model_applications
from tests.waiting import eventually

LOGIN = {"email": "test@receipts.invalid", "password": "test123"}
RECEIPTS = "/api/v2/receipts"
CHECK = CheckSettings("/health?deep", 10.0, 5.0, healthy_threshold=3, unhealthy_threshold=2, matcher="200,202")


@dataclass
class Instances:
    """Where applications are started, and checked."""

    network: Addresses
    start_application: StartApplication
    probe: Probe
    folder: Path
    running: dict[str, RunningApplication] = field(default_factory=dict)

    def start(self, instance: str, **behaviour: Any) -> RunningApplication:
        port = self.network.reserve(instance)
        identity = Identity("1a2b3c4", "blue", instance)
        application = self.start_application(port, identity, Behaviour(**behaviour), Services(), self.folder)
        self.running[instance] = application
        return application

    def stop(self) -> None:
        for instance, application in self.running.items():
            application.kill()
            application.stop()
            self.network.release(instance)

    def check(self, instance: str, clock: Any = None) -> health.TargetHealth:
        clock = clock or TwoSpeedClock(speed=100.0)
        found = self.probe(self.network.port_of(instance), CHECK, clock)
        clock.sleep(found.seconds)
        return found.health


@pytest.fixture(params=[pytest.param("packaged", marks=pytest.mark.rehearsed), "modelled"])
def instances(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Instances]:
    applications = model_applications()
    made = {
        "packaged": Instances(Network(), start_process, health.check, tmp_path),
        "modelled": Instances(ModelNetwork(applications), applications.start, probe_of(applications), tmp_path),
    }[request.param]
    yield made
    made.stop()


def test_an_instance_answers_from_its_start_to_its_end(instances: Instances) -> None:
    network = instances.network
    assert network.port_of("i-1") is None
    assert not network.answers("i-1")
    application = instances.start("i-1")
    eventually(lambda: network.answers("i-1"))
    assert application.is_running()
    port = network.port_of("i-1")
    application.begin_to_stop()
    eventually(lambda: not application.is_running())
    application.stop()
    application.stop()
    assert not network.answers("i-1")
    assert port == network.port_of("i-1")  # nobody else gets it
    network.release("i-1")
    network.release("i-1")
    assert network.port_of("i-1") is None


def test_a_killed_application_is_gone_and_its_instance_is_not(instances: Instances) -> None:
    application = instances.start("i-1")
    eventually(lambda: instances.network.answers("i-1"))
    application.kill()
    eventually(lambda: not application.is_running())
    assert not instances.network.answers("i-1")
    assert instances.network.port_of("i-1") is not None


def test_health_is_what_the_application_answers(instances: Instances) -> None:
    """Also that of an instance which is not there, or not any more."""
    assert UNREACHABLE == instances.check("i-none")
    well = instances.start("i-well")
    instances.start("i-ill", health_status=503)
    eventually(lambda: instances.network.answers("i-well") and instances.network.answers("i-ill"))
    assert HEALTHY is instances.check("i-well")
    assert answered_with(503) == instances.check("i-ill")
    well.kill()
    eventually(lambda: not well.is_running())
    assert UNREACHABLE == instances.check("i-well")


def test_an_answer_that_comes_too_late_is_none(instances: Instances) -> None:
    clock = TwoSpeedClock(speed=100.0)
    instances.start("i-1", delay_seconds={"/health": 6.0})
    eventually(lambda: instances.network.answers("i-1"))
    before = clock.seconds()
    assert TIMED_OUT == instances.check("i-1", clock)
    assert clock.seconds() - before >= CHECK.timeout_seconds


def test_a_running_application_can_be_told_to_behave_otherwise(instances: Instances) -> None:
    """A fault begins while a version serves; a process is told through its standard input."""
    application = instances.start("i-1")
    eventually(lambda: instances.network.answers("i-1"))
    assert HEALTHY is instances.check("i-1")
    application.behave(Behaviour(health_status=503))
    assert answered_with(503) == instances.check("i-1")
    application.behave(Behaviour())
    assert HEALTHY is instances.check("i-1")


# -- what stands behind the model's applications


class Shared:
    """Two instances on a database and a cache that can go down."""

    def __init__(self, folder: Path) -> None:
        self.database_is_up = self.cache_is_up = True
        self.applications = model_applications(
            receipts=ReceiptsInModel(lambda: self.database_is_up), sessions=SessionsInModel(lambda: self.cache_is_up)
        )
        users = {LOGIN["email"]: LOGIN["password"]}
        services = Services("postgresql://", "cache:1", SERVICE_TOKEN, users)
        for port in (1, 2):
            identity = Identity("1a2b3c4", "blue", f"i-{port}")
            self.applications.start(port, identity, Behaviour(), services, folder / "logs")

    def ask(self, method: str, path: str, body: bytes = b"", token: str = "", port: int = 1) -> Reply:
        reply = self.applications.ask(port, method, path, {"Authorization": f"Bearer {token}"}, body)
        assert reply is not None
        return reply

    def status(self, *request: Any, **more: Any) -> int:
        return self.ask(*request, **more).answer.status

    def log_in(self) -> str:
        return str(json.loads(self.ask("POST", "/auth/login", json.dumps(LOGIN).encode()).answer.body)["token"])


@pytest.fixture
def shared(tmp_path: Path) -> Shared:
    return Shared(tmp_path)


def test_instances_share_sessions_and_receipts(shared: Shared) -> None:
    token = shared.log_in()
    assert 201 == shared.status("POST", RECEIPTS, b"raw", token)
    listed = json.loads(shared.ask("GET", RECEIPTS, token=token, port=2).answer.body)["receipts"]
    assert [LOGIN["email"]] == [each["owner"] for each in listed]


def test_instances_without_services_share_nothing(tmp_path: Path) -> None:
    applications = model_applications()
    for port in (1, 2):
        services = Services(service_token=SERVICE_TOKEN)
        applications.start(port, Identity("sha", "blue", f"i-{port}"), Behaviour(), services, tmp_path)
    headers = {"Authorization": f"Bearer {SERVICE_TOKEN}"}
    applications.ask(1, "POST", RECEIPTS, headers, b"raw")
    counts = []
    for port in (1, 2):
        reply = applications.ask(port, "GET", RECEIPTS, headers, b"")
        assert reply is not None
        counts.append(len(json.loads(reply.answer.body)["receipts"]))
    assert [1, 0] == counts


def test_without_its_database_nothing_is_stored_but_the_application_is_healthy(shared: Shared, tmp_path: Path) -> None:
    token = shared.log_in()
    shared.database_is_up = False
    assert [503, 503, 200] == [
        shared.status("POST", RECEIPTS, b"raw", token),
        shared.status("GET", RECEIPTS, token=token),
        shared.status("GET", "/health"),
    ]
    assert "the database" in (tmp_path / "logs" / "i-1.log").read_text(encoding="utf-8")
    shared.database_is_up = True
    assert 201 == shared.status("POST", RECEIPTS, b"raw", token)


def test_without_its_cache_nobody_logs_in_and_what_it_held_is_lost(shared: Shared) -> None:
    token = shared.log_in()
    shared.cache_is_up = False
    assert 503 == shared.status("POST", "/auth/login", json.dumps(LOGIN).encode())
    assert 503 == shared.status("POST", RECEIPTS, b"raw", token)
    assert 201 == shared.status("POST", RECEIPTS, b"raw", SERVICE_TOKEN)
    assert 200 == shared.status("GET", "/health")
    shared.cache_is_up = True
    assert 401 == shared.status("POST", RECEIPTS, b"raw", token)
    assert 201 == shared.status("POST", RECEIPTS, b"raw", shared.log_in())


def test_an_instance_misbehaves_in_the_same_way_every_time(tmp_path: Path) -> None:
    def statuses(instance: str) -> list[int]:
        applications = model_applications()
        behaviour = Behaviour(error_rates={"/health": 0.5})
        applications.start(1, Identity("sha", "blue", instance), behaviour, Services(), tmp_path)
        replies = [applications.ask(1, "GET", "/health", {}, b"") for _ in range(50)]
        return [reply.answer.status for reply in replies if reply]

    assert statuses("i-1") == statuses("i-1") != statuses("i-2")


def test_only_a_share_of_the_requests_is_slow(tmp_path: Path) -> None:
    """So that the median is as it was, and the tail is not."""
    applications = model_applications()
    behaviour = Behaviour(delay_seconds={"/health": 4.0}, slow_share=0.1)
    applications.start(1, Identity("sha", "blue", "i-1"), behaviour, Services(), tmp_path)
    replies = [applications.ask(1, "GET", "/health", {}, b"") for _ in range(500)]
    seconds = Counter(reply.seconds for reply in replies if reply)
    assert {0.0, 4.0} == set(seconds)
    assert 30 <= seconds[4.0] <= 70


# -- health over virtual time


@dataclass
class Checked:
    """A model application with a checker."""

    virtual: VirtualTime
    applications: ModelApplications
    checker: health.HealthChecker
    changes: list[float]


@pytest.fixture
def checked(tmp_path: Path) -> Iterator[Checked]:
    with VirtualTime() as virtual:
        applications = model_applications()
        changes: list[float] = []
        checker = health.HealthChecker(
            virtual.clock, CHECK, lambda: 1, lambda _: changes.append(virtual.clock.seconds()), probe_of(applications)
        )
        applications.start(1, Identity("sha", "blue", "i-1"), Behaviour(), Services(), tmp_path)
        yield Checked(virtual, applications, checker, changes)


def test_health_changes_at_its_simulated_second(checked: Checked, tmp_path: Path) -> None:
    """The first check is half an interval after the registration; then thresholds count."""
    virtual, changes = checked.virtual, checked.changes
    virtual.run_until(lambda: len(changes) == 1, seconds=60)
    assert ("healthy", [5.0]) == (checked.checker.health.state, changes)
    virtual.sleep(2)
    slow = Behaviour(delay_seconds={"/health": 7.0})
    checked.applications.start(1, Identity("sha", "blue", "i-1"), slow, Services(), tmp_path)
    virtual.run_until(lambda: len(changes) == 2, seconds=60)
    assert (TIMED_OUT, 30.0) == (checked.checker.health, changes[-1])  # the second check, and five seconds
    checked.checker.stop()
    virtual.sleep(100)
    assert 2 == len(changes)
