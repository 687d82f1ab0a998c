"""What stands before any setting: the CDK's resources, and what the account lets Lambda do."""

from collections.abc import Iterator

from cdk.functions import FUNCTIONS
from cdk.ingress import MOST_AT_ONCE, RECEIVE
from cdk.setting_types import Place
from cdk.settings import EnvironmentSettings
from install.account import Account, NotThere
from install.bootstrap import NEEDED_VERSION, PARAMETER, bootstrap_command, bootstrap_version
from install.findings import Finding, attempt, missing, ok, wrong

UNRESERVED_FLOOR = 100
"""AWS keeps so much for functions without a reservation:
https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html"""


def check_foundations(settings: Place, account: Account) -> Iterator[Finding]:
    """Look at the CDK's bootstrap stack and at Lambda's concurrency."""
    yield from attempt("region", _bootstrap(settings, account), otherwise="bootstrap the Region")
    yield from check_concurrency(settings, account)


def check_concurrency(settings: Place, account: Account) -> Iterator[Finding]:
    """Look whether the functions of the way back, or the one that anybody can call, can have their own concurrency."""
    yield from attempt("account", _concurrency(settings, account), otherwise="ask AWS about Lambda in this Region")


def _bootstrap(settings: Place, account: Account) -> Iterator[Finding]:
    command = f"once, with administrator's rights: {bootstrap_command(settings)}"
    try:
        version = bootstrap_version(account)
    except NotThere:
        yield missing("region", f"is not bootstrapped for the CDK (no SSM parameter {PARAMETER})", command)
        return
    if version < NEEDED_VERSION:
        yield wrong("region", f"is bootstrapped in version {version}, and {NEEDED_VERSION} is needed", command)
    else:
        yield ok("region", f"is bootstrapped for the CDK, version {version}")


def _concurrency(settings: Place, account: Account) -> Iterator[Finding]:
    limits = account.read("lambda", "get_account_settings")["AccountLimit"]
    wanted = _wanted(settings)
    lacking = sum(wanted.values()) - sum(_reserved(settings, account, name) for name in wanted)
    left = limits["UnreservedConcurrentExecutions"] - lacking
    said = (
        f"may run {limits['ConcurrentExecutions']} Lambda functions at once, of which "
        f"{limits['UnreservedConcurrentExecutions']} are not reserved; Runback reserves {lacking} more"
    )
    if left < UNRESERVED_FLOOR:
        yield wrong(
            "account",
            f"{said}, and AWS insists that {UNRESERVED_FLOOR} are left",
            'ask AWS (Service Quotas, Lambda, "Concurrent executions") for more, such as 1000, before you deploy',
        )
    else:
        yield ok("account", said)


def _wanted(settings: Place) -> dict[str, int]:
    """Return how many executions a stack of ours reserves, by function."""
    if not isinstance(settings, EnvironmentSettings):
        return {RECEIVE: MOST_AT_ONCE}
    specs = (spec for spec in FUNCTIONS if spec.is_part_of(settings))
    return {spec.name: spec.reserved_concurrency for spec in specs if spec.reserved_concurrency}


def _reserved(settings: Place, account: Account, name: str) -> int:
    try:
        answer = account.read("lambda", "get_function_concurrency", FunctionName=f"{settings.prefix}-{name}")
    except NotThere:
        return 0
    return int(answer.get("ReservedConcurrentExecutions", 0))
