"""While a release bakes its way back is looked at, too: what is lost of it holds the release, and is told once."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambdas.database.rules import Snapshot
from lambdas.errors import ListenerDrifted
from lambdas.judge import judge_bake as function
from lambdas.judge.alarms import Alarms
from lambdas.judge.metrics import Metrics
from lambdas.judge.way_back import WayBack
from lambdas.release.record import Orders, ReleaseRecord
from lambdas.release.rules import Lease, Order, OrderAction
from lambdas.traffic.rules import TargetHealth
from tests.builders import BLUE, DEPLOYMENT, GREEN, LISTENER, NEW_VERSION, OPERATE, at
from tests.unit.judge.cloudwatch import FakeCloudWatch

SNAPSHOT = "runback-receipts-test-new"


@dataclass
class Account:
    """What a rollback of the release would find, and how often it was looked at."""

    healthy: int = 2
    weights: dict[str, int] = field(default_factory=lambda: {GREEN: 10, BLUE: 90})
    status: str = "available"
    fails: bool = False
    looks: int = 0

    def find(self, snapshot_id: str) -> Snapshot | None:
        self.looks += 1
        if self.fails:
            raise ClientError({"Error": {"Code": "Throttling", "Message": "slow down"}}, "DescribeDBSnapshots")
        assert snapshot_id == SNAPSHOT
        return Snapshot(snapshot_id, "receipts-test", self.status, 100) if self.status else None

    def health(self, group: str) -> TargetHealth:
        assert group == BLUE
        return TargetHealth(self.healthy, 0)

    def forwards(self, arns: Iterable[str]) -> dict[str, dict[str, int]]:
        assert [LISTENER] == list(arns)
        return {LISTENER: self.weights}


@pytest.fixture(autouse=True)
def account(
    record: ReleaseRecord, cloudwatch: FakeCloudWatch, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> Account:
    """Return a way back that is whole, of a release that is good."""
    found, client = Account(), cloudwatch.client()
    point = {"color": "blue", "capacity": {"minimum": 2, "maximum": 4, "desired": 2}}
    record.note_release("new", {"rollback_point": point, "snapshot": {"id": SNAPSHOT, "instance": "receipts-test"}})
    monkeypatch.setattr(function, "record", record)
    monkeypatch.setattr(function, "alarms", Alarms(client, function.settings.alarms))
    monkeypatch.setattr(function, "metrics", Metrics(client))
    monkeypatch.setattr(function, "way_back", WayBack(found, found, function.settings.routes))  # type: ignore[arg-type]
    del lease
    return found


def look(lease: Lease, now: str, percent: int = 10) -> dict[str, Any]:
    about = {"release_id": "new", "version": NEW_VERSION, "color": "green", "percent": percent, "bake_seconds": 300}
    answer: dict[str, Any] = function.lambda_handler.__wrapped__({"lease": lease.as_event(), **about, "now": now}, None)
    return answer


def give(record: ReleaseRecord, action: OrderAction, now: str, until: str = "") -> None:
    before = record.release("new").get("orders", [])
    order = Order(action, now, "I have looked at it", OPERATE, until=until)
    record.give_order(record.read().work, order, Orders("new", before, [*before, {"by": OPERATE, "at": now}]))


LOST: list[tuple[str, Any, str]] = [
    ("healthy", 1, "blue has 1 of 2 healthy targets on route api"),
    ("status", "", f"snapshot {SNAPSHOT} of the database is gone"),
    ("status", "deleting", f"snapshot {SNAPSHOT} of the database is deleting"),
]


@pytest.mark.parametrize(("what", "left", "said"), LOST)
def test_whatever_is_lost_holds_the_release_and_asks_a_human(
    record: ReleaseRecord, account: Account, lease: Lease, what: str, left: Any, said: str
) -> None:
    assert not look(lease, at(2))["asks"]
    setattr(account, what, left)
    for _ in range(2):  # a repeated look asks again: the answer to the first one may be lost
        answer = look(lease, at(2, 30))
        assert (answer["done"], answer["asks"]) == (False, True)
        assert said in answer["reason"]
    order = record.read().work.order
    assert order
    assert (OrderAction.PAUSE, DEPLOYMENT) == (order.action, order.by)
    assert said in record.release("new")["way_back"]["trouble"]


@pytest.mark.parametrize("moved", [{GREEN: 40, BLUE: 60}, {}])
def test_a_listener_that_somebody_moved_is_left_to_a_human(
    record: ReleaseRecord, account: Account, lease: Lease, moved: dict[str, int]
) -> None:
    """A hold would end in a rollback some time, which moves it again."""
    assert not look(lease, at(2))["asks"]
    account.weights = moved
    with pytest.raises(ListenerDrifted, match=r"Route api forwards .* and 10 % were shifted"):
        look(lease, at(2, 30))
    assert record.read().work.order is None


def test_a_human_is_asked_once_and_the_release_does_not_go_on_by_itself(account: Account, lease: Lease) -> None:
    account.healthy = 1
    assert look(lease, at(2))["asks"]
    for minute in range(3, 9):
        answer = look(lease, at(minute))
        assert (answer["done"], answer["asks"]) == (False, False)


def test_who_lets_it_go_on_has_decided_for_this_step_and_for_this_trouble_at_the_next(
    record: ReleaseRecord, account: Account, lease: Lease
) -> None:
    account.healthy = 1
    look(lease, at(2))
    give(record, OrderAction.RESUME, at(3))
    assert not look(lease, at(3, 30))["asks"]
    assert look(lease, at(8))["done"]
    account.weights = {GREEN: 50, BLUE: 50}
    assert not look(lease, at(9), percent=50)["asks"]
    account.healthy, account.weights = 0, {GREEN: 100}
    assert look(lease, at(10), percent=100)["asks"]


def test_what_was_whole_again_and_is_lost_once_more_is_told_once_more(
    record: ReleaseRecord, account: Account, lease: Lease
) -> None:
    account.healthy = 1
    look(lease, at(2))
    give(record, OrderAction.RESUME, at(3))
    account.healthy = 2
    assert not look(lease, at(3, 30))["asks"]
    account.healthy = 0
    assert look(lease, at(4))["asks"]


def test_a_human_who_has_paused_it_himself_hears_of_it(record: ReleaseRecord, account: Account, lease: Lease) -> None:
    give(record, OrderAction.PAUSE, at(2), until=at(30))
    account.status = ""
    answer = look(lease, at(2, 30))
    assert (answer["done"], answer["asks"]) == (False, True)
    order = record.read().work.order
    assert order
    assert order.by == OPERATE


def test_who_has_promoted_it_is_not_held(record: ReleaseRecord, account: Account, lease: Lease) -> None:
    look(lease, at(2))
    account.status = ""
    give(record, OrderAction.PROMOTE, at(3))
    assert look(lease, at(3, 30))["done"]


def test_what_cannot_be_read_holds_nobody_and_is_read_at_the_next_look(account: Account, lease: Lease) -> None:
    account.fails = True
    assert not look(lease, at(2))["asks"]
    account.fails, account.status = False, ""
    assert look(lease, at(2, 10))["asks"]


def test_it_is_looked_at_every_half_minute_and_at_every_look_that_is_rarer(account: Account, lease: Lease) -> None:
    for second in (0, 10, 20, 30, 40, 50):
        look(lease, at(2, second))
    assert 2 == account.looks
    for minute in (3, 4, 5):
        look(lease, at(minute))
    assert 5 == account.looks


def test_a_release_without_a_recorded_way_back_is_judged_as_ever(
    record: ReleaseRecord, account: Account, lease: Lease
) -> None:
    """As one that began under an older Runback."""
    record.note_release("new", {"rollback_point": {}, "snapshot": {}})
    account.status = ""
    assert not look(lease, at(2))["asks"]
    assert 0 == account.looks
