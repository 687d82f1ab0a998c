"""Before anything changes: prove that every action which a rollback of this release would take is possible."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from json import loads
from os import environ
from pathlib import Path
from typing import Any, Self, TypeVar

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.errors import AwsCallFailed, RollbackNotCertified, RunbackError
from lambdas.fleet.auto_scaling import AutoScaling
from lambdas.fleet.rules import Capacity, Color
from lambdas.judge.alarm_rules import AlarmSettings
from lambdas.judge.alarms import Alarms
from lambdas.observability import FAILED_REQUEST, describe, logger, step
from lambdas.release.parameters import read_parameter
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease
from lambdas.rollback.certificate_rules import (
    Actor,
    Certificate,
    Finding,
    Kind,
    Need,
    Outcome,
    Starter,
    as_record,
    check_alarms,
    check_commands,
    check_forwards,
    check_function,
    check_health,
    check_machine,
    check_rights,
    check_size,
    check_starter,
    check_topic,
    explain,
    name_of_function,
    not_checked,
    questions,
    unproven,
    verdict,
)
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

T = TypeVar("T")


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
    findings = certify_rollback(Certifying.from_event(event))
    concern = explain(findings)
    return {"checks": len(findings), "concern": f"The release began without proof. {concern}" if concern else ""}


def certify_rollback(certifying: Certifying) -> Sequence[Finding]:
    """
    Make every check, whatever the others found, and write into the release's history what came of it.

    Changes nothing outside the record. Safe to repeat. Raises LeaseLost; and where settings enforce it,
    RollbackNotCertified when something is missing, AwsCallFailed when a check could not be made: trying again may help.
    """
    record.require_lease(certifying.lease, certifying.now)
    findings = [*_Rights(settings.certificate).findings(), *_state(certifying)]
    concern = explain(findings)
    noted = as_record(findings, unproven(settings.certificate), certifying.now, enforced=settings.enforce)
    record.note_release(certifying.release_id, {"certificate": noted})
    if concern:
        logger.warning("The way back is not proven", findings=noted["findings"])
    if not settings.enforce or not concern:
        return findings
    raise (RollbackNotCertified if verdict(findings) is Outcome.FAILED else AwsCallFailed)(concern)


def _checked(subject: str, check: Callable[[T], Iterable[Finding]], about: T) -> Iterator[Finding]:
    """Make a check. One that AWS does not let us make proves nothing, and keeps no other from being made."""
    try:
        yield from list(check(about))
    except (*FAILED_REQUEST, RunbackError, LookupError) as error:
        yield not_checked(subject, describe(error))


@dataclass(frozen=True)
class _Rights:
    """
    Walks from what starts the rollback to the functions of its machine, and asks what each of them may do.

    `calls` are the versions of the functions as machine and rules call them, by name: their roles are those that count.
    """

    certificate: Certificate
    calls: dict[str, str] = field(default_factory=dict)

    def findings(self) -> Iterator[Finding]:
        """Check machine, rules and functions."""
        for machine in self.certificate.of_kind(Kind.MACHINE):
            yield from _checked(machine.name, self._of_machine, machine)
        for starter in self.certificate.starters:
            yield from _checked(f"rule {starter.name}", self._of_starter, starter)
        for function in self.certificate.of_kind(Kind.FUNCTION):
            yield from _checked(function.name, self._of_function, function)

    def _of_machine(self, machine: Actor) -> Iterator[Finding]:
        found = machines.describe(self.certificate.machine)
        self.calls.update(found.calls)
        yield check_machine(machine.name, found, self.certificate.actors)
        yield _rights(machine, found.role)

    def _of_starter(self, starter: Starter) -> Iterator[Finding]:
        found = event_bus.rule(starter.name)
        yield check_starter(starter, found)
        for arn, role in found.targets.items() if found else ():
            if starter.calls(arn):
                self.calls.setdefault(name_of_function(arn), arn)
                for rule in self.certificate.of_kind(Kind.RULE):
                    if rule.name == starter.name:
                        yield _rights(rule, role)

    def _of_function(self, function: Actor) -> Iterator[Finding]:
        if function.name not in self.calls:
            yield not_checked(function.name, "which version of it is called is not known")
            return
        found = lambda_functions.describe(self.calls[function.name])
        yield check_function(function, found)
        if found:
            yield _rights(function, found.role)


def _rights(actor: Actor, role: str) -> Finding:
    """A rule without a role may do nothing."""
    decisions: dict[Need, str] = {}
    for question in questions(actor.needs) if role else ():
        decisions |= simulator.decide(role, question)
    return check_rights(actor, decisions)


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

    yield from _checked(f"traffic on {color}", on_routes, color)
    yield from _checked(f"size of {color}", size, color)
    yield from _checked(f"health of {color}", health, color)
    yield from _checked("alarms", lambda each: [check_alarms(each, alarms.states())], certificate)
    yield from _checked("topic", lambda topic: [check_topic(topic, subscribers.confirmed(topic))], certificate.topic)
    yield from _checked(
        f"parameter {settings.way_back}",
        lambda name: [check_commands(name, read_parameter(ssm, name), first_release=is_first)],
        settings.way_back,
    )
