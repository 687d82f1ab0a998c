"""A look at a bake against the record itself: what it reads, what it writes, and what it obeys."""

from dataclasses import replace
from json import dumps
from typing import Any

import pytest

from lambdas.errors import LeaseLost, NotTheRelease, PauseExpired, ReleaseUnhealthy
from lambdas.judge import judge_bake as function
from lambdas.judge.alarms import Alarms
from lambdas.judge.evidence_rules import JudgeSettings, Span
from lambdas.judge.log_counts import LogCounts
from lambdas.judge.metrics import Metrics
from lambdas.judge.rules import Standards
from lambdas.release.record import Orders, ReleaseRecord
from lambdas.release.rules import Bake, Lease, Order, OrderAction, Phase, Work
from tests.builders import BLUE, DEPLOYMENT, GREEN, JUDGE, NEW_VERSION, OLD_VERSION, OPERATE, ROLLBACK, at
from tests.fakes import LosesAnswers
from tests.unit.judge.cloudwatch import CRITICAL, FakeCloudWatch

BLUE_ALARM, GREEN_ALARM, _ = CRITICAL
GOOD = "green: 1 of 500 requests failed (0.2 %), blue: 9 of 4,500 (0.2 %)"
BAD = (500, 40, 2)
FEW = (19, 0, 0)
PAUSE = Order(OrderAction.PAUSE, at(3), "checkout looks slow", OPERATE, until=at(20))
PROMOTE = Order(OrderAction.PROMOTE, at(3), "it is urgent", OPERATE)


@pytest.fixture(autouse=True)
def wired(record: ReleaseRecord, cloudwatch: FakeCloudWatch, monkeypatch: pytest.MonkeyPatch) -> None:
    client = cloudwatch.client()
    monkeypatch.setattr(function, "record", record)
    monkeypatch.setattr(function, "alarms", Alarms(client, function.settings.alarms))
    monkeypatch.setattr(function, "metrics", Metrics(client))


