"""Bring Runback into a real account: `python -m install --help`."""

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console

from cdk.assembly import SETTINGS_FOLDER
from cdk.ingress_settings import IngressSettings, load_ingress
from cdk.settings import EnvironmentSettings, SettingsError, load_settings
from cdk.settings_files import INGRESS
from install.account import Account, clients_in
from install.cdk_cli import CliMissing, run_cdk
from install.deploy import Deployment, Refused, deploy, show_difference
from install.doctor import as_json, examine, is_healthy, show, summary
from install.identity import WrongCredentials, require_account

Settings = EnvironmentSettings | IngressSettings

DONE, NOT_READY, USAGE, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Return 0 when all is well or done, 1 when something is missing or was refused, 2 when nothing could be asked.

    2 is for settings that cannot be used and for credentials that are none or of another account.
    """
    options = _parser().parse_args(arguments)
    try:
        settings = _settings(options.environment)
        return _commanded(options, settings, Account(clients_in(settings.region)))
    except (SettingsError, WrongCredentials) as error:
        return _failed(error, USAGE)
    except (CliMissing, Refused) as error:
        return _failed(error, NOT_READY)
    except KeyboardInterrupt:
        return _failed("Interrupted. What CloudFormation had begun goes on: look into its console.", INTERRUPTED)


def _settings(name: str) -> Settings:
    """Read what is named on the command line: an environment, or "ingress" where there is one."""
    ingress = load_ingress(SETTINGS_FOLDER) if name == INGRESS else None
    return ingress or load_settings(SETTINGS_FOLDER, (name,))[0]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m install", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    doctor = commands.add_parser("doctor", help="compare settings with the account; nothing is changed")
    doctor.add_argument("--json", action="store_true", help="print the report for programs")
    diff = commands.add_parser("diff", help="show what a deployment would change; nothing is changed")
    deployment = commands.add_parser("deploy", help="show what would change, ask, and deploy it")
    deployment.add_argument("--yes", action="store_true", help="do not ask")
    deployment.add_argument(
        "--force-with-reason", default="", metavar="REASON", help="go on although the record cannot be read"
    )
    for command in (doctor, diff, deployment):
        command.add_argument("--environment", required=True, metavar="NAME", help="a file in environments/, or ingress")
    return parser


def _commanded(options: argparse.Namespace, settings: Settings, account: Account) -> int:
    if options.command == "doctor":
        return _doctor(settings, account, for_programs=options.json)
    deployment = Deployment(settings, account, run_cdk, _say, _ask)
    if options.command == "diff":
        show_difference(deployment)
    else:
        deploy(deployment, may_ask=sys.stdin.isatty(), yes=options.yes, reason=options.force_with_reason)
    return DONE


def _doctor(settings: Settings, account: Account, *, for_programs: bool) -> int:
    caller = require_account(settings, account)
    if for_programs:
        sections = list(examine(settings, account))
        _say(as_json(sections))
    else:
        _say(f"{settings.prefix} in {settings.account}/{settings.region}, as {caller} sees it; nothing is changed.")
        sections = show(examine(settings, account), Console())
        _say(f"\n{summary(sections)}")
    return DONE if is_healthy(sections) else NOT_READY


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _ask(question: str) -> str:
    try:
        return input(question)
    except EOFError:
        return ""


def _failed(reason: object, code: int) -> int:
    sys.stderr.write(f"{reason}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
