"""Which alarm may take a release back, and which only pages or is over."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from lambdas.judge.alarm_rules import Alarm, AlarmName, Effect
from lambdas.release.rules import EnvironmentRecord, Live, Maintenance, Phase, PointStatus, RollbackPoint, Work
from lambdas.rollback.alarm_rules import AlarmEvent, CriticalAlarms, Refusal, refuse_alarm
from tests.builders import BLUE, DEPLOYMENT, at

PREFIX = "receipts-test"
NOW = at(10)
ERRORS = AlarmName(Effect.ROLLS_BACK, "error-rate-api", "green")
POINT = RollbackPoint(PointStatus.VALID, "blue", "1111111", "old", {"api": BLUE}, capacity=2)
LIVE = Live("new", "2222222", "green", at(2), POINT)
SHIFTING = EnvironmentRecord(Work(token=3, holder=DEPLOYMENT, phase=Phase.SHIFTING, release_id="new"), LIVE)


def on(name: AlarmName = ERRORS, since: str = at(9)) -> Alarm:
    return Alarm(name, is_on=True, since=since)


def event(name: AlarmName = ERRORS, changed_at: str = at(9), previous_state: str = "OK") -> AlarmEvent:
    return AlarmEvent(name.full(PREFIX), previous_state, changed_at)


def refused(
    given: AlarmEvent | None = None,
    record: EnvironmentRecord = SHIFTING,
    alarms: Sequence[Alarm] | None = (on(),),
    now: str = NOW,
) -> Refusal | None:
    return refuse_alarm(given or event(), CriticalAlarms(PREFIX, alarms), record, now)


def with_live(live: Live | None, work: Work = SHIFTING.work) -> EnvironmentRecord:
    return EnvironmentRecord(work, live)


def in_window(ends_at: str) -> EnvironmentRecord:
    point = replace(POINT, window_ends_at=ends_at)
    return with_live(replace(LIVE, rollback_point=point), Work(token=3, phase=Phase.COMMITTED, release_id="new"))


def pages(refusal: Refusal | None, because: str) -> bool:
    return refusal is not None and refusal.pages and because in refusal.reason


def is_over(refusal: Refusal | None, because: str) -> bool:
    return refusal is not None and not refusal.pages and because in refusal.reason


def test_alarm_of_the_shifting_release_rolls_back() -> None:
    assert refused() is None


@pytest.mark.parametrize("subject", ["balancer-error-rate-receipts", "probe-login"])
def test_alarm_of_all_traffic_rolls_back(subject: str) -> None:
    name = AlarmName(Effect.ROLLS_BACK, subject)
    assert refused(event(name), alarms=[on(name)]) is None


def test_alarm_rolls_back_until_the_window_ends_and_pages_afterwards() -> None:
    assert refused(record=in_window(at(11))) is None
    assert pages(refused(record=in_window(at(10))), "outside the time")


def test_alarm_that_is_ok_again_is_over() -> None:
    assert is_over(refused(alarms=[]), "not on any more")


def test_when_cloudwatch_does_not_answer_the_event_has_the_last_word() -> None:
    assert refused(alarms=None) is None
    assert pages(refused(event(changed_at=at(1)), alarms=None), "was on before release new")


def test_late_event_is_judged_by_what_the_alarm_is_now() -> None:
    """It is of the release before, and its alarm is on since then; or it has turned on again for this release."""
    late = event(changed_at=at(1))
    assert pages(refused(late, alarms=[on(since=at(1))]), "was on before release new")
    assert refused(late, alarms=[on(since=at(9))]) is None


def test_alarm_that_turns_on_at_the_first_shift_is_of_the_release() -> None:
    assert refused(alarms=[on(since=at(2))]) is None


def test_alarm_of_the_old_color_moves_no_traffic_to_it() -> None:
    blue = replace(ERRORS, color="blue")
    assert pages(refused(event(blue), alarms=[on(blue)]), "would go back")


def test_both_colors_in_trouble_are_a_humans_to_judge() -> None:
    blue = AlarmName(Effect.ROLLS_BACK, "response-time-api", "blue")
    assert pages(refused(alarms=[on(), on(blue)]), "blue, is in trouble too (response-time-api)")


def test_way_back_is_not_blamed_for_an_alarm_that_pages() -> None:
    cpu = AlarmName(Effect.PAGES, "cpu", "blue")
    assert refused(alarms=[on(), on(cpu)]) is None


def test_alarm_that_pages_takes_no_release_back_although_nobody_describes_it() -> None:
    cpu = AlarmName(Effect.PAGES, "cpu", "green")
    assert pages(refused(event(cpu), alarms=[]), "No release is taken back for this alarm")


def test_maintenance_pages() -> None:
    maintained = replace(SHIFTING, maintenance=Maintenance(until=at(11), reason="new disks", by="operate:one"))
    assert pages(refused(record=maintained), "Maintenance is under way until 2026-03-01T10:11:00.000Z (new disks)")
    assert refused(record=maintained, now=at(11)) is None


def test_environment_that_was_left_to_a_human_is_left_alone() -> None:
    assert pages(refused(record=with_live(LIVE, Work(token=3, phase=Phase.ESCALATED))), "left to a human")


@pytest.mark.parametrize("live", [None, replace(LIVE, rollback_point=None)])
def test_without_a_way_back_a_human_is_paged(live: Live | None) -> None:
    assert pages(refused(record=with_live(live, Work())), "outside the time")


def test_new_alarm_is_nothing_to_page_for_unless_a_release_is_being_watched() -> None:
    new = event(previous_state="INSUFFICIENT_DATA")
    assert is_over(refused(new, with_live(None, Work())), "no release is being watched")
    assert is_over(refused(new, in_window(at(9))), "no release is being watched")
    assert refused(new) is None


def test_after_a_rollback_alarms_of_what_was_taken_back_are_over() -> None:
    """The point then holds the color that was taken back; the alarm of all traffic turned on before the rollback."""
    taken_back = replace(POINT, status=PointStatus.CONSUMED, color="green", release_id="new")
    record = with_live(Live("old", "1111111", "blue", at(9, 30), taken_back), Work(token=4, phase=Phase.ROLLED_BACK))
    everybody = AlarmName(Effect.ROLLS_BACK, "probe-login")
    assert is_over(refused(event(), record, [on(since=at(9, 45))]), "was on when release new was taken back")
    assert is_over(refused(event(everybody), record, [on(everybody)]), "taken back")
    assert is_over(refused(event(everybody), record, [on(everybody, since=at(14, 29))], at(14, 30)), "taken back")
    assert pages(refused(event(everybody), record, [on(everybody, since=at(14, 30))], at(14, 31)), "outside the time")
    blue = replace(ERRORS, color="blue")
    assert pages(refused(event(blue), record, [on(blue, since=at(9, 45))]), "outside the time")


@pytest.mark.parametrize(
    "name",
    ["other-test-rolls-back-error-rate-api-green", "receipts-test-critical", "receipts-test-warns-cpu-green", ""],
)
def test_other_alarms_are_nothing(name: str) -> None:
    assert is_over(refused(AlarmEvent(name, "OK", at(9))), "no critical alarm of this environment")


def test_reason_names_the_alarm() -> None:
    """Everything that a human reads names the alarm in full."""
    refusal = refused(alarms=[on(since=at(1))])
    assert refusal
    assert ERRORS.full(PREFIX) in refusal.reason


HELD = replace(LIVE, no_automatic_rollback="the old version knows no currencies")


def holds(refusal: Refusal | None) -> bool:
    return pages(refusal, "Release new is not rolled back by itself") and refusal is not None and refusal.holds


def test_alarm_of_a_release_with_breaking_migrations_pages() -> None:
    """The old version does not work with the database any more."""
    held = refused(record=with_live(HELD))
    assert holds(held)
    assert pages(held, "the old version knows no currencies")


def test_who_is_paged_about_such_a_release_always_hears_that_it_is_held() -> None:
    assert holds(refused(record=with_live(HELD, Work(token=3, phase=Phase.ESCALATED))))
    blue = replace(ERRORS, color="blue")
    assert holds(refused(event(blue), with_live(HELD), [on(blue)]))


def test_such_a_release_is_like_every_other_once_its_window_is_over() -> None:
    over = replace(HELD, rollback_point=replace(POINT, window_ends_at=at(10)))
    refusal = refused(record=with_live(over, Work(token=3, phase=Phase.COMMITTED)))
    assert pages(refusal, "outside the time")
    assert not holds(refusal)
