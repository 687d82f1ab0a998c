"""What `make mutation` says of the mistakes that tests have missed."""

import importlib.util
import os
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
GOOD, BAD = (10, 9), (100, 89)


def load() -> ModuleType:
    """Return the script, which is in no package."""
    spec = importlib.util.spec_from_file_location("mutation", ROOT / "scripts/mutation.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


mutation = load()

SOURCE = '''\
"""A module."""

LIMIT = 7


def below(number: int) -> bool:
    """Say whether it is below."""
    if number < 0:
        raise ValueError(number)
    return number < LIMIT


class Lease:
    """A lease."""

    token: int = 0

    @classmethod
    def from_event(cls, event: dict[str, int]) -> "Lease":
        """Read it."""
        return cls(event["token"])
'''


@pytest.mark.parametrize(
    ("name", "removed", "line"),
    [
        ("lambdas.room.rules.x_below__mutmut_1", "if number < 0:", 8),
        ("lambdas.room.rules.x_below__mutmut_12", "return number < LIMIT", 10),
        ("lambdas.room.rules.xǁLeaseǁfrom_event__mutmut_2", 'return cls(event["token"])', 21),
        ("lambdas.room.rules.x_below__mutmut_3", "", 6),
    ],
)
def test_survivor_is_found_in_the_line_where_it_begins(name: str, removed: str, line: int) -> None:
    """What mutmut tells are lines within a function only."""
    assert mutation.line_of(SOURCE, name, removed) == line


def test_score_of_all_files_counts_every_mistake_alike() -> None:
    total = mutation.Score(*GOOD) + mutation.Score(*BAD)
    assert (total.made, total.noticed) == (110, 98)
    assert total.percent == pytest.approx(89.09, abs=0.01)
    assert mutation.Score(0, 0).percent == 100


def test_page_has_a_row_for_every_file_and_one_for_all() -> None:
    page = mutation.page({"lambdas/a/rules.py": mutation.Score(*GOOD), "lambdas/b/rules.py": mutation.Score(*BAD)})
    assert page.endswith(
        "| `lambdas/a/rules.py` | 10 | 9 | 90.0 % |\n"
        "| `lambdas/b/rules.py` | 100 | 89 | 89.0 % |\n"
        "| all together | 110 | 98 | 89.1 % |\n"
    )


@pytest.mark.parametrize(("found", "ends"), [(GOOD, 0), (BAD, 1)])
def test_too_low_a_score_fails_and_is_told_with_what_survived(
    found: tuple[int, int],
    ends: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    survivor = mutation.Survivor("lambdas/traffic/rules.py", 60, "x_weights__mutmut_5", "-    a\n+    b")
    monkeypatch.setattr(mutation, "_mutate", lambda *_, **__: ([survivor], mutation.Score(*found)))
    monkeypatch.setattr(mutation, "PAGE", tmp_path / "mutation.md")
    assert mutation.main(["--only", "traffic"]) == ends
    assert "lambdas/traffic/rules.py:60   x_weights__mutmut_5\n-    a\n+    b\n" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_one_bad_file_is_not_hidden_by_good_ones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PAGE", "RESULT"):
        monkeypatch.setattr(mutation, name, tmp_path / name)
    scores = {"traffic": mutation.Score(10, 8)}
    monkeypatch.setattr(
        mutation, "_mutate", lambda file, *_, **__: ([], scores.get(file.parent.name, mutation.Score(1000, 1000)))
    )
    assert mutation.main([]) == 1
    assert "| `lambdas/traffic/rules.py` | 10 | 8 | 80.0 % |" in (tmp_path / "PAGE").read_text(encoding="utf-8")


def test_tests_that_fail_as_they_are_end_it_with_what_mutmut_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Then nothing has been measured, which is no score of 0."""
    mutmut = tmp_path / "mutmut"
    mutmut.write_text("#!/bin/sh\necho '⠋ Running stats'\necho 'E   assert 1 == 2'\nexit 1\n", encoding="utf-8")
    mutmut.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(mutation, "FOLDER", tmp_path / "work")
    assert mutation.main(["--only", "traffic"]) == 2
    assert capsys.readouterr().out == f"{tmp_path}/work/traffic/log.txt:\nE   assert 1 == 2\n"


def test_room_is_tried_on_its_own_tests_of_rules(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(mutation, "FOLDER", tmp_path)
    mutation._set_up(tmp_path / "traffic", ROOT / "lambdas/traffic/rules.py")
    settings = tomllib.loads((tmp_path / "traffic/pyproject.toml").read_text(encoding="utf-8"))["tool"]
    assert settings["mutmut"]["only_mutate"] == ["lambdas/traffic/rules.py"]
    assert settings["mutmut"]["pytest_add_cli_args_test_selection"] == [
        "tests/unit/traffic/test_freeze_rules.py",
        "tests/unit/traffic/test_rules.py",
    ]
    assert settings["pytest"]["ini_options"]["filterwarnings"] == ["error"]


def test_room_without_rules_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert mutation.main(["--only", "cellar"]) == 2
    assert capsys.readouterr().out == "There is no lambdas/cellar/rules.py\n"


def test_tests_are_started_as_they_are_otherwise() -> None:
    """It leaves tests/conftest.py out, which sets these, and takes the tests of a sampling from their places."""
    assert mutation._STARTED_WITH.items() <= os.environ.items()
    for name in mutation._SAMPLING:
        file, _, test = name.partition("::")
        assert f"def {test}(" in (ROOT / "tests/unit/judge" / file).read_text(encoding="utf-8")
