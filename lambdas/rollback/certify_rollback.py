"""Before anything changes: prove that every action which a rollback of this release would take is possible."""

from collections.abc import Iterator
from dataclasses import dataclass
from json import loads
from os import environ
from pathlib import Path
from typing import Any, Self

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.errors import RollbackNotCertified
from lambdas.fleet.auto_scaling import AutoScaling
from lambdas.fleet.rules import Capacity, Color
from lambdas.judge.alarm_rules import AlarmSettings
from lambdas.judge.alarms import Alarms
from lambdas.observability import step
from lambdas.release.parameters import read_parameter
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease
from lambdas.rollback.certificate_rules import (
    Certificate,
    Finding,
    check_alarms,
    check_commands,
    check_forwards,
    check_health,
    check_size,
    check_topic,
)
from lambdas.rollback.certifying import Conclusion, Rights, checked
from lambdas.rollback.event_bus import EventBus
from lambdas.rollback.lambda_functions import LambdaFunctions
from lambdas.rollback.machines import Machines
from lambdas.rollback.policy_simulator import PolicySimulator
from lambdas.rollback.subscribers import Subscribers
from lambdas.traffic.load_balancer import LoadBalancer
from lambdas.traffic.rules import Route

_CODE = Path(__file__).parents[2]
# IAM throttles its simulator early, and a second of patience is cheaper than a step that is made anew
_IAM_SECONDS, _IAM_ATTEMPTS = 5, 5


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment, and by the certificate beside its code."""

    environment: str
    table: str
    routes: tuple[Route, ...]
    colors: dict[str, Color]
    way_back: str
    enforce: bool
    certificate: Certificate


def _settings() -> Settings:
    told = loads(environ["CERTIFICATE"])
    return Settings(
        environ["ENVIRONMENT"],
        environ["RECORD_TABLE"],
        Route.all_from_json(environ["ROUTES"]),
        Color.all_from_json(environ["COLORS"]),
        loads(environ["PARAMETERS"])["way_back"],
        told["enforce"],
        Certificate.from_json((_CODE / told["file"]).read_text(encoding="utf-8")),
    )


settings = _settings()
alarms = Alarms(client("cloudwatch"), AlarmSettings.from_json(environ["ALARMS"]))
auto_scaling = AutoScaling(client("autoscaling"))
event_bus = EventBus(client("events"))
lambda_functions = LambdaFunctions(client("lambda"))
load_balancer = LoadBalancer(client("elbv2"))
machines = Machines(client("stepfunctions"))
simulator = PolicySimulator(client("iam", read_seconds=_IAM_SECONDS, attempts=_IAM_ATTEMPTS))
ssm = client("ssm")
subscribers = Subscribers(client("sns"))
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@dataclass(frozen=True)
class Certifying:
    """The release whose way back is certified, and the color that is active before it."""

    lease: Lease
    release_id: str
    active: str
    now: str

    @classmethod
    def from_event(cls, event: dict[str, Any]) -> Self:
        """Read {"lease", "release_id", "active", "now"}."""
        return cls(Lease.from_event(event), event["release_id"], event["active"], event["now"])


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Return {"checks": how many were made, "concern": why the release goes on without proof, or ""}."""
    checks, concern = certify_rollback(Certifying.from_event(event))
    return {"checks": checks, "concern": f"The release began without proof. {concern}" if concern else ""}


def certify_rollback(certifying: Certifying) -> tuple[int, str]:
    """
    Make every check, whatever the others found, and write into the release's history what came of it.

    Return how many there were, and what did not pass, in words.

    Changes nothing outside the record. Safe to repeat. Raises LeaseLost; and where settings enforce it,
    RollbackNotCertified when something is missing, AwsCallFailed when a check could not be made: trying again may help.
    """
    record.require_lease(certifying.lease, certifying.now)
    certificate = settings.certificate
    rights = Rights(certificate, machines, event_bus, lambda_functions, simulator)
    findings = [*rights.findings(), *_state(certifying)]
    conclusion = Conclusion("the way back", "certificate", RollbackNotCertified, settings.enforce)
    return len(findings), conclusion.write(record, certifying.release_id, certificate, findings, certifying.now)


def _state(certifying: Certifying) -> Iterator[Finding]:
    """Look whether what a rollback finds is as it needs it."""
    color, certificate = certifying.active, settings.certificate
    is_first = record.read().live is None
    recorded = Capacity.from_record(record.release(certifying.release_id)["rollback_point"]["capacity"])

    def on_routes(color: str) -> Iterator[Finding]:
        forwards = load_balancer.forwards(route.arn for route in settings.routes)
        yield check_forwards(color, settings.routes, forwards)

    def size(color: str) -> Iterator[Finding]:
        group = auto_scaling.describe(settings.colors[color].auto_scaling_group)
        yield from check_size(color, recorded, group.capacity, group.template_version)

    def health(color: str) -> Iterator[Finding]:
        groups = {route.name: route.target_group(color) for route in settings.routes}
        healthy = {route: load_balancer.health(group).healthy for route, group in groups.items()}
        yield check_health(color, recorded, healthy)

    yield from checked(f"traffic on {color}", on_routes, color)
    yield from checked(f"size of {color}", size, color)
    yield from checked(f"health of {color}", health, color)
    yield from checked("alarms", lambda each: [check_alarms(each, alarms.states())], certificate)
    yield from checked("topic", lambda topic: [check_topic(topic, subscribers.confirmed(topic))], certificate.topic)
    yield from checked(
        f"parameter {settings.way_back}",
        lambda name: [check_commands(name, read_parameter(ssm, name), first_release=is_first)],
        settings.way_back,
    )
