"""Who approves releases and restores by URL: whether they are there, and whether anybody tells who has asked for it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from cdk.settings import Approval, EnvironmentSettings
from install.account import Account
from install.findings import Finding, attempt, missing, note, ok, wrong

_WRITES = frozenset({"All", "WriteOnly"})
_OF_IDENTITY_CENTER = ":role/aws-reserved/sso.amazonaws.com/"


def check_approval(settings: EnvironmentSettings, account: Account) -> Iterator[Finding]:
    """Look at the approvers, and for a trail of CloudTrail; without these settings there is nothing to look for."""
    if settings.approval is None:
        yield note("approval", "is not in settings: what waits for approval is approved in the console alone")
        return
    yield from _approvers(settings.approval, account)
    yield from attempt("approval", _trails(settings.region, account), otherwise="make a trail")


def _approvers(approval: Approval, account: Account) -> Iterator[Finding]:
    for index, arn in enumerate(approval.approver_arns):
        field = f"approval.approver_arns[{index}]"
        yield from attempt(field, _approver(field, arn, account), otherwise="correct the ARN in settings, or make it")


def _approver(field: str, arn: str, account: Account) -> Iterator[Finding]:
    name = arn.rpartition("/")[2]
    if ":user/" in arn:
        found = account.read("iam", "get_user", UserName=name)["User"]
    else:
        found = account.read("iam", "get_role", RoleName=name)["Role"]
    if found["Arn"] != arn:
        yield wrong(field, f"is {arn}, but that of {name} is {found['Arn']}", "write that: a path is a part of an ARN")
        return
    yield ok(field, f"{name} may approve")
    if ":role/" in arn and _OF_IDENTITY_CENTER not in arn and not _fixes_session_names(found):
        yield note(
            field,
            f"whoever takes {name} may choose the name of his session, by which people are told apart",
            "let its trust policy fix sts:RoleSessionName, as docs/deploying.md shows",
        )


def _fixes_session_names(role: Mapping[str, Any]) -> bool:
    """Say whether the trust policy speaks of it at all; whether it says the right thing, its owner has to know."""
    return "sts:rolesessionname" in json.dumps(role.get("AssumeRolePolicyDocument", {})).lower()


def _trails(region: str, account: Account) -> Iterator[Finding]:
    trails = account.read("cloudtrail", "describe_trails", includeShadowTrails=True)["trailList"]
    here = [each["TrailARN"] for each in trails if each.get("IsMultiRegionTrail") or each.get("HomeRegion") == region]
    telling = [arn for arn in here if _is_logging(arn, account) and _logs_writes(arn, account)]
    if telling:
        yield ok("approval", f"CloudTrail tells who has asked for what waits: {telling[0].rpartition('/')[2]}")
    else:
        yield missing(
            "approval",
            f"no trail of CloudTrail logs the management events of {region}, so nobody will be able to approve by URL",
            "make one that logs at least those that write, or switch one on",
        )


def _is_logging(trail: str, account: Account) -> bool:
    return bool(account.read("cloudtrail", "get_trail_status", Name=trail)["IsLogging"])


def _logs_writes(trail: str, account: Account) -> bool:
    found = account.read("cloudtrail", "get_event_selectors", TrailName=trail)
    simple = [
        each.get("IncludeManagementEvents", True) and each.get("ReadWriteType", "All") in _WRITES
        for each in found.get("EventSelectors", [])
    ]
    return any([*simple, *map(_selects_writes, found.get("AdvancedEventSelectors", []))])


def _selects_writes(selector: Mapping[str, Any]) -> bool:
    fields = {each["Field"]: each for each in selector["FieldSelectors"]}
    is_management = fields.get("eventCategory", {}).get("Equals") == ["Management"]
    return is_management and fields.get("readOnly", {}).get("Equals", ["false"]) == ["false"]
