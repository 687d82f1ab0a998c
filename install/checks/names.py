"""What settings know by name alone: the log, secrets, parameters."""

from collections.abc import Iterator

from cdk.settings import EnvironmentSettings
from install.account import Account
from install.findings import Finding, attempt, missing, note, ok, wrong


def check_logs(settings: EnvironmentSettings, account: Account) -> Iterator[Finding]:
    """Look for the application's log group."""
    yield from attempt("logs.group", _log_group(settings.logs.group, account), otherwise="make it")


def check_secrets(settings: EnvironmentSettings, account: Account) -> Iterator[Finding]:
    """Look at every secret, and never at what is in it."""
    for arn, fields in _secrets(settings).items():
        yield from check_secret(", ".join(fields), arn, account)


def check_secret(where: str, arn: str, account: Account) -> Iterator[Finding]:
    """Look at one secret, and never at what is in it."""
    yield from attempt(where, _secret(where, arn, account), otherwise="make it, and write its whole ARN here")


def check_parameters(settings: EnvironmentSettings, account: Account) -> Iterator[Finding]:
    """Look whether Runback can write the parameters that tell others what is live."""
    for field in ("target_group", "previous_target_group"):
        name = getattr(settings.parameters, field)
        where = f"parameters.{field}"
        yield from attempt(where, _parameter(where, name, account), otherwise="let the first release make it")


def _log_group(name: str, account: Account) -> Iterator[Finding]:
    found = account.read("logs", "describe_log_groups", logGroupNamePrefix=name)["logGroups"]
    if name in {group["logGroupName"] for group in found}:
        yield ok("logs.group", "exists")
    else:
        yield missing(
            "logs.group",
            f"there is no log group {name} in this account and Region",
            "make it, and let the application write one JSON object per request into it",
        )


def _secrets(settings: EnvironmentSettings) -> dict[str, list[str]]:
    """Return ARN → the fields that name it: one secret may serve several checks."""
    named = [("database.secret_arn", settings.database.secret_arn), ("cache.secret_arn", settings.cache.secret_arn)]
    named.append(("github.token_secret_arn", settings.github.token_secret_arn if settings.github else None))
    for kind, checks in (("health", settings.checks.health), ("smoke", settings.checks.smoke)):
        for index, check in enumerate(checks):
            named.append((f"checks.{kind}[{index}].body_secret_arn", check.body_secret_arn))
            named.append((f"checks.{kind}[{index}].token_secret_arn", check.token_secret_arn))
    fields: dict[str, list[str]] = {}
    for field, arn in named:
        if arn is not None:
            fields.setdefault(arn, []).append(field)
    return fields


def _secret(field: str, arn: str, account: Account) -> Iterator[Finding]:
    secret = account.read("secretsmanager", "describe_secret", SecretId=arn)
    stages = {stage for stages in secret.get("VersionIdsToStages", {}).values() for stage in stages}
    if "DeletedDate" in secret:
        yield wrong(field, "is scheduled for deletion", f"aws secretsmanager restore-secret --secret-id {arn}")
    elif "AWSCURRENT" not in stages:
        yield wrong(field, "exists, but has no value", f"aws secretsmanager put-secret-value --secret-id {arn} …")
    else:
        yield ok(field, "exists and has a value, which was not read")
    if secret.get("KmsKeyId"):
        yield note(
            field,
            f"is encrypted with {secret['KmsKeyId']}",
            "let that key's policy allow kms:Decrypt through Secrets Manager to this account's roles",
        )


def _parameter(field: str, name: str, account: Account) -> Iterator[Finding]:
    filters = [{"Key": "Name", "Option": "Equals", "Values": [name]}]
    found = account.read("ssm", "describe_parameters", ParameterFilters=filters)["Parameters"]
    if not found:
        yield note(field, "does not exist yet; the first release makes it")
    elif found[0]["Type"] != "String":
        yield wrong(
            field,
            f"is a {found[0]['Type']}, and Runback writes a String",
            "delete it, or name another parameter: AWS does not change a parameter's type",
        )
    else:
        yield ok(field, "exists")
