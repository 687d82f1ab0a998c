"""Who may claim over whom: the table of docs/decisions/0002-takeover.md, row by row."""

import json
from dataclasses import replace

import pytest

from lambdas.judge.alarm_rules import Alarm, AlarmName, Effect
from lambdas.release.rules import EnvironmentRecord, Live, Phase, PointStatus, RollbackPoint, Work
from lambdas.rollback.alarm_rules import AlarmEvent, CriticalAlarms
from lambdas.rollback.rules import (
    Action,
    RollbackRequest,
    Source,
    Verdict,
    asks_about_holder,
    both_colors_serve,
    check_target_groups,
    claimed_work,
    decide,
    ended_as,
    last_undone,
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


@pytest.mark.parametrize("ended_as", ["ABORTED", "TIMED_OUT"])
@pytest.mark.parametrize("status", [PointStatus.VALID, PointStatus.EXPIRED])
def test_humans_are_told_of_a_clean_up_that_was_stopped_while_it_waited(ended_as: str, status: PointStatus) -> None:
    """Nobody else scales the old color in, and the stopped one says nothing any more."""
    request = replace(about(CLEAN_UP), ended_as=ended_as)
    verdict = decide(request, EnvironmentRecord(Work(token=7), live(status)), ROLLBACK, NOW, holder_runs=False)
    assert verdict.action is Action.TELL_CLEAN_UP
    assert f"as {ended_as}: blue keeps its instances" in verdict.reason


@pytest.mark.parametrize(
    ("request_", "record"),
    [
        (replace(about(CLEAN_UP), ended_as="FAILED"), EnvironmentRecord(Work(token=7), live())),
        (replace(about(DEPLOYMENT), ended_as="ABORTED"), EnvironmentRecord(Work(token=7), live())),
        (replace(about(CLEAN_UP), ended_as="ABORTED"), EnvironmentRecord(Work(token=7), live(PointStatus.CONSUMED))),
        (replace(about(CLEAN_UP), ended_as="ABORTED"), EnvironmentRecord(held(Phase.PREPARING), live())),
        (replace(about(CLEAN_UP), ended_as="ABORTED"), EnvironmentRecord(Work(token=7))),
    ],
    ids=["told so itself", "another machine", "rolled back", "the next release", "nothing released"],
)
def test_nobody_is_told_of_a_clean_up_that_leaves_nothing(request_: RollbackRequest, record: EnvironmentRecord) -> None:
    assert decided(request_, record) is Action.NOTHING


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


# What the operator reads


def test_request_is_read_field_by_field() -> None:
    assert read_rollback_request({}) == RollbackRequest()
    assert read_rollback_request({"release_id": "new", "reason": "slow", "database": True}) == RollbackRequest(
        release_id="new", why="slow", database=True
    )
    assert read_rollback_request({"infrastructure": True}) == RollbackRequest(infrastructure=True)
    assert read_rollback_request({"source": "watchdog", "execution_arn": DEPLOYMENT}) == RollbackRequest(
        source=Source.WATCHDOG, execution_arn=DEPLOYMENT
    )


ALARM = {"source": "alarm", "alarm": "receipts-test-rolls-back-errors", "changed_at": at(9)}


def test_alarm_is_read_with_the_state_before_where_that_is_known() -> None:
    event = AlarmEvent("receipts-test-rolls-back-errors", "", at(9))
    assert read_rollback_request(ALARM) == RollbackRequest(source=Source.ALARM, alarm=event)
    assert read_rollback_request({**ALARM, "previous_state": "OK"}).alarm == replace(event, previous_state="OK")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"reason": 5}, "Field 'reason' must be text, but it is number '5'."),
        ({"database": "yes"}, "Field 'database' must be true or false, but it is text 'yes'."),
        ({"infrastructure": None}, "Field 'infrastructure' must be true or false, but it is null."),
        (
            {"source": "cron"},
            (
                "Field 'source' must be one of operator, deployment, execution-status, watchdog, alarm, but it is text"
                " 'cron'."
            ),
        ),
        (
            {"source": "watchdog", "execution_arn": "a", "database": True},
            "Field 'database' is for a human to set: source watchdog never has data thrown away.",
        ),
        (
            {"source": "watchdog", "execution_arn": "a", "infrastructure": True},
            "Field 'infrastructure' is for a human to set: source watchdog moves traffic alone.",
        ),
        (
            {"database": True, "infrastructure": True},
            (
                "Fields 'database' and 'infrastructure' cannot both be true: bring the infrastructure back first, then"
                " start the restore-database machine."
            ),
        ),
        ({"source": "alarm", "changed_at": at(9)}, "Field 'alarm' is missing: source alarm is about one alarm."),
        ({"source": "alarm", "alarm": "one"}, "Field 'changed_at' is missing: source alarm is about one alarm."),
        (
            {**ALARM, "changed_at": "noon"},
            "Field 'changed_at' must be a moment with its time zone, but it is text 'noon'.",
        ),
    ],
)
def test_operator_reads_which_field_is_wrong_and_what_is_right(given: dict[str, object], said: str) -> None:
    example = 'Example of a valid input: {} or {"reason": "checkout is broken"}'
    assert read_rollback_request(given).problem == f"{said} {example}"


