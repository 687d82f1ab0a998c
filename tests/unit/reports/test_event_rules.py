"""What an operator reads of an execution: sentences, names and moments."""

from typing import Any

import pytest

from lambdas.errors import LeaseLost
from lambdas.reports import event_rules
from lambdas.reports.event_rules import decisions_of, events_of, request_of, stretches_of, weights_of
from lambdas.reports.story import Decision, Event, Stretch, Tone, Weights
from tests.builders import DEPLOYMENT, NEW_VERSION, OLD_VERSION, ROLLBACK
from tests.statemachines.definitions import function_of, golden, payload_of, tasks
from tests.statemachines.machines import ANSWERS
from tests.unit.reports.histories import RELEASE, Played, after, clean_up, deployment, promoted, rollback, shifted

REPORTED = ("deploy", "rollback", "clean-up", "restore-database")
FUNCTION_STATES = [
    pytest.param(machine, state, id=f"{machine}: {state}")
    for machine in REPORTED
    for state, task in tasks(golden(machine)).items()
    if state in golden(machine)["States"]  # what happens in branches, the step after them tells
    if function_of(task)
]
VALUES: dict[str, Any] = {"active": "blue", "color": "green", "version": NEW_VERSION, "failure": {}}
WITHOUT_WORDS = {"validate-request", "resume-scaling", "stop-deployment", "notify", "point-test-listener"}
"""They change nothing that anybody wants to hear of, or what they did is told elsewhere."""


def texts(events: list[Event]) -> list[str]:
    return [event.text for event in events]


@pytest.mark.parametrize(("machine", "state"), FUNCTION_STATES)
def test_sentence_fits_what_the_machine_gives_and_the_function_says(machine: str, state: str) -> None:
    """Else it would say that something is done, but not what."""
    task = tasks(golden(machine))[state]
    function = function_of(task)
    payload = {name.removesuffix(".$"): value for name, value in payload_of(task).items()}
    answer: Any = ANSWERS[function]
    given = {name: VALUES.get(name, value) for name, value in payload.items()}
    said = {} if callable(answer) else answer
    _, *events = texts(events_of(Played(DEPLOYMENT, {}).task(state, function, given, said).read()))
    silent = function in WITHOUT_WORDS or (given.get("percent") == 0 and said["done"])
    assert len(events) == (0 if silent else 1)
    assert not any(text.endswith(": done.") for text in events)


def test_states_that_are_told_as_a_part_of_another_exist() -> None:
    states = {state for machine in REPORTED for state in golden(machine)["States"]}
    assert set(event_rules._PART_OF) <= states
    assert set(event_rules._SENTENCES) <= {
        function_of(task) for each in REPORTED for task in tasks(golden(each)).values()
    }


def test_release_is_told_from_its_request_to_its_promotion() -> None:
    assert texts(events_of(promoted().read())) == [
        "Version 2222222 was asked for.",
        "The environment was claimed: blue serves, and green is to get 2222222.",
        "The snapshot runback-receipts-test-2222222-0a1b2c3d was begun.",
        "The snapshot is complete.",
        "10 % of the traffic goes to green.",
        "Bake at 10 % began.",
        "Bake at 10 % is over: It is good.",
        "100 % of the traffic goes to green.",
        "Bake at 100 % began.",
        "Bake at 100 % is over: It is good.",
        "Promoted: the release is live, and can be rolled back until 2026-03-01 11:36:00 UTC.",
        "Ended well: Release is live.",
    ]


def test_events_have_the_moment_and_the_machine() -> None:
    began, claimed, *_ = events_of(deployment().read())
    assert (began.at, began.who) == (after(0), "deploy")
    assert (claimed.at.timestamp(), claimed.who) == (pytest.approx(after(0.2).timestamp()), "deploy")


def test_rollback_says_how_long_the_traffic_took_to_come_back() -> None:
    event = events_of(rollback().switch_back().read())[2]
    assert (event.text, event.tone) == (
        "All traffic is back on blue. That was 0.2 s after this rollback began.",
        Tone.GOOD,
    )


def test_rollback_with_a_concern_is_no_good_news() -> None:
    event = events_of(rollback().switch_back("Color blue has only 1 of 2 healthy targets.").read())[2]
    assert "Color blue has only 1 of 2 healthy targets." in event.text
    assert event.tone is Tone.WARNING


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "A rollback was asked for by an operator."),
        ({"reason": "checkout is broken"}, "A rollback was asked for by an operator: checkout is broken."),
        (
            {"source": "deployment", "reason": "SmokeCheckFailed", "cause": '{"errorMessage": "upload answered 500."}'},
            "A rollback was asked for by the deployment: SmokeCheckFailed: upload answered 500.",
        ),
        (
            {"source": "execution-status", "execution_arn": DEPLOYMENT, "status": "TIMED_OUT"},
            "A rollback was asked for by the rule on executions that end early: the execution has TIMED_OUT.",
        ),
        ({"source": "watchdog", "execution_arn": ROLLBACK}, "A rollback was asked for by the watchdog."),
    ],
)
def test_rollback_says_who_wanted_it_and_why(given: dict[str, str], text: str) -> None:
    assert request_of(Played(ROLLBACK, given).read()) == text


