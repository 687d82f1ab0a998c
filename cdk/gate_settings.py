"""What settings say of the gates that a release passes before it begins."""

import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol
from zoneinfo import TZPATH, ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, Field

from cdk.push_settings import Pushes
from cdk.setting_types import ARN, PLACE, HostName, Problem, Service, Table, text
from lambdas.gates.gate_rules import APPROVAL, Gate, GateSettings, commit_check, skippable
from lambdas.gates.window_rules import DAYS, zone_of

_LONGEST_WAIT_MINUTES = 360
"""Looking every minute, a release that waits longer at its gates might need more events than it may have."""
_MOST_CHECKS = 20
_MOST_BYTES = 3000
"""Of Lambda's quota for all environment variables of a function, which is 4 KB."""

Level = Literal["required", "warn", "off"]


def _finds_one_number(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"must be a regular expression, but {pattern!r} is none: {error}") from None
    if groups != 1:
        raise ValueError(f"must have one group, in parentheses, that finds the percentage; {pattern!r} has {groups}")
    return pattern


def _is_a_rule(name: str) -> str:
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f'must be a time zone, such as "Europe/Zurich", not {name!r}') from None
    ours = zone_of(name, zone_rule(name))
    days = (datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(days=ahead) for ahead in range(3650))
    if any(day.astimezone(ours).utcoffset() != day.astimezone(zone).utcoffset() for day in days):
        raise ValueError(f"must be a time zone that changes its clock by one rule, which {name!r} does not")
    return name


def zone_rule(name: str) -> str:
    """Return how a time zone changes its clock from now on, as POSIX writes it: the last line of its file."""
    for folder in TZPATH:
        if (path := Path(folder) / name).is_file():
            return _last_line(path.read_bytes())
    folder, _, file = name.rpartition("/")
    package = ".".join(["tzdata", "zoneinfo", *filter(None, folder.split("/"))])
    return _last_line(resources.files(package).joinpath(file).read_bytes())


def _last_line(content: bytes) -> str:
    return content.rstrip(b"\n").rpartition(b"\n")[2].decode("ascii")


_Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_Clock = Annotated[str, text(r"([01]\d|2[0-3]):[0-5]\d|24:00", 'a time of day, such as "09:00", or "24:00"')]


class Window(Table):
    """On which days, and between which times of the local clock, releases may begin."""

    days: Annotated[
        tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...], Field(min_length=1, strict=False)
    ]
    begins: _Clock
    ends: _Clock


class DnsRecord(Table):
    """
    A name that users ask for, in a hosted zone of Route 53.

    It has to lead to the load balancer of a route, or where `distribution` is given to that one of CloudFront.
    """

    zone_id: Annotated[str, text(r"Z[A-Z0-9]{5,31}", 'the id of a hosted zone, such as "Z0123456789ABCDEFGHIJ"')]
    name: HostName
    distribution: Annotated[str, text(r"E[A-Z0-9]{6,20}", "the id of a distribution of CloudFront")] | None = None


