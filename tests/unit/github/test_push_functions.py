"""A push becomes a release: what happens if a step runs twice, late, never, half, or beside another."""

from dataclasses import replace
from typing import Any

import pytest

from lambdas.github import take_push
from lambdas.github.push_rules import Execution
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Live, PointStatus, RollbackPoint, later
from tests.builders import BLUE, at
from tests.unit.github.environments import (
    AFTER,
    AFTER_TABLE,
    MAIN,
    OTHER_RUNNER,
    RUNNER,
    THIRD_RUNNER,
    Environment,
    commit,
    put,
    table_of,
    use,
)

LATER = "2026-03-01T23:59:00.000Z"


@pytest.fixture
def environment(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """Return an environment that releases pushes to its branch."""
    made = Environment(record)
    use(monkeypatch, made)
    return made


@pytest.fixture
def staging(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """Return the environment that goes before; `environment` goes after it from now on."""
    made = Environment(table_of(AFTER_TABLE, "staging"))
    environment.settings = AFTER
    use(monkeypatch, environment)
    return made


VALIDATED = {"source": "validated", "environment": "staging"}


def test_a_push_is_released_and_makes_room_for_the_next(environment: Environment) -> None:
    assert environment.push(2) == "run"
    assert environment.start()["action"] == "started"
    (given,) = environment.executions.started.values()
    assert given == {"version": commit(2), "pushed_by": "jane"}
    assert environment.check()["action"] == "running"

    environment.release_ended(outcome="promoted")
    assert environment.check()["action"] == "ended"
    assert environment.start()["action"] == "nothing"
    assert environment.pushes.read().runner == ""


def test_of_many_pushes_the_newest_is_released_next_and_no_other(environment: Environment) -> None:
    environment.push(2)
    environment.start()
    for number in range(3, 22):
        assert environment.push(number, execution=OTHER_RUNNER) == "queued"
    environment.release_ended(outcome="promoted")
    environment.check()
    environment.start()

    assert environment.started == [commit(2), commit(21)]


def test_pushes_of_one_second_that_arrive_in_any_order_leave_the_newest(environment: Environment) -> None:
    for number in (5, 3, 7, 2, 6, 4):
        environment.push(number, pushed_at=at(9))

    assert environment.pending == commit(7)


@pytest.mark.parametrize("repeated", ["take", "start", "check"])
def test_a_step_that_runs_twice_does_nothing_twice(environment: Environment, repeated: str) -> None:
    """Its answer may be lost, and then Step Functions calls it again."""
    times = {"take": 1, "start": 1, "check": 1, repeated: 2}
    taken = [environment.push(2) for _ in range(times["take"])]
    started = [environment.start()["action"] for _ in range(times["start"])]
    environment.release_ended(outcome="promoted")
    checked = [environment.check()["action"] for _ in range(times["check"])]

    assert set(taken) == {"run"}
    assert set(started) == {"started"}
    assert set(checked) == {"ended"}
    assert len(environment.executions.started) == 1
    assert environment.start()["action"] == "nothing"


def test_a_release_whose_start_was_lost_is_started_by_whoever_comes_next(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written down before it is started; who dies in between has started nothing."""

    def fail(*_: Any) -> None:
        raise TimeoutError

    environment.push(2)
    with monkeypatch.context() as patch:
        patch.setattr(environment.executions, "start", fail)
        with pytest.raises(TimeoutError):
            environment.start()
    assert environment.started == []
    environment.die()

    assert environment.take({}, OTHER_RUNNER)["action"] == "run"
    assert environment.start(OTHER_RUNNER)["action"] == "started"
    assert environment.started == [commit(2)]


def test_nothing_is_lost_when_who_takes_care_dies(environment: Environment) -> None:
    environment.push(2)
    environment.die()
    assert environment.push(3, execution=OTHER_RUNNER) == "run"
    assert environment.start()["action"] == "lost"
    environment.start(OTHER_RUNNER)

    assert environment.started == [commit(3)]


def test_a_push_that_is_known_brings_what_waits_back_to_life(environment: Environment) -> None:
    """GitHub's webhook can be delivered again by hand."""
    environment.push(2)
    environment.die()

    assert environment.push(2, execution=OTHER_RUNNER) == "run"


def test_a_push_that_was_overtaken_does_not_say_that_it_waits(environment: Environment) -> None:
    environment.push(3)

    assert environment.push(2, execution=OTHER_RUNNER) == "nothing"
    assert environment.take({}, OTHER_RUNNER)["action"] == "queued"


def test_two_that_believe_to_take_care_start_one_release(environment: Environment) -> None:
    """Step Functions may not know an execution yet that has just begun, so that it looks dead to another one."""
    environment.push(2)
    environment.states.executions.pop(RUNNER)
    assert environment.take({}, OTHER_RUNNER)["action"] == "run"

    assert environment.start()["action"] == "lost"
    assert environment.start(OTHER_RUNNER)["action"] == "started"
    assert environment.check()["action"] == "lost"
    assert len(environment.started) == 1


def test_a_push_waits_while_somebody_works_on_the_environment_and_a_newer_one_takes_its_place(
    environment: Environment,
) -> None:
    environment.hold()
    environment.push(2)
    waits = environment.start()
    assert (waits["action"], waits["again_at"]) == ("wait", "2026-03-01T10:52:00Z")
    assert "Release another is baking" in waits["reason"]
    environment.push(3, execution=OTHER_RUNNER)
    assert environment.start()["action"] == "wait"

    assert environment.started == []
    assert environment.pending == commit(3)


def test_a_push_waits_for_the_rollback_window_of_what_serves(environment: Environment) -> None:
    point = RollbackPoint(PointStatus.VALID, "blue", commit(0), "old", {"api": BLUE}, 2, window_ends_at=at(58))
    environment.serves(Live("r", commit(1), "green", at(1), point))
    environment.push(2)

    assert environment.start(now=at(57))["action"] == "wait"
    assert environment.start(now=at(58))["action"] == "started"


def test_a_release_that_found_the_environment_taken_is_started_anew_under_another_name(
    environment: Environment,
) -> None:
    environment.push(2)
    environment.start()
    environment.release_ended("ReleaseRefused", failures=("EnvironmentBusy",))
    assert environment.check(now=at(52))["action"] == "ended"
    assert environment.pending == commit(2)
    assert environment.start(now=at(52))["action"] == "wait"
    assert environment.start(now=at(53))["action"] == "started"

    assert environment.started == [commit(2)] * 2
    assert len(environment.executions.started) == 2


@pytest.mark.parametrize("failure", ["EnvironmentBusy", "RollbackWindowOpen"])
def test_somebody_being_faster_is_no_end_of_a_commit_and_people_hear_of_it_ever_less(
    environment: Environment, failure: str
) -> None:
    environment.push(2)
    begun = []
    for minute in range(300):
        now = later(at(0), 60 * minute)
        if environment.start(now=now)["action"] == "started":
            begun.append(minute)
            environment.release_ended("ReleaseRefused", failures=(failure,))
            environment.check(now=now)

    assert begun == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]


@pytest.mark.parametrize("error", ["RequestNotChecked", "GatesFailed"])
def test_who_gets_no_answer_three_times_is_left_to_a_human(environment: Environment, error: str) -> None:
    environment.push(2)
    for hour in range(1, 4):
        now = later(at(0), 3600 * hour)
        assert environment.start(now=now)["action"] == "started"
        environment.release_ended(error)
        environment.check(now=now)
    assert environment.start(now=LATER)["action"] == "nothing"

    assert environment.push(2, pushed_at=at(9)) == "refused"
    assert len(environment.started) == 3


@pytest.mark.parametrize(
    ("error", "failures"),
    [("ReleaseRefused", ("ListenerDrifted",)), ("ReleaseRefused", ("PlanRefused",)), ("ReleaseRefused", ())],
)
def test_what_a_human_has_to_remove_first_ends_a_commit(
    environment: Environment, error: str, failures: tuple[str, ...]
) -> None:
    """The listener was moved by hand, or Terraform would do what no release may."""
    environment.push(2)
    environment.start()
    environment.release_ended(error, failures=failures)
    environment.check()

    assert environment.start()["action"] == "nothing"
    assert environment.push(2, pushed_at=at(9)) == "refused"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        ("ReleaseRolledBack", "rolled_back"),
        ("ReleaseAborted", "aborted"),
        ("Escalated", "escalated"),
    ],
)
def test_a_commit_that_ended_badly_is_not_started_again_by_anything_but_a_human(
    environment: Environment, error: str, outcome: str
) -> None:
    environment.github.branch = commit(2)
    environment.push(2)
    environment.start()
    environment.release_ended(error, outcome)
    environment.check()
    assert environment.start()["action"] == "nothing"

    assert environment.push(2, pushed_at=at(40)) == "refused"
    assert environment.take({"commit": commit(2)})["action"] == "refused"
    assert environment.look()["started"] == ""
    assert environment.started == [commit(2)]
    assert environment.push(3) == "run", "a new commit starts forward again"