def test_failure_says_which_step_and_why() -> None:
    failed = shifted().failing("Validate live version", "run-smoke-checks", "SmokeCheckFailed", "upload answered 500.")
    *_, event, end = events_of(failed.end("Failed", "ReleaseRolledBack", "…").read())
    assert (event.text, event.tone) == (
        "Validate live version failed: SmokeCheckFailed: upload answered 500.",
        Tone.BAD,
    )
    assert (end.text, end.tone) == ("Ended as ReleaseRolledBack.", Tone.BAD)


def test_step_that_worked_at_last_is_a_warning_and_says_both() -> None:
    again = Played(DEPLOYMENT, {}).failing(
        "Check database and cache", "check-data-stores", "AwsCallFailed", "throttled", times=3, answer={}
    )
    assert [(event.text, event.tone) for event in events_of(again.read())[1:]] == [
        ("Check database and cache failed 3 times, and then worked: AwsCallFailed: throttled", Tone.WARNING),
        ("Database and cache answer.", Tone.PLAIN),
    ]


def test_deployment_that_a_rollback_has_stopped_is_no_fault_of_its_own() -> None:
    history = shifted().end("Aborted", "RolledBack", f"Rolled back by {ROLLBACK}").read()
    end = events_of(history)[-1]
    assert (end.text, end.tone) == ("Was stopped: Rolled back by rollback one.", Tone.WARNING)
    assert "stopped" not in [decision.label for decision in decisions_of(history)]


@pytest.mark.parametrize(
    ("end", "error", "cause", "text", "label"),
    [
        ("Aborted", "", "", "Was stopped.", "stopped"),
        ("Aborted", "Operator", "wrong version.", "Was stopped: Operator: wrong version.", "stopped"),
        ("TimedOut", "", "", "Ran out of its time.", "timed out"),
    ],
)
def test_execution_that_was_cut_short_says_so(end: str, error: str, cause: str, text: str, label: str) -> None:
    history = shifted().end(end, error, cause).read()
    assert events_of(history)[-1] == Event(history.ended, "deploy", text, Tone.BAD)
    assert decisions_of(history)[-1] == Decision(history.ended, label, Tone.BAD)


def test_what_the_history_does_not_have_is_done_at_least() -> None:
    played = Played(DEPLOYMENT, {}).task("Promote release", "promote", {"release_id": RELEASE}, {})
    assert texts(events_of(played.read()))[1:] == ["Promote release: done."]


def test_traffic_is_divided_from_the_answer_on() -> None:
    history = shifted().read()
    moments = [visit.answered for visit in history.visits if visit.function == "switch-listener"]
    assert weights_of(history) == [
        Weights(moments[0], {"green": 10, "blue": 90}),
        Weights(moments[1], {"green": 100, "blue": 0}),
    ]


def test_shift_that_failed_has_moved_nothing() -> None:
    history = deployment().failing("Shift 10 % of traffic", "switch-listener", "TargetGroupUnhealthy").read()
    assert weights_of(history) == []


def test_states_that_wait_and_look_again_are_one_stretch() -> None:
    names = [stretch.name for stretch in stretches_of(promoted().read())]
    assert names == [
        "Validate request",
        "Claim environment",
        "Take snapshot",
        "Shift 10 % of traffic",
        "Bake at 10 %",
        "Shift 100 % of traffic",
        "Bake at 100 %",
        "Promote release",
    ]
    bake = next(each for each in stretches_of(promoted().read()) if each.name == "Bake at 10 %")
    assert (bake.ended - bake.began).total_seconds() == 300


def test_stretch_has_the_tone_of_its_worst_state() -> None:
    played = deployment()
    played.failing("Check snapshot", "check-snapshot", "AwsCallFailed", answer={"available": True, "percent": 100})
    played.failing("Prepare idle color", "prepare-idle-color", "RefreshFailed")
    tones = {stretch.name: stretch.tone for stretch in stretches_of(played.read())}
    assert tones["Take snapshot"] is Tone.WARNING
    assert tones["Prepare idle color"] is Tone.BAD
    assert tones["Claim environment"] is Tone.PLAIN


def test_execution_that_runs_is_still_at_it() -> None:
    history = deployment().hanging("Prepare idle color").read(now=after(1000))
    last = stretches_of(history)[-1]
    assert last == Stretch("deploy", "Prepare idle color", history.visits[-1].entered, after(1000))


def test_moments_that_changed_something_have_a_label() -> None:
    failed = shifted().failing("Validate live version", "run-smoke-checks", "SmokeCheckFailed", "…")
    assert [each.label for each in decisions_of(failed.end("Failed", "ReleaseRolledBack").read())] == [
        "10 %",
        "100 %",
        "failed",
    ]
    assert [(each.label, each.tone) for each in decisions_of(rollback().switch_back().read())] == [
        ("rollback", Tone.WARNING),
        ("back on blue", Tone.GOOD),
    ]
    assert decisions_of(promoted().read())[-1].label == "promoted"