def verdict(request: RollbackRequest, record: EnvironmentRecord, *, holder_runs: bool = True) -> Verdict:
    return decide(request, record, ROLLBACK, NOW, holder_runs=holder_runs)


AT_IT = f"Rollback {OTHER_ROLLBACK} is at it already."
GOES_ON = f"Rollback {OTHER_ROLLBACK} did not finish; this one goes on."


@pytest.mark.parametrize(
    ("request_", "record", "action", "said"),
    [
        (OPERATOR, EnvironmentRecord(), Action.NOTHING, "There is no release to roll back."),
        (
            OPERATOR,
            EnvironmentRecord(live=replace(live(), rollback_point=None)),
            Action.NOTHING,
            "There is no release to roll back.",
        ),
        (
            OPERATOR,
            EnvironmentRecord(live=live(PointStatus.CONSUMED)),
            Action.NOTHING,
            "Release old is rolled back already.",
        ),
        (
            OPERATOR,
            EnvironmentRecord(work=held(Phase.ROLLING_BACK, ROLLBACK, action=Action.ABORT)),
            Action.ABORT,
            "This execution holds the environment already.",
        ),
        (
            OPERATOR,
            EnvironmentRecord(work=held(Phase.ROLLING_BACK, OTHER_ROLLBACK, action=Action.SWITCH)),
            Action.NOTHING,
            AT_IT,
        ),
        (
            OPERATOR,
            EnvironmentRecord(work=held(Phase.ROLLING_BACK, OTHER_ROLLBACK, action=Action.SWITCH, progress_at=at(5))),
            Action.NOTHING,
            AT_IT,
        ),
        (
            about(OTHER_ROLLBACK),
            EnvironmentRecord(work=held(Phase.ROLLING_BACK, OTHER_ROLLBACK, action=Action.SWITCH)),
            Action.SWITCH,
            GOES_ON,
        ),
        (
            about(OTHER_ROLLBACK),
            EnvironmentRecord(work=held(Phase.ROLLING_BACK, OTHER_ROLLBACK)),
            Action.ESCALATE,
            GOES_ON,
        ),
        (
            about(CLEAN_UP),
            EnvironmentRecord(work=held(Phase.CLEANING_UP, CLEAN_UP)),
            Action.LET_GO,
            "The clean-up after release new ended early.",
        ),
        (
            RollbackRequest(release_id="older"),
            EnvironmentRecord(work=Work(token=7, release_id="older"), live=live()),
            Action.NOTHING,
            "Release older is neither live nor being released.",
        ),
        (
            RollbackRequest(release_id="older"),
            EnvironmentRecord(),
            Action.NOTHING,
            "Release older is neither live nor being released.",
        ),
    ],
)
def test_operator_reads_what_is_done_and_why(
    request_: RollbackRequest, record: EnvironmentRecord, action: Action, said: str
) -> None:
    assert verdict(request_, record) == Verdict(action, said)


@pytest.mark.parametrize(
    ("asked_at", "action"),
    [(at(1), Action.NOTHING), (at(2), Action.SWITCH), (at(3), Action.SWITCH), ("", Action.SWITCH)],
)
def test_release_that_began_after_the_rollback_was_asked_for_is_not_meant(asked_at: str, action: Action) -> None:
    assert decided(RollbackRequest(asked_at=asked_at), EnvironmentRecord(live=live())) is action


