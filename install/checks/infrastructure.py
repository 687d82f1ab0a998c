"""What Terraform's builds stand on: the connection to the repository, the policies, and the bucket of the state."""

from collections.abc import Iterator

from cdk.settings import EnvironmentSettings, Infrastructure
from install.account import Account
from install.findings import Finding, attempt, note, ok, wrong


def check_infrastructure(settings: EnvironmentSettings, account: Account) -> Iterator[Finding]:
    """Look at what settings name; without the table there is nothing to look for."""
    infrastructure = settings.infrastructure
    if infrastructure is None:
        yield note("infrastructure", "is not in settings: releases leave the infrastructure alone")
        return
    yield from attempt(
        "infrastructure.connection_arn",
        _connection(infrastructure, settings.region, account),
        otherwise="make a connection to GitHub: Developer Tools, Settings, Connections",
    )
    for field in ("plan_policy_arns", "apply_policy_arns"):
        for index, arn in enumerate(getattr(infrastructure, field)):
            name = f"infrastructure.{field}[{index}]"
            yield from attempt(name, _policy(name, arn, account), otherwise="make the policy, or correct its ARN")
    yield from attempt(
        "infrastructure.state_bucket_arn", _state(infrastructure, account), otherwise="name the bucket of the state"
    )


def _connection(infrastructure: Infrastructure, region: str, account: Account) -> Iterator[Finding]:
    field, arn = "infrastructure.connection_arn", infrastructure.connection_arn
    where = arn.split(":")[3]
    if where != region:
        yield note(field, f"is in {where}, and was not looked at: CodeBuild can use it from here")
        return
    found = account.read("codeconnections", "get_connection", ConnectionArn=arn)["Connection"]
    if found["ConnectionStatus"] != "AVAILABLE":
        yield wrong(
            field,
            f"{found['ConnectionName']} is {found['ConnectionStatus']}, so no build can check a commit out",
            "finish it in the console: Developer Tools, Settings, Connections, Update pending connection",
        )
    else:
        yield ok(field, f"{found['ConnectionName']} is available")


def _policy(field: str, arn: str, account: Account) -> Iterator[Finding]:
    found = account.read("iam", "get_policy", PolicyArn=arn)["Policy"]
    yield ok(field, f"{found['PolicyName']} is there")


def _state(infrastructure: Infrastructure, account: Account) -> Iterator[Finding]:
    field, bucket = "infrastructure.state_bucket_arn", infrastructure.state_bucket_arn.rpartition(":")[2]
    found = account.read("s3", "get_bucket_versioning", Bucket=bucket)
    if found.get("Status") != "Enabled":
        yield note(
            field,
            f"{bucket} keeps no former versions, so a state that is damaged cannot be brought back",
            f"aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled",
        )
    else:
        yield ok(field, f"{bucket} keeps former versions of the state")