@pytest.mark.parametrize("phase", ["aborted", "escalated"])
def test_end_without_a_rollback_has_a_label(phase: str) -> None:
    given = {"release_id": RELEASE, "phase": phase}
    played = deployment().task("Release environment after abort", "release-environment", given, {"issue": "…"})
    assert [each.label for each in decisions_of(played.read())] == [phase]


def test_loser_of_the_lease_has_decided_nothing() -> None:
    played = deployment().failing("Judge at 10 %", "judge-bake", LeaseLost.__name__)
    assert decisions_of(played.read()) == []


def test_clean_up_says_that_it_waited_and_what_it_did() -> None:
    assert texts(events_of(clean_up(at=2000).read())) == [
        "The clean-up began.",
        "The window is open.",
        "The window is over.",
        "Blue was scaled in to 0 instances.",
        "Ended well: Cleaned up.",
    ]


def test_old_version_is_named_in_the_way_back() -> None:
    given, answer = {"active": "blue"}, {"version": OLD_VERSION, "capacity": 1}
    played = Played(DEPLOYMENT, {}).task("Record rollback point", "record-rollback-point", given, answer)
    assert texts(events_of(played.read()))[1:] == ["The way back was recorded: 1111111 on blue, 1 instance."]


def test_rollback_that_an_alarm_asked_for_names_the_alarm() -> None:
    reason = "Threshold Crossed: 3 out of the last 5 datapoints [7.0 (23/11/26 13:26:50)] were greater than 5.0"
    asked = {"source": "alarm", "alarm": "receipts-test-rolls-back-error-rate-api-green", "reason": reason}
    back = rollback(changed_at=after(380).isoformat(), **asked)
    assert request_of(back.read()) == (
        "Alarm rolls-back-error-rate-api-green turned on: Threshold Crossed: 3 out of the last 5 datapoints."
    )


@pytest.mark.parametrize("action", ["nothing", "page"])
def test_rollback_that_does_nothing_decides_nothing(action: str) -> None:
    claim = {"action": action, "reason": "Nothing to do.", "lease": {"holder": "", "token": 0}, "release_id": RELEASE}
    idle = Played(ROLLBACK, {}).task("Claim rollback", "claim-rollback", {"input": {}}, claim).end("Succeeded")
    assert decisions_of(idle.read()) == []
    assert decisions_of(rollback().switch_back().read())


@pytest.mark.parametrize(
    ("skips", "warnings", "said"),
    [
        ([], "", "All required gates let the release pass."),
        (
            ["backup"],
            "",
            "All required gates let the release pass. An emergency goes without backup: nobody can log in.",
        ),
        ([], "cdn (warn): failed\ndns (warn): error", "In spite of: cdn (warn): failed; dns (warn): error"),
    ],
)
def test_decision_at_the_gates_is_told_with_what_is_skipped_and_what_is_not_as_it_should_be(
    skips: list[str], warnings: str, said: str
) -> None:
    given = {"release_id": RELEASE, "emergency_skips": skips, "emergency": "nobody can log in" if skips else ""}
    answer = {"verdict": "go", "reason": "All required gates let the release pass.", "warnings": warnings}
    history = Played(DEPLOYMENT, {}).task("Decide gates", "decide-gates", given, answer).read()
    assert said in texts(events_of(history))[1]


def test_refusal_at_the_gates_is_told_without_the_inputs_of_the_console() -> None:
    reason = "It does not pass:\n- tests: failed\nRemove the reasons, then start again. In an emergency start with …"
    given = {"release_id": RELEASE, "emergency_skips": [], "emergency": ""}
    answer = {"verdict": "refuse", "reason": reason, "warnings": ""}
    history = Played(DEPLOYMENT, {}).task("Decide gates", "decide-gates", given, answer).read()
    assert texts(events_of(history))[1] == "It does not pass: tests: failed"


@pytest.mark.parametrize(
    ("approved", "said"),
    [(True, "arn:aws:sts::1:assumed-role/approver/kim has approved it: fine"), (False, "kim has rejected it: fine")],
)
def test_an_answer_to_a_release_is_told_with_who_gave_it(approved: bool, said: str) -> None:  # noqa: FBT001
    answer = {"approved": approved, "by": "arn:aws:sts::1:assumed-role/approver/kim", "reason": "fine"}
    history = Played(DEPLOYMENT, {}).human("Wait for approval", "ask-release-approval", answer).read()
    assert texts(events_of(history))[1].endswith(said)


def test_a_release_that_nobody_approved_says_so() -> None:
    given = {"release_id": RELEASE, "status": "expired", "failure": {}}
    answer = {"reason": "Nobody has approved release new until noon."}
    history = Played(DEPLOYMENT, {}).task("Record expiry", "end-release-approval", given, answer).read()
    assert texts(events_of(history))[1] == "Nobody has approved release new until noon."
