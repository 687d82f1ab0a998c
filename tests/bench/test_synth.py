import tomllib
from pathlib import Path

import pytest

from bench.measure import CannotMeasure
from bench.synth import findings, write_environments
from cdk.settings import load_settings

ROOT = Path(__file__).parents[2]


def test_environments_differ_in_name_alone(tmp_path: Path) -> None:
    """Every one is as much work as the shipped one."""
    write_environments(10, tmp_path, ROOT / "environments")

    shipped = tomllib.loads((ROOT / "environments" / "production.toml").read_text(encoding="utf-8"))
    made = [tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(tmp_path.glob("*.toml"))]
    assert [f"bench-{number:02}" for number in range(1, 11)] == [each["environment"] for each in made]
    assert ["bench-02", "bench-01"] == [made[0]["pushes"].pop("after"), made[9]["pushes"].pop("after")]
    for each in (shipped, *made[1:9]):
        del each["pushes"]["after"]
    assert all(each | {"environment": "production"} == shipped for each in made)
    assert len(load_settings(tmp_path)) == 10
    assert (tmp_path / "files").is_dir()


def test_settings_that_cannot_be_renamed_are_told(tmp_path: Path) -> None:
    (tmp_path / "production.toml").write_text("[environment]\n")

    with pytest.raises(CannotMeasure, match="does not say `environment"):
        write_environments(1, tmp_path, tmp_path)


def raw(one: float, ten: float, fifty: float) -> dict[str, dict[str, list[float]]]:
    return {"seconds": {"1": [one, one], "10": [ten, ten], "50": [fifty, fifty]}}


def test_what_grows_linearly_meets_the_goal() -> None:
    """Five seconds to start, and two for each environment."""
    found = findings(raw(7, 25, 105))

    assert [["5.00 s"], ["2.00 s"], ["2.00 s"]] == [list(row[1:]) for row in found.tables[1].rows]
    assert [("1.00 times", True)] == [(goal.found, goal.met) for goal in found.goals]


def test_what_grows_faster_does_not() -> None:
    assert [("1.25 times", False)] == [(goal.found, goal.met) for goal in findings(raw(7, 25, 130)).goals]
