"""`make sweep-fast` as everybody runs it, and what it says when something is wrong."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rehearsal.sweep import __main__ as command_line
from rehearsal.sweep.cases import Case
from rehearsal.sweep.playing import Result


@pytest.mark.rehearsed
def test_a_sample_of_everything_holds(
    assembly: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Some cases of every path, and some interleavings."""
    monkeypatch.setattr("rehearsal.assembly.SHIPPED", assembly)

    code = command_line.main(["--fast"])

    told = capsys.readouterr().out
    assert code == command_line.HELD, told
    assert "0 violations" in told


@pytest.mark.parametrize("name", ["nowhere/clean@0", "deploy/call:a.b.c#1/sulks@0", "deploy"])
def test_what_is_no_case_cannot_be_played_again(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Before an account is built for it."""
    assert command_line.main(["replay", name]) == command_line.USAGE
    assert name in capsys.readouterr().err


def test_an_unknown_mistake_cannot_be_built_in(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["mutants", "no settle", "no such"]) == command_line.USAGE
    told = capsys.readouterr().err
    assert "no such" in told
    assert "weight 0" in told


def test_a_violation_ends_in_red_with_what_plays_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever sees it fail must not have to look for how to see it again."""
    name = "deploy/state:deploy.Promote_release#1/stopped@0"

    @contextmanager
    def no_account(*_: object) -> Iterator[Any]:
        yield SimpleNamespace(account=None)

    def play(_: object, cases: Sequence[Case], **__: object) -> Iterator[Result]:
        for case in cases:
            yield Result(
                case,
                "released",
                ("something is left",) if case.strikes else (),
                moments=(Case.parse(name).strikes[0].moment,),
            )

    monkeypatch.setattr(command_line, "account_for", no_account)
    monkeypatch.setattr(command_line, "machines_of", lambda _: {})
    monkeypatch.setattr(command_line, "play", play)

    assert command_line.main(["--path", "deploy", "--fault", "stopped"]) == command_line.VIOLATED

    told = capsys.readouterr().out
    assert "VIOLATED: something is left" in told
    assert f"python -m rehearsal.sweep replay '{name}'" in told
    assert "1 of 1 cases" in told
