"""What an operator may order, in which phase, and what is said instead."""

from dataclasses import asdict, replace
from typing import Any

import pytest

from lambdas.operate.rules import (
    AT_WORK,
    Decision,
    Freeing,
    OrderRequest,
    PauseLimits,
    Verdict,
    addressed,
    decide,
    decide_freeing,
    divided,
    freed,
    read_order,
    remembered,
    rollback_name,
    still_changes,
    still_works,
    why_not_free,
)
from lambdas.release.rules import (
    Bake,
    EnvironmentRecord,
    Live,
    Maintenance,
    Order,
    OrderAction,
    Phase,
    PointStatus,
    RollbackPoint,
    Work,
    read_request,
)
from tests.builders import BLUE, DEPLOYMENT, OPERATE, OTHER_OPERATE, ROLLBACK, at

NOW = at(10)
LIMITS = PauseLimits(longest_seconds=3600, waits_seconds=0, bakes={10: 300, 50: 300, 100: 1800})
POINT = RollbackPoint(PointStatus.VALID, "blue", "1111111", "old", {"api": BLUE}, 2, window_ends_at=at(30))
LIVE = Live("live", "2222222", "green", at(2), POINT)
PAUSED = Order(OrderAction.PAUSE, at(9), "checkout looks slow", OTHER_OPERATE, until=at(40))
PROMOTED = Order(OrderAction.PROMOTE, at(9), "it is urgent", OTHER_OPERATE)
TO_A_RELEASE = [OrderAction.PAUSE, OrderAction.RESUME, OrderAction.PROMOTE, OrderAction.ABORT]
FROZEN = {Phase.RESTORING, Phase.FROZEN}


def held(phase: Phase = Phase.SHIFTING, holder: str | None = DEPLOYMENT, **changes: Any) -> EnvironmentRecord:
    work = Work(token=7, holder=holder, phase=phase, release_id="new", claimed_at=at(5), progress_at=NOW)
    return EnvironmentRecord(work=replace(work, **changes), live=LIVE)


def free(status: PointStatus = PointStatus.VALID, window_ends_at: str | None = at(30)) -> EnvironmentRecord:
    live = replace(LIVE, rollback_point=replace(POINT, status=status, window_ends_at=window_ends_at))
    return EnvironmentRecord(work=Work(token=7, phase=Phase.COMMITTED, release_id="live"), live=live)


def ordered(
    action: OrderAction, record: EnvironmentRecord, history: dict[str, Any] | None = None, **given: Any
) -> Decision:
    request = OrderRequest(action, reason="because", **given)
    return decide(request, record, history or {}, OPERATE, NOW, LIMITS)


# The input


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ([], "a list"),
        ("pause", "text"),
        (None, "null"),
        (
            {},
            "approve, reject, end-window, release-environment, begin-maintenance, end-maintenance, but it is missing",
        ),
        ({"action": "stop", "reason": "x"}, "but it is text 'stop'"),
        ({"action": 1, "reason": "x"}, "'action' must be text"),
        ({"action": "pause"}, "'reason' is missing"),
        (
            {"action": "pause", "reason": ""},
            "Field 'reason' is missing: every order is recorded with a reason. Example",
        ),
        ({"action": "pause", "reason": "  "}, "'reason' is missing"),
        ({"action": "pause", "reason": "x" * 1001}, "'reason' has 1001 characters, and may have 1000"),
        ({"action": "pause", "reason": None}, "'reason' must be text, but it is null"),
        ({"action": "pause", "reason": "x", "release_id": 7}, "'release_id' must be text, but it is number '7'"),
        ({"action": "pause", "reason": "x", "force": True}, "'force' is not known"),
        ({"action": "pause", "reason": "x", "minutes": 0}, "'minutes' must be a whole number from 1 to 60"),
        ({"action": "pause", "reason": "x", "minutes": 61}, "'minutes' must be a whole number from 1 to 60"),
        ({"action": "pause", "reason": "x", "minutes": True}, "but it is a boolean"),
        ({"action": "pause", "reason": "x", "minutes": 1.5}, "'minutes' must be a whole number"),
        ({"action": "pause", "reason": "x", "minutes": "5"}, "'minutes' must be a whole number"),
        ({"action": "resume", "reason": "x", "minutes": 5}, "'minutes' goes with pause and begin-maintenance only"),
        ({"action": "begin-maintenance", "reason": "x", "minutes": 481}, "must be a whole number from 1 to 480"),
        (
            {"action": "approve", "reason": "x"},
            "'release_id' is missing: approve is about one release, or the restore of one",
        ),
        ({"action": "reject", "reason": "x", "release_id": " "}, "'release_id' is missing"),
        (
            {"action": "approve", "reason": "x", "release_id": "new", "accept_unaccounted": "yes"},
            "'accept_unaccounted' must be true or false",
        ),
        (
            {"action": "reject", "reason": "x", "release_id": "new", "accept_unaccounted": True},
            "'accept_unaccounted' goes with approve only",
        ),
    ],
)
def test_bad_order_names_field_and_shows_example(given: object, named: str) -> None:
    request = read_order(given, 3600)
    assert named in request.problem
    assert 'Example of a valid input: {"action": "pause", "reason": ' in request.problem
    assert decide(request, held(), {}, OPERATE, NOW, LIMITS) == Decision(Verdict.INVALID, request.problem)


