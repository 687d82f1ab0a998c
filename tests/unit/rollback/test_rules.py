"""Who may claim over whom: the table of docs/decisions/0002-takeover.md, row by row."""

import json
from dataclasses import replace

import pytest

from lambdas.release.rules import EnvironmentRecord, Live, Phase, PointStatus, RollbackPoint, Work
from lambdas.rollback.rules import (
    Action,
    RollbackRequest,
    Source,
    Verdict,
    asks_about_holder,
    check_target_groups,
    claimed_work,
    decide,
    read_rollback_request,
    restored,
    with_why,
)
from lambdas.traffic.rules import Route
from tests.builders import BLUE, CLEAN_UP, DEPLOYMENT, GREEN, OTHER_DEPLOYMENT, OTHER_ROLLBACK, ROLLBACK, ROUTES, at

NOW = at(10)
OPERATOR = RollbackRequest()
POINT = RollbackPoint(PointStatus.VALID, "blue", "1111111", "old", {"api": BLUE}, capacity=2)


PHASES_OF_A_HOLDER = [
    Phase.PREPARING,
    Phase.SHIFTING,
    Phase.BAKING,
    Phase.COMMITTED,
    Phase.CLEANING_UP,
    Phase.ROLLING_BACK,
]


def live(status: PointStatus = PointStatus.VALID, window_ends_at: str | None = None) -> Live:
    return Live("new", "2222222", "green", at(2), replace(POINT, status=status, window_ends_at=window_ends_at))


def about(holder: str, source: Source = Source.EXECUTION_STATUS) -> RollbackRequest:
    return RollbackRequest(source=source, execution_arn=holder)


def held(phase: Phase, holder: str = DEPLOYMENT, *, action: Action | None = None, progress_at: str = NOW) -> Work:
    return Work(
        token=7,
        holder=holder,
        phase=phase,
        release_id="new",
        progress_at=progress_at,
        action=action.value if action else None,
        intents={"api": {GREEN: 10, BLUE: 90}},
    )


def decided(request: RollbackRequest, record: EnvironmentRecord, *, holder_runs: bool = True) -> Action:
    return decide(request, record, ROLLBACK, NOW, holder_runs=holder_runs).action


@pytest.mark.parametrize("source", [Source.DEPLOYMENT, Source.EXECUTION_STATUS, Source.WATCHDOG])
@pytest.mark.parametrize(
    ("phase", "action"),
    [
        (Phase.PREPARING, Action.ABORT),
        (Phase.SHIFTING, Action.SWITCH),
        (Phase.BAKING, Action.SWITCH),
        (Phase.COMMITTED, Action.FINISH),
    ],
)
def test_end_of_the_holder_undoes_what_it_had_done(source: Source, phase: Phase, action: Action) -> None:
    record = EnvironmentRecord(work=held(phase), live=live())
    assert decided(about(DEPLOYMENT, source), record) is action


@pytest.mark.parametrize("phase", PHASES_OF_A_HOLDER)
def test_event_about_another_execution_changes_nothing(phase: Phase) -> None:
    """It belongs to an older release, and arrived late or twice."""
    record = EnvironmentRecord(work=held(phase), live=live())
    assert decided(about(OTHER_DEPLOYMENT), record) is Action.NOTHING


def test_event_about_a_holder_that_has_let_go_changes_nothing() -> None:
    assert decided(about(DEPLOYMENT), EnvironmentRecord(work=Work(token=7), live=live())) is Action.NOTHING


@pytest.mark.parametrize("phase", [Phase.SHIFTING, Phase.BAKING, Phase.COMMITTED])
def test_operator_takes_a_running_release_back(phase: Phase) -> None:
    assert decided(OPERATOR, EnvironmentRecord(work=held(phase), live=live())) is Action.SWITCH


def test_operator_gives_a_preparing_release_up() -> None:
    record = EnvironmentRecord(work=held(Phase.PREPARING), live=live(PointStatus.EXPIRED))
    assert decided(OPERATOR, record) is Action.ABORT


