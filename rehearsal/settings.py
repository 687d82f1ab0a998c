"""What a rehearsal reads of `environments/*.toml`: the names of the resources that a customer would have."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

FOLDER = Path("environments")
INGRESS = "ingress"
"""The one file there that is no environment."""
OWN_FOLDER = Path("rehearsal/environments")
"""Settings that nobody ships, for scenarios that need others than the shipped ones."""


class UnknownEnvironment(Exception):
    """There are no settings for an environment; the message names those that there are."""


@dataclass(frozen=True)
class Route:
    """One place where traffic is divided. `arn` and `test_arn` are listeners or listener rules."""

    name: str
    arn: str
    test_arn: str
    blue: str
    green: str

    def target_group(self, color: str) -> str:
        """Return the target group ARN of a color."""
        return self.blue if color == "blue" else self.green


@dataclass(frozen=True)
class Color:
    """The fleet of a color."""

    auto_scaling_group: str
    launch_template_id: str
    instance_role_arn: str


@dataclass(frozen=True)
class Database:
    """An RDS instance, the name under which functions reach it, and the secret of the user that they are there."""

    instance: str
    host: str
    port: int
    name: str
    secret_arn: str
    maximum_connections: int


@dataclass(frozen=True)
class Restore:
    """What a restore of the database has to do with: where application and administrator learn how to log in."""

    application_secret_arn: str
    administrator_secret_arn: str
    application_role: str


@dataclass(frozen=True)
class Infrastructure:
    """What Terraform is allowed to by the customer's own policies, and what a rollback of it is limited to."""

    policy_arns: tuple[str, ...]
    rollback_targets: tuple[str, ...]


@dataclass(frozen=True)
class Cache:
    """The name under which functions reach the cache, whether they speak TLS to it, and the secret of its token."""

    host: str
    port: int
    tls: bool
    secret_arn: str | None


@dataclass(frozen=True)
class Checks:
    """Where functions find the two listeners, `(host, port)`, under which names, and what they must know for it."""

    live: tuple[str, int]
    test: tuple[str, int]
    hosts: tuple[str, ...]
    login_secret_arns: tuple[str, ...]
    """Their text is the body of a log-in."""
    token_secret_arns: tuple[str, ...]


@dataclass(frozen=True)
class ApplicationMetrics:
    """What the application publishes of itself: two counts and a distribution of seconds, by Auto Scaling group."""

    namespace: str
    dimension: str
    requests: str
    errors: str
    response_time: str


@dataclass(frozen=True)
class GitHub:
    """
    The repository, by name and number, the host that is asked about it, and the secret of the token for that.

    `checks` are the names of those that a commit has to have.
    """

    repository: str
    repository_id: int
    host: str
    token_secret_arn: str
    checks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ingress:
    """Where pushes arrive: the stack of that, and the secrets of the webhook, the one that is used first."""

    stack_name: str
    secret_arns: tuple[str, ...]


@dataclass(frozen=True)
class DnsRecord:
    """A name that users ask for, in a hosted zone; where `distribution` is given it leads there."""

    zone_id: str
    name: str
    distribution: str = ""


@dataclass(frozen=True)
class Gates:
    """What gates look at that is none of the environment's own. `artifact` says where a version is."""

    artifact: str
    dns_records: tuple[DnsRecord, ...]
    distributions: tuple[str, ...]
    calendars: tuple[str, ...]


@dataclass(frozen=True)
class Settings:
    """One environment's resources, and where Runback's stack for it is."""

    service: str
    environment: str
    account: str
    region: str
    routes: tuple[Route, ...]
    colors: dict[str, Color]
    database: Database
    cache: Cache
    checks: Checks
    log_group: str
    endpoints: dict[str, str]
    """The id of the VPC's endpoint for a service, by the service as boto3 names it."""
    application_metrics: ApplicationMetrics | None
    """None for an application that publishes nothing."""
    restore: Restore | None = None
    """None where the database is never brought back."""
    approver_role: str = ""
    """The first of those who may approve that by URL; "" where nobody may."""
    infrastructure: Infrastructure | None = None
    """None where releases leave the infrastructure alone."""
    migration_function: str = ""
    """The name of the function that migrates the database; "" where none does."""
    github: GitHub | None = None
    """None where GitHub is asked nothing."""
    ingress: Ingress | None = None
    """None where no push starts anything."""

    gates: Gates | None = None
    """None where nobody looks before a release begins."""
    after: str = ""
    """The environment that goes before; "" where none does."""
    validated_in: str = ""
    """The environment that has to have validated a version, if it is another one than that."""

    @property
    def database_instance(self) -> str:
        """The RDS instance that every release takes a snapshot of."""
        return self.database.instance

    @property
    def prefix(self) -> str:
        """What all names of Runback's in the environment begin with."""
        return f"{self.service}-{self.environment}"

    @property
    def stack_name(self) -> str:
        """The name of the environment's stack in `cdk.out`."""
        return f"Runback-{self.service}-{self.environment}"

    @classmethod
    def read(cls, environment: str, folder: Path = FOLDER) -> Self:
        """Read an environment's settings. The stack's synthesis has checked them already."""
        path = folder / f"{environment}.toml"
        if not path.exists():
            path = OWN_FOLDER / f"{environment}.toml"
        if not path.exists() or environment == INGRESS:
            known = ", ".join(sorted(each.stem for each in folder.glob("*.toml") if each.stem != INGRESS))
            raise UnknownEnvironment(f"There is no environment {environment!r}; {folder}/ has: {known}")
        given = tomllib.loads(path.read_text(encoding="utf-8"))
        return cls(
            service=given["service"],
            environment=given["environment"],
            account=given["account"],
            region=given["region"],
            routes=tuple(_route(route) for route in given["routes"]),
            colors={name: Color(**color) for name, color in given["colors"].items()},
            database=_database(given["database"]),
            cache=_cache(given["cache"]),
            checks=_checks(given["checks"]),
            log_group=given["logs"]["group"],
            endpoints=_endpoints(given.get("network", {})),
            application_metrics=_application_metrics(given["judge"].get("metrics")),
            restore=_restore(given.get("restore")),
            approver_role=_approver_role(given.get("approval", {})),
            infrastructure=_infrastructure(given.get("infrastructure")),
            migration_function=given.get("migrations", {}).get("function_arn", "").rpartition(":")[2],
            github=_github(given.get("github"), given.get("gates", {})),
            ingress=_ingress(path.parent / f"{INGRESS}.toml") if "pushes" in given else None,
            gates=_gates(given.get("gates")),
            after=given.get("pushes", {}).get("after", ""),
            validated_in=given.get("gates", {}).get("validated_in", ""),
        )


