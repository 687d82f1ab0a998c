"""The customer's migration function does what a scenario brings, once for a release, and says why when it cannot."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from pg8000.exceptions import DatabaseError

from rehearsal.clock import TwoSpeedClock
from rehearsal.engine.calls import Calls
from rehearsal.engine.functions import FunctionService
from rehearsal.engine.sandbox import Processes
from rehearsal.settings import Settings
from rehearsal.world.migrations import MigrationPlan, install

ASKED = {"service": "s", "environment": "e", "release_id": "new", "version": "2222222", "migrations": "breaking"}
PLAN = MigrationPlan("ALTER TABLE receipts ADD COLUMN currency text", seconds=0.0)


@contextmanager
def installed(folder: Path, run: Callable[[str], Any]) -> Iterator[Callable[[Any], tuple[Any, str | None]]]:
    """Open an account with the function of the shipped settings; return how to call it."""
    settings, clock = Settings.read("production"), TwoSpeedClock(1000)
    session = boto3.Session("test", "test", region_name=settings.region)
    with (
        mock_aws(),
        Calls(clock) as calls,
        FunctionService(
            clock,
            calls,
            Processes(folder, settings.region, ""),
            account=settings.account,
            session=session,
            log_dir=folder,
        ) as functions,
    ):
        install(session, settings, functions, clock, PLAN, run)
        client = session.client("lambda")

        def call(event: Any) -> tuple[Any, str | None]:
            answer = client.invoke(FunctionName=settings.migration_function, Payload=json.dumps(event).encode())
            return json.loads(answer["Payload"].read()), answer.get("FunctionError")

        yield call


def test_it_migrates_once_for_a_release(tmp_path: Path) -> None:
    """Runback may call it again, because it cannot know whether a lost call has worked."""
    ran: list[str] = []
    with installed(tmp_path, ran.append) as call:
        assert call(ASKED) == ({"migrated": "now"}, None)
        assert call(ASKED) == ({"migrated": "before"}, None)
        assert call({**ASKED, "release_id": "next"}) == ({"migrated": "now"}, None)
    assert ran == [PLAN.sql, PLAN.sql]


def test_it_says_what_the_database_has_refused(tmp_path: Path) -> None:
    def refuse(_: str) -> None:
        raise DatabaseError({"M": 'relation "invoices" does not exist'})

    with installed(tmp_path, refuse) as call:
        told = {"errorType": "MigrationRefused", "errorMessage": 'relation "invoices" does not exist'}
        assert call(ASKED) == (told, "Unhandled")


@pytest.mark.parametrize("wrong", [{}, {**ASKED, "more": "x"}, {k: v for k, v in ASKED.items() if k != "version"}])
def test_it_refuses_what_no_customer_was_told_of(tmp_path: Path, wrong: dict[str, str]) -> None:
    with installed(tmp_path, print) as call:
        answer, error = call(wrong)
    assert error == "Unhandled"
    assert answer["errorType"] == "MigrationRefused"
