"""
What `environments/*.toml` may say, and what is wrong with one that says something else.

Every mistake is reported at once, with its file, its field and what to write there; a mistyped resource name costs
least before anything is built. Nothing here asks AWS whether a resource exists: the stack can be built offline.
"""

import json
import ssl
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field

from cdk.gate_settings import Gates, gates_can_be_looked_at
from cdk.push_settings import GitHub, Pushes, pushes_fit_together, the_one_before_is_there
from cdk.setting_types import (
    ARN,
    PLACE,
    Account,
    BaseUrl,
    EndpointId,
    FileName,
    GroupName,
    HeaderName,
    HeaderValue,
    HostName,
    InstanceName,
    LaunchTemplateId,
    ListenerArn,
    LogGroupName,
    MetricName,
    ParameterName,
    Place,
    Port,
    PrincipalArn,
    Problem,
    RoleArn,
    RuleArn,
    SecretArn,
    SecurityGroupId,
    Service,
    SettingsError,
    SubnetId,
    Table,
    TargetGroupArn,
    Url,
    UrlPath,
    text,
)
from cdk.settings_files import INGRESS, read_table
from lambdas.infrastructure.rules import longest_build_seconds
from statemachines.plan import MOST_EVENTS, LongestRelease

COLORS = ("blue", "green")
_EVERYTHING = 100
_LONGEST_SNAPSHOT_SECONDS = 6 * 3600
_LONGEST_PREPARATION_SECONDS = 2 * 3600
"""With longer ones an execution that looks every 15 s might need more than the 25,000 events that it may have."""
_LONGEST_PAUSE_SECONDS = 4 * 3600
_LONGEST_APPROVAL_MINUTES = 24 * 60
_LONGEST_DRAIN_SECONDS = 600
_LONGEST_EXPORT_DAYS = 3650
_LONGEST_BUILD_MINUTES = 120


class Route(Table):
    """One place where traffic is divided: a listener's default action or one rule, and the same for tests."""

    name: Annotated[str, text(r"[a-z][a-z0-9-]*", "lower-case letters, digits and hyphens")]
    listener_arn: ListenerArn | None = None
    rule_arn: RuleArn | None = None
    test_listener_arn: ListenerArn | None = None
    test_rule_arn: RuleArn | None = None
    blue: TargetGroupArn
    green: TargetGroupArn


class Color(Table):
    """The instances of one color."""

    auto_scaling_group: GroupName
    launch_template_id: LaunchTemplateId
    instance_role_arn: RoleArn


class Colors(Table):
    """Both colors: fixed identities, whatever serves at the moment."""

    blue: Color
    green: Color

    @property
    def both(self) -> tuple[Color, Color]:
        """Blue, then green."""
        return self.blue, self.green

    def of(self, color: str) -> Color:
        """Return the instances of "blue" or "green"."""
        return dict(zip(COLORS, self.both, strict=True))[color]


class Step(Table):
    """One shift: the share of traffic in percent, and how long it is observed."""

    weight: Annotated[int, Field(ge=1, le=_EVERYTHING)]
    bake_seconds: Annotated[int, Field(ge=0)]


class Release(Table):
    """How carefully this environment releases, as in production unless it says otherwise."""

    steps: Annotated[tuple[Step, ...], Field(min_length=1, strict=False)]
    prepare_timeout_seconds: Annotated[int, Field(ge=60, le=_LONGEST_PREPARATION_SECONDS)] = 1800
    rollback_window_seconds: Annotated[int, Field(ge=0)] = 3600
    next_release_in_window: Literal["refuse", "expire", "wait"] = "refuse"
    longest_pause_seconds: Annotated[int, Field(ge=60, le=_LONGEST_PAUSE_SECONDS)] = 3600


class Parameters(Table):
    """SSM parameters in which Runback tells other tools what is live."""

    target_group: ParameterName
    previous_target_group: ParameterName


class Database(Table):
    """
    The RDS instance that every release takes a snapshot of before it changes anything, and how checks connect to it.

    `maximum_connections` is what the instance allows, PostgreSQL's `SHOW max_connections`: AWS has no metric for it.
    The secret is JSON with "username" and "password". `ca_file` holds the certificates that the connection trusts.
    """

    instance: InstanceName
    snapshot_timeout_seconds: Annotated[int, Field(ge=60, le=_LONGEST_SNAPSHOT_SECONDS)] = 3600
    maximum_connections: Annotated[int, Field(ge=1)]
    host: HostName
    port: Port = 5432
    name: Annotated[str, text(r"[A-Za-z_][\w$-]{0,62}", "the name of a database")]
    secret_arn: SecretArn
    ca_file: FileName