def test_what_a_human_has_released_badly_is_not_started_again_either(environment: Environment) -> None:
    environment.has_released(1)
    environment.look()
    environment.has_released(2, "rolled_back")
    environment.github.branch = commit(2)

    assert environment.push(2) == "refused"
    assert environment.look()["started"] == ""


def test_what_gates_have_refused_for_a_human_is_not_started_again(environment: Environment) -> None:
    put(environment.record, {"item": f"request#{commit(2)[:12]}-aa", "version": commit(2), "outcome": "refused"})

    assert environment.push(2) == "refused"


def test_a_push_older_than_what_serves_is_refused(environment: Environment) -> None:
    environment.has_released(5)

    assert environment.push(4) == "refused"
    assert environment.started == []


def test_a_push_that_fell_behind_while_it_waited_is_dropped(environment: Environment) -> None:
    environment.has_released(1)
    environment.push(2)
    environment.has_released(3)
    dropped = environment.start()

    assert dropped["action"] == "nothing"
    assert "older than" in dropped["reason"]
    assert environment.pushes.read().runner == ""


def test_a_push_that_a_human_has_released_while_it_waited_is_dropped(environment: Environment) -> None:
    environment.push(2)
    environment.has_released(2)

    assert environment.start()["action"] == "nothing"
    assert environment.started == []


