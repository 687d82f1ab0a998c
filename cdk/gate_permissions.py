"""What the functions may read that look at the gates of a release. None of them may change anything of it."""

from collections.abc import Callable

from cdk.gate_settings import (
    Gates,
    artifact_bucket,
    artifact_key,
    artifact_repository,
    asked_distributions,
    validated_in,
)
from cdk.permissions import Permission
from cdk.settings import EnvironmentSettings
from lambdas.gates.gate_rules import Gate

Resources = Callable[[EnvironmentSettings], list[str]]

_NO_RESOURCE = "AWS knows no resource for this action, as the Service Authorization Reference lists it."
_ANY_VERSION = "The star is the version, which nobody knows before it is asked for."


def _where(looks: Callable[[Gates], bool], resources: Resources) -> Resources:
    """Grant nothing for a gate at which nobody looks."""
    return lambda settings: resources(settings) if settings.gates and looks(settings.gates) else []


def _at(gate: Gate, resources: Resources) -> Resources:
    return _where(lambda gates: gates.looks_at(gate), resources)


def _objects(settings: EnvironmentSettings) -> list[str]:
    bucket = artifact_bucket(settings)
    return [f"arn:{settings.partition}:s3:::{bucket}/{artifact_key(settings)}"] if bucket else []


def _bucket(settings: EnvironmentSettings) -> list[str]:
    bucket = artifact_bucket(settings)
    return [f"arn:{settings.partition}:s3:::{bucket}"] if bucket else []


def _images(settings: EnvironmentSettings) -> list[str]:
    repository = artifact_repository(settings)
    return [settings.arn("ecr", f"repository/{repository}")] if repository else []


def _other_record(settings: EnvironmentSettings) -> list[str]:
    where = validated_in(settings)
    return [settings.arn("dynamodb", f"table/{settings.service}-{where}-record")] if where else []


def _zones(settings: EnvironmentSettings) -> list[str]:
    records = settings.gates.dns_records if settings.gates else ()
    return [f"arn:{settings.partition}:route53:::hostedzone/{zone}" for zone in sorted({e.zone_id for e in records})]


def _distributions(settings: EnvironmentSettings) -> list[str]:
    return [
        f"arn:{settings.partition}:cloudfront::{settings.account}:distribution/{each}"
        for each in asked_distributions(settings)
    ]


READ_GATED_COMMITS = (
    Permission(
        ("secretsmanager:GetSecretValue",),
        _where(
            lambda gates: gates.asks_github,
            lambda settings: [settings.github.token_secret_arn] if settings.github else [],
        ),
    ),
    Permission(("s3:GetObject",), _objects, why_star=_ANY_VERSION),
    # Without it S3 answers 403 for what is not there, as for what is not to be seen.
    Permission(("s3:ListBucket",), _bucket),
    Permission(("ecr:DescribeImages",), _images),
    Permission(("dynamodb:Query",), _other_record),
)
READ_FOUNDATIONS = (
    Permission(
        ("rds:DescribeDBInstances",),
        _at(
            Gate.BACKUP,
            lambda settings: [
                settings.arn("rds", f"db:{settings.database.instance}"),
                *([settings.arn("rds", f"db:runback-{settings.prefix}-*")] if settings.restore else []),
            ],
        ),
        why_star="The star is an instance that a restore has made, below a name that is this environment's alone.",
    ),
    Permission(
        ("rds:DescribeDBSnapshots",),
        _at(
            Gate.BACKUP,
            lambda settings: [
                settings.arn("rds", f"db:{settings.database.instance}"),
                *([settings.arn("rds", f"db:runback-{settings.prefix}-*")] if settings.restore else []),
                settings.arn("rds", "snapshot:*"),
            ],
        ),
        why_star="Any snapshot of the database is a backup, also one that others have taken under a name of theirs.",
    ),
    Permission(
        ("elasticloadbalancing:DescribeListeners", "elasticloadbalancing:DescribeListenerCertificates"),
        _at(Gate.CERTIFICATE, lambda _: ["*"]),
        why_star=_NO_RESOURCE,
    ),
    Permission(
        ("acm:DescribeCertificate",),
        _at(Gate.CERTIFICATE, lambda settings: [settings.arn("acm", "certificate/*")]),
        why_star="Which certificates a listener has is the listener's to say, and they change when they are renewed.",
    ),
    Permission(("elasticloadbalancing:DescribeLoadBalancers",), _at(Gate.DNS, lambda _: ["*"]), why_star=_NO_RESOURCE),
    Permission(("route53:ListResourceRecordSets",), _at(Gate.DNS, _zones)),
    Permission(("cloudfront:GetDistribution",), _distributions),
)
READ_CALENDARS = Permission(
    ("ssm:GetCalendarState",),
    _at(Gate.CHANGE_WINDOW, lambda settings: list(settings.gates.calendars) if settings.gates else []),
)
