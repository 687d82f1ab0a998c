"""Whether something above Runback's own roles forbids what these allow: an organization, or a permissions boundary."""

from collections.abc import Iterator, Mapping
from typing import Any

from cdk.functions import FUNCTIONS, FunctionSpec
from cdk.names import Names
from cdk.settings import EnvironmentSettings
from install.account import Account, NotThere
from install.findings import Finding, attempt, ok, wrong

_ABOVE = {
    "a policy of the organization (SCP)": ("OrganizationsDecisionDetail", "AllowedByOrganizations"),
    "a permissions boundary": ("PermissionsBoundaryDecisionDetail", "AllowedByPermissionsBoundary"),
}


def check_rights(settings: EnvironmentSettings, account: Account) -> Iterator[Finding]:
    """
    Ask AWS what each function's role may do, once it is deployed.

    Only what is forbidden from above is told: the roles themselves are tested before they ship, and what the simulator
    says of single resources, conditions and keys is not what happens:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_testing-policies.html
    """
    yield from attempt("account", _forbidden_from_above(settings, account), otherwise="deploy it")


def _forbidden_from_above(settings: EnvironmentSettings, account: Account) -> Iterator[Finding]:
    asked, found = 0, []
    for spec in FUNCTIONS:
        actions = _actions(spec, settings)
        role = _role(Names(settings).named(spec.name), account)
        if role and actions:
            asked += 1
            found += list(_of_role(spec, role, actions, account))
    if found:
        yield from found
    elif asked:
        yield ok("account", f"no organization and no boundary forbids {asked} functions what they need")


def _actions(spec: FunctionSpec, settings: EnvironmentSettings) -> list[str]:
    granted = (permission for permission in spec.permissions if permission.resources(settings))
    return sorted({action for permission in granted for action in permission.actions})


def _role(function: str, account: Account) -> str | None:
    """Return the ARN of a function's role; None where Runback is not deployed, which is said elsewhere."""
    try:
        return str(account.read("lambda", "get_function_configuration", FunctionName=function)["Role"])
    except NotThere:
        return None


def _of_role(spec: FunctionSpec, role: str, actions: list[str], account: Account) -> Iterator[Finding]:
    answer = account.read("iam", "simulate_principal_policy", PolicySourceArn=role, ActionNames=actions)
    for above, (detail, allowed) in _ABOVE.items():
        forbidden = [
            result["EvalActionName"] for result in answer["EvaluationResults"] if _is_forbidden(result, detail, allowed)
        ]
        if forbidden:
            yield wrong(
                "account",
                f"{above} forbids {', '.join(forbidden)} to {spec.name}",
                "have it allowed there; a release would end at this function",
            )


def _is_forbidden(result: Mapping[str, Any], detail: str, allowed: str) -> bool:
    return result.get(detail, {}).get(allowed) is False
