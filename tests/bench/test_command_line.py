"""What `python -m bench` answers to its user, and to the shell."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as command
from bench.findings import Benchmark, Findings, Goal, Plan, Raw
from bench.measure import CannotMeasure

ROOT = Path(__file__).parents[2]


def benchmark(name: str, raw: Mapping[str, Any] | Exception, *, met: bool = True) -> Benchmark:
    def measure(plan: Plan) -> Raw:
        plan.say("begins")
        if isinstance(raw, Exception):
            raise raw
        return {**raw, "rounds": plan.rounds}

    def findings(raw: Raw) -> Findings:
        return Findings((), [Goal(f"{name} is quick", f"{raw['seconds']} s in {raw['rounds']} rounds", met)])

    return Benchmark(name, name.title(), "With a watch.", 3, measure, findings)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let everything be written elsewhere."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(command, "FOLDER", tmp_path / "raw")
    monkeypatch.setattr(command, "PAGE", tmp_path / "benchmarks.md")
    return tmp_path


def having(monkeypatch: pytest.MonkeyPatch, *benchmarks: Benchmark) -> None:
    monkeypatch.setattr(command, "BENCHMARKS", benchmarks)


def test_a_run_of_all_writes_the_page(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    having(monkeypatch, benchmark("imports", {"seconds": 2}), benchmark("sizes", {"seconds": 4}))

    assert 0 == command.main([])
    assert "| imports is quick | 2 s in 3 rounds | met |" in (folder / "benchmarks.md").read_text(encoding="utf-8")
    shown = capsys.readouterr()
    assert "goal met: sizes is quick; 4 s in 3 rounds" in shown.out
    assert "imports: begins" in shown.err


def test_a_goal_that_is_not_met_is_no_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    having(monkeypatch, benchmark("imports", {"seconds": 2}, met=False))

    assert 0 == command.main([])
    assert "| not met |" in (folder / "benchmarks.md").read_text(encoding="utf-8")


def test_one_alone_leaves_the_page_as_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its figures would stand beside those of another run."""
    having(monkeypatch, benchmark("imports", {"seconds": 2}), benchmark("sizes", {"seconds": 4}))

    assert 0 == command.main(["--only", "sizes", "--rounds", "7"])
    assert not (folder / "benchmarks.md").exists()
    assert ["sizes.json"] == [path.name for path in (folder / "raw").glob("*.json")]


def test_what_could_not_be_measured_fails_and_the_rest_is_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    having(monkeypatch, benchmark("imports", CannotMeasure("No boto3.")), benchmark("sizes", {"seconds": 4}))

    assert 1 == command.main([])
    shown = capsys.readouterr()
    assert "imports could not be measured. No boto3." in shown.err
    assert "sizes is quick" in shown.out
    assert not (folder / "benchmarks.md").exists()


@pytest.mark.usefixtures("folder")
def test_an_unknown_benchmark_is_answered_with_those_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == command.main(["--only", "import"])
    assert "there are: rollback, judge, webhooks, pushes, imports, sizes, synth, releases" in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("rounds", ["0", "-1", "many"])
def test_no_rounds_are_no_measurement(rounds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main([f"--rounds={rounds}"])
    assert 2 == ended.value.code
    assert "is no number of rounds" in capsys.readouterr().err


def test_figures_come_from_the_raw_measurements(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A figure that is computed differently tomorrow needs no new measurement."""
    having(monkeypatch, benchmark("imports", {"seconds": 2}))
    command.main([])
    having(monkeypatch, benchmark("imports", CannotMeasure("must not be measured again")))
    (folder / "benchmarks.md").unlink()

    assert 0 == command.main(["--again"])
    assert "2 s in 3 rounds" in (folder / "benchmarks.md").read_text(encoding="utf-8")


def test_figures_of_two_runs_make_no_page(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    having(monkeypatch, benchmark("imports", {"seconds": 2}), benchmark("sizes", {"seconds": 4}))
    command.main([])
    (folder / "benchmarks.md").unlink()
    file = folder / "raw" / "sizes.json"
    file.write_text(file.read_text(encoding="utf-8").replace("UTC", "CET"), encoding="utf-8")

    assert 1 == command.main(["--again"])
    assert "sizes: measured in another run than the rest" in capsys.readouterr().err
    assert not (folder / "benchmarks.md").exists()


def test_what_was_never_measured_cannot_be_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    having(monkeypatch, benchmark("imports", {"seconds": 2}))

    assert 1 == command.main(["--again"])
    assert "imports was not measured yet" in capsys.readouterr().err
    assert not (folder / "benchmarks.md").exists()