@pytest.mark.parametrize("action", OrderAction)
def test_good_order_has_no_problem(action: OrderAction) -> None:
    given = {"action": action.value, "release_id": "new", "reason": " because "}
    assert read_order(given, 3600) == OrderRequest(action, "new", "because")


@pytest.mark.parametrize("minutes", [1, 60])
def test_pause_may_say_for_how_long(minutes: int) -> None:
    order = read_order({"action": "pause", "reason": "x" * 1000, "minutes": minutes}, 3600)
    assert (order.problem, order.minutes) == ("", minutes)


def test_longest_pause_is_told_in_whole_minutes() -> None:
    problem = read_order({"action": "pause", "reason": "x", "minutes": 61}, 3630).problem
    assert "'minutes' must be a whole number from 1 to 60, but it is number '61'" in problem


def test_order_is_read_with_what_it_leaves_out() -> None:
    assert read_order({"action": "pause", "reason": "x"}, 3600) == OrderRequest(OrderAction.PAUSE, "", "x")
    given = {"action": "approve", "reason": "x", "release_id": "new", "accept_unaccounted": True}
    assert read_order(given, 3600) == OrderRequest(OrderAction.APPROVE, "new", "x", accept_unaccounted=True)


# What a release at work obeys


@pytest.mark.parametrize("phase", sorted(AT_WORK))
@pytest.mark.parametrize("release_id", ["", "new"])
def test_release_at_work_obeys(phase: Phase, release_id: str) -> None:
    for action in (OrderAction.PAUSE, OrderAction.PROMOTE):
        decision = ordered(action, held(phase), release_id=release_id)
        assert decision.verdict is Verdict.CARRIED_OUT
        assert decision.order is not None
        assert (decision.order.action, decision.order.reason, decision.order.by) == (action, "because", OPERATE)
    assert ordered(OrderAction.ABORT, held(phase), release_id=release_id).verdict is Verdict.ABORT
    assert ordered(OrderAction.RESUME, held(phase, order=PAUSED), release_id=release_id).verdict is Verdict.CARRIED_OUT


@pytest.mark.parametrize("action", TO_A_RELEASE)
@pytest.mark.parametrize("phase", sorted(set(Phase) - AT_WORK - FROZEN - {Phase.ROLLING_BACK}))
def test_nothing_else_obeys_and_it_is_said_what_is_possible(action: OrderAction, phase: Phase) -> None:
    decision = ordered(action, held(phase))
    assert (decision.verdict, decision.order) == (Verdict.REFUSED, None)
    assert f"Release new is {phase} under execution {DEPLOYMENT}." in decision.reason


