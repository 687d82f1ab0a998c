import json
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from moto import mock_aws

from rehearsal.clock import TwoSpeedClock
from rehearsal.world.application import Behaviour, Services
from rehearsal.world.request_logs import REQUEST_LOG, LogShipper, request_log_of
from tests.rehearsal.world.conftest import ACCOUNT, LISTENER, REGION, World, client
from tests.rehearsal.world.services import LOGIN, Application
from tests.waiting import eventually

GROUP = "/receipt-vault/test/application"
ERRORS = '{ $.level = "ERROR" }'
ERRORS_OF_THE_NEW_VERSION = '{ $.level = "ERROR" && $.version = "5d6e7f8" }'


@pytest.fixture
def clock() -> TwoSpeedClock:
    return TwoSpeedClock(speed=20_000.0)


@pytest.fixture
def shipper(clock: TwoSpeedClock, tmp_path: Path) -> Iterator[LogShipper]:
    lock = threading.RLock()
    with mock_aws(), LogShipper(clock, ACCOUNT, REGION, account_lock=lock, group=GROUP, directory=tmp_path) as shipper:
        yield shipper


def found(pattern: str = "", start_milliseconds: int = 0) -> list[tuple[str, str]]:
    """Return stream and path of each event that FilterLogEvents finds."""
    events = client("logs").filter_log_events(logGroupName=GROUP, filterPattern=pattern, startTime=start_milliseconds)
    return [(event["logStreamName"], json.loads(event["message"])["path"]) for event in events["events"]]


def write(folder: Path, instance: str, text: str) -> None:
    with (folder / REQUEST_LOG.format(instance=instance)).open("a", encoding="utf-8") as log:
        log.write(text)


def line(path: str, level: str = "INFO", version: str = "1a2b3c4") -> str:
    return json.dumps({"level": level, "path": path, "version": version})


def test_requests_to_an_application_arrive_by_themselves(shipper: LogShipper, tmp_path: Path) -> None:
    assert found() == []
    behaviour = Behaviour(error_rates={"/auth/login": 1.0})
    for instance, version in (("i-old", "1a2b3c4"), ("i-new", "5d6e7f8")):
        application = Application(tmp_path, Services(), behaviour, instance=instance, version=version)
        application.ask("GET", "/health")
        application.ask("POST", "/auth/login", json.dumps(LOGIN).encode())
        application.stop()
    eventually(lambda: len(found()) == 4, seconds=5)
    assert sorted(found(ERRORS)) == [("i-new", "/auth/login"), ("i-old", "/auth/login")]
    assert found(ERRORS_OF_THE_NEW_VERSION) == [("i-new", "/auth/login")]
    assert shipper._thread.is_alive()


def test_instances_of_a_fleet_know_their_services_and_log(world: World, tmp_path: Path) -> None:
    world.fleet._services = lambda _: Services(service_token="a token")
    lock = world.fleet.account_lock
    with LogShipper(world.clock, ACCOUNT, REGION, account_lock=lock, group=GROUP, directory=tmp_path):
        world.serve_from("blue")
        (instance,) = world.fleet.instances("blue")
        url = world.load_balancer.url(LISTENER) + "/api/v2/receipts"
        with urlopen(Request(url, b"raw", {"Authorization": "Bearer a token"}), timeout=10) as answer:  # noqa: S310  loopback
            assert answer.status == 201
        eventually(lambda: (instance.instance_id, "/api/v2/receipts") in found(), seconds=5)


def test_another_environment_s_instances_have_their_logs_elsewhere(
    shipper: LogShipper, clock: TwoSpeedClock, tmp_path: Path
) -> None:
    """All instances of an account write into one directory."""
    mine, theirs = (tmp_path / request_log_of("i-1", environment) for environment in ("", "staging"))
    for path, where in ((mine, "/mine"), (theirs, "/theirs")):
        path.write_text(line(where, "INFO") + "\n", encoding="utf-8")
    shipper.ship()
    lock = threading.RLock()
    other = LogShipper(clock, ACCOUNT, REGION, account_lock=lock, group="s", directory=tmp_path, environment="staging")
    with other:
        other.ship()

    def paths(group: str) -> list[str]:
        events = client("logs").filter_log_events(logGroupName=group)["events"]
        return [json.loads(each["message"])["path"] for each in events]

    assert (["/mine"], ["/theirs"]) == (paths(GROUP), paths("s"))


def test_only_what_was_shipped_since_a_simulated_time_is_found(
    shipper: LogShipper, clock: TwoSpeedClock, tmp_path: Path
) -> None:
    """Functions search from the moment when a state was entered, which may be hours ahead of the machine's clock."""
    write(tmp_path, "i-1", line("/before", "ERROR") + "\n")
    shipper.ship()
    clock.sleep(3 * 3600)
    entered = int(clock.now().timestamp() * 1000)
    clock.sleep(1)
    write(tmp_path, "i-1", line("/after", "ERROR") + "\n")
    shipper.ship()
    assert found(ERRORS, entered) == [("i-1", "/after")]
    assert found(ERRORS) == [("i-1", "/before"), ("i-1", "/after")]


def test_a_line_is_shipped_once_and_whole(shipper: LogShipper, tmp_path: Path) -> None:
    written = line("/a-path")
    write(tmp_path, "i-1", written[:20])
    shipper.ship()
    assert found() == []
    write(tmp_path, "i-1", written[20:] + "\n")
    shipper.ship()
    shipper.ship()
    assert found() == [("i-1", "/a-path")]


def ship_in_turn(shipper: LogShipper, clock: TwoSpeedClock, folder: Path) -> list[tuple[str, str]]:
    """Ship six lines of two instances, one after the other, and return what should be found."""
    expected = [(f"i-{number % 2}", f"/{number}") for number in range(6)]
    for instance, path in expected:
        write(folder, instance, line(path) + "\n")
        shipper.ship()
        clock.sleep(1)
    return expected


def test_events_of_all_streams_come_in_the_order_of_their_times(
    shipper: LogShipper, clock: TwoSpeedClock, tmp_path: Path
) -> None:
    """As on AWS, whatever the page: who reads as far as he gets has everything up to there."""
    expected = ship_in_turn(shipper, clock, tmp_path)
    assert expected == found()

    logs, pages, more = client("logs"), [], {}
    while not pages or more:
        page = logs.filter_log_events(logGroupName=GROUP, limit=4, filterPattern='{ $.level = "INFO" }', **more)
        pages.append([json.loads(event["message"])["path"] for event in page["events"]])
        more = {"nextToken": page["nextToken"]} if "nextToken" in page else {}
    assert [["/0", "/1", "/2", "/3"], ["/4", "/5"]] == pages


def test_without_the_overlay_events_come_stream_by_stream(
    shipper: LogShipper, clock: TwoSpeedClock, tmp_path: Path
) -> None:
    """What it is for: when an upgrade of moto makes this fail, it may go."""
    expected = ship_in_turn(shipper, clock, tmp_path)
    shipper._group.uninstall()
    assert sorted(expected) == found() != expected


def test_without_the_overlay_every_line_is_an_error(shipper: LogShipper, tmp_path: Path) -> None:
    """What it is for: when an upgrade of moto makes this fail, it may go."""
    write(tmp_path, "i-1", line("/fine") + "\n")
    shipper.ship()
    assert found(ERRORS) == []
    shipper._group.uninstall()
    assert found(ERRORS) == [("i-1", "/fine")]
