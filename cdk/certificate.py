"""
What has to be proven of a machine's way back, made from the same tables as the roles of who takes part in it.

A function carries it in a file beside its code: environment variables have no room for it, and what is compared with
an account must not come from that account.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Protocol, TypeVar

from cdk.alarms import alarm_specs
from cdk.names import STARTERS, TELLING, WATCHDOG, Names
from cdk.permissions import Permission
from cdk.settings import EnvironmentSettings

CERTIFICATE_FILE = "environments/certificate.json"

_EXAMPLE = "example"
"""Stands for what nobody can name before it is there: an id, a version, an execution."""
_CALLED_BY: Mapping[str, str] = {WATCHDOG: "rollback.watchdog"}
"""The function that a starter calls, by its module; the other starters start the machine themselves."""

_TRACING = Permission(("xray:PutTelemetryRecords", "xray:PutTraceSegments"), lambda _: ["*"])
_OBSERVING = Permission(
    (
        *(
            "logs:CreateLogDelivery",
            "logs:DeleteLogDelivery",
            "logs:DescribeLogGroups",
            "logs:DescribeResourcePolicies",
        ),
        *("logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:UpdateLogDelivery"),
        *("xray:GetSamplingRules", "xray:GetSamplingTargets"),
    ),
    lambda _: ["*"],
)
"""What the CDK gives to a machine that keeps a log and traces."""
_STARTED_BY: Mapping[str, tuple[str, ...]] = {"rollback": ("clean-up", "deploy", "restore-database")}
"""Which machines a machine starts; some only where settings call for it."""

Actor = dict[str, object]
AnySpec = TypeVar("AnySpec", bound="Spec")


class Spec(Protocol):
    """What has to be known of a function: its line of the table."""

    @property
    def module(self) -> str:
        """Where its handler is."""
        ...

    @property
    def name(self) -> str:
        """Its name in the environment."""
        ...

    @property
    def machines(self) -> frozenset[str]:
        """Who calls it."""
        ...

    @property
    def permissions(self) -> tuple[Permission, ...]:
        """What it may do."""
        ...

    @property
    def reserved_concurrency(self) -> int | None:
        """What is kept free for it."""
        ...


def certified(specs: Sequence[AnySpec], machine: str) -> list[AnySpec]:
    """Return the functions that a way back needs: those of its machine, and those that start it without an event."""
    starting = {_CALLED_BY[rule] for rule in STARTERS.get(machine, ()) if rule in _CALLED_BY}
    return [spec for spec in specs if machine in spec.machines or spec.module in starting]


def certificate(settings: EnvironmentSettings, specs: Sequence[Spec], machine: str) -> str:
    """Return the certificate of a machine, in JSON, as `lambdas.rollback.certificate_rules` reads it."""
    names, starters = Names(settings), STARTERS.get(machine, ())
    critical, telling = _alarms(settings) if starters else (set(), set())
    given = {
        "machine": names.machine_arn(machine),
        "actors": [
            _machine(settings, specs, machine),
            *(_function(settings, spec, machine) for spec in certified(specs, machine)),
            *(_rule(settings, rule, machine) for rule in starters if rule not in _CALLED_BY),
        ],
        "starters": [{"name": names.named(rule), "target": _target(names, rule, machine)} for rule in starters],
        "alarms": sorted(critical | telling),
        "telling": sorted(telling),
        "topic": names.topic_arn,
    }
    return json.dumps(given, indent=1) + "\n"


def _alarms(settings: EnvironmentSettings) -> tuple[set[str], set[str]]:
    """Return the names of the alarms that start a way back, and of those that tell humans by themselves."""
    critical = {spec.name.full(settings.prefix) for spec in alarm_specs(settings) if spec.is_critical}
    return critical, {Names(settings).named(alarm) for alarm in TELLING}


def _target(names: Names, rule: str, machine: str) -> str:
    return names.function_arn(rule) if rule in _CALLED_BY else names.machine_arn(machine)


def _function(settings: EnvironmentSettings, spec: Spec, machine: str) -> Actor:
    name = Names(settings).named(spec.name)
    log = Permission(
        ("logs:CreateLogStream", "logs:PutLogEvents"),
        lambda settings: [settings.arn("logs", f"log-group:/aws/lambda/{name}:*")],
    )
    return {
        "name": name,
        "kind": "function",
        "called": machine in spec.machines,
        "reserved": spec.reserved_concurrency or 0,
        "needs": _needs(settings, (*spec.permissions, log, _TRACING)),
    }


def _machine(settings: EnvironmentSettings, specs: Sequence[Spec], machine: str) -> Actor:
    called = [spec.name for spec in specs if machine in spec.machines]
    call = Permission(
        ("lambda:InvokeFunction",),
        lambda settings: [f"{Names(settings).function_arn(function)}:*" for function in called],
    )
    start = Permission(
        ("states:StartExecution",),
        lambda settings: [Names(settings).machine_arn(each) for each in _started_by(settings, machine)],
    )
    return {
        "name": Names(settings).named(machine),
        "kind": "machine",
        "needs": _needs(settings, (call, start, _OBSERVING, _TRACING)),
    }


def _started_by(settings: EnvironmentSettings, machine: str) -> list[str]:
    asked_for = {"deploy": settings.infrastructure, "restore-database": settings.restore}
    return [each for each in _STARTED_BY.get(machine, ()) if asked_for.get(each, True)]


def _rule(settings: EnvironmentSettings, rule: str, machine: str) -> Actor:
    start = Permission(("states:StartExecution",), lambda settings: [Names(settings).machine_arn(machine)])
    return {"name": Names(settings).named(rule), "kind": "rule", "needs": _needs(settings, (start,))}


def _needs(settings: EnvironmentSettings, permissions: Iterable[Permission]) -> list[list[object]]:
    """Return every action on every resource in every context that permissions allow, each once."""
    found = {
        (action, resource.replace("*", _EXAMPLE) if resource != "*" else resource, context)
        for permission in permissions
        for action in permission.actions
        for resource in permission.resources(settings)
        for context in _contexts(permission, settings)
    }
    return [[action, resource, dict(context)] for action, resource, context in sorted(found)]


def _contexts(permission: Permission, settings: EnvironmentSettings) -> Iterator[tuple[tuple[str, str], ...]]:
    """Yield what the context of a request can be that fulfils the conditions: one for each choice of allowed values."""
    keys = {key: values for block in permission.conditions(settings).values() for key, values in block.items()}
    choices = [values if isinstance(values, list) else [values] for values in keys.values()]
    for chosen in product(*choices):
        yield tuple(sorted(zip(keys, map(str, chosen), strict=True)))
