"""Look at the gates that are about what the environment stands on: from its backups to where its names lead."""

from collections.abc import Mapping
from dataclasses import dataclass
from json import loads
from os import environ
from typing import Any, Self

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.gates.backups import Backups
from lambdas.gates.certificates import Certificates
from lambdas.gates.distributions import Distributions
from lambdas.gates.dns import Dns
from lambdas.gates.gate_rules import Found, Gate, GateSettings
from lambdas.gates.infrastructure_gate_rules import (
    look_at_alarms,
    look_at_backups,
    look_at_certificates,
    look_at_distributions,
    look_at_dns,
    look_at_records,
)
from lambdas.gates.looking import look_at_gates
from lambdas.judge.alarm_rules import AlarmSettings
from lambdas.judge.alarms import Alarms
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.restores import Restores
from lambdas.traffic.freeze_rules import listener_of
from lambdas.traffic.rules import Route


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment. `instance` is the database, until a restore has replaced it."""

    environment: str
    table: str
    gates: GateSettings
    alarms: AlarmSettings
    instance: str
    routes: tuple[Route, ...]

    @property
    def listeners(self) -> list[str]:
        """Return the ARNs of the listeners through which users come."""
        return sorted({listener_of(route.arn) for route in self.routes})

    @property
    def load_balancers(self) -> list[str]:
        """Return the ARNs of their load balancers."""
        return sorted({each.replace(":listener/", ":loadbalancer/").rpartition("/")[0] for each in self.listeners})


settings = Settings(
    environ["ENVIRONMENT"],
    environ["RECORD_TABLE"],
    GateSettings.from_json(environ["GATES"]),
    AlarmSettings.from_json(environ["ALARMS"]),
    loads(environ["DATABASE"])["instance"],
    Route.all_from_json(environ["ROUTES"]),
)
alarms = Alarms(client("cloudwatch"), settings.alarms)
backups = Backups(client("rds"))
certificates = Certificates(client("elbv2"), client("acm"))
distributions = Distributions(client("cloudfront"))
dns = Dns(client("route53"), client("elbv2"))
restores = Restores(ReleaseRecord(client("dynamodb"), settings.table, settings.environment))


@dataclass(frozen=True)
class Asked:
    """Why a critical alarm may be on, "" if none may, what an emergency skips, and what time it is."""

    despite_alarms: str
    skips: tuple[str, ...]
    now: str

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Self:
        """Read {"despite_alarms", "emergency_skips", "now"}."""
        return cls(event["despite_alarms"], tuple(event["emergency_skips"]), event["now"])


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Read {"version", "release_id", "despite_alarms": reason or "", "emergency_skips": names of gates, "now"}.

    Return {"results": [{"gate", "level", "status", "detail", "again_at"}]}. Changes nothing.
    """
    return check_infrastructure(Asked.from_event(event))


def check_infrastructure(asked: Asked) -> dict[str, Any]:
    """Look at every gate of what the environment stands on."""
    return look_at_gates(
        settings.gates,
        {
            Gate.BACKUP: lambda: _backup(asked.now),
            Gate.ALARMS: lambda: look_at_alarms(
                alarms.critical(), settings.alarms.prefix, alarms.states(), asked.despite_alarms
            ),
            Gate.CERTIFICATE: lambda: _certificates(asked.now),
            Gate.DNS: _dns,
            Gate.CDN: lambda: look_at_distributions([distributions.describe(e) for e in settings.gates.distributions]),
        },
        asked.skips,
    )


def _backup(now: str) -> Found:
    """Of the instance that serves: since a restore it is another one than settings name."""
    serving = restores.serving()
    replaced = serving is not None and serving.settings_instance == settings.instance
    instance = serving.instance if serving and replaced else settings.instance
    return look_at_backups(
        instance,
        backups.complete(instance),
        backups.restorable_until(instance),
        settings.gates.backup_hours,
        now,
    )


def _certificates(now: str) -> Found:
    of_listeners = certificates.of_listeners(settings.listeners)
    without = [listener for listener in settings.listeners if not of_listeners.get(listener)]
    used = sorted({arn for each in of_listeners.values() for arn in each})
    return look_at_certificates(
        without, [certificates.describe(each) for each in used], settings.gates.certificate_days, now
    )


def _dns() -> Found:
    """A name leads to a load balancer of the routes, or to the distribution that settings name with it."""
    hosts = dns.hosts(settings.load_balancers)
    problems = [
        look_at_records(
            record,
            dns.records(record.zone_id, record.name),
            [distributions.describe(record.distribution).domain] if record.distribution else hosts,
        )
        for record in settings.gates.dns_records
    ]
    return look_at_dns(problems, len(problems))