def told(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Let settings say something else about the judge."""
    settings = JudgeSettings.from_json(dumps({**JUDGE, **changes}))
    monkeypatch.setattr(function, "settings", replace(function.settings, standards=Standards(settings, steps=2)))


def look(lease: Lease, now: str, percent: int = 10, bake_seconds: int = 300) -> dict[str, Any]:
    event = {
        "lease": lease.as_event(),
        "release_id": "new",
        "version": NEW_VERSION,
        "color": "green",
        "percent": percent,
        "bake_seconds": bake_seconds,
        "now": now,
    }
    answer: dict[str, Any] = function.lambda_handler.__wrapped__(event, None)
    return answer


def give(record: ReleaseRecord, order: Order) -> None:
    before = record.release("new").get("orders", [])
    record.give_order(record.read().work, order, Orders("new", before, [*before, {"by": order.by, "at": order.at}]))


# -- the bake


def test_first_look_writes_down_when_the_bake_ends_and_asks_nobody_for_counts(
    record: ReleaseRecord, cloudwatch: FakeCloudWatch, lease: Lease
) -> None:
    """Nothing can have been published yet."""
    assert look(lease, at(2)) == {
        "done": False,
        "again_at": "2026-03-01T10:02:09Z",
        "verdict": "inconclusive",
        "reason": "green had 0 requests, and 20 are needed to judge by.",
        "asks": False,
    }
    assert record.read().work.bake == Bake(10, began_at=at(2), ends_at="2026-03-01T10:07:00+00:00")
    assert {operation for operation, _ in cloudwatch.asked} == {"DescribeAlarms"}


def test_healthy_release_goes_on_when_it_has_baked(record: ReleaseRecord, lease: Lease) -> None:
    look(lease, at(2))
    assert not look(lease, at(6, 59))["done"]
    assert record.read().work.progress_at == at(6, 59)
    found = look(lease, at(7))
    assert (found["done"], found["verdict"], found["asks"]) == (True, "healthy", False)
    assert found["reason"].startswith(GOOD)
    assert look(lease, at(7)) == found


def test_every_step_is_judged_by_its_own_requests(cloudwatch: FakeCloudWatch, lease: Lease) -> None:
    look(lease, at(2))
    look(lease, at(7))
    look(lease, at(8), percent=50)
    look(lease, at(8, 30), percent=50)
    asked = cloudwatch.counted
    assert asked["StartTime"].isoformat() == "2026-03-01T10:08:00+00:00"
    assert asked["EndTime"].isoformat() == "2026-03-01T10:08:25+00:00"


@pytest.mark.parametrize(
    ("source", "period", "blue", "green"),
    [
        ("application", 5, "receipts-blue", "receipts-green"),
        ("load_balancer", 60, BLUE.rpartition(":")[2], GREEN.rpartition(":")[2]),
    ],
)
def test_counts_come_from_where_settings_say(
    cloudwatch: FakeCloudWatch, lease: Lease, monkeypatch: pytest.MonkeyPatch, source: str, period: int, blue: str,
    green: str,
) -> None:  # fmt: skip
    metrics = {"metrics": JUDGE["metrics"] if source == "application" else None}
    told(monkeypatch, source=source, **metrics)
    cloudwatch.counts = {blue: (4500, 9, 18), green: (500, 1, 2)}
    look(lease, at(2))
    assert look(lease, at(7))["reason"].startswith(GOOD)
    asked = cloudwatch.counted
    assert {query["MetricStat"]["Period"] for query in asked["MetricDataQueries"]} == {period}


# -- the verdict


def test_release_that_is_worse_is_told_with_its_numbers(
    record: ReleaseRecord, cloudwatch: FakeCloudWatch, lease: Lease
) -> None:
    cloudwatch.counts["receipts-green"] = BAD
    look(lease, at(2))
    for _ in range(2):
        with pytest.raises(ReleaseUnhealthy, match=r"green: 40 of 500 requests failed \(8.0 %\), blue: 9 of 4,500"):
            look(lease, at(2, 30))
    assert record.release("new")["judgement"] == {
        "at": at(2, 30),
        "percent": 10,
        "verdict": "unhealthy",
        "blame": "release",
        "reason": "green: 40 of 500 requests failed (8.0 %), blue: 9 of 4,500 (0.2 %).",
        "evidence": {
            "new": {"requests": 500, "errors": 40, "slow": 2},
            "old": {"requests": 4500, "errors": 9, "slow": 18},
        },
    }


def test_alarm_since_the_first_shift_is_against_the_release(cloudwatch: FakeCloudWatch, lease: Lease) -> None:
    """Not since the present step: an alarm may take its time."""
    look(lease, at(2))
    cloudwatch.on = {GREEN_ALARM: at(2, 1)}
    with pytest.raises(ReleaseUnhealthy, match="alarm error-rate-api of green is on"):
        look(lease, at(9), percent=50)


def test_alarm_that_was_on_before_is_known(cloudwatch: FakeCloudWatch, lease: Lease) -> None:
    cloudwatch.on = {GREEN_ALARM: at(1, 59)}
    look(lease, at(2))
    assert look(lease, at(7))["done"]


@pytest.mark.parametrize("broken", ["counts", "alarm"])
def test_trouble_of_the_old_version_is_left_to_a_human(
    record: ReleaseRecord, cloudwatch: FakeCloudWatch, lease: Lease, broken: str
) -> None:
    cloudwatch.counts["receipts-green"] = BAD
    look(lease, at(2))
    if broken == "counts":
        cloudwatch.counts["receipts-blue"] = (4500, 900, 0)
    else:
        cloudwatch.on = {BLUE_ALARM: at(3)}
    with pytest.raises(NotTheRelease, match="blue"):
        look(lease, at(4))
    noted = record.release("new")["judgement"]
    assert (noted["verdict"], noted["blame"]) == ("inconclusive", "environment")


def test_release_in_spite_of_alarms_may_mend_the_old_version(
    record: ReleaseRecord, cloudwatch: FakeCloudWatch, lease: Lease
) -> None:
    record.note_release("new", {"despite_alarms": {"reason": "this mends it"}})
    cloudwatch.counts["receipts-blue"] = (4500, 900, 0)
    look(lease, at(2))
    assert look(lease, at(7))["done"]


def test_trouble_of_the_old_version_is_expected_after_breaking_migrations(
    record: ReleaseRecord, cloudwatch: FakeCloudWatch, lease: Lease
) -> None:
    """It does not work with the database any more: from the migrations to the shift its users have met that."""
    record.note_release("new", {"no_automatic_rollback": "the old version knows no currencies"})
    cloudwatch.on = {BLUE_ALARM: at(3)}
    look(lease, at(2))
    assert look(lease, at(7))["done"]


def test_judgement_is_noted_when_it_is_another_one(record: ReleaseRecord, lease: Lease) -> None:
    look(lease, at(2))
    assert record.release("new")["judgement"]["at"] == at(2)
    for second in (20, 30):
        look(lease, at(2, second))
    noted = record.release("new")["judgement"]
    assert (noted["at"], noted["verdict"], noted["blame"]) == (at(2, 20), "healthy", "")


def test_the_same_judgement_of_another_step_is_noted(record: ReleaseRecord, lease: Lease) -> None:
    look(lease, at(2))
    look(lease, at(3), percent=50)
    assert record.release("new")["judgement"]["percent"] == 50


# -- what cannot be read


@pytest.mark.parametrize("operation", ["DescribeAlarms", "GetMetricData"])
@pytest.mark.parametrize("code", ["Throttling", "AccessDenied"])
def test_cloudwatch_that_does_not_answer_is_missing_evidence(
    cloudwatch: FakeCloudWatch, lease: Lease, operation: str, code: str
) -> None:
    """Neither good nor bad: the bake lasts longer."""
    look(lease, at(2))
    cloudwatch.refuses = {operation: code}
    found = look(lease, at(7))
    assert (found["done"], found["verdict"], found["again_at"]) == (False, "inconclusive", "2026-03-01T10:07:30Z")
    cloudwatch.refuses = {}
    assert look(lease, at(7, 30))["done"]


def test_part_of_an_answer_is_none(cloudwatch: FakeCloudWatch, lease: Lease) -> None:
    look(lease, at(2))
    cloudwatch.status = "InternalError"
    assert look(lease, at(7))["verdict"] == "inconclusive"


@pytest.mark.parametrize("operation", ["DescribeAlarms", "GetMetricData"])
def test_half_of_the_evidence_is_enough_against_a_release(
    cloudwatch: FakeCloudWatch, lease: Lease, operation: str
) -> None:
    look(lease, at(2))
    cloudwatch.counts["receipts-green"], cloudwatch.on = BAD, {GREEN_ALARM: at(3)}
    cloudwatch.refuses = {operation: "Throttling"}
    with pytest.raises(ReleaseUnhealthy):
        look(lease, at(4))


# -- orders


def test_paused_release_is_judged_all_the_same(record: ReleaseRecord, cloudwatch: FakeCloudWatch, lease: Lease) -> None:
    look(lease, at(2))
    give(record, PAUSE)
    assert not look(lease, at(8))["done"]
    cloudwatch.counts["receipts-green"] = BAD
    with pytest.raises(ReleaseUnhealthy):
        look(lease, at(9))


def test_pause_expires_when_nobody_ends_it(record: ReleaseRecord, lease: Lease) -> None:
    look(lease, at(2))
    give(record, PAUSE)
    with pytest.raises(PauseExpired):
        look(lease, at(20))


def test_promote_ends_a_bake_without_evidence_but_not_a_bad_one(
    record: ReleaseRecord, cloudwatch: FakeCloudWatch, lease: Lease
) -> None:
    cloudwatch.counts["receipts-green"] = FEW
    look(lease, at(2))
    give(record, PROMOTE)
    assert look(lease, at(4))["done"]
    cloudwatch.counts["receipts-green"] = BAD
    with pytest.raises(ReleaseUnhealthy):
        look(lease, at(4))


def test_promote_goes_on_past_a_broken_old_version(
    record: ReleaseRecord, cloudwatch: FakeCloudWatch, lease: Lease
) -> None:
    cloudwatch.counts["receipts-blue"] = (4500, 900, 0)
    look(lease, at(2))
    give(record, PROMOTE)
    assert look(lease, at(4))["done"]


# -- too few requests


@pytest.fixture
def quiet(cloudwatch: FakeCloudWatch, lease: Lease) -> Lease:
    """Return the lease of a release that nobody uses, after its first look at 10:02."""
    cloudwatch.counts["receipts-green"] = FEW
    look(lease, at(2))
    return lease


def test_bake_without_enough_requests_is_extended(quiet: Lease) -> None:
    found = look(quiet, at(7))
    assert (found["done"], found["asks"], found["verdict"]) == (False, False, "inconclusive")
    assert found["reason"] == "green had 19 requests, and 20 are needed to judge by. The bake is extended."


def test_release_is_held_once_and_a_human_asked(record: ReleaseRecord, quiet: Lease) -> None:
    found = look(quiet, at(17))
    assert (found["done"], found["asks"]) == (False, True)
    assert found["reason"].endswith("A human has to decide until 2026-03-01T11:17:00Z.")
    order = record.read().work.order
    assert order == Order(
        OrderAction.PAUSE,
        at(17),
        "green had 19 requests, and 20 are needed to judge by.",
        DEPLOYMENT,
        until="2026-03-01T11:17:00Z",
    )
    assert [each["by"] for each in record.release("new")["orders"]] == [DEPLOYMENT]
    later = look(quiet, at(17, 30))
    assert (later["done"], later["asks"]) == (False, False)
    assert record.read().work.order == order


def test_look_whose_answer_was_lost_asks_again(record: ReleaseRecord, quiet: Lease) -> None:
    """Otherwise nobody would ever be asked."""
    assert look(quiet, at(17))["asks"]
    assert look(quiet, at(17))["asks"]
    assert len(record.release("new")["orders"]) == 1


def test_request_that_is_sent_twice_holds_once(
    record: ReleaseRecord, quiet: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    dynamodb: Any = LosesAnswers(record.dynamodb, "transact_write_items")
    monkeypatch.setattr(function, "record", ReleaseRecord(dynamodb, record.table, record.environment))
    assert look(quiet, at(17))["asks"]
    assert not look(quiet, at(17, 30))["asks"]
    assert len(record.release("new")["orders"]) == 1


@pytest.mark.parametrize("action", [OrderAction.RESUME, OrderAction.PROMOTE])
def test_human_lets_a_held_release_go_on(record: ReleaseRecord, quiet: Lease, action: OrderAction) -> None:
    look(quiet, at(17))
    give(record, Order(action, at(18), "looks good", OPERATE))
    assert look(quiet, at(18, 10))["done"]


def test_held_release_is_given_up_when_nobody_decides(quiet: Lease) -> None:
    look(quiet, at(17))
    with pytest.raises(PauseExpired):
        look(quiet, "2026-03-01T11:17:00.000Z")


def test_next_step_is_held_for_itself(record: ReleaseRecord, quiet: Lease) -> None:
    look(quiet, at(17))
    give(record, Order(OrderAction.RESUME, at(18), "looks good", OPERATE))
    assert look(quiet, at(18, 10))["done"]
    look(quiet, at(19), percent=50)
    assert look(quiet, at(34), percent=50)["asks"]


def test_settings_may_say_that_it_goes_on(quiet: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    told(monkeypatch, when_inconclusive="proceed")
    found = look(quiet, at(17))
    assert (found["done"], found["asks"]) == (True, False)
    assert found["reason"].endswith("It goes on all the same, as settings say.")


@pytest.mark.parametrize("order", [PAUSE, PROMOTE])
def test_order_that_comes_at_the_same_time_is_not_overwritten(
    record: ReleaseRecord, quiet: Lease, monkeypatch: pytest.MonkeyPatch, order: Order
) -> None:
    class OrderedInBetween(ReleaseRecord):
        def give_order(self, observed: Work, order_: Order, history: Orders) -> None:
            give(record, order)
            super().give_order(observed, order_, history)

    between = OrderedInBetween(record.dynamodb, record.table, record.environment)
    monkeypatch.setattr(function, "record", between)
    found = look(quiet, at(17))
    assert (found["done"], found["again_at"], found["asks"]) == (False, "2026-03-01T10:17:10Z", False)
    assert record.read().work.order == order


def test_order_that_comes_while_it_is_judged_is_not_overwritten(
    record: ReleaseRecord, quiet: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OrderedInBetween(ReleaseRecord):
        def release(self, release_id: str) -> dict[str, Any]:
            if record.read().work.order is None:
                give(record, PROMOTE)
            return super().release(release_id)

    between = OrderedInBetween(record.dynamodb, record.table, record.environment)
    monkeypatch.setattr(function, "record", between)
    assert not look(quiet, at(17))["asks"]
    assert record.read().work.order == PROMOTE


# -- logs


def test_log_is_counted_by_the_versions_of_both_colors(lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    class Counted(LogCounts):
        def readable_evidence(self, new: str, old: str, span: Span) -> None:
            assert not span.is_empty
            asked.append((new, old))

    told(monkeypatch, source="logs", metrics=None)
    monkeypatch.setattr(function, "log_counts", Counted(function.log_counts.log, function.log_counts.rules))
    look(lease, at(2))
    assert look(lease, at(7))["verdict"] == "inconclusive"
    assert asked == [(NEW_VERSION, OLD_VERSION)]


def test_loser_reads_nothing(record: ReleaseRecord, cloudwatch: FakeCloudWatch, lease: Lease) -> None:
    before = record.release("new")
    record.claim(record.read().work, Work(holder=ROLLBACK, phase=Phase.ROLLING_BACK))
    with pytest.raises(LeaseLost):
        look(lease, at(5))
    assert cloudwatch.asked == []
    assert record.release("new") == before
