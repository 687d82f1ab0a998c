"""How findings are shown: on the terminal, and as docs/benchmarks.md."""

from collections.abc import Iterator, Sequence
from textwrap import wrap

from rich.console import Console
from rich.table import Table as Grid

from bench.findings import Benchmark, Findings, Goal, Table
from bench.machine import Machine

_INTRODUCTION = """
Made by `make bench`, from measurements of one run on one machine: look at the ratios, the rest is this machine's.
What takes part in a comparison takes turns, so that a slow moment hits every side; shown are the median of all
rounds, and the smallest and the largest. Goals are hopes, not tests: one that is not met says so and nothing fails.
""".strip()

_WIDTH = 120

Found = Sequence[tuple[Benchmark, Findings]]


def verdict(goal: Goal) -> str:
    """Say whether a goal was met."""
    return "met" if goal.met else "not met"


def show(found: Found, machine: Machine, console: Console) -> None:
    """Print tables and goals."""
    for name, value in machine.rows():
        console.print(f"{name:20}{value}", highlight=False, soft_wrap=True)
    for benchmark, findings in found:
        console.print(f"\n{benchmark.title}", style="bold")
        for table in findings.tables:
            console.print(_grid(table))
        for note in findings.notes:
            console.print(note, highlight=False, soft_wrap=True)
        for goal in findings.goals:
            style = "green" if goal.met else "yellow"
            text = f"goal {verdict(goal)}: {goal.wanted}; {goal.found}"
            console.print(text, style=style, highlight=False, soft_wrap=True, markup=False)


def _grid(table: Table) -> Grid:
    grid = Grid(title=table.title, title_justify="left", title_style="italic")
    for number, column in enumerate(table.columns):
        grid.add_column(column, justify="right" if number else "left", overflow="fold")
    for row in table.rows:
        grid.add_row(*row)
    return grid


def page(found: Found, machine: Machine) -> str:
    """Write the whole page."""
    return "\n".join(_lines(found, machine)) + "\n"


def _lines(found: Found, machine: Machine) -> Iterator[str]:
    yield from ("# Benchmarks", "", *_INTRODUCTION.splitlines(), "")
    yield from _rows(Table("", ("the machine", ""), machine.rows()))
    yield from ("", "## Goals", "")
    goals = [[goal.wanted, goal.found, verdict(goal)] for _, findings in found for goal in findings.goals]
    yield from _rows(Table("", ("goal", "found", ""), goals))
    for benchmark, findings in found:
        yield from ("", f"## {benchmark.title}")
        for table in findings.tables:
            yield from ("", f"{table.title}:", "")
            yield from _rows(table)
        for note in findings.notes:
            yield from ("", *wrap(note, _WIDTH))
        yield from ("", "### How it is measured", "", *benchmark.how.splitlines())


def _rows(table: Table) -> Iterator[str]:
    yield _row(table.columns)
    yield _row(["---", *("---:" for _ in table.columns[1:])])
    yield from map(_row, table.rows)


def _row(cells: Sequence[str]) -> str:
    escaped = [cell.replace("|", r"\|") for cell in cells]
    return f"| {' | '.join(escaped)} |"