def test_github_being_down_delays_no_release(environment: Environment) -> None:
    environment.has_released(1)
    environment.github.is_down = True

    assert environment.push(2) == "run"
    assert environment.start()["action"] == "started"


def test_github_is_not_asked_again_while_a_push_waits(environment: Environment) -> None:
    """A minute's wait, a thousand times, would use up what GitHub allows."""
    environment.has_released(1)
    environment.hold()
    environment.push(2)
    asked = environment.github.asked
    for minute in range(51, 59):
        environment.start(now=at(minute))

    assert environment.github.asked == asked


def test_an_execution_hands_over_when_its_history_is_long(environment: Environment) -> None:
    environment.hold()
    environment.push(2)
    assert environment.start(now=LATER)["action"] == "lost"
    assert environment.pushes.read().runner == ""
    environment.die(status="SUCCEEDED")

    assert environment.look(now=LATER)["started"] == "reconcile-2026-03-01T23-59"


def test_an_execution_hands_over_a_release_that_takes_long(environment: Environment) -> None:
    environment.push(2)
    environment.start()
    assert environment.check(now=LATER)["action"] == "lost"
    environment.look(now=LATER)
    assert environment.take({"source": "reconcile"}, THIRD_RUNNER, LATER)["action"] == "run"
    assert environment.start(THIRD_RUNNER, LATER)["action"] == "started"

    assert environment.started == [commit(2)], "it is the same start once more"


def test_a_release_has_ended_only_when_its_rollback_has(environment: Environment) -> None:
    environment.push(2)
    environment.start()
    started = environment.pushes.read().started
    assert started is not None
    environment.hold(started.release_id)
    environment.states.executions[started.execution] = Execution("FAILED", "ReleaseRolledBack")

    assert environment.check()["action"] == "running"


@pytest.mark.parametrize("given", [{}, {"source": "reconcile"}])
def test_looking_when_nothing_waits_changes_nothing(environment: Environment, given: Any) -> None:
    assert environment.take(given)["action"] == "nothing"
    assert environment.pushes.read().token == 0


def test_what_is_not_understood_says_what_would_be(environment: Environment) -> None:
    answer = environment.take({"version": commit(2)})

    assert answer["action"] == "invalid"
    assert '{"commit": "' in answer["reason"]


def test_a_human_can_have_a_commit_released(environment: Environment) -> None:
    assert environment.take({"commit": commit(2)})["action"] == "run"
    environment.start()

    assert list(environment.executions.started.values()) == [{"version": commit(2)}]


