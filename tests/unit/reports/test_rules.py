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
from tests.builders import DEPLOYMENT, NEW_VERSION, OPERATE, OTHER_ROLLBACK, RESTORING
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


# What is not known, and what is exactly so


def sparse(outcome: str = "", **record: Any) -> Story:
    """Tell of a release of which the record knows next to nothing."""
    known = {"item": f"release#{RELEASE}", **({"outcome": outcome} if outcome else {}), **record}
    return tell(Evidence(RELEASE, known, [shifted().end("Aborted").read()], NOW), LINK, "receipts", "test")


@pytest.mark.parametrize(
    ("outcome", "headline", "tone"),
    [
        ("promoted", "Version unknown is live on its color.", Tone.GOOD),
        ("rolled_back", "Version unknown was rolled back to what served before.", Tone.WARNING),
        ("", "Version unknown has not come to its end yet.", Tone.PLAIN),
        ("something new", "Version unknown has not come to its end yet.", Tone.PLAIN),
    ],
)
def test_what_the_record_does_not_know_is_called_unknown(outcome: str, headline: str, tone: Tone) -> None:
    story = sparse(outcome)
    assert (story.headline, story.tone) == (headline, tone)
    assert dict(story.facts) == {"Version": "unknown", "Execution of deploy": DEPLOYMENT}


def test_release_that_is_live_needs_no_reason() -> None:
    assert sparse("promoted", issue="a check had to be tried twice").headline == "Version unknown is live on its color."


@pytest.mark.parametrize(("length", "shown"), [(300, "x" * 300), (301, f"{'x' * 300} …")])
def test_reason_of_three_hundred_characters_is_whole(length: int, shown: str) -> None:
    assert sparse("aborted", issue="x" * length).headline.endswith(f"received traffic. {shown}")


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (59.94, "59.9 s"),
        (60, "1 min 0 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 0 min"),
        (5430, "1 h 30 min"),
    ],
)
def test_durations_are_told_as_people_say_them(seconds: float, told: str) -> None:
    story = story_of(promoted(), outcome="promoted", promoted_at=after(seconds).isoformat())
    assert figure(story, "From request to promotion").value == told


def test_release_that_was_not_promoted_lasted_to_the_end_of_its_deployment() -> None:
    story = story_of(deployment().wait("Wait for nothing", 59.8).end("Aborted"))
    assert figure(story, "From request to the end of the deployment").value == "1 min 30 s"


def test_what_users_got_is_in_the_story() -> None:
    traffic = {"blue": minutes(minute(0), 2)}
    assert story_of(promoted(), traffic=traffic, **promotion()).traffic == traffic


def test_gate_tells_what_was_found() -> None:
    story = tell(replace(evidence_of(promoted(), **promotion()), asked=ASKED), LINK, "receipts", "test")
    assert [each.detail for each in story.gates] == ["An emergency goes without it.", "", "It is disabled."]


@pytest.mark.parametrize(("action", "tone"), [("pause", Tone.WARNING), ("abort", Tone.WARNING), ("resume", Tone.PLAIN)])
def test_order_that_stops_a_release_stands_out(action: str, tone: Tone) -> None:
    orders = [{"action": action, "at": after(40).isoformat(), "reason": "slow", "by": OPERATE}]
    story = story_of(shifted().end("Aborted"), orders=orders)
    assert [each.tone for each in story.events if each.who == "operator"] == [tone]


def test_order_in_the_moment_of_the_end_is_in_the_plot() -> None:
    end = promoted().read().ended
    orders = [{"action": "promote", "at": end.isoformat(), "reason": "urgent", "by": OPERATE}]
    assert Decision(end, "promote") in story_of(promoted(), orders=orders, **promotion()).decisions


def test_detection_begins_with_the_last_shift_before_it_was_noticed() -> None:
    """Also with the only one, and with one in that very moment."""
    shifted_once = deployment().shift(10)
    moment = weights_moment(shifted_once)
    for seconds, told in ((0, "0.0 s"), (20, "20.0 s")):
        noticed = moment + timedelta(seconds=seconds)
        asked = {"source": "alarm", "alarm": "receipts-test-rolls-back-errors", "changed_at": noticed.isoformat()}
        back = rollback(at=(noticed - BEGAN).total_seconds() + 5, **asked).switch_back().end("Succeeded")
        story = story_of(deployment().shift(10).end("Aborted"), back, outcome="rolled_back")
        assert figure(story, "Detection").value == told


def weights_moment(played: Played) -> datetime:
    """Return when an execution shifted first."""
    return story_of(played.end("Aborted")).weights[1].at