class RestoredTable(Table):
    """
    A table of which writes are counted that a restore loses, by its primary key.

    `changed` is a column that every write sets anew, such as "updated_at"; left out, whole rows are compared.
    """

    name: Annotated[str, text(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?", "the name of a table, such as public.users")]
    key: Annotated[str, text(r"[a-z_][a-z0-9_]*", "the name of a column")]
    changed: Annotated[str, text(r"[a-z_][a-z0-9_]*", "the name of a column")] | None = None


Query = Annotated[str, text(r"(?i)select\b[^;]*", "one query that begins with SELECT, without a semicolon")]


class CheckQuery(Table):
    """A query with one value as its answer, which must be `expected`, or `at_least` so much."""

    sql: Query
    expected: str | int | bool | None = None
    at_least: int | None = None


RoleName = Annotated[str, text(r"[a-z_][a-z0-9_$]{0,62}", "the name of a role of PostgreSQL")]


class Restore(Table):
    """
    How the database is brought back to a former state; without this table there is no machine for that.

    Both secrets are JSON with "host", "port", "dbname", "username" and "password". The application reads the first one
    when it starts, and a restore points it at the restored instance. The administrator may let roles log in or not.
    Writes of `application_roles` are what a restore stops; Auto Scaling groups in `worker_groups` write without being
    behind the load balancer. Snapshots that `snapshot_accounts` share can be restored, too, by way of a copy: whoever
    may write there decides what users get. Lost writes are exported for `export_days`, to be read by `export_readers`
    alone.
    """

    application_secret_arn: SecretArn
    administrator_secret_arn: SecretArn
    application_roles: Annotated[tuple[RoleName, ...], Field(min_length=1, strict=False)]
    worker_groups: Annotated[tuple[GroupName, ...], Field(strict=False)] = ()
    snapshot_accounts: Annotated[tuple[Account, ...], Field(strict=False)] = ()
    tables: Annotated[tuple[RestoredTable, ...], Field(min_length=1, strict=False)]
    check_queries: Annotated[tuple[CheckQuery, ...], Field(min_length=1, strict=False)]
    warm_queries: Annotated[tuple[Query, ...], Field(strict=False)] = ()
    approval_minutes: Annotated[int, Field(ge=5, le=_LONGEST_APPROVAL_MINUTES)] = 60
    drain_seconds: Annotated[int, Field(ge=0, le=_LONGEST_DRAIN_SECONDS)] = 30
    export_days: Annotated[int, Field(ge=1, le=_LONGEST_EXPORT_DAYS)] = 90
    export_readers: Annotated[tuple[RoleArn, ...], Field(min_length=1, strict=False)]


class Approval(Table):
    """
    Who may answer what waits for approval by a signed request; without this table there is no URL for that.

    A restore of the database always waits for approval. With `releases` every release does, too, before it takes the
    environment, for `release_minutes` at most. People are told apart by the name of their user or session, so whoever
    may take an approver's role must not be free to choose that name.
    """

    approver_arns: Annotated[tuple[PrincipalArn, ...], Field(min_length=1, strict=False)]
    releases: bool = False
    release_minutes: Annotated[int, Field(ge=5, le=_LONGEST_APPROVAL_MINUTES)] = 240


PolicyArn = Annotated[str, text(rf"{ARN}iam::(\d{{12}}|aws):policy/[\w+=,.@/-]+", "the ARN of a managed policy")]
# As Terraform takes it after -target: https://developer.hashicorp.com/terraform/cli/state/resource-addressing
Address = Annotated[
    str,
    text(r"[A-Za-z_][\w.-]*(\[[^\s\]]+\][\w.-]*)*", "an address of Terraform without spaces, such as module.compute"),
]
RelativePath = Annotated[
    str,
    text(r"(?!.*(^|/)\.\.?(/|$))[\w.-]+(/[\w.-]+)*", 'a path inside the repository, such as "terraform/production"'),
]


class Infrastructure(Table):
    """
    Where the infrastructure of a version is described for Terraform; without this table releases leave it alone.

    CodeBuild checks a release's commit out of `repository` through a connection, and plans and applies `directory` with
    `var_file`, a path below it. What the two builds may do in the account is the customer's to say, in managed
    policies: reading is enough for a plan. `may_destroy` names what a release may destroy or replace, and
    `rollback_targets` what a rollback of the infrastructure is limited to.
    """

    repository: Annotated[
        str, text(r"https://github\.com/[\w.-]+/[\w.-]+", 'a repository, such as "https://github.com/example/shop"')
    ]
    connection_arn: Annotated[
        str,
        text(
            rf"{ARN}(codeconnections|codestar-connections):{PLACE}:connection/[0-9a-f-]{{36}}",
            "the ARN of a connection to GitHub (…:connection/<id>)",
        ),
    ]
    directory: RelativePath
    var_file: RelativePath | None = None
    terraform_version: Annotated[str, text(r"1\.\d+\.\d+", 'a version of Terraform, such as "1.11.4"')]
    terraform_sha256: Annotated[
        str, text(r"[0-9a-f]{64}", "the SHA-256 of terraform_<version>_linux_amd64.zip, as its SHA256SUMS names it")
    ]
    plan_policy_arns: Annotated[tuple[PolicyArn, ...], Field(min_length=1, max_length=10, strict=False)]
    apply_policy_arns: Annotated[tuple[PolicyArn, ...], Field(min_length=1, max_length=10, strict=False)]
    state_bucket_arn: Annotated[str, text(rf"{ARN}s3:::[a-z0-9][a-z0-9.-]{{1,61}}[a-z0-9]", "the ARN of a bucket")]
    state_key_arn: Annotated[str, text(rf"{ARN}kms:{PLACE}:key/[\w-]+", "the ARN of a key of KMS")] | None = None
    may_destroy: Annotated[tuple[Address, ...], Field(strict=False)] = ()
    rollback_targets: Annotated[tuple[Address, ...], Field(strict=False)] = ("module.compute",)
    timeout_minutes: Annotated[int, Field(ge=5, le=_LONGEST_BUILD_MINUTES)] = 30


FunctionArn = Annotated[
    str,
    text(
        rf"{ARN}lambda:{PLACE}:function:[\w-]{{1,64}}(:[\w$-]+)?",
        "the ARN of a function of Lambda (…:function:<name>, or with its alias)",
    ),
]
# https://docs.aws.amazon.com/codebuild/latest/APIReference/API_CreateProject.html
ProjectName = Annotated[str, text(r"[A-Za-z0-9][\w-]{1,149}", "the name of a CodeBuild project")]


class Migrations(Table):
    """
    What migrates the database for a release that asks for it; without this table no release can.

    It is a function of the customer's, which is called and waited for, or a CodeBuild project of the customer's, which
    is built at the release's commit. Either has to be safe to repeat, and is given `timeout_minutes`.
    """

    function_arn: FunctionArn | None = None
    project: ProjectName | None = None
    timeout_minutes: Annotated[int, Field(ge=1, le=_LONGEST_BUILD_MINUTES)] = 10


class Cache(Table):
    """The Redis-protocol cache. The secret, where the cache wants one, is its AUTH token as plain text."""

    host: HostName
    port: Port = 6379
    tls: bool = True
    secret_arn: SecretArn | None = None


class Network(Table):
    """
    Where the function runs that asks database and cache.

    It reads its secrets through `secrets_manager_endpoint_id`, an interface endpoint with private DNS, and from nowhere
    else; left out, the subnets must reach Secrets Manager through a NAT gateway.
    """

    subnet_ids: Annotated[tuple[SubnetId, ...], Field(min_length=1, strict=False)]
    security_group_ids: Annotated[tuple[SecurityGroupId, ...], Field(min_length=1, strict=False)]
    secrets_manager_endpoint_id: EndpointId | None = None


class Logs(Table):
    """
    The application's log, and how errors in it are counted for one version: `{version}` in a pattern is its commit.

    `slow_pattern` finds the requests that took longer than `judge.slow_seconds`, where the log is what is judged.
    A version with fewer than `minimum_requests` in the log is not judged by it.
    """

    group: LogGroupName
    request_pattern: str
    error_pattern: str
    slow_pattern: str | None = None
    maximum_error_percent: Annotated[float, Field(ge=0, le=100)] = 5
    minimum_requests: Annotated[int, Field(ge=1)] = 20
    window_seconds: Annotated[int, Field(ge=60, le=3600)] = 600


class _Check(Table):
    """
    One request, and what its answer must be.

    A body is text, a secret, or a form with a file. `metric` is looked up in the answer, as a line "<metric> <value>",
    and must be there and `at_most` so large.
    """

    name: Service
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    headers: Annotated[dict[HeaderName, HeaderValue], Field(default_factory=dict)]
    body: str | None = None
    body_secret_arn: SecretArn | None = None
    file: FileName | None = None
    form: Annotated[dict[str, str], Field(default_factory=dict)]
    token_secret_arn: SecretArn | None = None
    expected_status: Annotated[int, Field(ge=200, le=599)] = 200
    maximum_seconds: Annotated[float, Field(gt=0, le=30)] = 5
    metric: Annotated[str, text(r"\S+", "a name without spaces")] | None = None
    at_most: Annotated[float, Field(allow_inf_nan=False)] | None = None


class HealthCheck(_Check):
    """Something that works as long as the system does, wherever the traffic is."""

    url: Url


class SmokeCheck(_Check):
    """Something that a version must be able to do, below the URL of the test listener and of the live one."""

    path: UrlPath


class Checks(Table):
    """
    What is asked of the system and of a version. Nothing is asked of a host that is not in `allowed_hosts`.

    `probe` names the smoke checks that are asked of what is live every minute, for good; left out, it is all of them.
    """

    live_url: BaseUrl
    test_url: BaseUrl
    allowed_hosts: Annotated[tuple[HostName, ...], Field(min_length=1, strict=False)]
    health: Annotated[tuple[HealthCheck, ...], Field(min_length=1, strict=False)]
    smoke: Annotated[tuple[SmokeCheck, ...], Field(min_length=1, strict=False)]
    probe: Annotated[tuple[Service, ...], Field(min_length=1, strict=False)] | None = None

    @property
    def probed(self) -> tuple[SmokeCheck, ...]:
        """The smoke checks that are asked every minute."""
        return tuple(check for check in self.smoke if self.probe is None or check.name in self.probe)


class Thresholds(Table):
    """Above which value a warning is sent, and above which something is critical."""

    warning: Annotated[float, Field(gt=0)]
    critical: Annotated[float, Field(gt=0)]


class Alarms(Table):
    """
    The thresholds of the alarms; as they are here, those of the runbook.

    Error rate and response time are judged in minutes with at least `minimum_requests`, of which `minimum_failures`
    failed, or with so many requests that the slowest of them are as many: one bad minute is enough, bad luck is not.
    Memory and disk are what the CloudWatch agent publishes by Auto Scaling group: mem_used_percent, disk_used_percent.
    """

    minimum_requests: Annotated[int, Field(ge=1)] = 20
    minimum_failures: Annotated[int, Field(ge=1)] = 5
    error_rate_percent: Thresholds = Thresholds(warning=1, critical=5)
    response_time_seconds: Thresholds = Thresholds(warning=1, critical=3)
    response_time_percentile: Annotated[float, Field(ge=50, lt=100)] = 95
    cpu_percent: Thresholds = Thresholds(warning=70, critical=90)
    memory_percent: Thresholds = Thresholds(warning=80, critical=95)
    disk_percent: Thresholds = Thresholds(warning=80, critical=90)
    database_connections_percent: Thresholds = Thresholds(warning=80, critical=95)
    query_milliseconds: Annotated[float, Field(gt=0)] = 100
    upload_success_percent: Annotated[float, Field(gt=0, le=100)] = 95
    login_success_percent: Annotated[float, Field(gt=0, le=100)] = 99


class ApplicationMetrics(Table):
    """
    What the application, or an agent beside it, publishes of itself in high resolution, by color.

    `requests` and `errors` are counts, `response_time` is a distribution of seconds; their one dimension has the name
    of the color's Auto Scaling group. They are published at least every `period_seconds`, with a storage resolution of
    one second, and the judge counts by that period, which GetMetricData must know:
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricStat.html
    """

    namespace: Annotated[str, text(r"(?!AWS/)[A-Za-z0-9._/#:-]{1,255}", "a namespace of CloudWatch, not one of AWS")]
    dimension: MetricName = "AutoScalingGroupName"
    requests: MetricName = "Requests"
    errors: MetricName = "Errors"
    response_time: MetricName = "ResponseTime"
    period_seconds: Literal[1, 5, 10, 30] = 5


class Judge(Table):
    """
    What a release is judged by at every look at its bake, and how strictly.

    Not judged before `minimum_requests`. `false_alarms_percent` bounds how many releases of a version that is as good
    as the old one are rolled back by the comparison, however often it is looked at. A bake without enough evidence is
    extended by `longest_extension_seconds` at most; then a human decides ("hold"), or it goes on ("proceed").
    """

    source: Literal["application", "logs", "load_balancer"]
    metrics: ApplicationMetrics | None = None
    minimum_requests: Annotated[int, Field(ge=1)] = 20
    maximum_error_percent: Annotated[float, Field(gt=0, lt=100)] = 5
    slow_seconds: Annotated[float, Field(gt=0)] = 3
    maximum_slow_percent: Annotated[float, Field(gt=0, lt=100)] = 5
    false_alarms_percent: Annotated[float, Field(gt=0, le=5)] = 0.1
    longest_extension_seconds: Annotated[int, Field(ge=0, le=3600)] = 600
    when_inconclusive: Literal["hold", "proceed"] = "hold"


class Certificate(Table):
    """
    Whether a release may begin without proof that it could be rolled back.

    With `enforce` it is refused before anything changes; without, the release's history and report say what is missing.
    """

    enforce: bool = True


class EnvironmentSettings(Place):
    """One environment of one service, and the names and ARNs that follow from it."""

    routes: Annotated[tuple[Route, ...], Field(min_length=1, strict=False)]
    colors: Colors
    release: Release
    database: Database
    restore: Restore | None = None
    infrastructure: Infrastructure | None = None
    migrations: Migrations | None = None
    approval: Approval | None = None
    github: GitHub | None = None
    pushes: Pushes | None = None
    gates: Gates | None = None
    cache: Cache
    network: Network
    logs: Logs
    checks: Checks
    alarms: Alarms = Alarms()
    judge: Judge
    certificate: Certificate = Certificate()
    parameters: Parameters

    @property
    def longest_release(self) -> LongestRelease:
        """A release that waits for everything, bakes, and is paused, for as long as it may."""
        waits_for_window = self.release.next_release_in_window == "wait"
        return LongestRelease(
            window_seconds=self.release.rollback_window_seconds if waits_for_window else 0,
            approval_seconds=60 * self.release_approval.release_minutes if self.release_approval else 0,
            gates_seconds=self._longest_gates_seconds,
            snapshot_seconds=self.database.snapshot_timeout_seconds,
            prepare_seconds=self.release.prepare_timeout_seconds,
            builds_seconds=2 * self.longest_build_seconds,
            migrations_seconds=2 * 60 * self.migrations.timeout_minutes if self.migrations else 0,
            bakes_seconds=tuple(
                step.bake_seconds + self.judge.longest_extension_seconds for step in self.release.steps
            ),
            pause_seconds=self.release.longest_pause_seconds,
        )

    @property
    def release_approval(self) -> Approval | None:
        """Who approves releases; None where nobody has to."""
        return self.approval if self.approval and self.approval.releases else None

    @property
    def _longest_gates_seconds(self) -> int:
        """A release comes to its gates once more after an approval."""
        rounds = 2 if self.release_approval else 1
        return rounds * 60 * self.gates.wait_minutes if self.gates else 0

    @property
    def longest_build_seconds(self) -> int:
        """How long a build of Terraform takes at most; 0 where there are none."""
        return longest_build_seconds(self.infrastructure.timeout_minutes * 60) if self.infrastructure else 0

    @property
    def way_back_parameter(self) -> str:
        """Where a human finds the commands to go back by hand when the record cannot be reached."""
        return f"/runback/{self.service}/{self.environment}/way-back"

    @property
    def reports_bucket(self) -> str:
        """The bucket with the reports. Nobody else in all of AWS may have a bucket of this name."""
        return f"{self.prefix}-reports-{self.account}-{self.region}"

    @property
    def plans_bucket(self) -> str:
        """The bucket with the plans of the infrastructure. It is no longer than that of the reports."""
        return f"{self.prefix}-plans-{self.account}-{self.region}"

    @property
    def exports_bucket(self) -> str:
        """The bucket with the writes that restores have lost. It is no longer than that of the reports."""
        return f"{self.prefix}-exports-{self.account}-{self.region}"


def load_settings(directory: Path, names: tuple[str, ...] | None = None) -> tuple[EnvironmentSettings, ...]:
    """
    Read the named environments, or all that there are, in the order of their names.

    Raises SettingsError with the problems of all of them.
    """
    known = {path.stem: path for path in sorted(directory.glob("*.toml")) if path.stem != INGRESS}
    unknown = [name for name in names or () if name not in known]
    if unknown or not known:
        raise SettingsError({directory: [_unknown_environment(name, known) for name in unknown or ["*"]]})
    problems: dict[Path, list[Problem]] = {}
    settings = []
    for path in (known[name] for name in names or known):
        found = _read(path)
        if isinstance(found, EnvironmentSettings):
            settings.append(found)
        else:
            problems[path] = found
    if problems:
        raise SettingsError(problems)
    return tuple(settings)


def _unknown_environment(name: str, known: dict[str, Path]) -> Problem:
    there = ", ".join(known) or "no TOML file at all"
    return Problem(f"{name}.toml", f"there is no such environment; this folder has {there}")


def _read(path: Path) -> EnvironmentSettings | list[Problem]:
    found = read_table(path, EnvironmentSettings)
    return list(_contradictions(found, path)) or found if isinstance(found, EnvironmentSettings) else found


def _contradictions(settings: EnvironmentSettings, path: Path) -> Iterator[Problem]:
    """Find values that are well-formed one by one, and wrong together."""
    for rule in _RULES:
        yield from rule(settings)
    if settings.environment != path.stem:
        yield Problem("environment", f'must be the name of its file, "{path.stem}", not {settings.environment!r}')
    yield from the_one_before_is_there(settings, path)
    for field, name in _file_names(settings):
        if not (path.parent / "files" / name).is_file():
            yield Problem(field, f"names {name!r}, which is not in {path.parent / 'files'}: put it there")
        elif field == "database.ca_file" and not _has_certificates(path.parent / "files" / name):
            yield Problem(field, f"names {name!r}, which is not a file of certificates (PEM)")


def _has_certificates(path: Path) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except OSError:
        return False
    return True


def _names_are_short_enough(settings: EnvironmentSettings) -> Iterator[Problem]:
    """No name that begins with the prefix has less room for it than the bucket's: account and Region are in it, too."""
    most = 63  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    longest = len(settings.prefix) - (len(settings.reports_bucket) - most)
    if len(settings.prefix) > longest:
        yield Problem(
            "service",
            f'"{settings.prefix}" has {len(settings.prefix)} characters; with the environment at most {longest}, '
            f'because S3 allows {most} in the name of the bucket with reports, "{settings.reports_bucket}"',
        )


def _functions_can_be_told_all_routes(settings: EnvironmentSettings) -> Iterator[Problem]:
    most_bytes = 3000  # Lambda's quota for all environment variables of a function is 4 KB
    if sum(len(route.model_dump_json()) for route in settings.routes) > most_bytes:
        yield Problem("routes", f"are {len(settings.routes)}, more than fit into a function's environment variables")


def _every_route_is_complete(settings: EnvironmentSettings) -> Iterator[Problem]:
    for index, route in enumerate(settings.routes):
        for listener, rule in (("listener_arn", "rule_arn"), ("test_listener_arn", "test_rule_arn")):
            given = [name for name in (listener, rule) if getattr(route, name) is not None]
            if len(given) != 1:
                found = "both" if given else "neither"
                yield Problem(f"routes[{index}].{listener}", f"give exactly one of {listener} and {rule}, not {found}")
        if route.blue == route.green:
            yield Problem(f"routes[{index}].green", "must be another target group than blue")


def _every_route_is_its_own(settings: EnvironmentSettings) -> Iterator[Problem]:
    """Refuse what serves two routes, or tests and users: it could not be switched for one alone."""
    names = Counter(route.name for route in settings.routes)
    places = Counter(arn for _, arn in _traffic_arns(settings))
    for index, route in enumerate(settings.routes):
        if names[route.name] > 1:
            yield Problem(f"routes[{index}].name", f"{route.name!r} is used by another route too: rename one")
    for field, arn in _traffic_arns(settings):
        if places[arn] > 1:
            yield Problem(field, "is used more than once: every route needs a listener or rule of its own")


def _colors_are_apart(settings: EnvironmentSettings) -> Iterator[Problem]:
    for field in ("auto_scaling_group", "launch_template_id"):
        if getattr(settings.colors.blue, field) == getattr(settings.colors.green, field):
            yield Problem(f"colors.green.{field}", "must be another one than that of blue")


def _steps_reach_everybody(settings: EnvironmentSettings) -> Iterator[Problem]:
    weights = [step.weight for step in settings.release.steps]
    for index in range(1, len(weights)):
        if weights[index] <= weights[index - 1]:
            yield Problem(
                f"release.steps[{index}].weight",
                f"must be more than the {weights[index - 1]} of the step before, not {weights[index]}",
            )
    if weights[-1] != _EVERYTHING:
        yield Problem("release.steps", f"the last step must have weight {_EVERYTHING}, not {weights[-1]}")


def _a_release_fits_into_its_history(settings: EnvironmentSettings) -> Iterator[Problem]:
    """Step Functions ends an execution with too many events, in the middle of whatever it does."""
    longest = settings.longest_release
    if longest.events > MOST_EVENTS:
        parts = {
            "release.rollback_window_seconds": longest.window_seconds,
            "gates.wait_minutes, before and after an approval": longest.gates_seconds,
            "database.snapshot_timeout_seconds": longest.snapshot_seconds,
            "release.prepare_timeout_seconds": longest.prepare_seconds,
            "infrastructure.timeout_minutes, twice": longest.builds_seconds,
            "migrations.timeout_minutes, twice": longest.migrations_seconds,
            "release.steps with judge.longest_extension_seconds each": sum(longest.bakes_seconds),
            "release.longest_pause_seconds": longest.pause_seconds,
        }
        longer = ", ".join(f"{name} ({seconds} s)" for name, seconds in parts.items() if seconds)
        yield Problem(
            "release",
            f"may take {longest.seconds} s, which is {longest.events} events of Step Functions, and {MOST_EVENTS} are"
            f" allowed: shorten one of {longer}",
        )


def _arns_are_of_this_environment(settings: EnvironmentSettings) -> Iterator[Problem]:
    """Refuse resources of another account or Region: functions have no rights there, so they were copied by mistake."""
    here = (settings.partition, settings.region, settings.account)
    for field, arn in [*_traffic_arns(settings), *_target_group_arns(settings), *_secret_arns(settings)]:
        _, partition, _, region, account, _ = arn.split(":", 5)
        if (partition, region, account) != here:
            yield Problem(field, f"is in {partition} {region} {account}, but this environment in {' '.join(here)}")
    for color in COLORS:
        account = settings.colors.of(color).instance_role_arn.split(":")[4]
        if account != settings.account:
            yield Problem(
                f"colors.{color}.instance_role_arn",
                f"is a role of account {account}, but this environment is in {settings.account}",
            )
    for field, arn in [*_arns_of_infrastructure(settings), *_arn_of_migrations(settings)]:
        _, partition, _, region, account, _ = arn.split(":", 5)
        if (partition, region, account) != here:
            yield Problem(field, f"is in {partition} {region} {account}, but this environment in {' '.join(here)}")
    for index, role in enumerate(settings.restore.export_readers if settings.restore else ()):
        account = role.split(":")[4]
        if account != settings.account:
            yield Problem(
                f"restore.export_readers[{index}]",
                f"is a role of account {account}, but this environment is in {settings.account}: name one of its own",
            )
    if settings.restore and settings.account in settings.restore.snapshot_accounts:
        index = settings.restore.snapshot_accounts.index(settings.account)
        yield Problem(
            f"restore.snapshot_accounts[{index}]",
            "is this environment's own account, whose snapshots nobody has to share: name those of backups, or none",
        )


def _approvals_are_of_something(settings: EnvironmentSettings) -> Iterator[Problem]:
    """Refuse approvers of nothing, and those of another account, who would need rights there, too."""
    if settings.approval is None:
        return
    if settings.restore is None and not settings.approval.releases:
        yield Problem(
            "approval",
            "goes with [restore], whose restores are approved: add that table, or set releases = true, or remove this",
        )
    for index, approver in enumerate(settings.approval.approver_arns):
        account = approver.split(":")[4]
        if account != settings.account:
            yield Problem(
                f"approval.approver_arns[{index}]",
                f"is of account {account}, but this environment is in {settings.account}: name a role there",
            )
        if approver in settings.approval.approver_arns[:index]:
            yield Problem(f"approval.approver_arns[{index}]", f"{approver!r} is named twice: remove one")


def _parameters_are_apart(settings: EnvironmentSettings) -> Iterator[Problem]:
    if settings.parameters.target_group == settings.parameters.previous_target_group:
        yield Problem("parameters.previous_target_group", "must be another parameter than target_group")


def _functions_can_be_told_all_checks(settings: EnvironmentSettings) -> Iterator[Problem]:
    most_bytes = 3000  # as for routes
    size = len(json.dumps(settings.checks.model_dump(exclude_defaults=True), separators=(",", ":")))
    if size > most_bytes:
        yield Problem("checks", f"take {size} bytes, more than the {most_bytes} that a function can be told")


def _checks_end_in_time(settings: EnvironmentSettings) -> Iterator[Problem]:
    """Refuse checks that together could outlast their function: then none of them would be reported."""
    most_seconds = 45
    together = sum(check.maximum_seconds for _, check in _all_checks(settings))
    if together > most_seconds:
        yield Problem(
            "checks", f"may take {together:g} s together, and {most_seconds} s are allowed: lower maximum_seconds"
        )


def _every_check_is_one_request(settings: EnvironmentSettings) -> Iterator[Problem]:
    for field, check in _all_checks(settings):
        bodies = [name for name in ("body", "body_secret_arn", "file") if getattr(check, name) is not None]
        if len(bodies) > 1:
            yield Problem(f"{field}.{bodies[1]}", f"give only one of {' and '.join(bodies)}")
        if bodies and check.method in {"GET", "HEAD"}:
            yield Problem(f"{field}.method", f'is {check.method}, which carries no {bodies[0]}: write "POST"')
        if check.form and check.file is None:
            yield Problem(f"{field}.form", "goes with a file: add file, or send the form as body")
        if (check.metric is None) != (check.at_most is None):
            yield Problem(f"{field}.metric", "goes with at_most: give both or neither")
        if check.token_secret_arn and "authorization" in map(str.lower, check.headers):
            yield Problem(f"{field}.headers", "has an Authorization, and token_secret_arn gives another: keep one")
        if check.file and "content-type" in map(str.lower, check.headers):
            yield Problem(f"{field}.headers", "has a Content-Type, and a form with a file has its own: remove it")


def _every_check_has_its_name(settings: EnvironmentSettings) -> Iterator[Problem]:
    for kind in ("health", "smoke"):
        names = [check.name for check in getattr(settings.checks, kind)]
        for index, name in enumerate(names):
            if name in names[:index]:
                yield Problem(f"checks.{kind}[{index}].name", f"{name!r} is used by another check too: rename one")


def _probed_checks_exist(settings: EnvironmentSettings) -> Iterator[Problem]:
    names = [check.name for check in settings.checks.smoke]
    for index, name in enumerate(settings.checks.probe or ()):
        if name not in names:
            yield Problem(f"checks.probe[{index}]", f"{name!r} is no smoke check; there are {', '.join(names)}")


def _checks_ask_allowed_hosts(settings: EnvironmentSettings) -> Iterator[Problem]:
    urls = [("checks.live_url", settings.checks.live_url), ("checks.test_url", settings.checks.test_url)]
    urls += [(f"checks.health[{n}].url", check.url) for n, check in enumerate(settings.checks.health)]
    for field, url in urls:
        host = urlsplit(url).hostname
        if host not in settings.checks.allowed_hosts:
            yield Problem(field, f"is on {host!r}, which is not in checks.allowed_hosts: add it there")
    if settings.checks.live_url == settings.checks.test_url:
        yield Problem("checks.test_url", "must be another URL than live_url: that of the test listener")


def _patterns_name_the_version(settings: EnvironmentSettings) -> Iterator[Problem]:
    """Refuse a pattern that would blame a version for the errors of another."""
    longest = 1024  # of a filter pattern, as CloudWatch Logs takes it
    for name in ("request_pattern", "error_pattern", "slow_pattern"):
        pattern: str | None = getattr(settings.logs, name)
        if pattern is None:
            continue
        if "{version}" not in pattern:
            yield Problem(f"logs.{name}", "must contain {version}, where the version's commit goes")
        if len(pattern.replace("{version}", "0" * 40)) > longest:
            yield Problem(f"logs.{name}", f"must have at most {longest} characters, with a whole commit as its version")


def _critical_is_worse_than_warning(settings: EnvironmentSettings) -> Iterator[Problem]:
    for name in type(settings.alarms).model_fields:
        thresholds = getattr(settings.alarms, name)
        if isinstance(thresholds, Thresholds) and thresholds.critical <= thresholds.warning:
            yield Problem(
                f"alarms.{name}.critical",
                f"must be more than the warning's {thresholds.warning:g}, not {thresholds.critical:g}",
            )


def _one_alarm_can_sum_up_all(settings: EnvironmentSettings) -> Iterator[Problem]:
    """
    Refuse more critical alarms than a composite alarm can have children, or than its rule can name.

    `cdk/alarms.py` makes six for a route, at most one for its load balancer, one for a check, and a dozen others.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html
    """
    most_alarms, most_characters = 100, 10240
    longest_balancer = 32
    of_a_route, others = 6, 12
    around_a_name = len(f'ALARM("{settings.prefix}-rolls-back-database-connections-green") OR ')
    probed = settings.checks.probed
    alarms = (of_a_route + 1) * len(settings.routes) + len(probed) + others
    characters = (
        alarms * around_a_name
        + sum(of_a_route * len(route.name) + longest_balancer for route in settings.routes)
        + sum(len(check.name) for check in probed)
    )
    if alarms > most_alarms or characters > most_characters:
        yield Problem(
            "checks.probe",
            f"and routes make {alarms} critical alarms, whose names fill {characters} characters; one that sums them up"
            f" can have {most_alarms} with {most_characters}: probe fewer checks, or give them shorter names",
        )


def _the_judge_has_evidence(settings: EnvironmentSettings) -> Iterator[Problem]:
    source, metrics = settings.judge.source, settings.judge.metrics
    if (source == "application") != (metrics is not None):
        yield Problem("judge.metrics", 'goes with source = "application": give both or neither')
    if source == "logs" and settings.logs.slow_pattern is None:
        yield Problem("logs.slow_pattern", 'is missing: with judge.source = "logs", slow requests are found by it')


def _all_checks(settings: EnvironmentSettings) -> Iterator[tuple[str, HealthCheck | SmokeCheck]]:
    for index, health in enumerate(settings.checks.health):
        yield f"checks.health[{index}]", health
    for index, smoke in enumerate(settings.checks.smoke):
        yield f"checks.smoke[{index}]", smoke


def _secret_arns(settings: EnvironmentSettings) -> Iterator[tuple[str, str]]:
    yield "database.secret_arn", settings.database.secret_arn
    if settings.restore:
        yield "restore.application_secret_arn", settings.restore.application_secret_arn
        yield "restore.administrator_secret_arn", settings.restore.administrator_secret_arn
    if settings.cache.secret_arn:
        yield "cache.secret_arn", settings.cache.secret_arn
    if settings.github:
        yield "github.token_secret_arn", settings.github.token_secret_arn
    for field, check in _all_checks(settings):
        for name in ("body_secret_arn", "token_secret_arn"):
            if arn := getattr(check, name):
                yield f"{field}.{name}", arn


def _a_freeze_spares_tests(settings: EnvironmentSettings) -> Iterator[Problem]:
    """Refuse tests that come through a listener of users: a restore asks them while it answers all users itself."""
    if settings.restore is None:
        return
    live = {_listener_of(route.listener_arn or route.rule_arn or "") for route in settings.routes}
    for index, route in enumerate(settings.routes):
        for field in ("test_listener_arn", "test_rule_arn"):
            if (arn := getattr(route, field)) and _listener_of(arn) in live:
                yield Problem(
                    f"routes[{index}].{field}",
                    "is on a listener of users, all of whose requests a restore of the database answers itself before"
                    " it asks through the test listener: give tests a listener of their own",
                )


def _listener_of(arn: str) -> str:
    """Return the listener of a rule, whose ARN has one part more; a listener is its own."""
    if ":listener-rule/" not in arn:
        return arn
    return arn.replace(":listener-rule/", ":listener/").rpartition("/")[0]


def _a_restore_is_complete(settings: EnvironmentSettings) -> Iterator[Problem]:
    """Refuse checks that check nothing, and more than the functions can be told."""
    restore = settings.restore
    if restore is None:
        return
    if restore.application_secret_arn == restore.administrator_secret_arn:
        yield Problem("restore.administrator_secret_arn", "must be another secret than that of the application")
    names = [table.name for table in restore.tables]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield Problem(f"restore.tables[{index}].name", f"{name!r} is named twice: remove one")
    for index, query in enumerate(restore.check_queries):
        if (query.expected is None) == (query.at_least is None):
            found = "neither" if query.expected is None else "both"
            yield Problem(f"restore.check_queries[{index}]", f"give exactly one of expected and at_least, not {found}")
    for index, group in enumerate(restore.worker_groups):
        if group in {color.auto_scaling_group for color in settings.colors.both}:
            yield Problem(
                f"restore.worker_groups[{index}]", f"{group!r} is a color's group, which is restarted anyway: remove it"
            )
    most_bytes = 3000  # as for routes
    size = len(json.dumps(restore.model_dump(), separators=(",", ":")))
    if size > most_bytes:
        yield Problem(
            "restore", f"takes {size} bytes, more than the {most_bytes} that a function can be told: name fewer queries"
        )


def _arn_of_migrations(settings: EnvironmentSettings) -> Iterator[tuple[str, str]]:
    if settings.migrations and settings.migrations.function_arn:
        yield "migrations.function_arn", settings.migrations.function_arn


def _arns_of_infrastructure(settings: EnvironmentSettings) -> Iterator[tuple[str, str]]:
    """A connection is not among them: CodeBuild can use one of another Region."""
    if settings.infrastructure and settings.infrastructure.state_key_arn:
        yield "infrastructure.state_key_arn", settings.infrastructure.state_key_arn


def _a_plan_is_told_whole(settings: EnvironmentSettings) -> Iterator[Problem]:
    """Refuse more addresses than the functions can be told."""
    most_bytes = 1500  # of Lambda's quota for all environment variables of a function, which is 4 KB
    infrastructure = settings.infrastructure
    if infrastructure is None:
        return
    size = len(json.dumps([*infrastructure.may_destroy, *infrastructure.rollback_targets]))
    if size > most_bytes:
        yield Problem(
            "infrastructure.may_destroy",
            f"and rollback_targets take {size} bytes, more than the {most_bytes} that a function can be told: name"
            f" modules instead of what is in them",
        )


def _migrations_have_one_hook(settings: EnvironmentSettings) -> Iterator[Problem]:
    most_minutes = 14  # a function waits for a function, and itself may take 15
    hook = settings.migrations
    if hook is None:
        return
    if (hook.function_arn is None) == (hook.project is None):
        found = "neither" if hook.project is None else "both"
        yield Problem("migrations.function_arn", f"give exactly one of function_arn and project, not {found}")
    if hook.function_arn and hook.timeout_minutes > most_minutes:
        yield Problem(
            "migrations.timeout_minutes",
            f"must be at most {most_minutes} for a function, not {hook.timeout_minutes}: what takes longer is for a"
            f" project of CodeBuild",
        )


def _file_names(settings: EnvironmentSettings) -> Iterator[tuple[str, str]]:
    yield "database.ca_file", settings.database.ca_file
    for field, check in _all_checks(settings):
        if check.file is not None:
            yield f"{field}.file", check.file


def _traffic_arns(settings: EnvironmentSettings) -> Iterator[tuple[str, str]]:
    for index, route in enumerate(settings.routes):
        for field in ("listener_arn", "rule_arn", "test_listener_arn", "test_rule_arn"):
            if arn := getattr(route, field):
                yield f"routes[{index}].{field}", arn


def _target_group_arns(settings: EnvironmentSettings) -> Iterator[tuple[str, str]]:
    for index, route in enumerate(settings.routes):
        for color in COLORS:
            yield f"routes[{index}].{color}", getattr(route, color)


_RULES: tuple[Callable[[EnvironmentSettings], Iterator[Problem]], ...] = (
    _names_are_short_enough,
    _functions_can_be_told_all_routes,
    _functions_can_be_told_all_checks,
    _every_route_is_complete,
    _every_route_is_its_own,
    _colors_are_apart,
    _steps_reach_everybody,
    _a_release_fits_into_its_history,
    _every_check_is_one_request,
    _every_check_has_its_name,
    _probed_checks_exist,
    _checks_ask_allowed_hosts,
    _checks_end_in_time,
    _patterns_name_the_version,
    _critical_is_worse_than_warning,
    _one_alarm_can_sum_up_all,
    _the_judge_has_evidence,
    _arns_are_of_this_environment,
    _parameters_are_apart,
    _a_restore_is_complete,
    _migrations_have_one_hook,
    _approvals_are_of_something,
    _a_freeze_spares_tests,
    _a_plan_is_told_whole,
    pushes_fit_together,
    gates_can_be_looked_at,
)