EARLY = at(1)


def began(phase: Phase, claimed_at: str, *, release_id: str = "new", holder: str | None = DEPLOYMENT) -> Work:
    return Work(token=7, holder=holder, phase=phase, release_id=release_id, claimed_at=claimed_at, action="abort")


@pytest.mark.parametrize(
    ("work", "found", "asked_at", "meant"),
    [
        pytest.param(began(Phase.SHIFTING, EARLY), live(), EARLY, True, id="its deployment claimed before"),
        pytest.param(began(Phase.SHIFTING, EARLY), live(), at(0, 59), False, id="its deployment claimed since"),
        pytest.param(began(Phase.SHIFTING, at(5), release_id="next"), live(), at(3), True, id="another one is at work"),
        pytest.param(began(Phase.SHIFTING, EARLY, holder=None), live(), at(1, 59), False, id="nobody is at work"),
        pytest.param(began(Phase.PREPARING, at(5), release_id="next"), live(), at(3), True, id="next one prepares"),
        pytest.param(
            began(Phase.PREPARING, at(5), release_id="next"),
            live(PointStatus.EXPIRED),
            at(3),
            False,
            id="next one has given the way back up since",
        ),
        pytest.param(
            began(Phase.PREPARING, at(5), release_id="next"),
            live(PointStatus.EXPIRED),
            at(5),
            True,
            id="next one had given the way back up before",
        ),
        pytest.param(began(Phase.PREPARING, at(5)), None, at(3), False, id="first release began since"),
        pytest.param(began(Phase.ROLLING_BACK, at(5), holder=OTHER_ROLLBACK), live(), at(3), True, id="rollback died"),
        pytest.param(began(Phase.ROLLING_BACK, at(5), holder=OTHER_ROLLBACK), None, at(3), True, id="abort died"),
    ],
)
def test_operator_means_what_was_there_when_he_asked(
    work: Work, found: Live | None, asked_at: str, *, meant: bool
) -> None:
    """A claim that could not be made for minutes must not hit a release that began since."""
    done = verdict(RollbackRequest(asked_at=asked_at), EnvironmentRecord(work, found), holder_runs=False)
    assert ("began after this rollback was asked for" in done.reason) is not meant
    assert (done.action is Action.NOTHING) is not meant


@pytest.mark.parametrize(
    ("request_", "record", "said"),
    [
        (
            OPERATOR,
            EnvironmentRecord(live=live()),
            "Release new goes back to 1111111 on blue.",
        ),
        (
            about(DEPLOYMENT),
            EnvironmentRecord(work=held(Phase.COMMITTED), live=live()),
            "Release new is promoted; only its execution ended early.",
        ),
        (
            about(DEPLOYMENT),
            EnvironmentRecord(work=held(Phase.PREPARING), live=live()),
            "Release new received no traffic yet, and is given up.",
        ),
        (
            about(DEPLOYMENT),
            EnvironmentRecord(work=held(Phase.SHIFTING)),
            "Release new receives traffic, and has nothing to go back to.",
        ),
        (
            about(DEPLOYMENT),
            EnvironmentRecord(work=held(Phase.SHIFTING), live=replace(live(), rollback_point=None)),
            "Release new receives traffic, and has nothing to go back to.",
        ),
        (RollbackRequest(problem="It is no JSON."), EnvironmentRecord(), "It is no JSON."),
    ],
)
def test_operator_reads_which_release_it_is_about(
    request_: RollbackRequest, record: EnvironmentRecord, said: str
) -> None:
    assert verdict(request_, record).reason == said


