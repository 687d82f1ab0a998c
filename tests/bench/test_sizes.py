from pathlib import Path
from typing import Any

from bench.sizes import findings, unpacked_size, zipped_size

KB = 1024


def raw(code: int, layer: int) -> dict[str, Any]:
    return {
        "assets": {
            "asset.c": {"zipped": code * KB, "unpacked": 3 * code * KB},
            "asset.l": {"zipped": layer * KB, "unpacked": 3 * layer * KB},
        },
        "functions": {
            "claim-rollback": {"code": "asset.c", "layers": ["asset.l"]},
            "switch-listener": {"code": "asset.c", "layers": ["asset.l"]},
            "notify": {"code": "asset.c", "layers": []},
        },
    }


def test_a_folder_is_as_large_as_its_files(tmp_path: Path) -> None:
    (tmp_path / "lambdas").mkdir()
    (tmp_path / "lambdas" / "a.py").write_bytes(b"a" * 10_000)
    (tmp_path / "b.py").write_bytes(b"b" * 10_000)

    assert 20_000 == unpacked_size(tmp_path)
    assert zipped_size(tmp_path) < 1_000


def test_the_same_files_are_as_large_at_another_time(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text("a = 1\n")
    before = zipped_size(tmp_path)
    path.touch()
    path.chmod(0o755)

    assert before == zipped_size(tmp_path)


def test_layers_count_for_the_functions_that_have_them() -> None:
    of_functions, assets = findings(raw(code=100, layer=1000)).tables

    assert [["notify", "100 KB", "0 KB", "100 KB", "300 KB", "300 KB"]] == [
        row for row in of_functions.rows if row[0] == "notify"
    ]
    assert ["claim-rollback, switch-listener", "100 KB", "1,000 KB", "1,100 KB", "300 KB", "3,300 KB"] in [
        *of_functions.rows
    ]
    assert ["the code of claim-rollback, switch-listener, notify", "100 KB", "300 KB"] in [*assets.rows]


def test_goals_hold_up_to_their_figures() -> None:
    assert [True, True, True] == [goal.met for goal in findings(raw(code=200, layer=1848)).goals]
    assert [False, False, False] == [goal.met for goal in findings(raw(code=201, layer=1848)).goals]