def test_operator_takes_the_live_release_back_while_the_next_one_prepares() -> None:
    """Until the next one touches the idle color, that color is the live release's way back."""
    assert decided(OPERATOR, EnvironmentRecord(work=held(Phase.PREPARING), live=live())) is Action.SWITCH


def test_operator_who_names_the_preparing_release_gives_that_one_up() -> None:
    """Not the live one, which nobody has complained about."""
    preparing = replace(held(Phase.PREPARING), release_id="next")
    record = EnvironmentRecord(work=preparing, live=live(window_ends_at=at(59)))
    assert decided(RollbackRequest(release_id="next"), record) is Action.ABORT
    assert decided(RollbackRequest(release_id="new"), record) is Action.SWITCH
    assert decided(OPERATOR, record) is Action.SWITCH


@pytest.mark.parametrize("window_ends_at", [at(1), at(59)])
def test_operator_may_go_back_by_hand_after_the_window_too(window_ends_at: str) -> None:
    """The old color is alive until clean-up; a human may decide what an alarm may not."""
    record = EnvironmentRecord(live=live(window_ends_at=window_ends_at))
    assert decided(OPERATOR, record) is Action.SWITCH


def test_second_rollback_after_the_first_is_a_no_op() -> None:
    assert decided(OPERATOR, EnvironmentRecord(live=live(PointStatus.CONSUMED))) is Action.NOTHING


def test_nothing_was_released_yet() -> None:
    assert decided(OPERATOR, EnvironmentRecord()) is Action.NOTHING


def test_way_back_that_was_given_up_is_said_to_be() -> None:
    assert decided(OPERATOR, EnvironmentRecord(live=live(PointStatus.EXPIRED))) is Action.IMPOSSIBLE


@pytest.mark.parametrize("status", [PointStatus.EXPIRED, PointStatus.CONSUMED])
def test_release_with_traffic_and_no_way_back_is_escalated(status: PointStatus) -> None:
    record = EnvironmentRecord(work=held(Phase.SHIFTING), live=live(status))
    assert decided(about(DEPLOYMENT), record) is Action.ESCALATE


@pytest.mark.parametrize("source", [Source.EXECUTION_STATUS, Source.WATCHDOG])
def test_dead_clean_up_only_gives_the_lease_back(source: Source) -> None:
    """Not `finish`: that would put bounds back which humans and policies have changed since the release."""
    record = EnvironmentRecord(work=held(Phase.CLEANING_UP, CLEAN_UP), live=live(PointStatus.EXPIRED, at(5)))
    assert decided(about(CLEAN_UP, source), record) is Action.LET_GO


def test_operator_cannot_go_back_once_the_clean_up_has_begun() -> None:
    """Its first write gave the way back up; instances may be gone already."""
    record = EnvironmentRecord(work=held(Phase.CLEANING_UP, CLEAN_UP), live=live(PointStatus.EXPIRED, at(5)))
    verdict = decide(OPERATOR, record, ROLLBACK, NOW, holder_runs=True)
    assert verdict.action is Action.IMPOSSIBLE
    assert verdict.reason == "The way back from release new to 1111111 was given up. Deploy that version."


def test_request_about_another_release_changes_nothing() -> None:
    request = RollbackRequest(release_id="older")
    assert decided(request, EnvironmentRecord(live=live())) is Action.NOTHING


def test_request_about_the_live_release_is_followed() -> None:
    assert decided(RollbackRequest(release_id="new"), EnvironmentRecord(live=live())) is Action.SWITCH


@pytest.mark.parametrize("action", [Action.SWITCH, Action.ABORT, Action.FINISH, Action.LET_GO])
def test_repeated_claim_goes_on_with_what_it_decided(action: Action) -> None:
    """The answer of its first attempt was lost."""
    record = EnvironmentRecord(work=held(Phase.ROLLING_BACK, ROLLBACK, action=action), live=live())
    assert decided(OPERATOR, record) is action