@pytest.mark.parametrize(
    ("verdict_", "request_", "said"),
    [
        (
            Verdict(Action.NOTHING, "It is gone."),
            RollbackRequest(database=True),
            "It is gone. To have the database brought back all the same, start the restore-database machine.",
        ),
        (
            Verdict(Action.NOTHING, "It is gone."),
            RollbackRequest(infrastructure=True, why="slow"),
            "It is gone. To have its infrastructure brought back all the same, apply it with Terraform by hand.",
        ),
        (
            Verdict(Action.ABORT, "It is given up."),
            RollbackRequest(infrastructure=True, why="slow"),
            (
                "It is given up. If a message says that it has changed the infrastructure, start again with"
                ' {"infrastructure": true}. Reason: slow'
            ),
        ),
        (Verdict(Action.ABORT, "It is given up."), RollbackRequest(why="slow"), "It is given up. Reason: slow"),
        (
            Verdict(Action.SWITCH, "It goes back."),
            RollbackRequest(infrastructure=True, database=True),
            "It goes back.",
        ),
    ],
)
def test_operator_reads_what_becomes_of_the_rest_that_was_asked_for(
    verdict_: Verdict, request_: RollbackRequest, said: str
) -> None:
    assert with_why(verdict_, request_) == replace(verdict_, reason=said)


@pytest.mark.parametrize(
    ("found", "action", "is_on"),
    [
        (live(), Action.NOTHING, False),
        (live(window_ends_at=at(9)), Action.PAGE, True),
        (replace(live(), no_automatic_rollback="the old version knows no currencies"), Action.PAGE_HOLD, True),
    ],
)
def test_alarm_that_may_not_roll_back_pages_or_is_over(found: Live, action: Action, *, is_on: bool) -> None:
    name = AlarmName(Effect.ROLLS_BACK, "error-rate-api", "green")
    event = AlarmEvent(name.full("receipts-test"), "OK", at(9))
    critical = CriticalAlarms("receipts-test", [Alarm(name, is_on=True, since=at(9))] if is_on else [])
    request = RollbackRequest(source=Source.ALARM, alarm=event)
    record = EnvironmentRecord(live=found)
    done = decide(request, record, ROLLBACK, NOW, holder_runs=True, critical=critical)
    assert done.action is action
    assert name.full("receipts-test") in done.reason


# What is over, or frozen


UNDONE = Work(token=7, phase=Phase.ROLLED_BACK, release_id="new")


@pytest.mark.parametrize(
    ("work", "gone"),
    [
        (UNDONE, "new"),
        (replace(UNDONE, phase=Phase.ABORTED), "new"),
        (replace(UNDONE, phase=Phase.ESCALATED, action="infrastructure"), "new"),
        (replace(UNDONE, phase=Phase.ESCALATED, action="switch"), ""),
        (replace(UNDONE, phase=Phase.COMMITTED, action="infrastructure"), ""),
        (replace(UNDONE, holder=DEPLOYMENT), ""),
        (replace(UNDONE, release_id=None), ""),
    ],
)
def test_infrastructure_is_taken_back_of_what_was_undone_last(work: Work, gone: str) -> None:
    assert last_undone(work) == gone


@pytest.mark.parametrize("release_id", ["", "new"])
def test_operator_has_the_infrastructure_of_a_gone_release_taken_back(release_id: str) -> None:
    record = EnvironmentRecord(work=UNDONE, live=live(PointStatus.CONSUMED))
    request = RollbackRequest(infrastructure=True, release_id=release_id)
    assert verdict(request, record) == Verdict(
        Action.INFRASTRUCTURE, "The infrastructure of release new is taken back."
    )
    assert decided(replace(request, release_id="older"), record) is Action.NOTHING


@pytest.mark.parametrize(
    ("found", "phase"),
    [
        (
            replace(live(PointStatus.CONSUMED), rollback_point=replace(POINT, status=PointStatus.CONSUMED)),
            Phase.ABORTED,
        ),
        (
            replace(live(), rollback_point=replace(POINT, status=PointStatus.CONSUMED, release_id="new")),
            Phase.ROLLED_BACK,
        ),
        (replace(live(), rollback_point=replace(POINT, release_id="new")), Phase.ABORTED),
        (replace(live(), rollback_point=None), Phase.ABORTED),
        (None, Phase.ABORTED),
    ],
)
def test_release_that_was_live_was_rolled_back_and_another_one_aborted(found: Live | None, phase: Phase) -> None:
    assert ended_as(EnvironmentRecord(work=UNDONE, live=found)) is phase


FROZEN = Work(token=7, phase=Phase.FROZEN, release_id="new", claimed_at=at(1))


def test_rollback_changes_nothing_while_a_restore_has_frozen_the_traffic() -> None:
    """Half of the databases may be exchanged."""
    found = verdict(OPERATOR, EnvironmentRecord(work=FROZEN, live=live()))
    assert found.action is Action.IMPOSSIBLE
    assert found.reason.startswith("Traffic is frozen: the restore of the database of release new did not come")
    assert found.reason.endswith(" A rollback changes nothing until then.")


