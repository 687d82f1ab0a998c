"""What stands before any setting: the CDK's resources, and what the account lets Lambda do."""

from collections.abc import Iterator

from cdk.functions import FUNCTIONS
from cdk.names import Names
from cdk.settings import EnvironmentSettings
from install.account import Account, NotThere
from install.bootstrap import NEEDED_VERSION, PARAMETER, bootstrap_command, bootstrap_version
from install.findings import Finding, attempt, missing, ok, wrong

UNRESERVED_FLOOR = 100
"""AWS keeps so much for functions without a reservation:
https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html"""


def check_foundations(settings: EnvironmentSettings, account: Account) -> Iterator[Finding]:
    """Look at the CDK's bootstrap stack and at Lambda's concurrency."""
    yield from attempt("region", _bootstrap(settings, account), otherwise="bootstrap the Region")
    yield from check_concurrency(settings, account)


def check_concurrency(settings: EnvironmentSettings, account: Account) -> Iterator[Finding]:
    """Look whether the functions of the way back can have concurrency of their own."""
    yield from attempt("account", _concurrency(settings, account), otherwise="ask AWS about Lambda in this Region")


def _bootstrap(settings: EnvironmentSettings, account: Account) -> Iterator[Finding]:
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


def _concurrency(settings: EnvironmentSettings, account: Account) -> Iterator[Finding]:
    limits = account.read("lambda", "get_account_settings")["AccountLimit"]
    wanted = {spec.name: spec.reserved_concurrency for spec in FUNCTIONS if spec.reserved_concurrency}
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


def _reserved(settings: EnvironmentSettings, account: Account, name: str) -> int:
    function = Names(settings).named(name)
    try:
        answer = account.read("lambda", "get_function_concurrency", FunctionName=function)
    except NotThere:
        return 0
    return int(answer.get("ReservedConcurrentExecutions", 0))
