"""Mistakes that are built in on purpose: that each finds its place in what ships, and is noticed there."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rehearsal.account import Account
from rehearsal.engine.sandbox import FunctionVersion
from rehearsal.settings import Settings
from rehearsal.sweep import mutants
from rehearsal.sweep.mistakes import MUTANTS, Mutant
from rehearsal.sweep.mutants import MutantResult, Seen, run
from rehearsal.sweep.mutation import Change, NotThere, Redrawn, Source, Variable, WithoutRule, left_out, uncaught
from rehearsal.sweep.plays_against_mutants import PLAYS

PRODUCTION = Settings.read("production")
SETTLE = "lambdas/traffic/settle.py"
BELIEVED = "unsigned push"

HARMLESS = replace(
    MUTANTS[BELIEVED],
    name="harmless",
    changes=(Source(SETTLE, '"""After a rollback has switched:', '"""Once a rollback has switched:'),),
)


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=str)
def test_a_mistake_finds_its_place_in_what_ships(mutant: Mutant, assembly: Path) -> None:
    """A table of mistakes that are built in no more would say for ever that all are caught."""
    for change in mutant.changes:
        change.require(assembly, PRODUCTION)


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=str)
def test_a_mistake_is_told_from_what_ships_by_a_play_that_there_is(mutant: Mutant) -> None:
    """A check that says nothing would find something in everything."""
    assert mutant.play in PLAYS
    assert mutant.caught_by
    assert mutant.changes


@pytest.mark.parametrize("play", PLAYS.values(), ids=lambda play: play.name)
def test_every_play_is_for_a_mistake(play: mutants.Play) -> None:
    """What nobody plays is no evidence, and would rot."""
    assert play.name in {mutant.play for mutant in MUTANTS.values()}


@pytest.mark.parametrize(
    "change",
    [
        Source("lambdas/traffic/nowhere.py", "a", "b"),
        Source(SETTLE, "this is not there", "b"),
        Source(SETTLE, "route", "which of them"),
        Source(SETTLE, "def settle(", "def settle(("),
        Redrawn("rollback", left_out("Settle nothing")),
        Redrawn("rollback", uncaught("What is there to roll back?")),
        Redrawn("rollback", lambda _: None),
        Redrawn("nothing", left_out("Settle listener")),
        WithoutRule("no-such-rule"),
        Variable("certify-rollback", "CERTIFICATE", "enforces", value=False),
        Variable("certify-nothing", "CERTIFICATE", "enforce", value=False),
    ],
    ids=lambda change: type(change).__name__,
)
def test_a_change_of_what_is_not_there_is_refused(change: Change, assembly: Path) -> None:
    """Code moves, states are renamed: whoever does it hears of the mistake that is none any more."""
    with pytest.raises(NotThere):
        change.require(assembly, PRODUCTION)


def test_a_changed_source_leaves_what_ships_as_it_is(tmp_path: Path) -> None:
    """Files are linked, not copied: to write into one would change the assembly for everybody."""
    shipped, there = tmp_path / "asset" / "lambdas", tmp_path / "there"
    shipped.mkdir(parents=True)
    there.mkdir()
    for name in ("rules.py", "other.py"):
        (shipped / name).write_text("passed = False\n")
    function = FunctionVersion("f", "1", shipped.parent, (), "lambdas.f", {}, 10, 128, "key")

    found = deployed(Source("lambdas/rules.py", "False", "True"), function, there)

    assert "passed = True\n" == (found.code_dir / "lambdas" / "rules.py").read_text()
    assert "passed = False\n" == (found.code_dir / "lambdas" / "other.py").read_text()
    assert "passed = False\n" == (shipped / "rules.py").read_text()


def test_a_source_that_no_function_of_the_account_has_is_refused(tmp_path: Path) -> None:
    """The mistake would be nowhere, and nothing would be found."""
    function = FunctionVersion("f", "1", tmp_path, (), "lambdas.f", {}, 10, 128, "key")

    with pytest.raises(NotThere):
        deployed(Source("lambdas/rules.py", "False", "True"), function, tmp_path)


def deployed(change: Source, function: FunctionVersion, folder: Path) -> FunctionVersion:
    """Return what a change makes of the only function of an account."""
    found: list[FunctionVersion] = []
    functions = SimpleNamespace(redeploy=lambda changed: found.append(changed(function)))
    change.deploy(cast("Account", SimpleNamespace(functions=functions)), folder)
    return found[0]


def test_the_evidence_names_what_was_seen_and_what_was_not() -> None:
    """Whoever reads the table wants to know first which mistake nobody has noticed."""
    one, other = MUTANTS["no settle"], MUTANTS["weight 0"]
    result = MutantResult(
        [
            Seen(one.play, None, (), 1.0),
            Seen(other.play, None, ("no client stuck",), 1.0),
            Seen(one.play, one, ("something else", f"broken: {one.caught_by} | here"), 1.0),
            Seen(other.play, other, ("something else",), 1.0),
        ]
    )
    caught, survived = [line for line in result.section().splitlines() if line.startswith("| **")]

    assert f"{one.caught_by} \\| here" in caught
    assert survived.endswith("| **survived** |")
    assert [other] == [each.mutant for each in result.survivors]
    assert ["sticky-clients"] == [each.play for each in result.unclean]
    assert not result.is_good
    assert "2 known mistakes were built into what ships, one at a time, and 1 of them were caught" in result.section()


@pytest.mark.rehearsed
def test_a_mistake_is_caught_and_what_is_none_survives(
    assembly: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the table can fail: a change that changes nothing must not be caught."""
    monkeypatch.setitem(cast("dict[str, Any]", mutants.MUTANTS), HARMLESS.name, HARMLESS)
    said: list[str] = []

    result = run([BELIEVED, HARMLESS.name], tmp_path, said.append, at_most=1, assembly=lambda *_: assembly)

    assert [HARMLESS] == [each.mutant for each in result.survivors]
    assert [] == result.unclean
    assert ["ok", "ok", "SURVIVED"] == [each.split()[0] for each in said]


@pytest.mark.rehearsed
def test_mistakes_of_every_kind_are_caught_by_the_checks_that_the_table_names(tmp_path: Path) -> None:
    """A rule that is missing, a function's variable and source, a state without its Catch; `make sweep` plays all."""
    result = run(["no status rule", "late write stays", "no Catch"], tmp_path, print, at_most=1)

    assert [] == result.survivors
    assert [] == result.unclean
