"""
What `environments/*.toml` may say, and what is wrong with one that says something else.

Every mistake is reported at once, with its file, its field and what to write there; a mistyped resource name costs
least before anything is built. Nothing here asks AWS whether a resource exists: the stack can be built offline.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

COLORS = ("blue", "green")
_EVERYTHING = 100


@dataclass(frozen=True)
class Problem:
    """One mistake: where it is, such as `routes[0].blue`, and what to do about it."""

    field: str
    fix: str


class SettingsError(Exception):
    """Settings that cannot be used; the message lists every problem by file, field and fix."""

    def __init__(self, problems: dict[Path, list[Problem]]) -> None:
        self.problems = problems
        super().__init__("\n".join(f"{path}: {each.field}: {each.fix}" for path in problems for each in problems[path]))


def _text(pattern: str, expected: str) -> AfterValidator:
    """Accept text of this form only, and otherwise say what was expected."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"must be {expected}, not {value!r}")
        return value

    return AfterValidator(check)


_ARN = r"arn:aws[a-z-]*:"
_LOAD_BALANCER_ID = r"[A-Za-z0-9-]+/[0-9a-f]{16}"
_PLACE = r"[a-z0-9-]+:\d{12}"

Service = Annotated[str, _text(r"[a-z][a-z0-9-]*[a-z0-9]", "lower-case letters, digits and hyphens")]
Account = Annotated[str, _text(r"\d{12}", 'an AWS account of twelve digits, such as "111122223333"')]
Region = Annotated[str, _text(r"[a-z]{2,3}(-[a-z]+)+-\d", 'an AWS Region, such as "eu-west-1"')]
ListenerArn = Annotated[
    str,
    _text(
        rf"{_ARN}elasticloadbalancing:{_PLACE}:listener/app/{_LOAD_BALANCER_ID}/[0-9a-f]{{16}}",
        "the ARN of an Application Load Balancer's listener (…:listener/app/<name>/<id>/<id>)",
    ),
]
RuleArn = Annotated[
    str,
    _text(
        rf"{_ARN}elasticloadbalancing:{_PLACE}:listener-rule/app/{_LOAD_BALANCER_ID}/[0-9a-f]{{16}}/[0-9a-f]{{16}}",
        "the ARN of a listener's rule (…:listener-rule/app/<name>/<id>/<id>/<id>)",
    ),
]
TargetGroupArn = Annotated[
    str,
    _text(
        rf"{_ARN}elasticloadbalancing:{_PLACE}:targetgroup/{_LOAD_BALANCER_ID}",
        "the ARN of a target group (…:targetgroup/<name>/<id>)",
    ),
]
InstanceName = Annotated[
    str,
    # https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBInstance.html
    _text(r"[a-z](?!.*--)[a-z0-9-]{0,61}[a-z0-9]", "the identifier of an RDS instance, in lower case"),
]
RoleArn = Annotated[str, _text(rf"{_ARN}iam::\d{{12}}:role/[\w+=,.@/-]+", "the ARN of an IAM role (…:role/<name>)")]
GroupName = Annotated[str, _text(r"[\w+=,.@ -]{1,255}", "the name of an Auto Scaling group")]
LaunchTemplateId = Annotated[str, _text(r"lt-[0-9a-f]{8,17}", 'a launch template id, such as "lt-0a20c965061f64abc"')]
ParameterName = Annotated[
    str,
    _text(r"(/[A-Za-z0-9_.-]+){1,15}", 'the name of an SSM parameter, beginning with "/"'),
]
Email = Annotated[str, _text(r"[^@\s]+@[^@\s]+\.[^@\s]+", "an e-mail address")]


class _Table(BaseModel):
    """A TOML table: nothing unknown in it, nothing converted behind the writer's back, and constant once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Route(_Table):
    """One place where traffic is divided: a listener's default action or one rule, and the same for tests."""

    name: Annotated[str, _text(r"[a-z][a-z0-9-]*", "lower-case letters, digits and hyphens")]
    listener_arn: ListenerArn | None = None
    rule_arn: RuleArn | None = None
    test_listener_arn: ListenerArn | None = None
    test_rule_arn: RuleArn | None = None
    blue: TargetGroupArn
    green: TargetGroupArn


class Color(_Table):
    """The instances of one color."""

    auto_scaling_group: GroupName
    launch_template_id: LaunchTemplateId
    instance_role_arn: RoleArn


class Colors(_Table):
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


class Step(_Table):
    """One shift: the share of traffic in percent, and how long it is observed."""

    weight: Annotated[int, Field(ge=1, le=_EVERYTHING)]
    bake_seconds: Annotated[int, Field(ge=0)]


class Release(_Table):
    """How carefully this environment releases, as in production unless it says otherwise."""

    steps: Annotated[tuple[Step, ...], Field(min_length=1, strict=False)]
    prepare_timeout_seconds: Annotated[int, Field(ge=60)] = 1800
    rollback_window_seconds: Annotated[int, Field(ge=0)] = 3600
    next_release_in_window: Literal["refuse", "expire"] = "refuse"


class Parameters(_Table):
    """SSM parameters in which Runback tells other tools what is live."""

    target_group: ParameterName
    previous_target_group: ParameterName


