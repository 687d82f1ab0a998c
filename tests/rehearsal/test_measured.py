"""What the page of a rehearsal says of its users is what they have noted themselves."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rehearsal.clock import TwoSpeedClock
from rehearsal.databases import Databases, Instance, LostRow, Receipt
from rehearsal.measured import STRETCHES, figures, traffic
from rehearsal.report import Switch
from rehearsal.stage import Execution
from tests.rehearsal.reports import report, users

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class HurriedClock(TwoSpeedClock):
    """Ten seconds of the release are one second of its users, since a moment that they note as 100."""

    def seconds_at(self, stamp: float) -> float:
        return max(stamp - 100.0, 0.0) * 10

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds())


def during(seconds: float) -> tuple[datetime, datetime]:
    """Return the first and the last moment of a release of this length."""
    return START, START + timedelta(seconds=seconds)


def test_every_request_within_the_release_is_shown_once_and_no_other() -> None:
    samples = users(90.0, 99.9, color="blue") + users(100.5, 159.5) + users(161.0, 170.0, color="blue")

    told = traffic(samples, HurriedClock(), *during(600))

    assert {"green": 3541} == {color: sum(each.requests for each in parts) for color, parts in told.items()}
    assert len(told["green"]) <= STRETCHES
    assert START <= told["green"][0].at <= told["green"][-1].at < START + timedelta(seconds=600)


def test_users_send_at_their_own_rate_however_fast_the_release_goes() -> None:
    told = traffic(users(100.0, 160.0), HurriedClock(), *during(600))["green"]

    assert {60} == {round(each.requests / each.sent_seconds) for each in told[:-1]}  # the last one ends with a request


def test_a_failed_request_is_an_error_of_who_answered_it() -> None:
    samples = users(100.0, 160.0) + users(110.0, 110.0, status=500) + users(120.0, 120.0, color="", status=502)

    told = traffic(samples, HurriedClock(), *during(600))

    assert {"green": 1, "": 1} == {color: sum(each.errors for each in parts) for color, parts in told.items()}


def test_percentiles_are_those_of_the_samples() -> None:
    """Latencies of these users go from 3 to 12 ms, all equally often."""
    told = traffic(users(100.0, 160.0), HurriedClock(), *during(600))["green"]

    assert {(each.p50, each.p95, each.p99) for each in told} <= {(7.0, 12.0, 12.0), (8.0, 12.0, 12.0)}


def test_a_model_that_answers_in_no_time_has_no_latency() -> None:
    samples = [replace(each, latency_milliseconds=0.0) for each in users(100.0, 160.0)]

    assert {None} == {each.p99 for each in traffic(samples, HurriedClock(), *during(600))["green"]}


def test_few_requests_are_not_shown_one_by_one() -> None:
    told = traffic(users(100.0, 160.0, per_second=1), HurriedClock(), *during(600))["green"]

    assert min(each.requests for each in told) > 10


def test_no_part_lies_on_both_sides_of_a_change() -> None:
    """Or errors of the new version would stand where it had no traffic."""
    changed = START + timedelta(seconds=301.7)
    told = traffic(users(100.0, 160.0), HurriedClock(), *during(600), [changed])["green"]

    assert not [each for each in told if each.at < changed < each.at + timedelta(seconds=each.seconds - 1.0)]
    assert any(timedelta() <= each.at - changed <= timedelta(seconds=1) for each in told)


def test_parts_of_a_release_lie_one_behind_the_other() -> None:
    told = traffic(users(100.0, 160.0), HurriedClock(), *during(600))["green"]

    ends = [each.at + timedelta(seconds=each.seconds) for each in told]
    assert ends == [*(each.at for each in told[1:]), START + timedelta(seconds=600)]


def test_without_users_there_is_no_traffic() -> None:
    assert {} == traffic([], HurriedClock(), *during(600))


def test_what_was_not_as_promised_is_a_target_that_was_missed() -> None:
    found = {each.name: each for each in figures(report(), ["blue still has 2 instances"])}

    assert (found["Promises of the scenario"].value, found["Promises of the scenario"].met) == (
        "blue still has 2 instances",
        False,
    )
    assert found["Invariants"].met
    assert found["AWS requests by Runback"].met


@pytest.mark.parametrize(("rollbacks", "calls", "met"), [(1, 6, True), (1, 7, False), (2, 10, None)])
def test_requests_on_the_way_back_are_judged_where_all_are_of_one_rollback(
    rollbacks: int,
    calls: int,
    met: bool | None,  # noqa: FBT001  a parameter of the test
) -> None:
    executions = [Execution(f"arn:{number}", "rollback", "SUCCEEDED") for number in range(rollbacks)]
    told = report(switch=Switch(0.5, calls, 9.0), executions=executions)

    found = {each.name: each for each in figures(told, [])}

    assert found["AWS requests to safe traffic"].met is met
    assert found["AWS requests to safe traffic"].value.startswith(str(calls))


def test_after_a_restore_the_rows_of_every_place_are_told() -> None:
    """One instance alone is no news."""
    row = Receipt("somebody", "test")
    both = Databases(
        in_settings="old",
        serving="new",
        instances={
            "old": Instance("old", "available", dict.fromkeys((1, 2, 3, 4), row)),
            "new": Instance("new", "available", dict.fromkeys((1, 2, 9), row)),
        },
        lost={"r-1": [LostRow("inserted", 3, row), LostRow("inserted", 4, row)]},
    )
    told = {each.name: each.value for each in figures(report(databases=both), [])}

    assert told["Instance old"] == "4 receipts, kept"
    assert told["Instance new"] == "3 receipts, serves: 2 of them are from before"
    assert told["Exported by r-1"] == "2 rows: 2 inserted"
    assert not any(each.name.startswith("Instance") for each in figures(report(), []))
