"""A restore of the database that breaks a promise says which: on reports of rehearsals that never took place."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from rehearsal.databases import Databases, Instance, LostRow, Receipt
from rehearsal.report import Report
from rehearsal.scenarios import OLD_VERSION
from rehearsal.stage import Execution
from rehearsal.world.customer import CAPACITY
from rehearsal.world.traffic import EMAIL, Sample
from tests.rehearsal.conftest import scenario
from tests.rehearsal.reports import report, users

OLD, NEW = "receipts", "runback-receipts-r1"
MINE, SPOILED = Receipt(EMAIL, "test"), Receipt(EMAIL, "garbled")
BEFORE = dict.fromkeys(range(1, 9), MINE)
"""Rows of the snapshot. A release has then garbled three of them, deleted two, and let users add two."""
FORMER = {**dict.fromkeys((1, 2, 3), SPOILED), **dict.fromkeys((6, 7, 8, 9, 10), MINE)}
LOST = (
    *(LostRow("inserted", number, MINE) for number in (9, 10)),
    *(LostRow("changed", number, SPOILED) for number in (1, 2, 3)),
    *(LostRow("deleted", number, MINE) for number in (4, 5)),
)
SINCE = {20: MINE}


def databases(**changes: Any) -> Databases:
    """Return what a restore leaves that went well, with these changes."""
    found = Databases(
        in_settings=OLD,
        serving=NEW,
        instances={OLD: Instance(OLD, "available", FORMER), NEW: Instance(NEW, "available", BEFORE | SINCE)},
        snapshots={"runback-safety-r1": "available"},
        lost={"r1": LOST},
        summaries={"r1": {"lost": {"receipts": {"inserted": 2, "changed": 3, "deleted": 2}}}},
    )
    return replace(found, **changes)


def uploads(count: int, first: float, status: int = 201) -> list[Sample]:
    return [
        replace(each, method="POST", path="/api/v2/receipts")
        for each in users(first, first + (count - 1) / 60, color="blue", status=status)
    ]


def turned_away(first: float) -> Sample:
    return replace(users(first, first, color="", status=503)[0], version="", instance="")


def restored(found: Databases, samples: Sequence[Sample] | None = None) -> Report:
    """Return the report of a restore that followed a rollback: 11 uploads, and one user who was turned away."""
    went = report(
        outcome="rolled_back",
        weights={"blue": 100, "green": 0},
        samples=samples or [*uploads(10, 0.0), turned_away(10 / 60), *uploads(1, 11 / 60)],
        databases=found,
        messages=["[receipts] Database restored, traffic flows"],
    )
    restore = Execution("arn", "restore-database", "SUCCEEDED", states=["Database restored"])
    versions: dict[str, str | None] = {"blue": OLD_VERSION, "green": None}
    instances = {"blue": CAPACITY, "green": 0}
    approver = "arn:aws:sts::123456789012:assumed-role/approvers/kim"
    executions = [*went.executions, restore]
    return replace(went, executions=executions, versions=versions, instances=instances, approved_by=approver)


def broken(found: Databases, samples: Sequence[Sample] | None = None) -> list[str]:
    return list(scenario("database-rollback").broken_promises(restored(found, samples)))


def of_new(receipts: dict[int, Receipt]) -> dict[str, Instance]:
    return {**databases().instances, NEW: Instance(NEW, "available", receipts)}


def test_a_kept_promise_is_not_called_broken() -> None:
    assert broken(databases()) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"serving": OLD}, "receipts serves still", id="not swapped"),
        pytest.param({"instances": of_new(BEFORE)}, "nothing was written to runback-receipts-r1", id="not used"),
        pytest.param({"snapshots": {}}, "the safety snapshots are {}, not 1", id="no safety snapshot"),
        pytest.param(
            {"lost": {"r1": LOST[1:]}}, "6 rows are exported, and 7 are lost", id="a row that is in no export"
        ),
        pytest.param(
            {"lost": {"r1": (*LOST, LOST[0])}}, "8 rows are exported, and 7 are lost", id="a row that is there twice"
        ),
        pytest.param(
            {"lost": {"r1": (LOST[0]._replace(id=99), *LOST[1:])}},
            "7 rows are exported, and 7 are lost",
            id="another row",
        ),
        pytest.param(
            {"summaries": {"r1": {"lost": {"receipts": {"inserted": 3, "changed": 3, "deleted": 2}}}}},
            "8 rows are counted, and 7 are lost",
            id="a wrong count",
        ),
        pytest.param(
            {"instances": of_new({**BEFORE, **SINCE, 1: SPOILED})},
            "receipts [1] are garbled, and [] missing",
            id="garbled still",
        ),
    ],
)
def test_a_restore_says_which_promise_it_broke(changes: dict[str, Any], said: str) -> None:
    assert said in broken(databases(**changes))


def test_an_upload_that_vanished_is_missed() -> None:
    samples = [*uploads(11, 0.0), turned_away(11 / 60), *uploads(1, 12 / 60)]
    assert broken(databases(), samples) == ["users were told of 12 uploads, and 11 are there"]


def test_a_user_who_is_let_in_between_is_noticed() -> None:
    samples = [*uploads(9, 0.0), turned_away(9 / 60), *uploads(1, 10 / 60), turned_away(11 / 60), *uploads(1, 12 / 60)]
    assert broken(databases(), samples) == ["1 users were let in while the databases were exchanged"]


def test_a_failure_that_is_no_freeze_is_noticed() -> None:
    samples = [*uploads(10, 0.0), turned_away(10 / 60), *uploads(1, 11 / 60, status=500), *uploads(1, 12 / 60)]
    assert broken(databases(), samples) == ["1 requests failed that no freeze has turned away"]
