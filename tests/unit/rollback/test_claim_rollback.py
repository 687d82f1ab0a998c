"""The claim against the record itself: what it decides, what it writes, and what others may do meanwhile."""

from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from lambdas.judge.alarm_rules import Alarm, AlarmName, Effect
from lambdas.release.record import Orders, ReleaseRecord
from lambdas.release.rules import (
    EnvironmentRecord,
    HealthReading,
    Lease,
    Live,
    Order,
    OrderAction,
    Phase,
    PointStatus,
    RollbackPoint,
    Work,
)
from lambdas.rollback import claim_rollback as function
from lambdas.rollback.rules import read_rollback_request
from tests.builders import BLUE, CLEAN_UP, DEPLOYMENT, GREEN, OPERATE, OTHER_DEPLOYMENT, OTHER_ROLLBACK, ROLLBACK, at
from tests.fakes import FakeExecutions
from tests.unit.judge.cloudwatch import FakeCloudWatch

POINT = RollbackPoint(PointStatus.VALID, "blue", "1111111", "old", {"api": BLUE}, capacity=2)
LIVE = Live("new", "2222222", "green", at(2), POINT)


@pytest.fixture(autouse=True)
def executions(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> FakeExecutions:
    fake = FakeExecutions(running={DEPLOYMENT})
    monkeypatch.setattr(function, "executions", fake)
    monkeypatch.setattr(function, "record", record)
    return fake


@pytest.fixture
def shifting(record: ReleaseRecord) -> Lease:
    """Return the lease of a deployment that has 10 % of the traffic on green."""
    lease = record.claim(Work(), Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new", progress_at=at(1)))
    record.begin_shifting(lease, LIVE, Phase.SHIFTING, {"api": {GREEN: 10, BLUE: 90}}, at(2))
    return lease


def claim(given: object = None, execution: str = ROLLBACK, now: str = at(5)) -> dict[str, Any]:
    return function.claim_rollback(read_rollback_request({} if given is None else given), execution, now)


def asked(at_moment: str, given: object = None) -> str:
    """Return what becomes of a rollback that was started at a moment, and can claim only at 10:05."""
    request = replace(read_rollback_request({} if given is None else given), asked_at=at_moment)
    return str(function.claim_rollback(request, ROLLBACK, at(5))["action"])


def test_rollback_that_comes_late_is_about_what_was_there_when_it_was_asked_for(record: ReleaseRecord) -> None:
    """For ten minutes it could not claim; meanwhile somebody else went back, and released the mended version."""
    lease = record.claim(Work(), Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new", claimed_at=at(1)))
    assert asked(at(0)) == "nothing"
    record.begin_shifting(lease, LIVE, Phase.SHIFTING, {"api": {GREEN: 10, BLUE: 90}}, at(2))
    assert asked(at(0)) == "nothing"
    assert asked(at(0), {"release_id": "new"}) == "switch"


def test_rollback_asked_for_while_a_release_prepares_stops_it_when_it_shifts_meanwhile(record: ReleaseRecord) -> None:
    lease = record.claim(Work(), Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new", claimed_at=at(1)))
    record.begin_shifting(lease, LIVE, Phase.SHIFTING, {"api": {GREEN: 10, BLUE: 90}}, at(3))
    assert asked(at(2)) == "switch"


@pytest.mark.parametrize(("moment", "action"), [(at(1), "nothing"), (at(3), "switch")])
def test_release_that_went_live_after_a_rollback_was_asked_for_is_not_meant(
    record: ReleaseRecord, shifting: Lease, moment: str, action: str
) -> None:
    record.finish(shifting, Phase.COMMITTED, at(4), {})
    assert asked(moment) == action


def test_live_release_is_meant_although_another_one_began_to_prepare_since(record: ReleaseRecord) -> None:
    first = record.claim(Work(), Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new", claimed_at=at(0)))
    record.begin_shifting(first, LIVE, Phase.SHIFTING, {}, at(2))
    record.finish(first, Phase.COMMITTED, at(3), {})
    record.claim(
        record.read().work, Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="newer", claimed_at=at(4))
    )
    assert asked(at(3)) == "switch"


def test_operator_takes_the_environment_from_a_running_deployment(record: ReleaseRecord, shifting: Lease) -> None:
    answer = claim()
    assert answer["action"] == "switch"
    assert (answer["release_id"], answer["color"], answer["wanted_healthy"]) == ("new", "blue", 2)
    assert answer["loser"] == DEPLOYMENT
    assert answer["lease"] == {"holder": ROLLBACK, "token": shifting.token + 1}
    work = record.read().work
    assert (work.holder, work.phase) == (ROLLBACK, Phase.ROLLING_BACK)
    assert work.loser["intents"] == {"api": {GREEN: 10, BLUE: 90}}


@pytest.mark.usefixtures("shifting")
def test_repeated_claim_gives_the_same_answer() -> None:
    """The answer of the first attempt can be lost, and a second token would be a second holder."""
    first, second = claim(), claim(now=at(5, 2))
    unchanged = ("action", "lease", "release_id", "color", "claimed_at", "loser")
    assert [first[name] for name in unchanged] == [second[name] for name in unchanged]


@pytest.mark.usefixtures("shifting")
def test_claim_carries_the_last_health_reading(record: ReleaseRecord) -> None:
    record.note_health(HealthReading("blue", 2, at(4)))
    answer = claim()
    assert (answer["last_healthy"], answer["last_healthy_at"]) == (2, at(4))


@pytest.mark.usefixtures("shifting")
def test_health_reading_of_the_other_color_is_no_reading(record: ReleaseRecord) -> None:
    record.note_health(HealthReading("green", 2, at(4)))
    assert claim()["last_healthy_at"] == ""


@pytest.mark.usefixtures("shifting")
@pytest.mark.parametrize("given", [[], {"unknown": "x"}, {"source": "watchdog", "execution_arn": "another"}])
def test_claim_that_has_nothing_to_do_changes_nothing(record: ReleaseRecord, given: object) -> None:
    before = record.read()
    assert claim(given)["lease"] == {"holder": "", "token": 0}
    assert record.read() == before


@pytest.mark.usefixtures("shifting")
def test_second_rollback_joins_the_first(record: ReleaseRecord, executions: FakeExecutions) -> None:
    claim(execution=OTHER_ROLLBACK)
    executions.running.add(OTHER_ROLLBACK)
    assert claim()["action"] == "nothing"
    assert record.read().work.holder == OTHER_ROLLBACK


@pytest.mark.usefixtures("shifting")
def test_dead_rollback_is_taken_over_with_its_loser() -> None:
    first = claim(execution=OTHER_ROLLBACK)
    answer = claim({"source": "watchdog", "execution_arn": OTHER_ROLLBACK})
    assert (answer["action"], answer["loser"]) == ("switch", DEPLOYMENT)
    assert answer["lease"]["token"] == first["lease"]["token"] + 1


@pytest.mark.parametrize("given", [{}, {"release_id": "new"}, {"source": "watchdog", "execution_arn": DEPLOYMENT}])
def test_pause_holds_no_rollback(record: ReleaseRecord, shifting: Lease, given: object) -> None:
    """It goes with the lease of the deployment that was paused."""
    pause = Order(OrderAction.PAUSE, at(3), "checkout looks slow", OPERATE, until=at(30))
    record.give_order(record.read().work, pause, Orders("new", [], [{"by": OPERATE}]))
    answer = claim(given)
    assert (answer["action"], answer["lease"]) == ("switch", {"holder": ROLLBACK, "token": shifting.token + 1})
    assert record.read().work.order is None


@pytest.mark.usefixtures("shifting")
def test_who_goes_on_with_a_dead_rollback_asks_for_the_database_as_that_one_was_told(
    record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever wanted the data back has said so once, and why."""
    monkeypatch.setattr(function, "settings", replace(function.settings, restore_machine="arn:of:it"))
    assert claim({"database": True, "reason": "receipts are garbled"})["database"] is True

    ended = {"source": "execution-status", "execution_arn": ROLLBACK, "status": "ABORTED"}
    answer = claim(ended, OTHER_ROLLBACK)
    assert (answer["action"], answer["database"], answer["why"]) == ("switch", True, "receipts are garbled")
    third = claim({"source": "watchdog", "execution_arn": OTHER_ROLLBACK}, "arn:of:the:third")
    assert (third["database"], third["why"]) == (True, "receipts are garbled")
    assert record.read().work.database == "receipts are garbled"
    assert {answer["asked_by"], third["asked_by"], record.read().work.asked_by} == {ROLLBACK}


@pytest.mark.usefixtures("shifting")
def test_who_goes_on_with_a_rollback_of_traffic_alone_asks_for_no_data() -> None:
    claim()
    answer = claim({"source": "execution-status", "execution_arn": ROLLBACK, "status": "ABORTED"}, OTHER_ROLLBACK)
    assert (answer["database"], answer["asked_by"]) == (False, "")


class ClaimedInBetween(ReleaseRecord):
    """A record in which another rollback claims right after the deployment was seen to hold it."""

    def read(self) -> EnvironmentRecord:
        found = super().read()
        if found.work.holder == DEPLOYMENT:
            other = Work(holder=OTHER_ROLLBACK, phase=Phase.ROLLING_BACK, action="switch", progress_at=at(5))
            super().claim(found.work, other)
        return found


@pytest.mark.usefixtures("shifting")
def test_claim_decides_anew_when_another_rollback_was_faster(
    record: ReleaseRecord, executions: FakeExecutions, monkeypatch: pytest.MonkeyPatch
) -> None:
    executions.running.add(OTHER_ROLLBACK)
    monkeypatch.setattr(function, "record", ClaimedInBetween(record.dynamodb, record.table, record.environment))
    assert claim()["action"] == "nothing"
    assert record.read().work.holder == OTHER_ROLLBACK


def test_changed_target_groups_are_escalated_with_the_environment_in_hand(
    record: ReleaseRecord, shifting: Lease
) -> None:
    """Claimed, so that the escalation can let it go: otherwise the watchdog would page every minute."""
    moved = replace(LIVE, rollback_point=replace(POINT, target_groups={"api": "moved"}))
    record.begin_shifting(shifting, moved, Phase.SHIFTING, {}, at(3))
    answer = claim()
    assert answer["action"] == "escalate"
    assert record.read().work.holder == ROLLBACK


@pytest.fixture
def cleaning_up(record: ReleaseRecord) -> Lease:
    """Return the lease of a clean-up that has given the way back up."""
    expired = replace(LIVE, rollback_point=replace(POINT, status=PointStatus.EXPIRED, window_ends_at=at(3)))
    work = Work(holder=CLEAN_UP, phase=Phase.CLEANING_UP, release_id="new", progress_at=at(4))
    return record.claim(Work(), work, live=expired)


@pytest.mark.usefixtures("cleaning_up")
def test_operator_takes_nothing_from_a_clean_up(record: ReleaseRecord) -> None:
    before = record.read()
    answer = claim()
    assert (answer["action"], answer["lease"]) == ("impossible", {"holder": "", "token": 0})
    assert "was given up" in answer["reason"]
    assert record.read() == before


def test_lease_of_a_dead_clean_up_is_taken_to_be_given_back(cleaning_up: Lease) -> None:
    answer = claim({"source": "execution-status", "execution_arn": CLEAN_UP, "status": "FAILED"})
    assert (answer["action"], answer["release_id"]) == ("let_go", "new")
    assert answer["lease"] == {"holder": ROLLBACK, "token": cleaning_up.token + 1}


# An alarm asks


ERRORS = AlarmName(Effect.ROLLS_BACK, "error-rate-api", "green")
ALARM = {
    "source": "alarm",
    "alarm": ERRORS.full("receipts-test"),
    "previous_state": "OK",
    "changed_at": at(4),
    "reason": "9 % of requests",
}


@pytest.fixture
def alarm_is_on(monkeypatch: pytest.MonkeyPatch) -> None:
    described = (Alarm(ERRORS, is_on=True, since=at(4)),)
    monkeypatch.setattr(function.Alarms, "that_roll_back", lambda _: described)


@pytest.mark.usefixtures("shifting", "alarm_is_on")
def test_alarm_takes_the_shifting_release_back_once() -> None:
    first = claim(ALARM)
    assert (first["action"], first["release_id"], first["loser"]) == ("switch", "new", DEPLOYMENT)
    assert first["reason"].endswith("Reason: 9 % of requests")
    executions = function.executions
    assert isinstance(executions, FakeExecutions)
    executions.running.add(ROLLBACK)
    assert claim(ALARM, OTHER_ROLLBACK)["action"] == "nothing"


@pytest.mark.usefixtures("shifting")
def test_alarm_that_is_over_changes_nothing(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(function.Alarms, "that_roll_back", lambda _: ())
    before = record.read()
    assert claim(ALARM)["action"] == "nothing"
    assert record.read() == before


@pytest.mark.usefixtures("alarm_is_on")
def test_alarm_for_which_nobody_is_to_blame_pages_about_the_live_release(
    record: ReleaseRecord, shifting: Lease
) -> None:
    record.finish(
        shifting, Phase.COMMITTED, at(4), {}, live=replace(LIVE, rollback_point=replace(POINT, window_ends_at=at(3)))
    )
    paged = claim(ALARM)
    assert (paged["action"], paged["release_id"], paged["lease"]["holder"]) == ("page", "new", "")


@pytest.mark.usefixtures("shifting")
def test_release_is_taken_back_although_cloudwatch_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://monitoring")

    monkeypatch.setattr(function.Alarms, "that_roll_back", refuse)
    assert claim(ALARM)["action"] == "switch"


@pytest.mark.usefixtures("shifting")
def test_no_other_rollback_asks_cloudwatch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(function.Alarms, "that_roll_back")
    assert claim({})["action"] == "switch"


@pytest.mark.usefixtures("alarm_is_on")
def test_alarm_of_the_live_release_goes_before_the_one_that_prepares(record: ReleaseRecord, shifting: Lease) -> None:
    live = replace(LIVE, rollback_point=replace(POINT, window_ends_at=at(30)))
    record.finish(shifting, Phase.COMMITTED, at(4), {}, live=live)
    free = record.read().work
    record.claim(free, Work(holder=OTHER_DEPLOYMENT, phase=Phase.PREPARING, release_id="next", claimed_at=at(5)))
    taken_back = function.claim_rollback(replace(read_rollback_request(ALARM), asked_at=at(6)), ROLLBACK, at(6))
    assert (taken_back["action"], taken_back["release_id"]) == ("switch", "new")
    assert taken_back["loser"] == OTHER_DEPLOYMENT


@pytest.fixture
def cloudwatch(monkeypatch: pytest.MonkeyPatch) -> FakeCloudWatch:
    fake = FakeCloudWatch()
    monkeypatch.setattr(function, "client", lambda *_, **__: fake.client())
    fake.on = {ERRORS.full("receipts-test"): at(4)}
    return fake


@pytest.mark.usefixtures("shifting")
def test_alarm_moves_no_traffic_to_a_color_that_fails_too(cloudwatch: FakeCloudWatch) -> None:
    """Its own alarm may turn on a moment later."""
    cloudwatch.counts["receipts-blue"] = (100, 6, 0)
    paged = claim(ALARM)
    assert paged["action"] == "page"
    assert "the way back is in trouble, too: blue: 6 of 100 requests failed (6.0 %)" in paged["reason"]


@pytest.mark.usefixtures("shifting")
@pytest.mark.parametrize(
    ("blue", "refuses"),
    [((100, 5, 0), {}), ((20, 1, 1), {}), ((0, 0, 0), {}), ((100, 90, 0), {"GetMetricData": "Throttling"})],
    ids=["as many as may", "one had bad luck", "nobody asks it", "nobody can say"],
)
def test_alarm_moves_traffic_to_a_color_of_which_no_such_trouble_is_known(
    cloudwatch: FakeCloudWatch, blue: tuple[int, int, int], refuses: dict[str, str]
) -> None:
    cloudwatch.counts["receipts-blue"], cloudwatch.refuses = blue, refuses
    assert claim(ALARM)["action"] == "switch"


def test_color_without_traffic_is_not_asked_how_it_does(
    record: ReleaseRecord, shifting: Lease, cloudwatch: FakeCloudWatch
) -> None:
    record.finish(
        shifting, Phase.COMMITTED, at(4), {}, live=replace(LIVE, rollback_point=replace(POINT, window_ends_at=at(30)))
    )
    cloudwatch.counts["receipts-blue"] = (100, 90, 0)
    assert claim(ALARM)["action"] == "switch"