@pytest.mark.parametrize("action", TO_A_RELEASE)
@pytest.mark.parametrize("phase", sorted(FROZEN))
def test_nothing_obeys_while_traffic_is_frozen(action: OrderAction, phase: Phase) -> None:
    """And it is said which inputs end that."""
    decision = ordered(action, held(phase))
    assert (decision.verdict, decision.order) == (Verdict.REFUSED, None)
    assert "raffic is frozen" in decision.reason


@pytest.mark.parametrize("action", TO_A_RELEASE)
@pytest.mark.parametrize(
    ("record", "possible"),
    [
        (EnvironmentRecord(), "start the deploy machine"),
        (free(), "to give its way back up, order end-window"),
        (free(window_ends_at=None), "start the rollback machine with {}"),
        (free(PointStatus.EXPIRED), "start the deploy machine"),
    ],
)
def test_free_environment_obeys_no_order_to_a_release(
    action: OrderAction, record: EnvironmentRecord, possible: str
) -> None:
    decision = ordered(action, record)
    assert (decision.verdict, decision.order) == (Verdict.REFUSED, None)
    assert possible in decision.reason


@pytest.mark.parametrize("phase", sorted(AT_WORK))
def test_released_lease_obeys_nobody(phase: Phase) -> None:
    """The phase stays in the lease item when its holder goes."""
    assert ordered(OrderAction.PAUSE, held(phase, holder=None)).verdict is Verdict.REFUSED


@pytest.mark.parametrize("action", TO_A_RELEASE)
def test_order_to_another_release_is_refused(action: OrderAction) -> None:
    decision = ordered(action, held(order=PAUSED), release_id="older")
    assert (decision.verdict, decision.order) == (Verdict.REFUSED, None)
    assert decision.reason.startswith("Release older is not at work. Release new is shifting under execution")


@pytest.mark.parametrize("action", [OrderAction.PAUSE, OrderAction.RESUME, OrderAction.PROMOTE])
def test_rollback_obeys_nobody(action: OrderAction) -> None:
    assert ordered(action, held(Phase.ROLLING_BACK, holder=ROLLBACK)).verdict is Verdict.REFUSED


@pytest.mark.parametrize(
    ("action", "present", "said"),
    [
        (OrderAction.PAUSE, PAUSED, "Release new is paused already. To move the deadline, say how many minutes."),
        (OrderAction.RESUME, None, "Release new is not paused."),
        (OrderAction.RESUME, PROMOTED, "Release new is not paused."),
        (OrderAction.PROMOTE, PROMOTED, "Release new skips its bakes already."),
    ],
)
def test_what_is_so_already_stays(action: OrderAction, present: Order | None, said: str) -> None:
    assert ordered(action, held(order=present)) == Decision(Verdict.ALREADY_SO, said)


@pytest.mark.parametrize(
    ("action", "present"), [(OrderAction.PAUSE, PROMOTED), (OrderAction.PROMOTE, PAUSED), (OrderAction.ABORT, PAUSED)]
)
def test_order_replaces_another_one(action: OrderAction, present: Order) -> None:
    assert ordered(action, held(order=present)).order is not None


# Pauses


@pytest.mark.parametrize(
    ("minutes", "until"), [(None, "2026-03-01T11:05:00Z"), (1, "2026-03-01T10:11:00Z"), (60, "2026-03-01T11:05:00Z")]
)
def test_pause_has_a_deadline(minutes: int | None, until: str) -> None:
    """Of an hour at most, counted from now; but five minutes of it have been used up by a slow beginning."""
    decision = ordered(OrderAction.PAUSE, held(), minutes=minutes)
    assert decision.order is not None
    assert decision.order.until == until
    assert until in decision.reason


def test_deadline_is_moved_by_who_says_how_long() -> None:
    decision = ordered(OrderAction.PAUSE, held(order=PAUSED), minutes=5)
    assert decision.order is not None
    assert decision.order.until == "2026-03-01T10:15:00Z"


