"""Bring Runback into an account, or up to date there: show what would change, ask, and never during a release."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cdk.ingress_settings import IngressSettings
from cdk.settings import EnvironmentSettings
from install.account import Account, NotThere, Unreadable
from install.bootstrap import NEEDED_VERSION, bootstrap_command, bootstrap_version
from install.cdk_cli import ROOT, Run
from install.checks.foundations import check_concurrency
from install.checks.ingress import why_no_bus
from install.findings import Level
from install.identity import require_account
from install.lease import RecordUnreadable, describe, read_work

ASSEMBLIES = ROOT / "build" / "deploy"


class Refused(Exception):
    """Nothing was deployed; the message says why, and what to do."""


@dataclass(frozen=True)
class Deployment:
    """
    One environment, or where pushes arrive, the account that it goes to, and how to speak with the user.

    `run` is the CDK's command line, `ask` puts a question and returns the answer, `say` prints. `assemblies` is where
    templates are put: what is shown and what is deployed are the same files, whatever is edited in between.
    """

    settings: EnvironmentSettings | IngressSettings
    account: Account
    run: Run
    say: Callable[[str], None]
    ask: Callable[[str], str]
    assemblies: Path = ASSEMBLIES

    @property
    def stack(self) -> str:
        """The name of the environment's stack."""
        return f"Runback-{self.settings.prefix}"

    @property
    def place(self) -> str:
        """Account and Region, as the CDK writes them."""
        return f"{self.settings.account}/{self.settings.region}"

    @property
    def assembly(self) -> Path:
        """Where this environment's templates are put."""
        return self.assemblies / self.settings.environment


def show_difference(deployment: Deployment) -> None:
    """
    Print what a deployment would change. Nothing in the account is changed, not even a change set is made.

    Raises WrongCredentials, and Refused when the CDK cannot tell.
    """
    require_account(deployment.settings, deployment.account)
    _synthesize(deployment)
    _diff(deployment)


def deploy(deployment: Deployment, *, may_ask: bool, yes: bool = False, reason: str = "") -> None:
    """
    Show what would change, ask, and deploy it.

    `yes` is the answer of somebody who cannot be asked. A `reason` goes on although the record cannot be read; nothing
    goes on while somebody holds the environment. Raises WrongCredentials and Refused.
    """
    if not (yes or may_ask):
        raise Refused("Nobody can be asked here. Look at `make diff` first, then say YES=1.")
    caller = require_account(deployment.settings, deployment.account)
    deployment.say(f"{deployment.stack} goes to {deployment.place}, as {caller}.")
    _require_bootstrap(deployment)
    _require_concurrency(deployment)
    _require_bus(deployment)
    _refuse_while_held(deployment, reason)
    _synthesize(deployment)
    _diff(deployment)
    if not yes and deployment.ask(f"Deploy this to {deployment.place}? [y/N] ").strip().lower() not in {"y", "yes"}:
        raise Refused("Nothing was deployed.")
    _refuse_while_held(deployment, reason)  # a release may have begun while somebody read the difference
    _deploy(deployment)
    deployment.say(_what_next(deployment.settings))


def _require_bootstrap(deployment: Deployment) -> None:
    command = bootstrap_command(deployment.settings)
    explanation = (
        "The CDK needs a bucket for code and a few roles, once per account and Region. Somebody with administrator's "
        f"rights makes them:\n  {command}\nWhat that makes is explained in docs/deploying.md."
    )
    try:
        version = bootstrap_version(deployment.account)
    except NotThere:
        raise Refused(f"{deployment.place} is not bootstrapped for the CDK. {explanation}") from None
    except Unreadable as unreadable:
        raise Refused(f"Whether {deployment.place} is bootstrapped cannot be told: {unreadable}.") from unreadable
    if version < NEEDED_VERSION:
        raise Refused(
            f"{deployment.place} is bootstrapped in version {version}, and {NEEDED_VERSION} is needed. {explanation}"
        )


