"""When the way back may be given up: only when nobody can need it, and nobody else is at work."""

from dataclasses import replace

import pytest

from lambdas.release.rules import (
    CleanUp,
    CleanUpRequest,
    EnvironmentRecord,
    Live,
    Phase,
    PointStatus,
    RollbackPoint,
    Work,
    as_timestamp,
    clean_up_work,
    decide_clean_up,
    expired,
    last_user_of_idle_color,
    parse_moment,
    read_clean_up_request,
)
from tests.builders import BLUE, CLEAN_UP, DEPLOYMENT, OTHER_CLEAN_UP, ROLLBACK, at

NOW = at(10)
OVER, OPEN = at(9), at(50)
POINT = RollbackPoint(PointStatus.VALID, "blue", "1111111", "old", {"api": BLUE}, capacity=2)
ANY = CleanUpRequest()


def live(status: PointStatus = PointStatus.VALID, window_ends_at: str | None = OVER) -> Live:
    return Live("new", "2222222", "green", at(2), replace(POINT, status=status, window_ends_at=window_ends_at))


def held(holder: str, phase: Phase) -> Work:
    return Work(token=7, holder=holder, phase=phase, release_id="new")


def decided(record: EnvironmentRecord, request: CleanUpRequest = ANY, now: str = NOW) -> CleanUp:
    return decide_clean_up(request, record, CLEAN_UP, now).action


@pytest.mark.parametrize("request_", [ANY, CleanUpRequest(release_id="new")], ids=["whatever is live", "named"])
def test_window_that_is_over_is_cleaned_up(request_: CleanUpRequest) -> None:
    verdict = decide_clean_up(request_, EnvironmentRecord(live=live()), CLEAN_UP, NOW)
    assert (verdict.action, verdict.reason) == (CleanUp.CLEAN, "The rollback window is over.")


def test_window_ends_at_its_very_moment() -> None:
    """A machine that has waited for it must not be told to wait for it again."""
    record = EnvironmentRecord(live=live(window_ends_at=OPEN))
    assert decided(record, now=at(49, 59)) is CleanUp.WAIT
    assert decided(record, now=OPEN) is CleanUp.CLEAN


def test_open_window_is_waited_for_to_its_end() -> None:
    verdict = decide_clean_up(ANY, EnvironmentRecord(live=live(window_ends_at=OPEN)), CLEAN_UP, NOW)
    assert (verdict.action, verdict.again_at) == (CleanUp.WAIT, "2026-03-01T10:50:00Z")
    assert OPEN in verdict.reason


NOBODY = "No release has left an old color behind."
NOT_PROMOTED = "Release new is not promoted, so the old color is its way back."


@pytest.mark.parametrize(
    ("record", "request_", "reason"),
    [
        (EnvironmentRecord(), ANY, NOBODY),
        (EnvironmentRecord(live=replace(live(), rollback_point=None)), ANY, NOBODY),
        (
            EnvironmentRecord(live=live(PointStatus.CONSUMED)),
            ANY,
            "Release old was rolled back; its rollback point is consumed.",
        ),
        (EnvironmentRecord(live=live(window_ends_at=None)), ANY, NOT_PROMOTED),
        (EnvironmentRecord(live=live(PointStatus.EXPIRED, window_ends_at=None)), ANY, NOT_PROMOTED),
        (
            EnvironmentRecord(live=live()),
            CleanUpRequest(release_id="older"),
            "Release older is not live any more.",
        ),
        (
            EnvironmentRecord(live=live(window_ends_at=OPEN)),
            CleanUpRequest(release_id="older"),
            "Release older is not live any more.",
        ),
    ],
    ids=[
        "nothing is live",
        "no rollback point",
        "rolled back",
        "not promoted",
        "not promoted, expired",
        "another release is live",
        "another release is live, in its window",
    ],
)
def test_old_color_that_somebody_needs_is_no_clean_ups_business(
    record: EnvironmentRecord, request_: CleanUpRequest, reason: str
) -> None:
    verdict = decide_clean_up(request_, record, CLEAN_UP, NOW)
    assert (verdict.action, verdict.reason) == (CleanUp.NOTHING, reason)


@pytest.mark.parametrize("phase", [Phase.PREPARING, Phase.COMMITTED, Phase.ROLLING_BACK, Phase.CLEANING_UP])
@pytest.mark.parametrize("status", [PointStatus.VALID, PointStatus.EXPIRED])
def test_whoever_holds_the_environment_goes_first(phase: Phase, status: PointStatus) -> None:
    """A clean-up takes nothing from anybody, dead or alive: it looks again in a minute."""
    record = EnvironmentRecord(work=held(OTHER_CLEAN_UP, phase), live=live(status))
    verdict = decide_clean_up(ANY, record, CLEAN_UP, NOW)
    assert (verdict.action, verdict.again_at) == (CleanUp.WAIT, "2026-03-01T10:11:00Z")
    assert verdict.reason == f"Execution {OTHER_CLEAN_UP} works on the environment."