@pytest.mark.parametrize(
    ("bake", "waits_seconds", "until"),
    [
        (None, 0, "2026-03-01T11:05:00Z"),
        (Bake(10, NOW, NOW), 0, "2026-03-01T11:05:00Z"),
        (Bake(100, NOW, NOW), 0, "2026-03-01T11:10:00Z"),
        (None, 1800, "2026-03-01T11:10:00Z"),
    ],
)
def test_pauses_are_together_no_longer_than_the_execution_lasts(
    bake: Bake | None, waits_seconds: int, until: str
) -> None:
    """Its time-out has room for the longest pause once, beside waits and bakes: afterwards it would be rolled back."""
    request = OrderRequest(OrderAction.PAUSE, reason="because")
    limits = replace(LIMITS, waits_seconds=waits_seconds)
    decision = decide(request, held(bake=bake), {}, OPERATE, NOW, limits)
    assert decision.order is not None
    assert decision.order.until == until


def test_pause_that_the_execution_would_not_outlast_is_refused() -> None:
    early = replace(LIMITS, longest_seconds=300)
    decision = decide(OrderRequest(OrderAction.PAUSE, reason="because"), held(), {}, OPERATE, NOW, early)
    assert (decision.verdict, decision.order) == (Verdict.REFUSED, None)
    assert "Possible are resume, promote and abort." in decision.reason


# Aborts


@pytest.mark.parametrize("release_id", ["", "new", "next"])
def test_abort_of_what_is_being_rolled_back_is_so_already(release_id: str) -> None:
    record = held(Phase.ROLLING_BACK, ROLLBACK, loser={"holder": DEPLOYMENT, "release_id": "next"})
    at_it = Decision(Verdict.ALREADY_SO, f"Rollback {ROLLBACK} is at it already.")
    assert ordered(OrderAction.ABORT, record, release_id=release_id) == at_it
    assert ordered(OrderAction.ABORT, record, release_id="older").verdict is Verdict.REFUSED
    gone = replace(record, work=replace(record.work, holder=None))
    assert ordered(OrderAction.ABORT, gone, release_id=release_id).verdict is Verdict.REFUSED


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        ("aborted", Verdict.ALREADY_SO),
        ("rolled_back", Verdict.ALREADY_SO),
        ("promoted", Verdict.REFUSED),
        ("escalated", Verdict.REFUSED),
    ],
)
def test_abort_of_what_has_ended(outcome: str, verdict: Verdict) -> None:
    assert ordered(OrderAction.ABORT, free(), {"outcome": outcome}, release_id="new").verdict is verdict


def test_rollback_of_an_abort_has_a_name_that_fits() -> None:
    """Execution names end at 80 characters."""
    release_id = read_request({"version": "a" * 40}, "x" * 80).release_id
    assert rollback_name(release_id, OPERATE) == rollback_name(release_id, OPERATE)
    assert rollback_name(release_id, OPERATE) != rollback_name(release_id, OTHER_OPERATE)
    assert len(rollback_name(release_id, OPERATE)) <= 80
    assert rollback_name("new", "one") == "abort-new-7692c3ad"


# Windows


@pytest.mark.parametrize("release_id", ["", "live"])
def test_window_of_the_live_release_can_be_ended(release_id: str) -> None:
    decision = ordered(OrderAction.END_WINDOW, free(), release_id=release_id)
    assert decision.verdict is Verdict.CARRIED_OUT
    assert decision.order is not None


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (EnvironmentRecord(), "No release has a window"),
        (EnvironmentRecord(live=replace(LIVE, rollback_point=None)), "No release has a window"),
        (free(PointStatus.CONSUMED), "Release old was rolled back"),
        (free(window_ends_at=None), "Release live was never promoted"),
        (held(Phase.PREPARING), "Somebody works on the environment. Release new is preparing"),
        (held(Phase.ROLLING_BACK), "Somebody works on the environment. Release new is rolling_back"),
    ],
)
def test_window_that_cannot_be_ended(record: EnvironmentRecord, said: str) -> None:
    decision = ordered(OrderAction.END_WINDOW, record)
    assert (decision.verdict, decision.order) == (Verdict.REFUSED, None)
    assert decision.reason.startswith(said)