def _route(given: dict[str, Any]) -> Route:
    return Route(
        name=given["name"],
        arn=given.get("listener_arn") or given["rule_arn"],
        test_arn=given.get("test_listener_arn") or given["test_rule_arn"],
        blue=given["blue"],
        green=given["green"],
    )


def _database(given: dict[str, Any]) -> Database:
    return Database(
        given["instance"],
        given["host"],
        given.get("port", 5432),
        given["name"],
        given["secret_arn"],
        given["maximum_connections"],
    )


def _restore(given: dict[str, Any] | None) -> Restore | None:
    if given is None:
        return None
    return Restore(given["application_secret_arn"], given["administrator_secret_arn"], given["application_roles"][0])


def _infrastructure(given: dict[str, Any] | None) -> Infrastructure | None:
    if given is None:
        return None
    return Infrastructure(
        tuple(dict.fromkeys((*given["plan_policy_arns"], *given["apply_policy_arns"]))),
        tuple(given.get("rollback_targets", ("module.compute",))),
    )


def _github(given: dict[str, Any] | None, gates: dict[str, Any]) -> GitHub | None:
    if given is None:
        return None
    host, _ = _host_and_port(given.get("api_url", "https://api.github.com"))
    checks = [
        *gates.get("commit_checks", {}),
        *(gates[name] for name in ("coverage_check", "plan_check") if name in gates),
    ]
    return GitHub(
        given["repository"], given["repository_id"], host, given["token_secret_arn"], tuple(dict.fromkeys(checks))
    )


def _ingress(path: Path) -> Ingress | None:
    if not path.exists():
        return None
    given = tomllib.loads(path.read_text(encoding="utf-8"))
    return Ingress(f"Runback-{given['service']}-ingress", tuple(given["webhook_secret_arns"]))


def _gates(given: dict[str, Any] | None) -> Gates | None:
    if given is None:
        return None
    return Gates(
        artifact=given.get("artifact_location", ""),
        dns_records=tuple(DnsRecord(**each) for each in given.get("dns_records", [])),
        distributions=tuple(given.get("distributions", [])),
        calendars=tuple(given.get("calendars", [])),
    )


def _approver_role(given: dict[str, Any]) -> str:
    return next((arn for arn in given.get("approver_arns", []) if ":role/" in arn), "")


def _cache(given: dict[str, Any]) -> Cache:
    return Cache(given["host"], given.get("port", 6379), given.get("tls", True), given.get("secret_arn"))


def _checks(given: dict[str, Any]) -> Checks:
    checks = [*given["health"], *given["smoke"]]
    return Checks(
        live=_host_and_port(given["live_url"]),
        test=_host_and_port(given["test_url"]),
        hosts=tuple(given["allowed_hosts"]),
        login_secret_arns=_each_once(checks, "body_secret_arn"),
        token_secret_arns=_each_once(checks, "token_secret_arn"),
    )


def _endpoints(given: dict[str, Any]) -> dict[str, str]:
    endpoint = given.get("secrets_manager_endpoint_id")
    return {"secretsmanager": endpoint} if endpoint else {}


def _application_metrics(given: dict[str, Any] | None) -> ApplicationMetrics | None:
    if given is None:
        return None
    return ApplicationMetrics(
        namespace=given["namespace"],
        dimension=given.get("dimension", "AutoScalingGroupName"),
        requests=given.get("requests", "Requests"),
        errors=given.get("errors", "Errors"),
        response_time=given.get("response_time", "ResponseTime"),
    )


def _host_and_port(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 443


def _each_once(checks: list[dict[str, Any]], name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(check[name] for check in checks if name in check))