def test_end_of_a_dead_restore_is_said_to_be_one() -> None:
    """Its record still says that it is at work."""
    restoring = replace(FROZEN, holder=DEPLOYMENT, phase=Phase.RESTORING)
    record = EnvironmentRecord(work=restoring, live=live())
    found = verdict(about(DEPLOYMENT), record)
    assert found.action is Action.KEEP_FROZEN
    assert found.reason.startswith("Traffic is frozen: the restore of the database of release new did not come")


def test_who_keeps_the_freeze_knows_since_when_users_are_shut_out() -> None:
    """An alarm that is on since then means nothing."""
    record = EnvironmentRecord(work=replace(FROZEN, holder=DEPLOYMENT), live=live())
    kept = claimed_work(record, Verdict(Action.KEEP_FROZEN, ""), ROLLBACK, NOW)
    assert (kept.claimed_at, kept.progress_at) == (at(1), NOW)
    assert claimed_work(record, Verdict(Action.ESCALATE, ""), ROLLBACK, NOW).claimed_at == NOW


# What is written


@pytest.mark.parametrize(
    ("action", "release_id"),
    [(Action.SWITCH, "new"), (Action.PAGE, "new"), (Action.PAGE_HOLD, "new"), (Action.ABORT, "next")],
)
def test_claim_names_the_release_that_it_is_about(action: Action, release_id: str) -> None:
    """While the next release prepares, a rollback is of the live one and an abort of the next."""
    work = replace(held(Phase.PREPARING), release_id="next")
    claimed = claimed_work(EnvironmentRecord(work=work, live=live()), Verdict(action, ""), ROLLBACK, NOW)
    assert claimed == Work(
        holder=ROLLBACK,
        phase=Phase.ROLLING_BACK,
        release_id=release_id,
        claimed_at=NOW,
        progress_at=NOW,
        action=action.value,
        loser={"holder": DEPLOYMENT, "release_id": "next", "intents": {"api": {GREEN: 10, BLUE: 90}}},
    )


def test_claim_of_a_free_environment_has_beaten_nobody() -> None:
    record = EnvironmentRecord(work=Work(token=7, release_id="next"))
    claimed = claimed_work(record, Verdict(Action.SWITCH, ""), ROLLBACK, NOW)
    assert (claimed.loser, claimed.release_id) == ({}, "next")


def test_after_a_rollback_the_old_release_is_live_and_the_point_names_what_was_rolled_back() -> None:
    """So that `{}` is a no-op then."""
    back = restored(live(window_ends_at=at(30)), NOW)
    assert back == Live(
        "old",
        "1111111",
        "blue",
        since=NOW,
        rollback_point=RollbackPoint(
            PointStatus.CONSUMED, "green", "2222222", "new", {"api": BLUE}, capacity=2, window_ends_at=at(30)
        ),
    )
    assert restored(back, at(11)) == back


@pytest.mark.parametrize("found", [None, replace(live(), rollback_point=None)])
def test_rollback_without_a_rollback_point_is_a_mistake_of_ours(found: Live | None) -> None:
    with pytest.raises(ValueError, match=r"^A rollback without a rollback point cannot have switched$"):
        restored(found, NOW)


def test_both_colors_serve_only_while_somebody_shifts() -> None:
    assert both_colors_serve(held(Phase.SHIFTING))
    assert not both_colors_serve(held(Phase.BAKING))
    assert not both_colors_serve(replace(held(Phase.SHIFTING), holder=None))


def test_operator_reads_which_target_groups_changed() -> None:
    moved = replace(POINT, target_groups={"api": "another"})
    found = check_target_groups(Verdict(Action.SWITCH, ""), moved, Route.all_from_json(json.dumps(ROUTES)))
    assert (
        found.reason
        == f"The routes of color blue changed since the release: {{'api': 'another'}} → {{'api': {BLUE!r}}}."
    )
    abort = Verdict(Action.ABORT, "")
    assert check_target_groups(abort, moved, ()) is abort
    assert check_target_groups(Verdict(Action.SWITCH, "it"), None, ()).reason == "it"