def test_window_of_another_release_is_not_ended() -> None:
    assert ordered(OrderAction.END_WINDOW, free(), release_id="older").verdict is Verdict.REFUSED


@pytest.mark.parametrize("record", [free(PointStatus.EXPIRED), free(window_ends_at=at(9))])
def test_window_that_has_ended_is_so_already(record: EnvironmentRecord) -> None:
    assert ordered(OrderAction.END_WINDOW, record).verdict is Verdict.ALREADY_SO


# Repeated attempts


@pytest.mark.parametrize("action", [*TO_A_RELEASE, OrderAction.END_WINDOW])
def test_repeated_attempt_is_answered_as_the_first_one(action: OrderAction) -> None:
    """Whatever has happened since: the order was carried out, and has to be told."""
    at_work = held(order=PAUSED if action is OrderAction.RESUME else None)
    record = at_work if action in TO_A_RELEASE else free()
    first = ordered(action, record)
    assert first.order is not None
    history = {"orders": [asdict(PAUSED), asdict(first.order)]}
    for later_record in (record, held(Phase.ROLLING_BACK, ROLLBACK), free(PointStatus.EXPIRED)):
        again = ordered(action, later_record, history)
        assert (again.verdict, again.order) == (first.verdict, None)
    assert ordered(action, record, history).reason == first.reason


def test_history_forgets_the_oldest_orders() -> None:
    """An item of DynamoDB has a size."""
    orders = [asdict(replace(PAUSED, by=str(number))) for number in range(20)]
    kept = remembered(orders, PROMOTED)
    assert [each["by"] for each in kept] == [*(str(number) for number in range(1, 20)), OTHER_OPERATE]


# Maintenance


BEGUN = Maintenance(until="2026-03-01T12:10:00Z", reason="because", by=OPERATE)


def test_maintenance_lasts_two_hours_unless_the_order_says_otherwise() -> None:
    until = "Until 2026-03-01T12:10:00Z no release begins, and critical alarms page instead of rolling back."
    begun = Decision(Verdict.CARRIED_OUT, until, maintenance=BEGUN)
    assert ordered(OrderAction.BEGIN_MAINTENANCE, free()) == begun
    for nobody_releases in (held(Phase.ROLLING_BACK), held(Phase.PREPARING, holder=None)):
        assert ordered(OrderAction.BEGIN_MAINTENANCE, nobody_releases) == begun
    short = ordered(OrderAction.BEGIN_MAINTENANCE, free(), minutes=1).maintenance
    assert short == replace(BEGUN, until="2026-03-01T10:11:00Z")


@pytest.mark.parametrize("phase", sorted(AT_WORK))
def test_maintenance_does_not_begin_during_a_release(phase: Phase) -> None:
    decision = ordered(OrderAction.BEGIN_MAINTENANCE, held(phase))
    assert (decision.verdict, decision.maintenance) == (Verdict.REFUSED, None)
    assert "It obeys pause, resume, promote and abort" in decision.reason


def test_maintenance_can_be_ended_before_its_time_and_once() -> None:
    record = replace(free(), maintenance=BEGUN)
    decision = ordered(OrderAction.END_MAINTENANCE, record)
    ended = replace(BEGUN, until="2026-03-01T10:10:00Z")
    over = "Releases may begin again, and critical alarms roll back again."
    assert decision == Decision(Verdict.CARRIED_OUT, over, maintenance=ended)
    assert ordered(OrderAction.END_MAINTENANCE, replace(record, maintenance=ended)).verdict is Verdict.ALREADY_SO
    assert ordered(OrderAction.END_MAINTENANCE, free()) == Decision(Verdict.ALREADY_SO, "There is no maintenance.")


