"""A report's figures come from what was recorded, and from nothing else."""

import json
from pathlib import Path

import pytest

from rehearsal.packaged import Packaged
from rehearsal.permissions import Judgement
from rehearsal.report import Switch
from rehearsal.staging import Speeds
from rehearsal.summary import summary
from rehearsal.world.traffic import Sample
from tests.rehearsal.reports import report, users


def test_requests_are_counted_from_the_samples() -> None:
    """An unanswered request counts, but for no color: nobody knows who would have answered it."""
    samples = [
        *users(0.0, 1.0, per_second=9, color="blue"),
        *users(1.0, 2.0, per_second=4, color="green"),
        *users(2.0, 2.1, per_second=10, color="green", status=500),
        *users(3.0, 3.0, color="", status=0),
    ]

    shown = report(samples=samples).as_json()
    assert {"total": 18, "failed": 3, "by_color": {"blue": 10, "green": 7}} == shown["requests"]


def test_a_color_that_nobody_reached_has_zero_requests() -> None:
    assert {"blue": 0, "green": 0} == report(samples=[]).as_json()["requests"]["by_color"]


def test_what_does_not_apply_is_null() -> None:
    shown = report(switch=None).as_json()

    assert shown["seconds"] == {"total": 12.346, "rollback_to_switched": None}
    assert shown["api_calls"] == {"rollback_critical_path": None}


def test_requests_to_aws_are_told_with_who_used_what() -> None:
    used = {"notify": ["sns:Publish"], "settle": ["dynamodb:UpdateItem"]}
    judgement = Judgement(judged=7, denied=["one"], malformed=["two"], used_actions=used)

    assert {
        "judged": 7,
        "denied": ["one"],
        "malformed": ["two"],
        "used_actions": [
            {"by": "notify", "actions": ["sns:Publish"]},
            {"by": "settle", "actions": ["dynamodb:UpdateItem"]},
        ],
    } == report(judgement=judgement).as_json()["aws_requests"]


def test_a_switch_is_told_in_wall_seconds_and_calls() -> None:
    shown = report(switch=Switch(seconds=0.53714, calls=6, in_force=1.0)).as_json()

    assert shown["seconds"]["rollback_to_switched"] == 0.537
    assert shown["api_calls"]["rollback_critical_path"] == 6


def test_all_speeds_of_the_clock_are_told() -> None:
    """A reader must be able to judge what was hurried through."""
    shown = report(clock=Packaged(Speeds(waiting=60, judging=30, baking=120, idle=1200)).as_json()).as_json()

    assert {
        "mode": "two-speed",
        "speeds": {"working": 1, "waiting": 60, "judging": 30, "baking": 120, "idle": 1200},
    } == shown["clock"]


def test_every_report_says_that_the_account_was_emulated(tmp_path: Path) -> None:
    assert "emulated account" in json.loads(report().write(tmp_path).read_text(encoding="utf-8"))["rehearsed_on"]
    assert any("emulated account" in line for line in summary(report(), [], tmp_path))


def test_the_summary_names_every_broken_promise(tmp_path: Path) -> None:
    lines = list(summary(report(), ["it rained", "it poured"], tmp_path))

    assert ["BROKEN PROMISE: it rained", "BROKEN PROMISE: it poured"] == lines[-2:]


def test_whom_the_load_balancer_has_turned_away_is_told_in_the_summary(tmp_path: Path) -> None:
    turned_away = Sample(1.0, 2.0, 503, "", "", "", "GET", "/health")
    told = "1 of those that failed got their 503 from the load balancer itself."

    assert told in list(summary(report(samples=[turned_away]), [], tmp_path))
    assert told not in list(summary(report(samples=[]), [], tmp_path))


@pytest.mark.parametrize(
    "outcome", ["promoted", "rolled_back", "aborted", "refused", "escalated", "untouched", "unknown"]
)
def test_every_outcome_has_words(outcome: str, tmp_path: Path) -> None:
    first, *_ = summary(report(outcome=outcome), [], tmp_path)

    assert first.endswith(".")
    assert "_" not in first
