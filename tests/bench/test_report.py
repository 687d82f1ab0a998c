import io
from dataclasses import replace

from rich.console import Console

from bench.findings import Benchmark, Findings, Goal, Table
from bench.machine import Machine
from bench.report import page, show

MACHINE = Machine(
    processor="AMD EPYC",
    processors=2,
    memory="24 GiB",
    system="Debian",
    load="0.1",
    python="CPython 3.11.7",
    packages={"boto3": "1.44.5", "awscli": "1.46.3"},
    commit="769d1fa000",
    measured_at="2026-11-23 08:00 UTC",
)
FINDINGS = Findings(
    tables=[Table("Until the listener is back", ("by", "median"), [["a | b", "8.68 ms"]])],
    goals=[Goal("quick", "8.0 times", met=True), Goal("small", "3 MB", met=False)],
    notes=["The rest is Powertools."],
)
BENCHMARK = Benchmark("rollback", "Rollback", "With a\nwatch.", 5, lambda _: {}, lambda _: FINDINGS)


def test_the_page_says_all_of_it() -> None:
    text = page([(BENCHMARK, FINDINGS)], MACHINE)

    assert "| measured | 2026-11-23 08:00 UTC, commit 769d1fa000 |" in text
    assert "| packages | boto3 1.44.5, awscli 1.46.3 |" in text
    assert "| quick | 8.0 times | met |\n| small | 3 MB | not met |" in text
    assert "## Rollback\n\nUntil the listener is back:\n\n| by | median |\n| --- | ---: |" in text
    assert "The rest is Powertools." in text
    assert text.endswith("### How it is measured\n\nWith a\nwatch.\n")


def test_a_cell_cannot_end_its_column() -> None:
    assert "| a \\| b | 8.68 ms |" in page([(BENCHMARK, FINDINGS)], MACHINE)


def test_the_terminal_shows_goals_met_and_not_met() -> None:
    screen = io.StringIO()
    show([(BENCHMARK, FINDINGS)], MACHINE, Console(file=screen, width=100))

    assert "goal met: quick; 8.0 times" in screen.getvalue()
    assert "goal not met: small; 3 MB" in screen.getvalue()
    assert "8.68 ms" in screen.getvalue()


def test_a_machine_comes_back_from_its_file() -> None:
    assert Machine.from_json(MACHINE.as_json()) == MACHINE
    assert Machine.from_json(MACHINE.as_json()) != replace(MACHINE, load="9.0")
