"""Compare an environment's settings with the real account, by reading alone."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.markup import escape

from cdk.ingress_settings import IngressSettings
from cdk.settings import EnvironmentSettings
from install.account import Account
from install.checks.approval import check_approval
from install.checks.colors import check_colors
from install.checks.foundations import check_foundations
from install.checks.infrastructure import check_infrastructure
from install.checks.ingress import check_actions, check_bus, check_webhook_secrets
from install.checks.names import check_logs, check_parameters, check_secrets
from install.checks.network import check_network
from install.checks.rights import check_rights
from install.checks.routes import check_routes
from install.checks.runback import check_runback, check_stack
from install.checks.stores import check_cache, check_database
from install.findings import HARMLESS, Finding, Level

Check = Callable[[EnvironmentSettings, Account], Iterator[Finding]]

CHECKS: tuple[tuple[str, Check], ...] = (
    ("account and Region", check_foundations),
    ("routes", check_routes),
    ("colors", check_colors),
    ("database", check_database),
    ("cache", check_cache),
    ("network", check_network),
    ("logs", check_logs),
    ("secrets", check_secrets),
    ("parameters", check_parameters),
    ("infrastructure", check_infrastructure),
    ("approval", check_approval),
    ("pushes", check_bus),
    ("Runback", check_runback),
    ("rights", check_rights),
)

INGRESS_CHECKS: tuple[tuple[str, Callable[[IngressSettings, Account], Iterator[Finding]]], ...] = (
    ("account and Region", check_foundations),
    ("secrets", check_webhook_secrets),
    ("GitHub Actions", check_actions),
    ("Runback", check_stack),
)

_STYLES = {
    Level.OK: "green",
    Level.NOTE: "cyan",
    Level.MISSING: "bold red",
    Level.WRONG: "bold red",
    Level.UNKNOWN: "yellow",
}


@dataclass(frozen=True)
class Section:
    """What was found in one part of the settings."""

    title: str
    findings: tuple[Finding, ...]


def examine(settings: EnvironmentSettings | IngressSettings, account: Account) -> Iterator[Section]:
    """Yield every part's findings as soon as they are known; what two checks came upon is said once."""
    if isinstance(settings, IngressSettings):
        for title, check_ingress in INGRESS_CHECKS:
            yield Section(title, tuple(dict.fromkeys(check_ingress(settings, account))))
        return
    for title, check in CHECKS:
        yield Section(title, tuple(dict.fromkeys(check(settings, account))))


def is_healthy(sections: Sequence[Section]) -> bool:
    """Say whether everything was seen, and nothing is missing or wrong."""
    return all(finding.level in HARMLESS for section in sections for finding in section.findings)


def show(sections: Iterator[Section], console: Console) -> list[Section]:
    """Print one line per finding, and below it the fix where there is one; return what was shown."""
    shown = []
    for section in sections:
        console.print(f"\n[bold]{section.title}[/bold]", highlight=False)
        for finding in section.findings:
            style, level = _STYLES[finding.level], finding.level.value
            line = f"[{style}]{level:12}[/{style}]{escape(finding.field)}: {escape(finding.says)}"
            console.print(f"  {line}", highlight=False, soft_wrap=True)
            if finding.fix:
                console.print(f"  {'':12}→ {escape(finding.fix)}", highlight=False, soft_wrap=True)
        shown.append(section)
    return shown


def summary(sections: Sequence[Section]) -> str:
    """Count what was found, worst first."""
    levels = [finding.level for section in sections for finding in section.findings]
    order = (Level.MISSING, Level.WRONG, Level.UNKNOWN, Level.NOTE, Level.OK)
    counts = ", ".join(f"{levels.count(level)} {level.value}" for level in order if level in levels)
    verdict = "Ready" if is_healthy(sections) else "Not ready"
    return f"{verdict}: {counts}."


def as_json(sections: Sequence[Section]) -> str:
    """Return the report for programs: a list of {"part", "level", "field", "says", "fix"}."""
    found = [{"part": section.title, **asdict(each)} for section in sections for each in section.findings]
    return json.dumps(found, indent=2, ensure_ascii=False)