class Database(_Table):
    """The RDS instance that every release takes a snapshot of before it changes anything."""

    instance: InstanceName
    snapshot_timeout_seconds: Annotated[int, Field(ge=60)] = 3600


class Notifications(_Table):
    """Who hears about releases and rollbacks."""

    emails: Annotated[tuple[Email, ...], Field(min_length=1, strict=False)]


class EnvironmentSettings(_Table):
    """One environment of one service, and the names and ARNs that follow from it."""

    service: Service
    environment: Service
    account: Account
    region: Region
    routes: Annotated[tuple[Route, ...], Field(min_length=1, strict=False)]
    colors: Colors
    release: Release
    database: Database
    parameters: Parameters
    notifications: Notifications

    @property
    def planned_seconds(self) -> int:
        """How long a release takes that waits for snapshot and instances, and bakes, for as long as it may."""
        bakes = sum(step.bake_seconds for step in self.release.steps)
        return self.database.snapshot_timeout_seconds + self.release.prepare_timeout_seconds + bakes

    @property
    def prefix(self) -> str:
        """What the name of everything in this environment begins with."""
        return f"{self.service}-{self.environment}"

    @property
    def partition(self) -> str:
        """The part of AWS that the Region belongs to."""
        return {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(self.region.rpartition("-")[0].rpartition("-")[0], "aws")

    @property
    def way_back_parameter(self) -> str:
        """Where a human finds the commands to go back by hand when the record cannot be reached."""
        return f"/runback/{self.service}/{self.environment}/way-back"

    def arn(self, service: str, resource: str) -> str:
        """Build the ARN of something in this environment's account and Region, known by its name alone."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


def load_settings(directory: Path, names: tuple[str, ...] | None = None) -> tuple[EnvironmentSettings, ...]:
    """
    Read the named environments, or all that there are, in the order of their names.

    Raises SettingsError with the problems of all of them.
    """
    known = {path.stem: path for path in sorted(directory.glob("*.toml"))}
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
    try:
        settings = EnvironmentSettings.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except tomllib.TOMLDecodeError as error:
        return [Problem("TOML syntax", str(error))]
    except ValidationError as error:
        return [_explain(details) for details in error.errors()]
    return list(_contradictions(settings, path.stem)) or settings


def _explain(details: ErrorDetails) -> Problem:
    """Put a pydantic error into words that fit the file that it is about."""
    location = details["loc"]
    match details["type"]:
        case "missing":
            fix = "is missing: add it"
        case "extra_forbidden":
            fix = "is not a setting of Runback: remove it" + _suggestion(location)
        case "value_error":
            fix = str(details["ctx"]["error"])
        case "string_type":
            fix = f"must be text in quotes, not {details['input']!r}"
        case "too_short":
            fix = "must have at least one entry"
        case _:
            fix = f"{details['msg'].replace('Input should be', 'must be')}, not {details['input']!r}"
    return Problem(_field(location), fix)


def _field(location: tuple[int | str, ...]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(parts).removeprefix(".")


def _suggestion(location: tuple[int | str, ...]) -> str:
    close = get_close_matches(str(location[-1]), _fields_beside(location), n=1)
    return f", or did you mean {close[0]!r}?" if close else ""


def _fields_beside(location: tuple[int | str, ...]) -> list[str]:
    """Return the names that the table of a misspelt field knows."""
    table: type[BaseModel] = EnvironmentSettings
    for part in location[:-1]:
        if isinstance(part, str):
            annotation = table.model_fields[part].annotation
            table = next((each for each in (annotation, *get_args(annotation)) if _is_table(each)), table)
    return list(table.model_fields)


def _is_table(annotation: Any) -> bool:  # noqa: ANN401  an annotation can be any object
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _contradictions(settings: EnvironmentSettings, file_stem: str) -> Iterator[Problem]:
    """Find values that are well-formed one by one, and wrong together."""
    for rule in _RULES:
        yield from rule(settings)
    if settings.environment != file_stem:
        yield Problem("environment", f'must be the name of its file, "{file_stem}", not {settings.environment!r}')


def _names_are_short_enough(settings: EnvironmentSettings) -> Iterator[Problem]:
    longest = 40  # a Lambda function's name has at most 64 characters, and ours end in up to 23 more
    if len(settings.prefix) > longest:
        yield Problem(
            "service",
            f'"{settings.prefix}" has {len(settings.prefix)} characters; with the environment at most {longest}, '
            "because AWS limits the names that begin with it",
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


def _arns_are_of_this_environment(settings: EnvironmentSettings) -> Iterator[Problem]:
    """Refuse resources of another account or Region: functions have no rights there, so they were copied by mistake."""
    here = (settings.partition, settings.region, settings.account)
    for field, arn in [*_traffic_arns(settings), *_target_group_arns(settings)]:
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


def _parameters_are_apart(settings: EnvironmentSettings) -> Iterator[Problem]:
    if settings.parameters.target_group == settings.parameters.previous_target_group:
        yield Problem("parameters.previous_target_group", "must be another parameter than target_group")


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
    _every_route_is_complete,
    _every_route_is_its_own,
    _colors_are_apart,
    _steps_reach_everybody,
    _arns_are_of_this_environment,
    _parameters_are_apart,
)
