"""The receipt application on a real PostgreSQL and a real cache."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from rehearsal.clock import TwoSpeedClock
from rehearsal.world.application import Behaviour, Services
from rehearsal.world.cache import Cache
from rehearsal.world.database import Database
from tests.rehearsal.world.services import (
    INSTANCE,
    LOGIN,
    SERVICE_TOKEN,
    Application,
    connect,
    create_database,
    create_instance,
    services_on,
)
from tests.waiting import eventually

PICTURE = b"\xff\xd8\xff\xe0 a receipt\r\n\r\n--with dashes"


class Standing:
    """A database, a cache, and an application on both."""

    def __init__(self, database: Database, cache: Cache, folder: Path) -> None:
        self.database, self.cache = database, cache
        self.services = services_on(database, cache)
        self.folder = folder
        self.application = Application(folder, self.services)

    def rows(self) -> list[Any]:
        with closing(connect(self.database)) as connection:
            found: list[Any] = connection.run("SELECT id, owner, category, content FROM receipts ORDER BY id")
            return found


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    folder = tmp_path_factory.mktemp("standing")
    with ExitStack() as stack:
        stack.enter_context(mock_aws())
        database = stack.enter_context(create_database(TwoSpeedClock(100.0), folder))
        create_instance(database)
        cache = stack.enter_context(Cache(folder))
        made = Standing(database, cache, folder)
        stack.callback(made.application.stop)
        yield made


@pytest.fixture
def alone() -> Iterator[list[Application]]:
    """Collect applications that a test starts without database and cache."""
    started: list[Application] = []
    yield started
    for each in started:
        each.stop()


@pytest.mark.rehearsed
def test_an_upload_is_a_row_in_the_database(standing: Standing) -> None:
    application = standing.application
    answer = application.upload(application.log_in(), PICTURE)
    assert answer.status == 201
    receipt_id, owner, category, content = standing.rows()[-1]
    assert answer.content == {"id": str(receipt_id)}
    assert (LOGIN["email"], "test", PICTURE) == (owner, category, content)
    digest = hashlib.sha256(PICTURE).hexdigest()
    listed = application.receipts(application.log_in()).content["receipts"][-1]
    assert {"id": str(receipt_id), "owner": owner, "category": "test", "sha256": digest} == listed


@pytest.mark.rehearsed
def test_a_version_that_knows_a_new_column_writes_where_an_old_one_cannot(standing: Standing) -> None:
    """What a breaking migration does to the two of them."""
    knowing = Application(standing.folder, standing.services, Behaviour(fills={"currency": "CHF"}), instance="i-3")
    with closing(connect(standing.database)) as connection:
        connection.run("ALTER TABLE receipts ADD COLUMN currency text NOT NULL DEFAULT 'EUR'")
        assert standing.application.upload(SERVICE_TOKEN, PICTURE).status == 201
        connection.run("ALTER TABLE receipts ALTER COLUMN currency DROP DEFAULT")
        assert standing.application.upload(SERVICE_TOKEN, PICTURE).status == 503
        assert knowing.upload(SERVICE_TOKEN, PICTURE).status == 201
        assert connection.run("SELECT currency FROM receipts ORDER BY id DESC LIMIT 2") == [["CHF"], ["EUR"]]
        connection.run("ALTER TABLE receipts DROP COLUMN currency")
    knowing.stop()


@pytest.mark.rehearsed
def test_the_service_token_uploads_for_nobody_in_particular(standing: Standing) -> None:
    assert standing.application.upload(SERVICE_TOKEN, PICTURE).status == 201
    assert standing.rows()[-1][1] == "service"
    assert standing.application.upload("another token", PICTURE).status == 401


@pytest.mark.rehearsed
def test_a_body_that_is_no_form_is_the_file(standing: Standing) -> None:
    token = standing.application.log_in()
    answer = standing.application.ask("POST", "/api/v2/receipts", b"raw", Authorization=f"Bearer {token}")
    assert answer.status == 201
    assert standing.rows()[-1][3] == b"raw"


@pytest.mark.rehearsed
def test_only_known_users_log_in(standing: Standing) -> None:
    for credentials in ({**LOGIN, "password": "wrong"}, {**LOGIN, "email": "a@b"}, {**LOGIN, "email": ["a"]}):
        answer = standing.application.ask("POST", "/auth/login", json.dumps(credentials).encode())
        assert answer.status == 401


@pytest.mark.rehearsed
def test_a_session_survives_a_switch_of_color(standing: Standing) -> None:
    """The cache is shared by all instances."""
    token = standing.application.log_in()
    other = Application(standing.folder, standing.services, instance="i-2")
    assert other.receipts(token).status == 200
    other.stop()


@pytest.mark.rehearsed
def test_without_its_database_nothing_is_stored_but_the_process_is_healthy(standing: Standing) -> None:
    application = standing.application
    token = application.log_in()
    stored = len(standing.rows())
    standing.database.stop(INSTANCE)
    assert application.upload(token, PICTURE).status == 503
    assert application.receipts(token).status == 503
    assert application.ask("GET", "/health").status == 200
    standing.database.start(INSTANCE)
    assert application.upload(token, PICTURE).status == 201
    assert len(standing.rows()) == stored + 1


@pytest.mark.rehearsed
def test_without_its_cache_nobody_logs_in(standing: Standing) -> None:
    application = standing.application
    token = application.log_in()
    standing.cache.stop()
    assert application.ask("POST", "/auth/login", json.dumps(LOGIN).encode()).status == 503
    assert application.upload(token, PICTURE).status == 503
    assert application.upload(SERVICE_TOKEN, PICTURE).status == 201
    assert application.ask("GET", "/health").status == 200
    standing.cache.start()
    assert application.upload(token, PICTURE).status == 401  # what the cache held is lost
    assert application.upload(application.log_in(), PICTURE).status == 201


def test_every_answer_is_a_line_in_the_request_log(tmp_path: Path, alone: list[Application]) -> None:
    application = Application(tmp_path, Services(), Behaviour(error_rates={"/auth/login": 1.0}), version="5d6e7f8")
    alone.append(application)
    assert application.ask("GET", "/health?verbose").status == 200
    assert application.ask("POST", "/auth/login", json.dumps(LOGIN).encode()).status == 500
    healthy, broken = eventually(lambda: len(application.lines()) == 2 and application.lines(), seconds=5)
    assert ("INFO", "GET", "/health", 200) == tuple(healthy[each] for each in ("level", "method", "path", "status"))
    assert ("ERROR", "POST", "/auth/login", 500) == tuple(
        broken[each] for each in ("level", "method", "path", "status")
    )
    assert {"version": "5d6e7f8", "color": "blue", "instance": "i-1"}.items() <= broken.items()
    assert broken["timestamp"] >= healthy["timestamp"] > 1_600_000_000_000
    assert broken["duration_ms"] > 0


def test_a_fault_of_live_traffic_does_not_show_on_the_test_listener(tmp_path: Path, alone: list[Application]) -> None:
    """Or smoke checks would find every fault, and nothing were left for the bake to find."""
    behaviour = Behaviour(live_error_rates={"/api/v2/receipts": 1.0})
    application = Application(tmp_path, Services(service_token=SERVICE_TOKEN), behaviour)
    alone.append(application)
    authorization = {"Authorization": f"Bearer {SERVICE_TOKEN}"}
    for port, expected in (("443", 500), ("8443", 200)):
        answer = application.ask("GET", "/api/v2/receipts", X_Forwarded_Port=port, **authorization)
        assert expected == answer.status
    assert application.receipts(SERVICE_TOKEN).status == 200
    assert application.ask("GET", "/health", X_Forwarded_Port="443").status == 200


def test_average_response_times_are_seconds(tmp_path: Path, alone: list[Application]) -> None:
    application = Application(tmp_path, Services(), Behaviour(delay_seconds={"/health": 0.2}))
    alone.append(application)
    application.ask("GET", "/health")
    metrics = dict(line.split() for line in application.ask("GET", "/metrics").content.splitlines())
    assert 0.2 <= float(metrics["response_time_avg"]) < 2


def test_services_and_behaviours_survive_the_command_line() -> None:
    services = Services("postgresql://a:b@c:1/d", "c:2", "token", {"a@b": "c"})
    assert services == Services.from_json(services.to_json())
    behaviour = Behaviour(503, {"/a": 0.5}, {"/b": 1.0}, {"/c": 2.0})
    assert behaviour == Behaviour.from_json(behaviour.to_json())
    assert replace(behaviour, live_error_rates={}) != behaviour
