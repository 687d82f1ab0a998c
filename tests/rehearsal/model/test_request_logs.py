"""The request logs of model applications in CloudWatch Logs."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from rehearsal.engine.virtual import VirtualTime
from rehearsal.model.applications import ModelApplications
from rehearsal.model.request_logs import ModelRequestLogs
from rehearsal.model.stores import ReceiptsInModel, SessionsInModel
from rehearsal.world.application import Behaviour, Identity, Services
from tests.rehearsal.world.conftest import ACCOUNT, REGION, client

GROUP = "/receipt-vault/test/application"
ERRORS_OF_THE_NEW_VERSION = '{ $.level = "ERROR" && $.version = "5d6e7f8" }'
OLD, NEW = Identity("1a2b3c4", "blue", "i-old"), Identity("5d6e7f8", "green", "i-new")


class Logging:
    """Two instances in virtual time: i-old on port 1, and i-new, which answers log-ins with errors, on port 2."""

    def __init__(self, virtual: VirtualTime, folder: Path) -> None:
        self.virtual = virtual
        self.account_lock = threading.RLock()
        self.logs = ModelRequestLogs(virtual.clock, ACCOUNT, REGION, account_lock=self.account_lock, group=GROUP)
        receipts, sessions = ReceiptsInModel(lambda: True), SessionsInModel(lambda: True)
        self.applications = ModelApplications(lambda _: receipts, lambda _: sessions, self.logs.log_of)
        bad = Behaviour(error_rates={"/auth/login": 1.0})
        for port, identity, behaviour in ((1, OLD, Behaviour()), (2, NEW, bad)):
            self.applications.start(port, identity, behaviour, Services(), folder)

    def ask(self, port: int, path: str, method: str = "GET") -> None:
        assert self.applications.ask(port, method, path, {}, b"")

    def now_milliseconds(self) -> int:
        return int(self.virtual.clock.now().timestamp() * 1000)


@pytest.fixture
def logging(tmp_path: Path) -> Iterator[Logging]:
    with VirtualTime() as virtual, mock_aws():
        made = Logging(virtual, tmp_path)
        with made.logs:
            yield made


def found(pattern: str = "", **more: Any) -> list[tuple[str, str]]:
    """Return stream and path of each event that FilterLogEvents finds."""
    events = client("logs").filter_log_events(logGroupName=GROUP, filterPattern=pattern, **more)["events"]
    return [(event["logStreamName"], json.loads(event["message"])["path"]) for event in events]


def test_every_answer_is_there_when_somebody_looks(logging: Logging) -> None:
    assert found() == []
    logging.ask(1, "/health")
    logging.ask(2, "/auth/login", "POST")
    assert [("i-old", "/health"), ("i-new", "/auth/login")] == found()
    assert [("i-new", "/auth/login")] == found(ERRORS_OF_THE_NEW_VERSION)
    logging.ask(1, "/metrics")
    assert ("i-old", "/metrics") in found()
    assert 3 == len(found())


def test_streams_and_their_events_can_be_read_in_other_ways(logging: Logging) -> None:
    logging.ask(1, "/health")
    logs = client("logs")
    streams = [each["logStreamName"] for each in logs.describe_log_streams(logGroupName=GROUP)["logStreams"]]
    assert ["i-old"] == streams
    logging.ask(1, "/metrics")
    assert 2 == len(logs.get_log_events(logGroupName=GROUP, logStreamName="i-old")["events"])


def test_a_line_tells_when_what_was_answered_and_by_whom(logging: Logging) -> None:
    """In simulated time; in everything else it is what a process writes."""
    logging.virtual.sleep(3600)
    logging.ask(2, "/auth/login", "POST")
    moment = logging.now_milliseconds()
    logging.virtual.sleep(3600)
    (event,) = client("logs").filter_log_events(logGroupName=GROUP)["events"]
    request = {"method": "POST", "path": "/auth/login", "status": 500, "duration_ms": 0.0}
    identity = {"version": "5d6e7f8", "color": "green", "instance": "i-new"}
    assert {"timestamp": moment, "level": "ERROR", **request, **identity} == json.loads(event["message"])
    assert moment == event["timestamp"]


def test_only_what_was_answered_since_a_simulated_time_is_found(logging: Logging) -> None:
    logging.ask(1, "/before")
    logging.virtual.sleep(3 * 3600)
    entered = logging.now_milliseconds()
    logging.ask(1, "/after")
    assert [("i-old", "/after")] == found(startTime=entered)
    assert [("i-old", "/before")] == found(endTime=entered - 1)


def test_events_come_in_the_order_of_their_times(logging: Logging) -> None:
    expected = []
    for number in range(6):
        logging.ask(1 + number % 2, f"/{number}")
        expected.append((("i-old", "i-new")[number % 2], f"/{number}"))
        logging.virtual.sleep(1)
    assert expected == found()


def test_nobody_waits_for_the_account_to_write_a_line(logging: Logging) -> None:
    """A call that holds the account may itself wait for an answer: a smoke check does."""
    with logging.account_lock:
        other = threading.Thread(target=logging.ask, args=(1, "/health"))
        other.start()
        other.join(5)
        assert not other.is_alive()
    assert [("i-old", "/health")] == found()


def test_the_group_stays_with_everything_in_it(tmp_path: Path) -> None:
    with VirtualTime() as virtual, mock_aws():
        made = Logging(virtual, tmp_path)
        with made.logs:
            made.ask(1, "/health")
        assert [("i-old", "/health")] == found()
