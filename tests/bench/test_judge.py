"""What is counted of the judge's traces, and that traces are drawn from what they say."""

import json
from dataclasses import asdict
from random import Random
from typing import Any

import pytest

from bench.judge import Scenario, findings, scenarios
from bench.judge_process import Counts, Judge, Traffic, play
from tests.builders import JUDGE

STEPS = [(10, 300), (100, 300)]
HEALTHY = ["healthy", "", 600.0]


def found_at(*seconds: float) -> list[list[Any]]:
    return [["unhealthy", "release", each] for each in seconds]


def raw(same: list[list[Any]], faulty: list[list[Any]]) -> dict[str, Any]:
    return {"weights": [10, 100], "ends": {"the same version, release": same, "5 % errors, bake at 10 %": faulty}}


def test_traces_are_counted_by_how_they_ended() -> None:
    ends = [HEALTHY, *found_at(20), ["inconclusive", "environment", 20.0], ["inconclusive", "", 900.0]]
    (ended, _) = findings(raw([HEALTHY], ends)).tables
    assert ended.rows[1] == ["5 % errors, bake at 10 %", "4", "25 %", "25 %", "25 %", "25 %"]


def test_times_are_those_of_all_traces_and_not_of_those_that_were_found() -> None:
    """A judge that finds one release in two, and that at once, is not fast."""
    (_, times) = findings(raw([HEALTHY], [*found_at(*[20.0] * 8, 40.0), HEALTHY])).tables
    assert times.rows == [["5 % errors, bake at 10 %", "20 s", "40 s", "never", "40 s"]]


@pytest.mark.parametrize(("soon", "met"), [(99, True), (98, False)])
def test_goal_is_what_is_found_within_half_a_minute(soon: int, met: bool) -> None:  # noqa: FBT001  parameter
    goals = findings(raw([HEALTHY], found_at(*[30.0] * soon, *[30.1] * (100 - soon)))).goals
    assert (goals[1].found, goals[1].met) == (f"{soon} %", met)


@pytest.mark.parametrize(("wrong", "met"), [(1, True), (2, False)])
def test_goal_is_that_the_same_version_is_left_alone(wrong: int, met: bool) -> None:  # noqa: FBT001  parameter
    goals = findings(raw([*found_at(*[60.0] * wrong), *[HEALTHY] * (1000 - wrong)], [HEALTHY])).goals
    assert (goals[0].found, goals[0].met) == (f"{wrong} of 1,000", met)


def test_every_scenario_has_a_name_and_seed_of_its_own() -> None:
    names = [each.name for each in scenarios(STEPS)]
    assert len(names) == len(set(names))


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge(json.dumps(JUDGE), STEPS)


def ends(judge: Judge, new: tuple[float, float], old: tuple[float, float], **more: Any) -> list[list[Any]]:
    return play(judge, asdict(Scenario("test", STEPS, new, old, traces=5, **more)))


def test_shipped_rules_decide(judge: Judge) -> None:
    good, bad = (0.002, 0.005), (0.2, 0.005)
    assert [end[:2] for end in ends(judge, good, good)] == [["healthy", ""]] * 5
    assert [end[:2] for end in ends(judge, bad, good)] == [["unhealthy", "release"]] * 5
    assert [end[:2] for end in ends(judge, good, bad)] == [["inconclusive", "environment"]] * 5
    assert [end[:2] for end in ends(judge, good, good, per_second=0.01)] == [["inconclusive", ""]] * 5


def test_release_is_looked_at_for_all_its_steps_and_a_quiet_one_for_longer(judge: Judge) -> None:
    good = (0.002, 0.005)
    assert {round(end[2]) // 10 for end in ends(judge, good, good)} == {60}
    assert {round(end[2]) // 10 for end in ends(judge, good, good, per_second=0.01)} == {90}


def test_the_same_seed_gives_the_same_traces(judge: Judge) -> None:
    assert ends(judge, (0.05, 0), (0, 0)) == ends(judge, (0.05, 0), (0, 0))


def traffic(per_second: float = 1, new: tuple[float, float] = (0, 0)) -> Traffic:
    return Traffic(Random(1), per_second, new, (0, 0))  # noqa: S311  no secret is made of it


@pytest.mark.parametrize("expected", [3.0, 400.0])
def test_requests_are_as_many_as_expected_and_as_scattered(expected: float) -> None:
    drawn = [one.poisson(expected) for one in [traffic()] for _ in range(4000)]
    mean = sum(drawn) / len(drawn)
    assert mean == pytest.approx(expected, rel=0.03)
    assert sum((each - mean) ** 2 for each in drawn) / len(drawn) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("share", [0, 0.01, 0.3, 1])
def test_hits_are_as_many_as_their_share(share: float) -> None:
    drawn = [one.binomial(200, share) for one in [traffic()] for _ in range(4000)]
    assert sum(drawn) / len(drawn) == pytest.approx(200 * share, rel=0.03)
    assert max(drawn) <= 200


def test_time_that_was_counted_is_not_counted_again() -> None:
    counts, users = Counts(), traffic(100, (0.5, 0))
    counts.grow_until(10, 10, users)
    before = [*counts.new], [*counts.old]
    counts.grow_until(10, 10, users)
    counts.grow_until(5, 10, users)
    assert before == (counts.new, counts.old)
    counts.grow_until(20, 10, users)
    assert counts.old[0] == pytest.approx(1800, rel=0.1)
