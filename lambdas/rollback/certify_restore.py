"""When nothing but a snapshot is made: prove that the database could be restored from it, if a human wants that."""

from collections.abc import Iterator
from dataclasses import dataclass
from json import loads
from os import environ
from pathlib import Path
from typing import Any, Self

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.database.exports import has_bucket
from lambdas.database.instance_parts import InstanceParts
from lambdas.database.instance_settings_rules import Description
from lambdas.database.instances import Instances
from lambdas.database.keys import Keys
from lambdas.database.restorable_rules import parts_of
from lambdas.database.restore_rules import serving_instance
from lambdas.database.stored_secrets import StoredSecrets
from lambdas.errors import FreezeRefused, RestoreNotCertified
from lambdas.fleet.auto_scaling import AutoScaling
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.restores import Restores
from lambdas.release.rules import Lease
from lambdas.rollback.certificate_rules import Certificate, Finding
from lambdas.rollback.certifying import Conclusion, Rights, checked
from lambdas.rollback.event_bus import EventBus
from lambdas.rollback.lambda_functions import LambdaFunctions
from lambdas.rollback.machines import Machines
from lambdas.rollback.policy_simulator import PolicySimulator
from lambdas.rollback.restore_certificate_rules import (
    check_exports,
    check_group,
    check_key,
    check_place_of_freeze,
    check_quotas,
    check_secret,
    check_snapshot,
    check_subnets,
    check_workers,
)
from lambdas.traffic.freeze_rules import Owner, is_frozen, live_listeners
from lambdas.traffic.listeners import Listeners
from lambdas.traffic.rules import Route

_CODE = Path(__file__).parents[2]
# IAM throttles its simulator early, and a second of patience is cheaper than a step that is made anew
_IAM_SECONDS, _IAM_ATTEMPTS = 5, 5


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment, and by the certificate beside its code."""

    owner: Owner
    table: str
    routes: tuple[Route, ...]
    instance: str
    secrets: tuple[str, ...]
    worker_groups: tuple[str, ...]
    exports: str
    enforce: bool
    certificate: Certificate


def _settings() -> Settings:
    told, restore = loads(environ["CERTIFICATE"]), loads(environ["RESTORE"])
    return Settings(
        owner=Owner(environ["SERVICE"], environ["ENVIRONMENT"]),
        table=environ["RECORD_TABLE"],
        routes=Route.all_from_json(environ["ROUTES"]),
        instance=restore["database"]["instance"],
        secrets=(restore["application_secret_arn"], restore["administrator_secret_arn"]),
        worker_groups=tuple(restore["worker_groups"]),
        exports=restore["bucket"],
        enforce=told["enforce"],
        certificate=Certificate.from_json((_CODE / told["file"]).read_text(encoding="utf-8")),
    )


settings = _settings()
rds = client("rds")
instances = Instances(rds)
parts = InstanceParts(rds)
keys = Keys(client("kms"))
secrets = StoredSecrets(client("secretsmanager"))
s3 = client("s3")
auto_scaling = AutoScaling(client("autoscaling"))
listeners = Listeners(client("elbv2"))
event_bus = EventBus(client("events"))
lambda_functions = LambdaFunctions(client("lambda"))
machines = Machines(client("stepfunctions"))
simulator = PolicySimulator(client("iam", read_seconds=_IAM_SECONDS, attempts=_IAM_ATTEMPTS))
record = ReleaseRecord(client("dynamodb"), settings.table, settings.owner.environment)
restores = Restores(record)


@dataclass(frozen=True)
class Certifying:
    """The release whose snapshot could be asked for, and what is unproven of its rollback, in words."""

    lease: Lease
    release_id: str
    snapshot_id: str
    concern: str
    now: str

    @classmethod
    def from_event(cls, event: dict[str, Any]) -> Self:
        """Read {"lease", "release_id", "snapshot_id", "concern", "now"}."""
        return cls(Lease.from_event(event), event["release_id"], event["snapshot_id"], event["concern"], event["now"])


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Return {"checks": how many were made, "concern": the one that was given, and why there is no proof, or ""}."""
    certifying = Certifying.from_event(event)
    checks, concern = certify_restore(certifying)
    unproven = f"The release began without proof that its database could be restored. {concern}" if concern else ""
    return {"checks": checks, "concern": "\n".join(filter(None, [certifying.concern, unproven]))}