def test_rollback_of_exactly_a_minute_keeps_its_promise() -> None:
    slow = rollback(at=400)
    slow.wait("Page the commands", 60 - (slow.at - 400) - 0.1).switch_back()
    took = figure(story_of(shifted().end("Aborted"), slow.end("Succeeded")), "Switch: from the start")
    assert (took.value, took.met) == ("1 min 0 s", True)


def test_restore_says_what_it_has_cost_users() -> None:
    lost = {"receipts": {"inserted": 1200, "changed": 3, "deleted": 0}}
    restored = Played(RESTORING, {"reason": "receipts are garbled"}, at=4000)
    restored.task("Count lost writes", "count-lost-writes", {}, {"done": True, "lost": lost})
    restored.task("Freeze traffic", "freeze-traffic", {"restore_id": "r"}, {"frozen_at": "…"})
    restored.task("Thaw traffic", "thaw-traffic", {"restore_id": "r"}, {"thawed": 1}, seconds=90)
    story = story_of(promoted(), restored.end("Succeeded"), **promotion())
    assert Figure("Rows that a restore has taken from users", "receipts: 1,200 inserted, 3 changed") in story.figures
    assert Figure("Traffic was frozen for", "1 min 30 s") in story.figures


def test_old_version_is_measured_in_the_hour_before_its_share_shrank() -> None:
    before = minutes(minute(-60), 1, p95=10)
    earlier = minutes(minute(-61), 1, p95=900)
    beside = minutes(minute(3), 9, p95=900)
    story = story_of(promoted(), traffic={"blue": [*earlier, *before, *beside]}, **promotion())
    assert figure(story, "95 % of the requests to blue before").value == "10 ms (median of the minutes)"


def test_old_version_is_measured_to_the_end_where_nothing_was_shifted() -> None:
    story = story_of(deployment().end("Aborted"), traffic={"blue": minutes(minute(-2), 1, p95=20)})
    assert figure(story, "95 % of the requests to blue before").value == "20 ms (median of the minutes)"


def test_new_version_is_measured_until_its_share_shrinks() -> None:
    played = shifted().bake(100, 600)
    back = rollback(at=1000).switch_back().end("Succeeded")
    green = [*minutes(minute(10), 2, p95=20), *minutes(minute(18), 9, p95=900)]
    story = story_of(played.end("Aborted"), back, traffic={"green": green}, outcome="rolled_back")
    assert figure(story, "95 % of the requests to green with all").value == "20 ms (median of the minutes)"


def test_minute_that_begins_with_the_end_is_not_of_the_release() -> None:
    end = promoted().read().ended
    story = story_of(promoted(), traffic={"blue": [Traffic(end, 60, 100, 100), *minutes(minute(1), 1)]}, **promotion())
    assert figure(story, "Requests that failed").value == "0 of 100 (0.00 %)"


def test_messages_are_told_in_their_order_and_with_their_moment() -> None:
    first = deployment().tell("gates_warned", "[receipts test] Warnings").end("Failed", "Escalated")
    second = rollback(at=10).tell("rolled_back", "[receipts test] Rolled back").end("Succeeded")
    told = story_of(first, second).told
    assert [(each.subject, each.to) for each in told] == [
        ("[receipts test] Rolled back", "the people on call"),
        ("[receipts test] Warnings", "the people on call"),
    ]
    assert told[0].at < told[1].at


MADE = "Made at 2026-03-01 15:00:00 UTC. A report is made anew when an execution of its release ends."
MEASURED = (
    "What users got is what the load balancer reports to CloudWatch, by the minute and some minutes late. What lies on"
    " both sides of a change of the listener is in no figure of a share of the traffic."
)


def test_reader_is_told_what_the_figures_are_made_of() -> None:
    assert story_of(promoted(), **promotion()).notes == [MADE, MEASURED]
    unread = tell(replace(evidence_of(promoted()), traffic=None), LINK, "receipts", "test")
    assert unread.notes == [
        MADE,
        "CloudWatch could not be read, so nothing is said about the traffic. Start the report machine again.",
    ]
    drifted = deployment().failing("Shift 10 % of traffic", "switch-listener", "ListenerDrifted", "It shows 30.")
    story = story_of(drifted.end("Failed", "Escalated"), traffic={"": [Traffic(BEGAN, 60, 2, 2)]})
    assert story.notes == [
        MADE,
        MEASURED,
        "Errors of the load balancer itself are those of all that it serves, not of this product alone.",
        "Somebody else has moved the listener. The shares of the traffic are those that Runback has set.",
    ]
