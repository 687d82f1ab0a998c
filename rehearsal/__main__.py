"""Rehearse Runback's shipped stacks on a pretend AWS account: `python -m rehearsal --help`."""

import argparse
import sys
import webbrowser
from pathlib import Path

from rich.console import Console

from rehearsal.assembly import NotBuilt, assembly_of
from rehearsal.modelled import InVirtualTime
from rehearsal.packaged import Packaged
from rehearsal.play import Conclude, beside, play
from rehearsal.plot import plot
from rehearsal.report import PAGE, Report
from rehearsal.scenarios import SCENARIOS, Scenario
from rehearsal.screen import Screen
from rehearsal.settings import Settings, UnknownEnvironment
from rehearsal.stage import Stage, Stuck
from rehearsal.story import tell_rehearsal
from rehearsal.summary import summary

REPORTS = Path("build/rehearsal")

KEPT, BROKEN, USAGE = 0, 1, 2


def main() -> int:
    """Return 0 when every promise was kept, 1 when one was broken, 2 when nothing was rehearsed."""
    options = _arguments().parse_args()
    if options.command == "list":
        for scenario in SCENARIOS:
            print(f"{scenario.name:20} {scenario.summary}")
        return KEPT
    return _run(options.scenario, options.environment, options.seed, show_page=options.open)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m rehearsal", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="list what can be rehearsed, a line each")
    run = commands.add_parser("run", help="rehearse one scenario")
    run.add_argument("--scenario", default=SCENARIOS[0].name, metavar="NAME", help="see `list`; default: %(default)s")
    run.add_argument("--environment", default="production", metavar="NAME", help="default: %(default)s")
    run.add_argument(
        "--seed",
        type=int,
        metavar="NUMBER",
        help="play in virtual time, on models, the same for the same number; default: packaged, under real load",
    )
    run.add_argument("--open", action="store_true", help="open the report in a browser at the end")
    return parser


def _run(name: str, environment: str, seed: int | None, *, show_page: bool) -> int:
    scenario = _scenario(name)
    if scenario is None:
        known = ", ".join(each.name for each in SCENARIOS)
        print(f"There is no scenario {name!r}; there are: {known}", file=sys.stderr)
        return USAGE
    try:
        settings = Settings.read(scenario.environment or environment)
        beside(scenario, settings)
        assembly = assembly_of(settings.environment, REPORTS)
    except (UnknownEnvironment, NotBuilt) as impossible:
        print(impossible, file=sys.stderr)
        return USAGE
    console = Console()
    console.print(
        f"Rehearsing {scenario.name} on {_place(scenario, environment)}: {scenario.summary}.",
        highlight=False,
        soft_wrap=True,
    )
    folder = REPORTS / scenario.name
    try:
        report = _play(scenario, settings, assembly, folder, console, seed)
    except Stuck as stuck:
        console.print(
            f"The rehearsal is stuck. {stuck}. The logs are in {folder}.", style="red", highlight=False, soft_wrap=True
        )
        return BROKEN
    broken = list(scenario.broken_promises(report))
    for line in summary(report, broken, folder):
        style = "red" if line.startswith("BROKEN") else None
        console.print(line, style=style, highlight=False, soft_wrap=not console.is_terminal)
    if show_page:
        webbrowser.open((folder / PAGE).resolve().as_uri())
    return BROKEN if broken else KEPT


def _play(
    scenario: Scenario, settings: Settings, assembly: Path, folder: Path, console: Console, seed: int | None
) -> Report:
    conclude = _concluding(scenario, console)
    if seed is None:
        return play(
            scenario, settings, assembly, folder, lambda stage: Screen(stage, console).shown(), Packaged(), conclude
        )
    in_virtual_time = InVirtualTime(seed)
    return play(
        scenario, settings, assembly, folder, lambda stage: Screen(stage, console).told(), in_virtual_time, conclude
    )


def _concluding(scenario: Scenario, console: Console) -> Conclude:
    """Let the page be written at the end, and its plot be shown to those who have no browser."""

    def conclude(report: Report, stage: Stage) -> None:
        story = tell_rehearsal(scenario, report, stage)
        for line in plot(story, console.width, unicode=console.encoding.startswith("utf")):
            console.print(line, highlight=False, soft_wrap=True, markup=False)

    return conclude


def _place(scenario: Scenario, environment: str) -> str:
    return f"settings of its own ({scenario.environment})" if scenario.environment else f"{environment} as shipped"


def _scenario(name: str) -> Scenario | None:
    return next((scenario for scenario in SCENARIOS if scenario.name == name), None)


if __name__ == "__main__":
    sys.exit(main())