def certify_restore(certifying: Certifying) -> tuple[int, str]:
    """
    Make every check, whatever the others found, and write into the release's history what came of it.

    Return how many there were, and what did not pass, in words. Changes nothing outside the record. Safe to repeat.
    Raises LeaseLost; and where settings enforce it, RestoreNotCertified when something is missing, AwsCallFailed when a
    check could not be made: trying again may help.
    """
    record.require_lease(certifying.lease, certifying.now)
    certificate = settings.certificate
    rights = Rights(certificate, machines, event_bus, lambda_functions, simulator)
    findings = [*rights.findings(), *_instance(certifying.snapshot_id), *_around()]
    conclusion = Conclusion("a restore", "restore_certificate", RestoreNotCertified, settings.enforce)
    return len(findings), conclusion.write(record, certifying.release_id, certificate, findings, certifying.now)


def _instance(snapshot_id: str) -> Iterator[Finding]:
    """Look for everything that an instance is made of which is restored from the snapshot."""
    name = serving_instance(restores.serving(), settings.instance)

    def made(name: str) -> Iterator[Finding]:
        forward = instances.describe(name)
        snapshot = instances.find_snapshot(snapshot_id)
        yield from check_snapshot(snapshot_id, snapshot, forward, settings.owner.environment)
        yield from _parts(forward, snapshot.key if snapshot else forward.get("KmsKeyId", ""))

    yield from checked(f"instance {name}", made, name)


def _parts(forward: Description, key: str) -> Iterator[Finding]:
    wanted = parts_of(forward, key)
    if wanted.parameter_group:
        exists = parts.has_parameter_group(wanted.parameter_group)
        yield check_group("parameter group", wanted.parameter_group, exists=exists)
    if wanted.option_group:
        exists = parts.has_option_group(wanted.option_group)
        yield check_group("option group", wanted.option_group, exists=exists)
    if wanted.subnet_group:
        yield check_subnets(wanted.subnet_group, parts.subnet_group(wanted.subnet_group), forward)
    if wanted.key:
        yield from checked(f"key {wanted.key}", lambda key: [check_key(key, keys.state(key))], wanted.key)
    yield check_quotas(parts.quotas(), forward)


def _around() -> Iterator[Finding]:
    """Look for what a restore works with beside RDS."""
    for arn in settings.secrets:
        yield from checked(f"secret {arn}", lambda arn: [check_secret(arn, exists=secrets.exists(arn))], arn)
    for group in settings.worker_groups:
        yield from checked(f"worker group {group}", _workers, group)
    bucket = settings.exports
    yield from checked(f"bucket {bucket}", lambda name: [check_exports(name, exists=has_bucket(s3, name))], bucket)
    yield from checked("freeze", _places_of_freeze, settings.routes)


def _workers(group: str) -> Iterator[Finding]:
    yield check_workers(group, exists=auto_scaling.exists(group))


def _places_of_freeze(routes: tuple[Route, ...]) -> Iterator[Finding]:
    """What would refuse a freeze refuses the release, too: it is mended by a human, and then not under load."""
    try:
        found = live_listeners(routes)
    except FreezeRefused as refused:
        yield check_place_of_freeze("the routes", str(refused))
        return
    for listener in found:
        yield check_place_of_freeze(listener, _why_no_freeze(listener))


def _why_no_freeze(listener: str) -> str:
    try:
        is_frozen(listener, listeners.tagged_rules(listener), settings.owner)
    except FreezeRefused as refused:
        return str(refused)
    return ""
