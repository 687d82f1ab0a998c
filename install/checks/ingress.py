"""Where pushes arrive: the webhook's secrets, who lets GitHub Actions in, and the bus that environments listen on."""

from collections.abc import Iterator

from cdk.ingress_settings import LISTENING, IngressSettings
from cdk.names import Names
from cdk.settings import EnvironmentSettings
from install.account import Account, NotThere, Unreadable
from install.checks.names import check_secret
from install.findings import Finding, attempt, missing, note, ok, wrong

_AUDIENCE = "sts.amazonaws.com"
_PROVIDER = "github_actions.provider_arn"


def check_webhook_secrets(settings: IngressSettings, account: Account) -> Iterator[Finding]:
    """Look at the secrets that webhooks are signed with, and never at what is in them."""
    for index, arn in enumerate(settings.webhook_secret_arns):
        yield from check_secret(f"webhook_secret_arns[{index}]", arn, account)


def check_actions(settings: IngressSettings, account: Account) -> Iterator[Finding]:
    """Look whether the account knows GitHub's identity provider; it can have one."""
    if settings.github_actions is None:
        yield note("github_actions", "is not in settings: pushes arrive by webhook alone")
        return
    owner = "" if settings.github_actions.provider_arn else settings.service
    findings = _provider(settings.provider_arn, account, owner)
    yield from attempt(_PROVIDER, findings, otherwise="make it, or remove this: then the stack makes it")


def _provider(arn: str, account: Account, owner: str) -> Iterator[Finding]:
    """Look at the provider. With an `owner` the stack makes it, and CloudFormation tags it so."""
    try:
        found = account.read("iam", "get_open_id_connect_provider", OpenIDConnectProviderArn=arn)
    except NotThere:
        if not owner:
            raise
        yield ok(_PROVIDER, "is not given, and there is none yet: the stack makes it")
        return
    if owner and {"Key": "runback:service", "Value": owner} not in found.get("Tags", []):
        yield wrong(_PROVIDER, "is not given, but the account has one, and cannot have two", f'provider_arn = "{arn}"')
    elif _AUDIENCE not in found.get("ClientIDList", []):
        fix = f"add it: aws iam add-client-id-to-open-id-connect-provider --client-id {_AUDIENCE} …"
        yield wrong(_PROVIDER, f"does not know the audience {_AUDIENCE}", fix)
    else:
        yield ok(_PROVIDER, f"knows the audience {_AUDIENCE}")


def check_bus(settings: EnvironmentSettings, account: Account) -> Iterator[Finding]:
    """Look whether the bus is there on which pushes come to an environment."""
    if settings.pushes is None:
        yield note("pushes", "is not in settings: releases begin by hand")
    elif settings.pushes.starts not in LISTENING:
        yield ok("pushes", f'starts = "{settings.pushes.starts}" needs no bus')
    else:
        yield from attempt("pushes", _bus(settings, account), otherwise="make deploy ENV=ingress")


def _bus(settings: EnvironmentSettings, account: Account) -> Iterator[Finding]:
    problem = _why_not_there(settings, account)
    if problem:
        yield missing("pushes", problem, "make deploy ENV=ingress")
    else:
        yield ok("pushes", f"come on the bus {_bus_name(settings)}")


def why_no_bus(settings: EnvironmentSettings, account: Account) -> str:
    """Say why an environment's rule on pushes could not be made; "" if it can be, or if that may not be looked at."""
    if settings.pushes is None or settings.pushes.starts not in LISTENING:
        return ""
    try:
        problem = _why_not_there(settings, account)
    except Unreadable:
        return ""
    return f"{settings.environment}: {problem}. First: make deploy ENV=ingress" if problem else ""


def _why_not_there(settings: EnvironmentSettings, account: Account) -> str:
    try:
        account.read("events", "describe_event_bus", Name=_bus_name(settings))
    except NotThere:
        return f"there is no bus {_bus_name(settings)} yet, on which pushes would come"
    return ""


def _bus_name(settings: EnvironmentSettings) -> str:
    return Names(settings).github_bus_arn.rpartition("/")[2]