def test_a_held_release_that_was_never_promoted_is_kept_by_ending_its_window() -> None:
    """Nothing rolls it back by itself, and the next release is to mend it."""
    kept = free(window_ends_at=None)
    record = replace(kept, live=replace(LIVE, rollback_point=replace(POINT, window_ends_at=None)))
    assert ordered(OrderAction.END_WINDOW, record).verdict is Verdict.REFUSED
    held_back = replace(record, live=replace(record.live or LIVE, no_automatic_rollback="it knows no currencies"))
    assert ordered(OrderAction.END_WINDOW, held_back).verdict is Verdict.CARRIED_OUT
    assert "to give its way back up, order end-window" in ordered(OrderAction.PAUSE, held_back).reason
    assert 'with {"release_id": "live", "reason": "…"}' in ordered(OrderAction.PAUSE, held_back).reason


@pytest.mark.parametrize(
    ("action", "record", "release_id"),
    [
        (OrderAction.PAUSE, held(), "new"),
        (OrderAction.PAUSE, EnvironmentRecord(), ""),
        (OrderAction.END_WINDOW, held(), "live"),
        (OrderAction.END_WINDOW, EnvironmentRecord(), ""),
        (OrderAction.BEGIN_MAINTENANCE, held(), ""),
        (OrderAction.END_MAINTENANCE, held(), ""),
    ],
)
def test_order_belongs_to_the_release_at_work_or_to_the_live_one(
    action: OrderAction, record: EnvironmentRecord, release_id: str
) -> None:
    request = OrderRequest(action, reason="because")
    assert addressed(request, record) == release_id
    named = addressed(replace(request, release_id="older"), record)
    assert named == ("" if "maintenance" in action else "older")


# What is said


def test_operator_reads_what_an_order_leads_to() -> None:
    def said(action: OrderAction, order: Order | None = None) -> str:
        return ordered(action, free() if action is OrderAction.END_WINDOW else held(order=order)).reason

    assert said(OrderAction.PAUSE) == (
        "Release new holds before its next step until somebody resumes it, but not longer than until"
        " 2026-03-01T11:05:00Z: then it is given up, aborted if it has no traffic yet, otherwise rolled back."
    )
    assert said(OrderAction.RESUME, PAUSED) == (
        "Release new goes on as planned. The time in which it was paused counts as bake time."
    )
    assert said(OrderAction.PROMOTE) == "Release new skips what is left of all its bakes. Every check still runs."
    assert said(OrderAction.ABORT) == (
        f"The rollback machine brings release new to its end, in execution {rollback_name('new', OPERATE)}."
    )
    assert said(OrderAction.END_WINDOW) == (
        "The way back of release live is given up, and the next release may begin at once. The old color keeps its"
        " instances until its clean-up or the next release."
    )


@pytest.mark.parametrize(
    ("record", "release_id", "verdict", "said"),
    [
        (free(), "older", Verdict.REFUSED, "Release older is not live. Release live is live: to go back from it,"),
        (
            free(PointStatus.EXPIRED),
            "",
            Verdict.ALREADY_SO,
            "The way back of release live is given up already.",
        ),
        (free(window_ends_at=at(9)), "", Verdict.ALREADY_SO, "The window of release live is over."),
        (
            free(window_ends_at=None),
            "",
            Verdict.REFUSED,
            (
                "Release live was never promoted. Release live is live: to go back from it, start the rollback machine"
                " with {}."
            ),
        ),
        (
            EnvironmentRecord(),
            "",
            Verdict.REFUSED,
            (
                "No release has a window that could end. Nobody works on the environment: to release a version, start"
                " the deploy machine."
            ),
        ),
    ],
)
def test_operator_reads_why_no_window_is_ended(
    record: EnvironmentRecord, release_id: str, verdict: Verdict, said: str
) -> None:
    decision = ordered(OrderAction.END_WINDOW, record, release_id=release_id)
    assert decision.verdict is verdict
    assert decision.reason.startswith(said)


