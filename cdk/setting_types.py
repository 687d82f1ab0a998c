"""What the fields of settings may hold, each with what is said about one that holds something else."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


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


def _without_password(url: str) -> str:
    """Refuse what would stand in a committed file, without printing it."""
    if "@" in urlsplit(url).netloc:
        raise ValueError("must not contain a user or a password: name a secret instead")
    return url


def _with_possible_port(url: str) -> str:
    try:
        _ = urlsplit(url).port
    except ValueError:
        raise ValueError(f"must have a port of at most 65535, not {url!r}") from None
    return url


def text(pattern: str, expected: str) -> AfterValidator:
    """Accept text of this form only, and otherwise say what was expected."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"must be {expected}, not {value!r}")
        return value

    return AfterValidator(check)


ARN = r"arn:aws[a-z-]*:"
LOAD_BALANCER_ID = r"[A-Za-z0-9-]+/[0-9a-f]{16}"
PLACE = r"[a-z0-9-]+:\d{12}"

Service = Annotated[str, text(r"[a-z][a-z0-9-]*[a-z0-9]", "lower-case letters, digits and hyphens")]
Account = Annotated[str, text(r"\d{12}", 'an AWS account of twelve digits, such as "111122223333"')]
Region = Annotated[str, text(r"[a-z]{2,3}(-[a-z]+)+-\d", 'an AWS Region, such as "eu-west-1"')]
ListenerArn = Annotated[
    str,
    text(
        rf"{ARN}elasticloadbalancing:{PLACE}:listener/app/{LOAD_BALANCER_ID}/[0-9a-f]{{16}}",
        "the ARN of an Application Load Balancer's listener (…:listener/app/<name>/<id>/<id>)",
    ),
]
RuleArn = Annotated[
    str,
    text(
        rf"{ARN}elasticloadbalancing:{PLACE}:listener-rule/app/{LOAD_BALANCER_ID}/[0-9a-f]{{16}}/[0-9a-f]{{16}}",
        "the ARN of a listener's rule (…:listener-rule/app/<name>/<id>/<id>/<id>)",
    ),
]
TargetGroupArn = Annotated[
    str,
    text(
        rf"{ARN}elasticloadbalancing:{PLACE}:targetgroup/{LOAD_BALANCER_ID}",
        "the ARN of a target group (…:targetgroup/<name>/<id>)",
    ),
]
InstanceName = Annotated[
    str,
    # https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBInstance.html
    text(r"[a-z](?!.*--)[a-z0-9-]{0,61}[a-z0-9]", "the identifier of an RDS instance, in lower case"),
]
RoleArn = Annotated[str, text(rf"{ARN}iam::\d{{12}}:role/[\w+=,.@/-]+", "the ARN of an IAM role (…:role/<name>)")]
PrincipalArn = Annotated[
    str,
    text(
        rf"{ARN}iam::\d{{12}}:(role|user)/[\w+=,.@/-]+",
        "the ARN of an IAM role or user (…:role/<name>), not that of a role's session",
    ),
]
GroupName = Annotated[str, text(r"[\w+=,.@ -]{1,255}", "the name of an Auto Scaling group")]
LaunchTemplateId = Annotated[str, text(r"lt-[0-9a-f]{8,17}", 'a launch template id, such as "lt-0a20c965061f64abc"')]
ParameterName = Annotated[
    str,
    text(r"(/[A-Za-z0-9_.-]+){1,15}", 'the name of an SSM parameter, beginning with "/"'),
]
HostName = Annotated[
    str,
    text(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,}", 'a host name in lower case, such as "api.example.com"'),
]
Url = Annotated[
    str,
    AfterValidator(_without_password),
    text(
        r"https://([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,}(:\d{1,5})?(/[!-~]*)?",
        'a URL that begins with "https://" and a host name in lower case',
    ),
    AfterValidator(_with_possible_port),
]
BaseUrl = Annotated[Url, text(r"[^?#]*", 'a URL without "?" and "#": the path of a check is put behind it')]
HeaderName = Annotated[str, text(r"[A-Za-z0-9-]+", 'the name of a header, such as "Accept"')]
HeaderValue = Annotated[str, text(r"[!-~]([ -~]*[!-~])?", "printable ASCII text without spaces at its ends")]
UrlPath = Annotated[str, text(r"/[!-~]*", 'a path that begins with "/"')]
Port = Annotated[int, Field(ge=1, le=65535)]
SecretArn = Annotated[
    str,
    text(
        rf"{ARN}secretsmanager:{PLACE}:secret:[\w/+=.@-]+-[A-Za-z0-9]{{6}}",
        "the whole ARN of a secret, with the six characters at its end (…:secret:<name>-<6 characters>)",
    ),
]
FileName = Annotated[str, text(r"[A-Za-z0-9][\w.-]*", "the name of a file in environments/files/")]
SubnetId = Annotated[str, text(r"subnet-[0-9a-f]{8,17}", 'a subnet id, such as "subnet-0b6f3c1d2e4a59687"')]
SecurityGroupId = Annotated[str, text(r"sg-[0-9a-f]{8,17}", 'a security group id, such as "sg-0a1b2c3d4e5f60718"')]
EndpointId = Annotated[str, text(r"vpce-[0-9a-f]{8,17}", 'a VPC endpoint id, such as "vpce-0f1e2d3c4b5a69788"')]
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
LogGroupName = Annotated[str, text(r"[A-Za-z0-9_/.#-]{1,512}", "the name of a log group")]
MetricName = Annotated[str, text(r"[A-Za-z0-9_.-]{1,255}", "the name of a metric or of a dimension")]
Email = Annotated[str, text(r"[^@\s]+@[^@\s]+\.[^@\s]+", "an e-mail address")]


class Table(BaseModel):
    """A TOML table: nothing unknown in it, nothing converted behind the writer's back, and constant once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Notifications(Table):
    """Who hears about releases and rollbacks."""

    emails: Annotated[tuple[Email, ...], Field(min_length=1, strict=False)]


class Place(Table):
    """Where a stack goes, what it is called after, and who hears of it."""

    service: Service
    environment: Service
    account: Account
    region: Region
    notifications: Notifications

    @property
    def prefix(self) -> str:
        """What the name of everything in this environment begins with."""
        return f"{self.service}-{self.environment}"

    @property
    def partition(self) -> str:
        """The part of AWS that the Region belongs to."""
        return {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(self.region.rpartition("-")[0].rpartition("-")[0], "aws")

    def arn(self, service: str, resource: str) -> str:
        """Build the ARN of something in this environment's account and Region, known by its name alone."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"