def test_second_rollback_leaves_a_fresh_running_one_alone() -> None:
    record = EnvironmentRecord(work=held(Phase.ROLLING_BACK, OTHER_ROLLBACK, action=Action.SWITCH), live=live())
    assert decided(OPERATOR, record) is Action.NOTHING


@pytest.mark.parametrize(
    ("request_", "holder_runs", "progress_at"),
    [
        (OPERATOR, False, NOW),
        (OPERATOR, True, at(4, 59)),
        (about(OTHER_ROLLBACK), True, NOW),
        (about(OTHER_ROLLBACK, Source.WATCHDOG), True, NOW),
    ],
    ids=["holder is dead", "holder is stuck", "event says it ended", "watchdog says it is stuck"],
)
@pytest.mark.parametrize("action", [Action.SWITCH, Action.ABORT, Action.FINISH])
def test_dead_or_stuck_rollback_is_resumed(
    request_: RollbackRequest, progress_at: str, action: Action, *, holder_runs: bool
) -> None:
    work = held(Phase.ROLLING_BACK, OTHER_ROLLBACK, action=action, progress_at=progress_at)
    assert decided(request_, EnvironmentRecord(work=work, live=live()), holder_runs=holder_runs) is action


def test_aliveness_is_asked_for_only_where_it_decides() -> None:
    """Every request before the listener is back costs time."""
    over_rollback = EnvironmentRecord(work=held(Phase.ROLLING_BACK, OTHER_ROLLBACK))
    assert asks_about_holder(OPERATOR, over_rollback, ROLLBACK)
    assert not asks_about_holder(about(OTHER_ROLLBACK), over_rollback, ROLLBACK)
    assert not asks_about_holder(OPERATOR, EnvironmentRecord(work=held(Phase.SHIFTING)), ROLLBACK)
    assert not asks_about_holder(OPERATOR, EnvironmentRecord(work=held(Phase.ROLLING_BACK, ROLLBACK)), ROLLBACK)


def test_claim_keeps_what_the_loser_was_about_to_write() -> None:
    """Settle may have to undo it, also after the rollback was itself resumed by another one."""
    record = EnvironmentRecord(work=held(Phase.SHIFTING), live=live())
    first = claimed_work(record, Verdict(Action.SWITCH, ""), OTHER_ROLLBACK, NOW)
    second = claimed_work(replace(record, work=first), Verdict(Action.SWITCH, ""), ROLLBACK, NOW)
    for work in (first, second):
        assert work.loser["holder"] == DEPLOYMENT
        assert work.loser["intents"] == {"api": {GREEN: 10, BLUE: 90}}


def test_changed_settings_escalate_instead_of_switching_elsewhere() -> None:
    """Traffic goes back to the recorded target group or to none."""
    routes = Route.all_from_json(json.dumps(ROUTES))
    verdict = Verdict(Action.SWITCH, "")
    assert check_target_groups(verdict, POINT, routes) is verdict
    moved = replace(POINT, target_groups={"api": "another"})
    assert check_target_groups(verdict, moved, routes).action is Action.ESCALATE


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ([], "a list"),
        ("rollback", "text"),
        (None, "null"),
        (7, "number"),
        ({"version": "1111111"}, "'version' is not known"),
        ({"reason": 5}, "'reason' must be text"),
        ({"source": "cron"}, "'source' must be one of"),
        ({"source": "watchdog"}, "'execution_arn' is missing"),
        ({"source": ["operator"]}, "'source' must be text"),
    ],
)
def test_bad_request_names_field_and_shows_example(given: object, named: str) -> None:
    request = read_rollback_request(given)
    assert named in request.problem
    assert "Example of a valid input: {}" in request.problem
    assert decided(request, EnvironmentRecord(work=held(Phase.SHIFTING), live=live())) is Action.INVALID