@pytest.mark.parametrize(
    ("phase", "said"),
    [
        (Phase.COMMITTED, "It is accepted already: to go back, start the rollback machine with {}."),
        (Phase.ROLLING_BACK, "Wait for its end, or if that is dead, order release-environment."),
        (Phase.CLEANING_UP, "Wait for its end, or if that is dead, order release-environment."),
        (Phase.ESCALATED, "To take the lease from it, order release-environment."),
        (Phase.SHIFTING, "It obeys pause, resume, promote and abort."),
    ],
)
def test_operator_reads_what_fits_to_what_is_going_on(phase: Phase, said: str) -> None:
    decision = ordered(OrderAction.PROMOTE, held(phase), release_id="older")
    assert decision.reason.endswith(f"Release new is {phase} under execution {DEPLOYMENT}. {said}")


def test_pause_of_a_whole_minute_is_worth_it() -> None:
    """Less than that is over before anybody has looked."""
    early = replace(LIMITS, longest_seconds=360)
    decision = decide(OrderRequest(OrderAction.PAUSE, reason="because"), held(), {}, OPERATE, NOW, early)
    assert decision.order is not None
    assert decision.order.until == "2026-03-01T10:11:00Z"


def test_earlier_deadline_is_found_by_the_moment_and_not_by_the_text() -> None:
    """Moments are written in more than one way."""
    work = replace(held().work, claimed_at="2026-03-01T12:05:00+02:00")
    decision = decide(
        OrderRequest(OrderAction.PAUSE, reason="because"), EnvironmentRecord(work, LIVE), {}, OPERATE, NOW, LIMITS
    )
    assert decision.order is not None
    assert decision.order.until == "2026-03-01T11:05:00Z"


# Freeing the environment


FREE = OrderRequest(OrderAction.RELEASE_ENVIRONMENT, reason="its deployment is dead")


@pytest.mark.parametrize(
    ("work", "release_id", "verdict", "said"),
    [
        (held().work, "", None, ""),
        (held().work, "new", None, ""),
        (
            held().work,
            "older",
            Verdict.REFUSED,
            "The environment is not held for release older, but for new.",
        ),
        (held(holder=None).work, "", Verdict.ALREADY_SO, "Nobody holds the environment."),
        (held(Phase.FROZEN).work, "", Verdict.REFUSED, "Traffic is frozen: the restore of the database of release new"),
    ],
)
def test_lease_alone_tells_when_there_is_nothing_to_free(
    work: Work, release_id: str, verdict: Verdict | None, said: str
) -> None:
    decision = why_not_free(replace(FREE, release_id=release_id), work)
    assert (decision.verdict if decision else None) is verdict
    assert (decision.reason if decision else "").startswith(said)


def test_who_works_is_left_at_it() -> None:
    assert still_works(held().work) == Decision(
        Verdict.REFUSED,
        f"Execution {DEPLOYMENT} still runs (shifting). Order abort, or stop that execution first.",
    )


def migrating(ends_by: str, status: str = "running") -> dict[str, Any]:
    return {"migrations": {"class": "breaking", "status": status, "ends_by": ends_by}}


def applying(ends_by: str, **ended: str) -> dict[str, Any]:
    return {"infrastructure": {"ends_by": ends_by, **ended}}


@pytest.mark.parametrize(
    ("history", "still"),
    [
        (migrating(at(11)), f"Migrations of the dead release may run until {at(11)}"),
        (applying(at(11)), f"Terraform of the dead release may run until {at(11)}"),
        ({"infrastructure_rollback": {"ends_by": at(11)}}, f"Terraform of the dead release may run until {at(11)}"),
        (migrating(at(12)) | applying(at(11)), f"Migrations of the dead release may run until {at(12)}"),
        (migrating(at(11)) | applying(at(12)), f"Terraform of the dead release may run until {at(12)}"),
        (migrating(at(10, 1)), f"Migrations of the dead release may run until {at(10, 1)}"),
        (
            migrating("2026-03-01T10:10:00.500Z"),
            "Migrations of the dead release may run until 2026-03-01T10:10:00.500Z",
        ),
    ],
)
def test_what_no_stopped_execution_stops_is_waited_for(history: dict[str, Any], still: str) -> None:
    assert still_changes(history, NOW) == Decision(
        Verdict.REFUSED, f"{still}. Give this order again then, or order abort now."
    )