def _require_concurrency(deployment: Deployment) -> None:
    """Refuse what would fail half-way, and leave a table behind that the next attempt stumbles over."""
    for finding in check_concurrency(deployment.settings, deployment.account):
        if finding.level is Level.WRONG:
            raise Refused(f"The account {finding.says}. So {finding.fix}.")


def _require_bus(deployment: Deployment) -> None:
    """Refuse before CloudFormation does, half-way: it makes no rule on a bus that is not there."""
    if isinstance(deployment.settings, EnvironmentSettings):
        problem = why_no_bus(deployment.settings, deployment.account)
        if problem:
            raise Refused(problem)


def _refuse_while_held(deployment: Deployment, reason: str) -> None:
    if isinstance(deployment.settings, IngressSettings):
        return  # nobody holds it: a push that comes meanwhile is found by the environments
    try:
        work = read_work(deployment.settings, deployment.account)
    except RecordUnreadable as unreadable:
        if not reason:
            raise Refused(
                f"Whether a release is under way cannot be told: {unreadable}.\n"
                'Repair that, or look yourself and then go on with REASON="why it is safe".'
            ) from unreadable
        deployment.say(f"The record cannot be read ({unreadable}). Going on because: {reason}")
        return
    if work is not None and work.holder:
        raise Refused(
            f"{deployment.settings.environment} is held by {describe(work)}.\n"
            "Wait for its end. If its execution has ended already, the watchdog clears it within two minutes; "
            f"otherwise start {deployment.settings.prefix}-rollback with {{}} in the Step Functions console."
        )


def _synthesize(deployment: Deployment) -> None:
    environment = deployment.settings.environment
    _run(
        deployment,
        "synth",
        "--quiet",
        *("--context", f"environment={environment}"),
        *("--output", str(deployment.assembly)),
        failure=f"The template of {environment} could not be built.",
    )


def _diff(deployment: Deployment) -> None:
    _run(
        deployment,
        "diff",
        deployment.stack,
        *("--app", str(deployment.assembly)),
        *("--method", "template"),
        failure=f"What would change in {deployment.stack} cannot be shown.",
    )


def _deploy(deployment: Deployment) -> None:
    _run(
        deployment,
        "deploy",
        deployment.stack,
        *("--app", str(deployment.assembly)),
        *("--require-approval", "never"),
        *("--progress", "events"),
        failure=f"{deployment.stack} was not deployed. CloudFormation takes back what it had begun by itself.",
    )


def _run(deployment: Deployment, *arguments: str, failure: str) -> None:
    code = deployment.run([*arguments, "--no-notices"])
    if code:
        raise Refused(f"{failure} The CDK ended with {code}; its message is above.")


def _what_next(settings: EnvironmentSettings | IngressSettings) -> str:
    if isinstance(settings, IngressSettings):
        return (
            f"\nPushes to {settings.repository} arrive in {settings.account}/{settings.region}. What is left:\n"
            f"  1. {', '.join(settings.notifications.emails)}: confirm the e-mail from AWS, or nobody hears anything.\n"
            "  2. Give GitHub the stack's output WebhookUrl, or its GitHubActionsRole to the workflow:"
            " docs/deploying.md shows both.\n"
            "  3. make deploy ENV=… for each environment with [pushes]: they listen on the bus that is there now."
        )
    return (
        f"\nRunback is in {settings.account}/{settings.region}. What is left:\n"
        f"  1. {', '.join(settings.notifications.emails)}: confirm the e-mail from AWS, or nobody hears anything.\n"
        f"  2. make doctor ENV={settings.environment}: is everything there that it works on?\n"
        f"  3. make rehearse ENV={settings.environment}: what a release will do, on a pretend account.\n"
        f'  4. Release: start {settings.prefix}-deploy in the Step Functions console with {{"version": "<commit>"}}.'
    )