def test_the_log_says_why_nothing_starts_and_shows_nothing_of_the_input(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(take_push.logger, "info", lambda *words, **more: said.append(f"{words} {more}"))
    environment.push(2, fork=True, sender="canary-in-a-coal-mine")

    (line,) = said
    assert "The commit is in a fork" in line
    assert "canary" not in line


# The environment before


def test_a_commit_that_staging_has_validated_is_released(environment: Environment, staging: Environment) -> None:
    staging.has_released(2)
    assert environment.take(VALIDATED)["action"] == "run"
    environment.start()

    assert environment.started == [commit(2)]


def test_who_pushed_to_staging_is_told_to_production(environment: Environment, staging: Environment) -> None:
    put(staging.record, {"item": f"pushed#{commit(2)}", "version": commit(2), "sender": "jane"})
    staging.has_released(2)
    environment.take(VALIDATED)
    environment.start()

    assert list(environment.executions.started.values()) == [{"version": commit(2), "pushed_by": "jane"}]


def test_what_staging_serves_and_has_not_promoted_starts_nothing(
    environment: Environment, staging: Environment
) -> None:
    """The next release of staging may have begun to shift before the event of the one before is delivered."""
    staging.has_released(2, "")
    staging.serves(Live(f"{commit(2)[:12]}-0a1b2c3d", commit(2), "green", at(1)))

    assert environment.take(VALIDATED)["action"] == "nothing"


def test_what_staging_has_rolled_back_meanwhile_is_not_released(environment: Environment, staging: Environment) -> None:
    staging.has_released(2)
    environment.hold()
    environment.take(VALIDATED)
    assert environment.start()["action"] == "wait"
    staging.has_released(2, "rolled_back")
    environment.free()

    assert environment.start()["action"] == "nothing"
    assert environment.started == []


def test_a_commit_that_staging_has_not_released_yet_waits(environment: Environment, staging: Environment) -> None:
    environment.take({"commit": commit(2)})
    assert environment.start()["action"] == "wait"
    staging.has_released(2)

    assert environment.start()["action"] == "started"


def test_without_a_record_of_staging_nothing_starts(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runback may not be deployed there yet."""
    environment.settings = AFTER
    use(monkeypatch, environment)

    assert environment.take(VALIDATED)["action"] == "nothing"
    assert environment.look()["started"] == ""
    environment.take({"commit": commit(2)})
    assert environment.start()["action"] == "wait"


# What was missed


def test_a_push_that_nobody_told_of_is_found_and_told_once_a_minute(environment: Environment) -> None:
    environment.look()
    environment.github.branch = commit(2)
    name = f"reconcile-{commit(2)}-2026-03-01T10-55"

    assert [environment.look()["started"] for _ in range(2)] == [name, name]
    assert environment.executions.started == {name: {"source": "reconcile", "commit": commit(2)}}
    assert len(name) <= 80


def test_what_was_there_before_the_first_look_is_not_released(environment: Environment) -> None:
    """Whoever deploys Runback has not asked for a release."""
    environment.github.branch = commit(9)
    assert [environment.look(at(minute))["started"] for minute in (5, 10, 15)] == ["", "", ""]

    environment.github.branch = commit(10)
    assert environment.look()["started"]


def test_a_first_look_that_gets_no_answer_is_none(environment: Environment) -> None:
    environment.github.is_down = True
    assert "did not" in environment.look()["reason"]
    assert not environment.pushes.read().looked


@pytest.mark.parametrize("state", ["waits", "is being released", "serves", "was released before"])
def test_what_is_known_is_not_missed(environment: Environment, state: str) -> None:
    environment.look(at(0))
    environment.github.branch = commit(2)
    if state in ("waits", "is being released"):
        environment.push(2)
    if state == "is being released":
        environment.start()
    if state in ("serves", "was released before"):
        environment.has_released(2)
    if state == "was released before":
        environment.has_released(1)
    before = dict(environment.executions.started)

    assert environment.look()["started"] == ""
    assert environment.executions.started == before


@pytest.mark.parametrize(("status", "started"), [("ABORTED", "reconcile-2026-03-01T10-55"), ("FAILED", "")])
def test_what_waits_is_taken_care_of_again(environment: Environment, status: str, started: str) -> None:
    environment.push(2)
    environment.die(status=status)

    assert environment.look()["started"] == started


def test_what_staging_has_validated_is_found_when_nobody_told(environment: Environment, staging: Environment) -> None:
    environment.look()
    staging.has_released(2)

    assert environment.look()["started"] == f"reconcile-{commit(2)}-2026-03-01T10-55"
    assert environment.take({"source": "reconcile", "commit": commit(2)})["action"] == "run"


def test_by_hand_nothing_is_looked_for(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    environment.settings = replace(MAIN, starts=type(MAIN.starts)("by-hand"))
    use(monkeypatch, environment)
    environment.github.branch = commit(2)

    assert [environment.look()["started"] for _ in range(2)] == ["", ""]
    assert environment.github.asked == 0