@pytest.mark.parametrize(
    "history",
    [
        {},
        migrating(at(10)),
        migrating(at(11), "done"),
        applying(at(10)),
        applying(at(11), ended_at=at(9)),
    ],
)
def test_what_has_ended_is_not(history: dict[str, Any]) -> None:
    assert still_changes(history, NOW) is None


def freeing(active: str, work: Work, live: Live | None = LIVE) -> Freeing | Decision:
    return decide_freeing(EnvironmentRecord(work, live), active, "dead", NOW)


ABORTED = {"outcome": "aborted", "issue": "dead"}
ESCALATED = {"outcome": "escalated", "issue": "dead"}
PROMOTED_BEFORE = {"outcome": "promoted"}


@pytest.mark.parametrize(
    ("work", "phase", "outcome"),
    [
        (held(Phase.PREPARING).work, Phase.ABORTED, ABORTED),
        (held(Phase.ROLLING_BACK, action="abort").work, Phase.ABORTED, ABORTED),
        (held(Phase.ROLLING_BACK, action="finish").work, Phase.COMMITTED, PROMOTED_BEFORE),
        (held(Phase.ROLLING_BACK, action="let_go").work, Phase.COMMITTED, PROMOTED_BEFORE),
        (held(Phase.COMMITTED).work, Phase.COMMITTED, PROMOTED_BEFORE),
        (held(Phase.CLEANING_UP).work, Phase.COMMITTED, PROMOTED_BEFORE),
        (held(Phase.SHIFTING).work, Phase.ESCALATED, ESCALATED),
        (held(Phase.ROLLING_BACK, action="switch").work, Phase.ESCALATED, ESCALATED),
    ],
)
@pytest.mark.parametrize("live", [LIVE, None])
def test_work_that_left_traffic_where_the_record_has_it_ends_as_far_as_it_came(
    work: Work, phase: Phase, outcome: dict[str, str], live: Live | None
) -> None:
    assert freeing("green", work, live) == Freeing(phase, {"new": outcome})


def test_release_that_a_dead_rollback_had_beaten_was_aborted() -> None:
    work = held(Phase.ROLLING_BACK, action="switch", loser={"release_id": "next"}).work
    assert freeing("green", work) == Freeing(Phase.ESCALATED, {"next": {"outcome": "aborted"}, "new": ESCALATED})


def test_traffic_on_the_way_back_was_rolled_back() -> None:
    """By the dead holder, or by hand since."""
    preparing = replace(held(Phase.PREPARING, loser={"release_id": "older"}).work, release_id="next")
    found = freeing("blue", preparing)
    assert isinstance(found, Freeing)
    assert found.phase is Phase.ROLLED_BACK
    assert found.outcomes == {
        "next": {"outcome": "aborted"},
        "live": {"outcome": "rolled_back", "issue": "dead"},
    }
    assert found.live is not None
    assert (found.live.release_id, found.live.since) == ("old", NOW)


@pytest.mark.parametrize(
    ("active", "live", "known"),
    [
        ("red", LIVE, "release live on green, or blue, its way back"),
        ("blue", free(PointStatus.EXPIRED).live, "release live on green"),
        ("blue", replace(LIVE, rollback_point=None), "release live on green"),
    ],
)
def test_traffic_where_nobody_has_recorded_it_has_to_be_moved_by_hand(active: str, live: Live, known: str) -> None:
    problem = f"All traffic is on {active}, but the record has {known}."
    assert freeing(active, held().work, live) == divided(problem)
    assert divided(problem) == Decision(
        Verdict.REFUSED,
        f"{problem} Move all traffic of every route to one color by hand, then give this order again.",
    )


def test_operator_reads_what_the_record_says_of_a_freed_environment() -> None:
    assert freed("new", "aborted") == "The environment is free. The record has release new as aborted."
    assert freed("new", "escalated") == (
        "The environment is free. The record has release new as escalated. To go back from it, start the rollback"
        " machine with {}."
    )
