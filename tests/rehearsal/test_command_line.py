"""What the command answers to its user, and to the shell."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rehearsal import __main__ as command
from rehearsal.report import Report
from rehearsal.scenarios import SCENARIOS, Scenario
from rehearsal.stage import Stuck
from tests.rehearsal.reports import report

Command = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Return a way to run the command with these arguments, and with this for the rehearsal that it would play."""

    def ran(*arguments: str, rehearsal: Report | Exception | None = None) -> int:
        def play(scenario: Scenario, *_: object) -> Report:
            assert rehearsal is not None, f"{scenario.name} was rehearsed"
            if isinstance(rehearsal, Exception):
                raise rehearsal
            return rehearsal

        monkeypatch.setattr(command, "play", play)
        monkeypatch.setattr(command, "REPORTS", tmp_path / "reports")
        monkeypatch.setattr(sys, "argv", ["rehearsal", *arguments])
        return command.main()

    return ran


def test_a_rehearsal_that_keeps_all_promises_is_a_success(run: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run("run", "--scenario", "good-release", rehearsal=report())
    assert "BROKEN" not in capsys.readouterr().out


def test_another_outcome_than_the_promised_one_fails_and_says_why(
    run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script that rehearses before it releases looks at nothing else."""
    assert 1 == run("run", "--scenario", "good-release", rehearsal=report(outcome="aborted"))
    assert "BROKEN PROMISE: the release ended as aborted, not as promoted" in capsys.readouterr().out


def test_a_rehearsal_that_is_stuck_fails_and_says_where(run: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert 1 == run("run", rehearsal=Stuck("deploy did not reach 'Bake at 10 %'"))
    said = capsys.readouterr().out.replace("\n", "")  # the console breaks lines to its width
    assert "The rehearsal is stuck. deploy did not reach 'Bake at 10 %'." in said
    assert "reports/good-release" in said


def test_an_unknown_scenario_is_answered_with_those_that_exist(
    run: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert 2 == run("run", "--scenario", "good-relese")
    said = capsys.readouterr().err
    assert "'good-relese'" in said
    assert all(scenario.name in said for scenario in SCENARIOS)
    assert [] == list(tmp_path.iterdir())


def test_an_unknown_environment_is_answered_with_those_that_exist(
    run: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert 2 == run("run", "--environment", "prod")
    said = capsys.readouterr().err
    assert "'prod'" in said
    assert "production, staging" in said
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [[], ["rehearse"], ["run", "good-release"], ["run", "--speed", "9"]])
def test_a_wrong_argument_is_a_usage_error(run: Command, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        run(*arguments)
    assert 2 == left.value.code


def test_every_scenario_is_listed_with_what_it_shows(run: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run("list")
    lines = capsys.readouterr().out.splitlines()
    assert [(scenario.name, scenario.summary) for scenario in SCENARIOS] == [
        (name, summary.strip()) for name, _, summary in (line.partition(" ") for line in lines)
    ]
