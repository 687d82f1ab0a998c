"""The story of a release, for each way in which one can end."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from lambdas.release.request_rules import GateLevel, GateResult, GateStatus, ReleaseAsked
from lambdas.reports.history_rules import History
from lambdas.reports.rules import Evidence, tell
from lambdas.reports.story import Decision, Figure, Story, Tone, Traffic, Weights
from tests.builders import DEPLOYMENT, NEW_VERSION, OPERATE, OTHER_ROLLBACK
from tests.unit.reports.histories import (
    BEGAN,
    NOW,
    RECORD,
    RELEASE,
    Played,
    after,
    clean_up,
    deployment,
    promoted,
    rollback,
    shifted,
)

LINK = "https://console/report"


def evidence_of(*played: Played, traffic: dict[str, list[Traffic]] | None = None, **record: Any) -> Evidence:
    histories: Sequence[History] = [each.read() for each in played]
    return Evidence(RELEASE, {**RECORD, **record}, histories, NOW, {} if traffic is None else traffic)


def story_of(*played: Played, traffic: dict[str, list[Traffic]] | None = None, **record: Any) -> Story:
    return tell(evidence_of(*played, traffic=traffic, **record), LINK, "receipts", "test")


def promotion() -> dict[str, str]:
    """Return what the record has of a release that went live."""
    return {"outcome": "promoted", "promoted_at": promoted().read().ended.isoformat()}


def figure(story: Story, begins: str) -> Figure:
    (found,) = [each for each in story.figures if each.name.startswith(begins)]
    return found


def test_release_that_went_live() -> None:
    story = story_of(promoted(), **promotion())
    assert (story.title, story.place) == ("Release 2222222-0a1b2c3d", "receipts, test")
    assert (story.outcome, story.headline, story.tone) == (
        "promoted",
        "Version 2222222 is live on green.",
        Tone.GOOD,
    )
    assert (story.began, story.ended) == (BEGAN, promoted().read().ended)
    assert figure(story, "From request to promotion").value == "35 min 31 s"


def test_facts_name_what_the_release_is_made_of() -> None:
    assert dict(story_of(promoted()).facts) == {
        "Version": "2222222",
        "Color": "green",
        "Version before": "1111111 on blue",
        "Snapshot": "runback-receipts-test-2222222-0a1b2c3d",
        "Execution of deploy": DEPLOYMENT,
    }


def test_release_that_failed_once_it_was_live_says_which_check_failed() -> None:
    failed = shifted().failing("Validate live version", "run-smoke-checks", "SmokeCheckFailed", "upload answered 500.")
    back = rollback(source="execution-status", status="FAILED").switch_back().end("Succeeded", state="Rolled back")
    story = story_of(failed.end("Failed", "ReleaseRolledBack"), back, outcome="rolled_back", issue="…")
    assert story.outcome == "rolled back"
    assert story.headline == (
        "Version 2222222 was rolled back to 1111111 on blue."
        " Validate live version failed: SmokeCheckFailed: upload answered 500."
    )
    assert story.ended == back.read().ended
    assert [(each.label, each.tone) for each in story.decisions[-3:]] == [
        ("failed", Tone.BAD),
        ("rollback", Tone.WARNING),
        ("back on blue", Tone.GOOD),
    ]


def test_release_that_an_operator_took_back_says_why() -> None:
    back = rollback(at=4000, reason="checkout is broken").switch_back().end("Succeeded")
    story = story_of(promoted(), back, **{**promotion(), "outcome": "rolled_back"})
    assert story.headline.endswith("A rollback was asked for by an operator: checkout is broken.")


def test_what_fails_after_the_promotion_is_not_why_a_release_was_rolled_back() -> None:
    live = promoted()
    del live.events[-2:]
    live.failing("Tell about the release", "notify", "AwsCallFailed").end("Succeeded")
    back = rollback(at=4000).switch_back().end("Succeeded")
    story = story_of(live, back, **{**promotion(), "outcome": "rolled_back"})
    assert story.headline.endswith("A rollback was asked for by an operator.")


def test_release_that_was_given_up_before_it_had_traffic() -> None:
    failed = deployment().failing("Check database and cache", "check-data-stores", "DataStoreUnreachable", "No answer.")
    story = story_of(failed.end("Failed", "ReleaseAborted"), outcome="aborted", issue="…")
    assert (story.outcome, story.tone) == ("aborted", Tone.WARNING)
    assert story.headline == (
        "Version 2222222 was given up before it received traffic."
        " Check database and cache failed: DataStoreUnreachable: No answer."
    )
    assert story.weights == [Weights(BEGAN, {"blue": 100, "green": 0})]


def test_release_that_lost_its_place_says_what_the_record_says() -> None:
    lost = deployment().failing("Hold old color", "hold-old-color", "LeaseLost", "…").end("Failed", "LeaseLost")
    story = story_of(lost, outcome="aborted", issue=f"Execution {DEPLOYMENT} ended early.")
    assert story.headline.endswith("received traffic. Execution deploy one ended early.")


def test_release_that_needs_a_human_is_bad() -> None:
    drifted = deployment().failing("Shift 10 % of traffic", "switch-listener", "ListenerDrifted", "It shows 30.")
    story = story_of(drifted.end("Failed", "Escalated"), outcome="escalated")
    assert story.tone is Tone.BAD
    assert any("Somebody else has moved the listener." in note for note in story.notes)


def test_release_whose_end_is_not_recorded_is_under_way() -> None:
    story = story_of(shifted().end("Aborted"))
    assert (story.outcome, story.tone) == ("under way", Tone.PLAIN)


def test_release_that_lost_the_race_for_the_environment_was_refused() -> None:
    refused = Played(DEPLOYMENT, {}).failing("Claim environment", "claim-environment", "EnvironmentBusy", "Another.")
    assert story_of(refused.end("Failed", "ReleaseRefused")).outcome == "refused"


def test_reason_is_cut_before_it_fills_the_page() -> None:
    failed = deployment().failing("Promote", "promote", "AwsCallFailed", "x" * 900).end("Failed", "Escalated")
    assert len(story_of(failed, outcome="escalated").headline) < 500


def test_record_of_a_release_that_died_early_is_enough() -> None:
    sparse = {"item": f"release#{RELEASE}", "version": "2222222"}
    story = tell(Evidence(RELEASE, sparse, [shifted().end("Aborted").read()], NOW), LINK, "receipts", "test")
    assert dict(story.facts) == {"Version": "2222222", "Execution of deploy": DEPLOYMENT}
    assert story.began == BEGAN


def test_rollback_is_measured_from_the_first_one_that_went_the_way() -> None:
    """One that died is continued by another, and customers do not care which."""
    dead = rollback(at=400).end("Aborted", "Operator", "Stopped by hand")
    second = rollback(OTHER_ROLLBACK, at=444).switch_back().end("Succeeded")
    took = figure(story_of(shifted().end("Aborted"), dead, second), "Switch: from the start")
    assert (took.value, took.target, took.met) == ("44.2 s", "at most 60 s", True)


def test_rollback_that_took_longer_than_promised_has_missed_its_target() -> None:
    slow = rollback(at=400).wait("Page the commands", 75).switch_back().end("Succeeded")
    took = figure(story_of(shifted().end("Aborted"), slow), "Switch: from the start")
    assert (took.value, took.met) == ("1 min 15 s", False)


def test_way_back_is_told_in_parts() -> None:
    asked = {"source": "alarm", "alarm": "receipts-test-rolls-back-errors-green", "changed_at": after(660).isoformat()}
    back = rollback(at=670, **asked).switch_back()
    scope = {"scope": "rolled_back"}
    back.task("Smoke check old version", "run-smoke-checks", scope, {"passed": ["health"]}, seconds=4)
    story = story_of(shifted().bake(100, 1800).end("Aborted"), back.end("Succeeded"), outcome="rolled_back")
    parts = [figure(story, name) for name in ("Detection", "Reaction", "Switch", "Verification")]
    assert all(parts)
    assert [part.value for part in parts][1] == "10.0 s"
    assert 4 <= float(parts[3].value.removesuffix(" s")) < 5


def test_rollback_that_never_switched_has_no_figure() -> None:
    failed = rollback().failing("Switch listener back", "switch-listener", "TargetGroupUnhealthy").end("Failed")
    assert not [each for each in story_of(shifted().end("Aborted"), failed).figures if each.name.startswith("Switch")]


def test_rollback_whose_beginning_aws_has_cut_short_has_no_figure() -> None:
    played = rollback().switch_back().end("Succeeded")
    claimed = next(event for event in played.events if event["type"] == "TaskSucceeded")
    claimed["taskSucceededEventDetails"]["output"] = '{"StatusCode": 200, "Payl'
    assert not [each for each in story_of(shifted().end("Aborted"), played).figures if each.name.startswith("Switch")]


def test_clean_up_is_told_but_does_not_make_the_release_longer() -> None:
    story = story_of(promoted(), clean_up(at=2200), **promotion())
    assert story.ended == promoted().read().ended
    assert {stretch.machine for stretch in story.stretches} == {"deploy"}
    assert "Blue was scaled in to 0 instances." in [event.text for event in story.events]


def test_clean_up_whose_release_is_forgotten_is_told_all_the_same() -> None:
    story = story_of(clean_up(at=2200))
    assert story.ended == clean_up(at=2200).read().ended
    assert {stretch.name for stretch in story.stretches} == {"Wait until it is time", "Scale in old color"}


def test_orders_are_told_with_who_gave_them_and_why() -> None:
    pause = {"action": "pause", "at": after(40).isoformat(), "reason": "checkout looks slow", "by": OPERATE}
    orders = [{**pause, "until": "2026-03-01T11:00:40Z"}]
    story = story_of(shifted().end("Aborted"), orders=orders)
    (event,) = [each for each in story.events if each.who == "operator"]
    assert (event.at, event.tone) == (after(40), Tone.WARNING)
    assert event.text == "Ordered pause until 2026-03-01 11:00:40 UTC: checkout looks slow (operate one)"
    assert Decision(after(40), "pause") in story.decisions


def test_order_about_a_release_that_has_ended_does_not_make_its_plot_longer() -> None:
    late = promoted().read().ended + timedelta(minutes=50)
    orders = [{"action": "end-window", "at": late.isoformat(), "reason": "urgent", "by": OPERATE, "until": ""}]
    story = story_of(promoted(), orders=orders, **promotion())
    assert "end-window" not in [decision.label for decision in story.decisions]
    assert [event.text for event in story.events if event.who == "operator"] == [
        "Ordered end-window: urgent (operate one)"
    ]


def test_everything_is_told_in_the_order_in_which_it_happened() -> None:
    orders = [{"action": "resume", "at": after(35).isoformat(), "reason": "…", "by": OPERATE, "until": ""}]
    story = story_of(shifted().end("Aborted"), rollback(at=100).switch_back().end("Succeeded"), orders=orders)
    for moments in ([each.at for each in story.events], [each.at for each in story.decisions]):
        assert moments == sorted(moments)


def test_messages_are_told_as_they_were_sent() -> None:
    story = story_of(promoted(), **promotion())
    (told,) = story.told
    assert (told.subject, told.is_page) == ("[receipts test] Release is live", False)
    assert "To go back, start receipts-test-rollback with the input {}." in told.body
    assert told.body.endswith(f"Report: {LINK}")


def test_message_that_asks_for_somebody_is_a_page() -> None:
    played = deployment().tell("escalated", "[receipts test] ACTION NEEDED").end("Failed", "Escalated")
    assert [each.is_page for each in story_of(played).told] == [True]


def test_message_that_could_not_be_sent_was_told_to_nobody() -> None:
    assert story_of(deployment().failing("Tell about the abort", "notify", "AwsCallFailed").end("Failed")).told == []


def test_commands_that_a_page_carried_are_not_made_up() -> None:
    played = rollback().tell("record_unreachable", "[receipts test] ACTION NEEDED").switch_back().end("Succeeded")
    assert [(each.body, each.is_page) for each in story_of(shifted().end("Aborted"), played).told] == [("", True)]


def test_missing_metrics_are_admitted() -> None:
    story = tell(replace(evidence_of(promoted()), traffic=None), LINK, "receipts", "test")
    assert story.traffic == {}
    assert any("CloudWatch could not be read" in note for note in story.notes)
    assert not any("CloudWatch could not be read" in note for note in story_of(promoted()).notes)


def test_forgotten_and_running_executions_are_admitted() -> None:
    notes = tell(replace(evidence_of(shifted()), forgotten=["arn:gone"]), LINK, "receipts", "test").notes
    assert any("arn:gone" in note for note in notes)
    assert any("Execution deploy one still runs." in note for note in notes)


def minutes(
    first: datetime, count: int, *, requests: int = 100, errors: int = 0, p95: float | None = 20
) -> list[Traffic]:
    return [Traffic(first + timedelta(minutes=n), 60, requests, errors, 5, p95, 30) for n in range(count)]


def minute(number: int) -> datetime:
    return BEGAN + timedelta(minutes=number)


# green has 10 % from 31 s to 331 s after the beginning, so of whole minutes from the first to the fifth
def test_errors_are_compared_while_both_colors_have_traffic() -> None:
    green = [*minutes(minute(0), 1, errors=50), *minutes(minute(1), 4, requests=10, errors=1)]
    traffic = {"blue": minutes(minute(-2), 20), "green": [*green, *minutes(minute(5), 1, errors=100)]}
    story = story_of(promoted(), traffic=traffic, **promotion())
    assert figure(story, "Errors of green, with 10 %").value == "4 of 40 (10.00 %)"
    assert figure(story, "Errors of blue, with 90 %").value == "0 of 400 (0.00 %)"
    names = [each.name for each in story.figures]
    assert names.index("Errors of green, with 10 % of the traffic") < names.index(
        "Errors of blue, with 90 % of the traffic"
    )


def test_share_that_was_in_force_for_less_than_a_minute_has_no_figure() -> None:
    short = deployment().shift(10).bake(10, 40).shift(100).end("Aborted")
    story = story_of(short, traffic={"green": minutes(minute(0), 3), "blue": minutes(minute(0), 3)})
    assert not [each for each in story.figures if "with 10 %" in each.name]


def test_failed_requests_are_counted_in_every_minute_that_the_release_touched() -> None:
    """Also in that of its end, in which a rollback may have saved what comes after."""
    last = promoted().read().ended.replace(second=0, microsecond=0)
    blue = [*minutes(minute(-2), 2, errors=9), *minutes(minute(0), 3, errors=1), *minutes(last, 2, errors=4)]
    story = story_of(promoted(), traffic={"blue": blue, "": [Traffic(BEGAN, 60, 2, 2)]}, **promotion())
    assert figure(story, "Requests that failed").value == "9 of 402 (2.24 %)"
    assert any("of the load balancer itself" in note for note in story.notes)


def test_latency_of_the_new_version_is_beside_that_of_the_old_one() -> None:
    green = [*minutes(minute(1), 3, p95=500), *minutes(minute(10), 3, p95=24), *minutes(minute(13), 1, p95=300)]
    traffic = {"blue": minutes(minute(-2), 2, p95=7.25), "green": green}
    story = story_of(promoted(), traffic=traffic, **promotion())
    assert figure(story, "95 % of the requests to blue before").value == "7.2 ms (median of the minutes)"
    assert figure(story, "95 % of the requests to green with all").value == "24 ms (median of the minutes)"


@pytest.mark.parametrize("traffic", [{}, {"green": minutes(BEGAN, 2, requests=0, p95=None)}])
def test_nothing_is_said_about_nobody(traffic: dict[str, list[Traffic]]) -> None:
    figures = story_of(promoted(), traffic=traffic, **promotion()).figures
    assert [each.name for each in figures] == ["From request to promotion"]


def test_weights_begin_with_the_old_color() -> None:
    weights = story_of(shifted().end("Aborted"), rollback().switch_back().end("Succeeded")).weights
    assert [each.percent["blue"] for each in weights] == [100, 90, 0, 100]
    assert weights[0].at == BEGAN


ASKED = ReleaseAsked(
    RELEASE,
    NEW_VERSION,
    DEPLOYMENT,
    "2026-03-01T10:00:00Z",
    pushed_by="zoe",
    emergency="nobody can log in",
    skipped=("change_window", "backup"),
    gates=(
        GateResult("backup", GateLevel.REQUIRED, GateStatus.SKIPPED, "An emergency goes without it."),
        GateResult("dns", GateLevel.OFF, GateStatus.OFF, ""),
        GateResult("cdn", GateLevel.WARN, GateStatus.FAILED, "It is disabled."),
    ),
)


def test_gates_are_told_with_who_pushed_and_who_skipped_them() -> None:
    evidence = replace(evidence_of(promoted(), **promotion()), asked=ASKED)
    story = tell(evidence, LINK, "receipts", "test")
    assert dict(story.facts)["Pushed by"] == "zoe"
    assert dict(story.facts)["Emergency"] == "nobody can log in (without change_window, backup)"
    assert [(each.name, each.level, each.result, each.tone) for each in story.gates] == [
        ("backup", "required", "skipped", Tone.WARNING),
        ("dns", "off", "off", Tone.PLAIN),
        ("cdn", "warn", "failed", Tone.BAD),
    ]


def test_release_from_before_there_were_gates_has_none() -> None:
    story = story_of(promoted(), **promotion())
    assert not story.gates
    assert not {"Pushed by", "Emergency"} & dict(story.facts).keys()