@pytest.mark.parametrize(
    "given",
    [{}, {"reason": "checkout is broken"}, {"release_id": "new"}, {"source": "execution-status", "execution_arn": "a"}],
)
def test_good_request_has_no_problem(given: dict[str, str]) -> None:
    assert read_rollback_request(given).problem == ""


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, ""),
        ({"reason": "checkout is broken"}, "checkout is broken"),
        ({"reason": "Failed", "cause": '{"errorMessage": "upload answered 500"}'}, "Failed: upload answered 500"),
        ({"reason": "States.Timeout", "cause": ""}, "States.Timeout"),
        ({"source": "execution-status", "execution_arn": DEPLOYMENT, "status": "ABORTED"}, "its execution has ABORTED"),
        ({"reason": "x" * 5000}, "x" * 1000),
    ],
)
def test_whoever_asks_says_why(given: dict[str, str], why: str) -> None:
    assert read_rollback_request(given).why == why


def test_why_is_read_wherever_somebody_reads_what_is_done() -> None:
    request = RollbackRequest(why="checkout is broken")
    done, nothing = Verdict(Action.SWITCH, "Goes back."), Verdict(Action.NOTHING, "There is no release.")
    assert with_why(done, request).reason == "Goes back. Reason: checkout is broken"
    assert with_why(done, RollbackRequest()) == done
    assert with_why(nothing, request) == nothing


def breaking(status: PointStatus = PointStatus.VALID, window_ends_at: str | None = None) -> Live:
    return replace(live(status, window_ends_at), no_automatic_rollback="the old version knows no currencies")


@pytest.mark.parametrize("source", [Source.DEPLOYMENT, Source.EXECUTION_STATUS, Source.WATCHDOG])
@pytest.mark.parametrize(
    ("phase", "action"),
    [
        (Phase.PREPARING, Action.ABORT),
        (Phase.SHIFTING, Action.HOLD),
        (Phase.BAKING, Action.HOLD),
        (Phase.COMMITTED, Action.FINISH),
    ],
)
def test_nothing_that_goes_by_itself_takes_a_release_back_after_breaking_migrations(
    source: Source, phase: Phase, action: Action
) -> None:
    record = EnvironmentRecord(work=held(phase), live=breaking())
    assert decided(about(DEPLOYMENT, source), record) is action


@pytest.mark.parametrize("work", [held(Phase.BAKING), Work(token=7, phase=Phase.ESCALATED), Work(token=7)])
def test_a_human_takes_it_back_who_names_it(work: Work) -> None:
    """The input {} stands in many a message and in habits: it is too short for what this breaks."""
    record = EnvironmentRecord(work=work, live=breaking())
    assert decided(RollbackRequest(release_id="new", database=True), record) is Action.SWITCH
    verdict = decide(OPERATOR, record, ROLLBACK, NOW, holder_runs=True)
    assert verdict.action is Action.IMPOSSIBLE
    assert 'start this machine with {"release_id": "new", "reason": "…"}' in verdict.reason
    assert '{"release_id": "new", "reason": "…", "database": true}' in verdict.reason


def test_what_is_held_keeps_its_release_and_its_reason() -> None:
    record = EnvironmentRecord(work=held(Phase.SHIFTING), live=breaking())
    verdict = with_why(
        decide(about(DEPLOYMENT), record, ROLLBACK, NOW, holder_runs=False),
        replace(about(DEPLOYMENT), why="its execution has FAILED"),
    )
    assert "after which version 1111111 does not work with the database (the old version knows no currencies)" in (
        verdict.reason
    )
    assert verdict.reason.endswith("Reason: its execution has FAILED")
    work = claimed_work(record, verdict, ROLLBACK, NOW)
    assert (work.phase, work.release_id, work.action) == (Phase.ROLLING_BACK, "new", "hold")


def test_a_rollback_that_died_while_it_held_a_release_holds_it_still() -> None:
    record = EnvironmentRecord(work=held(Phase.ROLLING_BACK, OTHER_ROLLBACK, action=Action.HOLD), live=breaking())
    assert decided(about(OTHER_ROLLBACK), record, holder_runs=False) is Action.HOLD


def test_what_was_restored_is_an_ordinary_release_again() -> None:
    """The version that served before has no migrations of its own to be held for."""
    assert restored(breaking(), NOW).no_automatic_rollback is None
