"""What the functions find around them: the record, a load balancer, two groups of instances, executions and alarms."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from json import loads
from typing import Any

from botocore.exceptions import ClientError
from pytest import MonkeyPatch  # noqa: PT013  the class alone is wanted

from lambdas.fleet import prepare_idle_color, resume_scaling, scale_back_idle_color, scale_in_old_color
from lambdas.fleet.auto_scaling import GroupState
from lambdas.fleet.rules import Capacity
from lambdas.judge.alarms import Alarms
from lambdas.operate import free_environment, give_order
from lambdas.release import check_bake, claim_clean_up, claim_environment, promote, release_environment
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import COLORS, EnvironmentRecord
from lambdas.rollback import claim_rollback, record_rollback, record_rollback_point, stop_deployment, watchdog
from lambdas.rollback.executions import Executions
from lambdas.traffic import settle, switch_listener
from lambdas.traffic.listeners import Listeners
from lambdas.traffic.load_balancer import LoadBalancer
from tests import builders
from tests.fakes import FakeParameters
from tests.protocol.table import Table

BEGAN = datetime(2026, 3, 1, 10, tzinfo=UTC)
SIZE = 2
GROUPS = {"blue": builders.BLUE, "green": builders.GREEN}
_COLOR_OF = {group: color for color, group in GROUPS.items()} | {
    each["auto_scaling_group"]: color for color, each in builders.COLORS.items()
}
_FUNCTIONS = (
    check_bake,
    claim_clean_up,
    claim_environment,
    claim_rollback,
    free_environment,
    give_order,
    prepare_idle_color,
    promote,
    record_rollback,
    record_rollback_point,
    release_environment,
    resume_scaling,
    scale_back_idle_color,
    scale_in_old_color,
    settle,
    stop_deployment,
    switch_listener,
    watchdog,
)


@dataclass(repr=False)
class Event:
    """What EventBridge has to deliver to the rollback machine, once, twice or never."""

    given: dict[str, Any]

    def __repr__(self) -> str:
        """Say what it is about, for the trace of a falsifying example."""
        return f"<{self.given['source']} of {self.given.get('execution_arn') or self.given.get('alarm')}>"


@dataclass(frozen=True)
class Started:
    """An execution that somebody has started, and that has to be played."""

    machine: str
    execution: str
    given: dict[str, Any]


class World:
    """
    All state is in memory, and every call of a function is announced to `gate`, which may hold or end its thread.

    `observer` is told of each change: (what, before, after), as far as invariants are about it.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.weights: dict[str, dict[str, int]] = {
            builders.LISTENER: {builders.BLUE: 100},
            builders.TEST_LISTENER: {builders.GREEN: 100},
        }
        self.moved_by = ""
        self.capacity = {"blue": Capacity(1, 4, SIZE), "green": Capacity(0, 4, 0)}
        self.versions = dict.fromkeys(COLORS, builders.OLD_VERSION)
        self.sick: set[str] = set()
        self.alarms: dict[str, float] = {}
        self.status: dict[str, str] = {}
        self.given: dict[str, Any] = {}
        self.events: list[Event] = []
        self.started: list[Started] = []
        self.pages: list[str] = []
        self.caller = threading.local()
        self.gate: Callable[[bool], None] = lambda _: None
        self.on_lease: Callable[[EnvironmentRecord, EnvironmentRecord], None] = lambda *_: None
        self.on_forward: Callable[[str], None] = lambda _: None
        self.table = Table(self._called, self._changed)
        self.record = ReleaseRecord(self.table, builders.TABLE, builders.ENVIRONMENT)  # type: ignore[arg-type]
        self.seen = EnvironmentRecord()

    def install(self, monkeypatch: MonkeyPatch) -> None:
        """Let the functions find this world where they would have AWS."""
        load_balancer = LoadBalancer(self.elastic_load_balancing)  # type: ignore[arg-type]
        stand_ins = {
            "record": self.record,
            "load_balancer": load_balancer,
            "listeners": Listeners(self.elastic_load_balancing),  # type: ignore[arg-type]
            "executions": Executions(_StepFunctions(self)),  # type: ignore[arg-type]
            "parameters": FakeParameters(),
            "auto_scaling": _Fleet(self),
            "launch_templates": _Templates(),
            "alarms": Alarms(_CloudWatch(self), watchdog.settings.alarms),  # type: ignore[arg-type]
            "client": lambda *_, **__: _CloudWatch(self),
        }
        for module in _FUNCTIONS:
            for name, value in stand_ins.items():
                if hasattr(module, name):
                    monkeypatch.setattr(module, name, value)
        monkeypatch.setattr(watchdog, "old_color", replace(watchdog.old_color, metrics=_NoMetrics()))  # type: ignore[arg-type]
        monkeypatch.setattr(claim_rollback, "Metrics", lambda _: _NoMetrics())
        self.switcher, self.record_now = load_balancer, self.record.read

    @property
    def elastic_load_balancing(self) -> "_ElasticLoadBalancing":
        """Return a client of the load balancer."""
        return _ElasticLoadBalancing(self)

    @property
    def now(self) -> str:
        """Return the moment that it is."""
        return self.moment(self.seconds)

    def moment(self, seconds: float) -> str:
        """Return a moment as Step Functions writes it."""
        return (BEGAN + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def healthy(self, color: str) -> int:
        """Return how many targets of a color are healthy."""
        return 0 if color in self.sick else self.capacity[color].desired

    def called(self, *, writes: bool = False) -> None:
        """Announce a call, which its thread may not come back from."""
        self.gate(writes)

    def read(self) -> EnvironmentRecord:
        """Read the record without any function noticing."""
        gate, self.gate = self.gate, lambda _: None
        try:
            return self.record.read()
        finally:
            self.gate = gate

    def _called(self, operation: str) -> None:
        self.called(writes=not operation.endswith("GetItem"))

    def _changed(self, item: str) -> None:
        if item in ("lease", "live"):
            before, self.seen = self.seen, self.read()
            self.on_lease(before, self.seen)


def color_of(group: str) -> str:
    """Return the color of a target group or an Auto Scaling group."""
    return _COLOR_OF[group]


@dataclass(frozen=True)
class _ElasticLoadBalancing:
    world: World

    def describe_listeners(self, ListenerArns: list[str]) -> dict[str, Any]:  # noqa: N803  as boto3 has it
        self.world.called()
        return {
            "Listeners": [
                {"ListenerArn": arn, "DefaultActions": [_forward(self.world.weights[arn])]} for arn in ListenerArns
            ]
        }

    def modify_listener(self, ListenerArn: str, DefaultActions: list[Any]) -> None:  # noqa: N803  as above
        self.world.called(writes=True)
        groups = DefaultActions[0]["ForwardConfig"]["TargetGroups"]
        self.world.weights[ListenerArn] = {each["TargetGroupArn"]: each["Weight"] for each in groups}
        self.world.on_forward(ListenerArn)

    def describe_target_health(self, TargetGroupArn: str) -> dict[str, Any]:  # noqa: N803  as above
        self.world.called()
        color = color_of(TargetGroupArn)
        state = "unhealthy" if color in self.world.sick else "healthy"
        targets = [{"TargetHealth": {"State": state}}] * self.world.capacity[color].desired
        return {"TargetHealthDescriptions": targets}

    def get_paginator(self, name: str) -> "_Pages":
        assert name == "describe_rules"
        self.world.called()
        return _Pages([{"Rules": []}])


@dataclass(frozen=True)
class _Pages:
    pages: list[dict[str, Any]]

    def paginate(self, **_: Any) -> Iterator[dict[str, Any]]:
        return iter(self.pages)


def _forward(weights: dict[str, int]) -> dict[str, Any]:
    groups = [{"TargetGroupArn": group, "Weight": weight} for group, weight in weights.items()]
    return {"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}


@dataclass(frozen=True)
class _StepFunctions:
    world: World

    def describe_execution(self, executionArn: str) -> dict[str, str]:  # noqa: N803  as boto3 has it
        self.world.called()
        return {"status": self.world.status[executionArn]}

    def stop_execution(self, executionArn: str, error: str, cause: str) -> None:  # noqa: N803  as above
        assert error
        assert cause
        self.world.called()
        if self.world.status[executionArn] == "RUNNING":
            self.world.status[executionArn] = "ABORTED"

    def start_execution(self, stateMachineArn: str, name: str, input: str) -> None:  # noqa: A002, N803  as above
        self.world.called()
        machine = stateMachineArn.rpartition("-")[2]
        execution = execution_of(machine, name)
        if execution in self.world.status:
            answer: Any = {"Error": {"Code": "ExecutionAlreadyExists", "Message": ""}}
            raise ClientError(answer, "StartExecution")
        self.world.status[execution] = "RUNNING"
        self.world.started.append(Started(machine, execution, loads(input)))


def execution_of(machine: str, name: str) -> str:
    """Return the ARN of an execution."""
    return f"arn:aws:states:eu-west-1:123456789012:execution:receipts-test-{machine}:{name}"


@dataclass(frozen=True)
class _Fleet:
    """Instances are there as soon as they are asked for; what comes before that is no part of the protocol."""

    world: World

    def describe(self, group: str) -> GroupState:
        self.world.called()
        color = color_of(group)
        return GroupState(self.world.capacity[color], self.world.versions[color])

    def resize(self, group: str, capacity: Capacity, template_id: str, template_version: str) -> None:
        assert template_id
        self.world.called()
        self.world.capacity[color_of(group)] = capacity
        self.world.versions[color_of(group)] = template_version

    def scale(self, group: str, capacity: Capacity) -> None:
        self.world.called()
        self.world.capacity[color_of(group)] = capacity

    def bound(self, group: str, minimum: int, maximum: int) -> None:
        self.world.called()
        found = self.world.capacity[color_of(group)]
        self.world.capacity[color_of(group)] = replace(found, minimum=minimum, maximum=maximum)

    def resume(self, group: str) -> None:
        assert group
        self.world.called()

    def latest_refresh(self, group: str) -> None:
        assert group
        self.world.called()

    def start_refresh(self, group: str, template_id: str, template_version: str) -> str:
        assert template_id
        self.world.called()
        self.world.versions[color_of(group)] = template_version
        return "refresh"

    def cancel_refresh(self, group: str) -> None:
        assert group
        self.world.called()


class _Templates:
    """A launch template version is called after the version that it runs."""

    def version_of(self, template_id: str, template_version: str) -> str:
        assert template_id
        return template_version

    def add_version(self, template_id: str, source_version: str, version: str, release_id: str) -> str:
        assert template_id
        assert source_version
        assert release_id
        return version


@dataclass(frozen=True)
class _CloudWatch:
    """Alarms that roll back: one for each color."""

    world: World

    def get_paginator(self, name: str) -> _Pages:
        assert name == "describe_alarms"
        self.world.called()
        return _Pages([{"MetricAlarms": [self._described(color) for color in sorted(self.world.alarms)]}])

    def _described(self, color: str) -> dict[str, Any]:
        since = BEGAN + timedelta(seconds=self.world.alarms[color])
        return {"AlarmName": alarm_of(color), "StateValue": "ALARM", "StateTransitionedTimestamp": since} | {
            "StateUpdatedTimestamp": since
        }


def alarm_of(color: str) -> str:
    """Return the whole name of the alarm about a color."""
    return f"{builders.ALARMS['prefix']}-rolls-back-error-rate-api-{color}"


@dataclass(frozen=True)
class _NoMetrics:
    """Nobody can say how the old color does, so that only its alarms speak for it."""

    answers: list[Any] = field(default_factory=list)

    def readable_sums(self, *_: Any) -> None:
        return None