_Calendar = Annotated[
    str,
    text(rf"{ARN}ssm:{PLACE}:document/[\w.-]{{3,128}}", "the ARN of a change calendar (…:document/<name>)"),
]
_Artifact = Annotated[
    str,
    text(
        r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[\w!'()/.*{}-]+|ecr://[a-z0-9]([a-z0-9._/-]*[a-z0-9])?:[\w.{}-]+",
        'where a version is, such as "s3://<bucket>/releases/{version}.zip" or "ecr://<repository>:{version}"',
    ),
]
_CheckName = Annotated[str, text(r"\S(.{0,98}\S)?", "the name of a check as GitHub shows it")]


class Gates(Table):
    """
    What has to be so before a release begins; without this table nobody looks.

    Each gate is "required", "warn" or "off". A release waits `wait_minutes` at most for a required one that is pending,
    and a few minutes for one that cannot be looked at; one that fails refuses it. `commit_checks` are GitHub's checks
    and statuses of the commit by name. `coverage_pattern` is a regular expression with one group, which finds the
    percentage in what the check `coverage_check` says of its result. `plan_check` says that somebody has reviewed the
    plan of the infrastructure; left out, that is for the approval of the release. Both `windows`, in `time_zone`, and
    `calendars` have to be open for `change_window`.
    """

    wait_minutes: Annotated[int, Field(ge=1, le=_LONGEST_WAIT_MINUTES)] = 60
    commit_checks: Annotated[dict[_CheckName, Level], Field(default_factory=dict, max_length=_MOST_CHECKS)]
    coverage: Level = "off"
    coverage_check: _CheckName | None = None
    coverage_pattern: Annotated[str, AfterValidator(_finds_one_number)] = r"(\d+(?:\.\d+)?) ?%"
    coverage_percent: Annotated[float, Field(gt=0, le=100)] = 80
    artifact: Level = "off"
    artifact_location: _Artifact | None = None
    validated: Level = "off"
    validated_in: Service | None = None
    plan_reviewed: Level = "off"
    plan_check: _CheckName | None = None
    backup: Level = "off"
    backup_hours: Annotated[int, Field(ge=1, le=24 * 31)] = 26
    alarms: Level = "off"
    certificate: Level = "off"
    certificate_days: Annotated[int, Field(ge=1, le=365)] = 21
    dns: Level = "off"
    dns_records: Annotated[tuple[DnsRecord, ...], Field(strict=False)] = ()
    cdn: Level = "off"
    distributions: Annotated[
        tuple[Annotated[str, text(r"E[A-Z0-9]{6,20}", "the id of a distribution of CloudFront")], ...],
        Field(strict=False),
    ] = ()
    change_window: Level = "off"
    time_zone: Annotated[str, AfterValidator(_is_a_rule)] = "UTC"
    windows: Annotated[tuple[Window, ...], Field(strict=False)] = ()
    calendars: Annotated[tuple[_Calendar, ...], Field(max_length=10, strict=False)] = ()
    maintenance: Level = "off"
    on_call: Level = "off"
    notification_targets: Annotated[int, Field(ge=1, le=100)] = 1

    @property
    def levels(self) -> dict[str, Level]:
        """How strictly each gate is taken, by its name, in the order in which results are shown."""
        checks = {commit_check(name): level for name, level in self.commit_checks.items()}
        others = {gate.value: getattr(self, gate.value) for gate in Gate if gate is not Gate.COMMIT_CHECKS}
        return {**checks, **others}

    def looks_at(self, gate: Gate) -> bool:
        """Say whether anybody looks at a gate, or at a check of the commit."""
        if gate is Gate.COMMIT_CHECKS:
            return any(level != "off" for level in self.commit_checks.values())
        return bool(getattr(self, gate.value) != "off")

    @property
    def asks_github(self) -> bool:
        """Whether GitHub is asked about a commit."""
        plan = self.looks_at(Gate.PLAN_REVIEWED) and self.plan_check is not None
        return self.looks_at(Gate.COMMIT_CHECKS) or self.looks_at(Gate.COVERAGE) or plan


class Here(Protocol):
    """What has to be known of the settings of an environment to judge those of gates."""

    @property
    def service(self) -> str:
        """What is released."""
        ...

    @property
    def environment(self) -> str:
        """What it is about."""
        ...

    @property
    def routes(self) -> Sequence[BaseModel]:
        """What functions are told of, too."""
        ...

    @property
    def github(self) -> object | None:
        """Who is asked about a commit."""
        ...

    @property
    def pushes(self) -> Pushes | None:
        """What may name the environment that goes before."""
        ...

    @property
    def infrastructure(self) -> object | None:
        """What a plan is made of."""
        ...

    @property
    def release_approval(self) -> object | None:
        """Who sees that plan."""
        ...

    @property
    def gates(self) -> Gates | None:
        """The gates themselves."""
        ...


def validated_in(settings: Here) -> str:
    """Return the environment that has to have validated a version before, or "" where none has to."""
    gates = settings.gates
    if gates is None or not gates.looks_at(Gate.VALIDATED):
        return ""
    return gates.validated_in or (settings.pushes.after if settings.pushes else None) or ""


def artifact_bucket(settings: Here) -> str:
    """Return the bucket in which artifacts are, or "" where they are not in one."""
    location = _artifact(settings)
    return location.removeprefix("s3://").partition("/")[0] if location.startswith("s3://") else ""


def artifact_key(settings: Here) -> str:
    """Return the key of the artifact of any version in its bucket, with a star for the version."""
    return _artifact(settings).removeprefix("s3://").partition("/")[2].replace("{version}", "*")


def artifact_repository(settings: Here) -> str:
    """Return the repository of ECR in which images are, or "" where they are not in one."""
    location = _artifact(settings)
    return location.removeprefix("ecr://").rpartition(":")[0] if location.startswith("ecr://") else ""


def _artifact(settings: Here) -> str:
    gates = settings.gates
    return (gates.artifact_location or "") if gates and gates.looks_at(Gate.ARTIFACT) else ""


def asked_distributions(settings: Here) -> tuple[str, ...]:
    """Return the distributions of CloudFront about which somebody asks."""
    gates = settings.gates
    if gates is None:
        return ()
    named = gates.distributions if gates.looks_at(Gate.CDN) else ()
    led_to = [each.distribution for each in gates.dns_records if each.distribution] if gates.looks_at(Gate.DNS) else []
    return tuple(dict.fromkeys((*named, *led_to)))


def gates_variable(settings: Here) -> dict[str, Any]:
    """Return what functions are told of gates; `GateSettings.from_json` reads it."""
    gates = settings.gates
    if gates is None:
        return {}
    where = validated_in(settings)
    told: dict[str, Any] = {
        "levels": gates.levels,
        "wait_seconds": gates.wait_minutes * 60,
        "coverage_check": gates.coverage_check or "",
        "coverage_pattern": gates.coverage_pattern if gates.looks_at(Gate.COVERAGE) else "",
        "coverage_percent": gates.coverage_percent,
        "artifact": _artifact(settings),
        "validated_in": where,
        "validated_table": f"{settings.service}-{where}-record" if where else "",
        "plan_check": gates.plan_check or "",
        "approval_shows_plan": _asks_for_approval(settings),
        "backup_hours": gates.backup_hours,
        "certificate_days": gates.certificate_days,
        "dns_records": [each.model_dump(exclude_none=True) for each in gates.dns_records],
        "distributions": list(gates.distributions),
        "time_zone": gates.time_zone,
        "zone_rule": zone_rule(gates.time_zone),
        "windows": [
            {"days": [DAYS.index(day) for day in each.days], "begins": each.begins, "ends": each.ends}
            for each in gates.windows
        ],
        "calendars": list(gates.calendars),
        "notification_targets": gates.notification_targets,
    }
    usual = GateSettings(levels={}, wait_seconds=0)
    return {name: value for name, value in told.items() if value != _plain(getattr(usual, name))}


def skippable_gates(settings: Here) -> list[str]:
    """Return what an emergency may go without: the gates at which somebody looks, and the approval of a release."""
    if settings.gates is None:
        return []
    looked_at = skippable(gate for gate, level in settings.gates.levels.items() if level != "off")
    return [*looked_at, *([APPROVAL] if _asks_for_approval(settings) else [])]


def _asks_for_approval(settings: Here) -> bool:
    return settings.release_approval is not None


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def gates_can_be_looked_at(settings: Here) -> Iterator[Problem]:
    """Find gates at which somebody is to look, and settings that do not say how."""
    gates = settings.gates
    if gates is None:
        return
    if gates.asks_github and settings.github is None:
        yield Problem("gates.commit_checks", "and coverage are asked of GitHub: add the table [github], or remove them")
    needs: dict[Gate, tuple[str, object, str]] = {
        Gate.COVERAGE: ("coverage_check", gates.coverage_check, "the check of GitHub that measures coverage"),
        Gate.ARTIFACT: ("artifact_location", gates.artifact_location, "where a version is when it is built"),
        Gate.DNS: ("dns_records", gates.dns_records, "the names that users ask for"),
        Gate.CDN: ("distributions", gates.distributions, "the distributions of CloudFront"),
        Gate.CHANGE_WINDOW: ("windows", gates.windows or gates.calendars, "when releases may begin, or calendars"),
        Gate.VALIDATED: ("validated_in", validated_in(settings), "the environment that validates a version before"),
    }
    for gate, (field, value, what) in needs.items():
        if gates.looks_at(gate) and not value:
            level = getattr(gates, gate.value)
            yield Problem(f"gates.{field}", f'is missing: with {gate.value} = "{level}", give {what}')
    yield from _plans_are_reviewed(settings, gates)
    if gates.validated_in == settings.environment:
        yield Problem("gates.validated_in", "must be another environment than this one")
    if gates.artifact_location and "{version}" not in gates.artifact_location:
        yield Problem("gates.artifact_location", "must contain {version}, where the version's commit goes")
    for index, window in enumerate(gates.windows):
        if window.ends <= window.begins:
            yield Problem(
                f"gates.windows[{index}].ends",
                f'must be later than begins, "{window.begins}", not "{window.ends}": a window over midnight is two,'
                f' of which the first ends at "24:00"',
            )
        if window.begins == "24:00":
            yield Problem(f"gates.windows[{index}].begins", 'must be a time before "24:00"')
    yield from _told_whole(settings)


def _plans_are_reviewed(settings: Here, gates: Gates) -> Iterator[Problem]:
    if not gates.looks_at(Gate.PLAN_REVIEWED) or settings.infrastructure is None or gates.plan_check:
        return
    if not _asks_for_approval(settings):
        yield Problem(
            "gates.plan_check",
            "is missing: name the check of GitHub that says that a plan was reviewed, or have releases approved by a"
            " human, who sees the plan, with releases = true in [approval]",
        )


def _told_whole(settings: Here) -> Iterator[Problem]:
    """Refuse more than functions can be told: the one that asks the load balancer is told all routes, too."""
    routes = sum(len(route.model_dump_json()) for route in settings.routes)
    size = len(json.dumps(gates_variable(settings), separators=(",", ":")))
    if size + routes > _MOST_BYTES:
        yield Problem(
            "gates",
            f"and routes take {size + routes} bytes, more than the {_MOST_BYTES} that a function can be told: name"
            " fewer checks, records or windows",
        )