def test_old_color_is_kept_while_a_restore_has_frozen_the_traffic() -> None:
    work = Work(token=7, phase=Phase.FROZEN, release_id="new")
    verdict = decide_clean_up(ANY, EnvironmentRecord(work=work, live=live()), CLEAN_UP, NOW)
    assert (verdict.action, verdict.again_at) == (CleanUp.WAIT, "2026-03-01T10:11:00Z")
    assert verdict.reason.startswith("Traffic is frozen: the restore of the database of release new did not come")


@pytest.mark.parametrize("holder", [DEPLOYMENT, ROLLBACK])
def test_holder_does_not_keep_a_clean_up_alive_that_has_nothing_to_do(holder: str) -> None:
    """Otherwise it would ask every minute for the whole of the next release."""
    record = EnvironmentRecord(work=held(holder, Phase.SHIFTING), live=live(window_ends_at=None))
    assert decided(record) is CleanUp.NOTHING


def test_way_back_that_was_given_up_already_is_cleaned_up() -> None:
    """By a clean-up that died, or for a release that was aborted: the old color is still as large as it was."""
    assert decided(EnvironmentRecord(work=Work(token=7), live=live(PointStatus.EXPIRED))) is CleanUp.CLEAN


def test_repeated_claim_goes_on() -> None:
    """The answer of its first attempt was lost."""
    record = EnvironmentRecord(work=held(CLEAN_UP, Phase.CLEANING_UP), live=live(PointStatus.EXPIRED))
    verdict = decide_clean_up(ANY, record, CLEAN_UP, NOW)
    assert verdict.action is CleanUp.CLEAN
    assert verdict.reason == "This execution cleans up after release new already."


def test_clean_up_holds_the_environment_from_its_claim_on() -> None:
    assert clean_up_work(live(), CLEAN_UP, NOW) == Work(
        holder=CLEAN_UP, phase=Phase.CLEANING_UP, release_id="new", claimed_at=NOW, progress_at=NOW
    )


def test_given_up_way_back_is_kept_for_the_history() -> None:
    assert expired(live()) == live(PointStatus.EXPIRED)
    assert expired(replace(live(), rollback_point=None)) == replace(live(), rollback_point=None)


@pytest.mark.parametrize(
    ("found", "release_id"),
    [
        (None, ""),
        (replace(live(), rollback_point=None), ""),
        (live(), "new"),
        (live(PointStatus.EXPIRED), "new"),
        (live(PointStatus.CONSUMED), "old"),
    ],
    ids=["nothing is live", "no rollback point", "promoted", "given up", "rolled back: the point names what failed"],
)
def test_idle_color_was_used_last_by_one_release(found: Live | None, release_id: str) -> None:
    assert last_user_of_idle_color(found) == release_id


@pytest.mark.parametrize(
    ("moment", "timestamp"),
    [
        ("2026-03-01T10:00:00.000Z", "2026-03-01T10:00:00Z"),
        ("2026-03-01T10:00:00.001Z", "2026-03-01T10:00:01Z"),
        ("2026-03-01T10:00:00.000001+00:00", "2026-03-01T10:00:01Z"),
        ("2026-03-01T11:59:59.5+02:00", "2026-03-01T10:00:00Z"),
    ],
)
def test_wait_is_told_a_moment_that_is_never_too_early(moment: str, timestamp: str) -> None:
    """Step Functions takes this form everywhere, and need not look at fractions."""
    assert as_timestamp(moment) == timestamp
    assert parse_moment(timestamp) >= parse_moment(moment)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ([], "a list"),
        ("clean", "text"),
        (None, "null"),
        (7, "number"),
        ({"version": "1111111"}, "'version' is not known"),
        ({"release_id": 5}, "'release_id' must be text, but it is number '5'"),
        ({"release_id": None}, "'release_id' must be text, but it is null"),
    ],
)
def test_bad_request_names_field_and_shows_example(given: object, named: str) -> None:
    request = read_clean_up_request(given)
    assert named in request.problem
    assert "Example of a valid input: {}" in request.problem
    verdict = decide_clean_up(request, EnvironmentRecord(live=live()), CLEAN_UP, NOW)
    assert (verdict.action, verdict.reason) == (CleanUp.INVALID, request.problem)


@pytest.mark.parametrize("given", [{}, {"release_id": "new"}])
def test_good_request_has_no_problem(given: dict[str, str]) -> None:
    assert read_clean_up_request(given) == CleanUpRequest(release_id=given.get("release_id", ""))


def test_environment_left_to_a_human_is_cleaned_up_only_by_hand() -> None:
    """A rollback was needed and did not work: the way back is not taken away while somebody looks for another one."""
    record = EnvironmentRecord(work=Work(token=7, phase=Phase.ESCALATED, release_id="new"), live=live())
    verdict = decide_clean_up(CleanUpRequest(release_id="new"), record, CLEAN_UP, NOW)
    assert verdict.action is CleanUp.NOTHING
    assert verdict.reason == (
        "The environment was left to a human. Start this machine with the input {} when the old color may go."
    )
    assert decided(record, ANY) is CleanUp.CLEAN
