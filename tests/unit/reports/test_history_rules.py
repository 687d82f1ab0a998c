"""What an execution did, whatever became of it, and whatever AWS has left out."""

import json
from typing import Any

import pytest

from lambdas.reports.history_rules import Execution, plain, read_history
from tests.builders import CLEAN_UP, DEPLOYMENT, GREEN, NEW_VERSION, OPERATE, ROLLBACK
from tests.unit.reports.histories import (
    BEGAN,
    NOW,
    PREFIX,
    RELEASE,
    Played,
    after,
    clean_up,
    deployment,
    lease_of,
    promoted,
    rollback,
)


@pytest.mark.parametrize(
    ("arn", "machine"), [(DEPLOYMENT, "deploy"), (ROLLBACK, "rollback"), (CLEAN_UP, "clean-up")], ids=str
)
def test_execution_is_known_by_its_arn(arn: str, machine: str) -> None:
    assert Execution.from_arn(arn, PREFIX) == Execution(arn, PREFIX, machine, "one")


@pytest.mark.parametrize(
    "arn",
    [
        None,
        7,
        "",
        "one",
        OPERATE,
        DEPLOYMENT.replace("receipts-test", "receipts-production"),
        DEPLOYMENT.replace(":execution:", ":stateMachine:"),
        f"{DEPLOYMENT}:more",
    ],
)
def test_anything_else_is_refused_with_the_field_and_an_example(arn: object) -> None:
    with pytest.raises(
        ValueError, match=r"Field 'execution_arn' must be the ARN .* Example: \{\"execution_arn\": "
    ) as e:
        Execution.from_arn(arn, PREFIX)
    example = json.loads(str(e.value).partition("Example: ")[2])
    assert Execution.from_arn(example["execution_arn"], PREFIX).machine == "deploy"


def test_refusal_does_not_repeat_a_whole_payload() -> None:
    with pytest.raises(ValueError, match="execution_arn") as refused:
        Execution.from_arn("x" * 100_000, PREFIX)
    assert len(str(refused.value)) < 1000


def test_states_are_told_with_what_their_functions_were_given_and_said() -> None:
    history = deployment().shift(10).end("Succeeded").read()
    assert (history.began, history.ended, history.end) == (BEGAN, history.visits[-1].left, "Succeeded")
    assert history.given == {"version": NEW_VERSION}
    shift = history.visits[-1]
    assert (shift.state, shift.kind, shift.function) == ("Shift 10 % of traffic", "Task", "switch-listener")
    assert (shift.given["percent"], shift.answer["changed"]) == (10, True)
    assert shift.answered == shift.left
    assert [visit.kind for visit in history.visits if visit.state == "Wait for snapshot"] == ["Wait", "Wait"]


def test_task_that_worked_in_the_end_has_not_failed() -> None:
    (visit,) = Played(DEPLOYMENT, {}).failing("Promote", "promote", "AwsCallFailed", times=2, answer={}).read().visits
    assert [each.error for each in visit.failures] == ["AwsCallFailed", "AwsCallFailed"]
    assert [each.at for each in visit.failures] == [after(1), after(2)]
    assert visit.failure is None


def test_task_that_failed_says_why_in_one_line() -> None:
    (visit,) = Played(DEPLOYMENT, {}).failing("Look", "promote", "ListenerDrifted", f"It shows {GREEN}.").read().visits
    assert visit.failure is not None
    assert visit.failure.why == "ListenerDrifted: It shows receipts-green."


def test_task_that_took_too_long_has_failed() -> None:
    played = Played(DEPLOYMENT, {}).hanging("Promote")
    details = {"resourceType": "lambda", "resource": "invoke", "error": "States.Timeout"}
    played.events.append({"id": 3, "type": "TaskTimedOut", "timestamp": after(35), "taskTimedOutEventDetails": details})
    (visit,) = played.end("Failed", "States.Timeout").read().visits
    assert visit.failure is not None
    assert visit.failure.why == "States.Timeout"


@pytest.mark.parametrize(("end", "error", "why"), [("Aborted", "", "no reason"), ("TimedOut", "States.Timeout", "")])
def test_execution_that_was_cut_short_ends_in_the_state_that_it_was_in(end: str, error: str, why: str) -> None:
    history = deployment().hanging("Shift 10 % of traffic").end(end, error, why).read()
    assert (history.end, history.visits[-1].state) == (end, "Shift 10 % of traffic")
    assert history.why == (why or error)
    assert history.visits[-1].answered is None


def test_execution_that_runs_lasts_until_now() -> None:
    history = deployment().hanging("Promote release").read()
    assert (history.end, history.ended, history.visits[-1].left) == ("", NOW, NOW)


def test_history_of_an_execution_that_nobody_knows_is_none() -> None:
    assert read_history(Execution.from_arn(DEPLOYMENT, PREFIX), [], NOW) is None


@pytest.mark.parametrize("text", ['{"StatusCode": 200, "Payl', "", "[]", '{"Payload": "text"}', None])
def test_answer_that_aws_has_cut_short_is_not_known(text: str | None) -> None:
    played = deployment()
    details: dict[str, Any] = {"outputDetails": {"truncated": True}} | ({} if text is None else {"output": text})
    for event in played.events:
        if event["type"] == "TaskSucceeded":
            event["taskSucceededEventDetails"] = details
    history = played.read()
    assert {visit.answer.get("again_at") for visit in history.visits} == {None}
    assert all(visit.answered for visit in history.visits if visit.kind == "Task")


@pytest.mark.parametrize("played", [deployment(), promoted(), rollback(), clean_up(at=2000)], ids=lambda each: each.arn)
def test_execution_worked_on_the_release_that_it_claimed_for(played: Played) -> None:
    assert played.read().release_id == RELEASE


@pytest.mark.parametrize("machine", ["rollback", "clean-up"])
def test_execution_that_found_nothing_to_do_worked_on_no_release(machine: str) -> None:
    """It is named after the release that it was started for, or it answers with another one."""
    arn = f"arn:aws:states:eu-west-1:123456789012:execution:receipts-test-{machine}:{machine}-{RELEASE}"
    nothing = {"action": "nothing", "reason": "Late.", "lease": lease_of(""), "release_id": "another"}
    played = Played(arn, {"release_id": RELEASE}).task("Claim", f"claim-{machine}", {}, nothing)
    assert played.end("Succeeded").read().release_id == ""


def test_deployment_whose_request_was_rejected_worked_on_no_release() -> None:
    assert Played(DEPLOYMENT, {}).task("Validate request", "validate-request").end("Failed").read().release_id == ""


def test_rollback_that_could_not_even_ask_is_about_the_release_of_its_input() -> None:
    played = Played(ROLLBACK, {"release_id": RELEASE}).failing("Claim rollback", "claim-rollback", "AwsCallFailed")
    assert played.end("Failed", "Escalated").read().release_id == RELEASE
    assert Played(ROLLBACK, {}).failing("Claim rollback", "claim-rollback", "AwsCallFailed").read().release_id == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"Execution {DEPLOYMENT} holds it.", "Execution deploy one holds it."),
        (f"Rollback {ROLLBACK} did not finish.", "Rollback one did not finish."),
        (f"{{'{GREEN}': 30}}", "{'receipts-green': 30}"),
        ("until 2026-03-01T12:07:33.980000+00:00, or 2026-03-01T12:07:34Z", "until 2026-03-01 12:07:33 UTC, or"),
    ],
)
def test_texts_are_such_as_a_human_would_write(text: str, expected: str) -> None:
    assert plain(text, PREFIX).startswith(expected)
    assert "arn:" not in plain(text, PREFIX)


def test_what_happens_at_the_same_time_is_one_visit() -> None:
    """Its branches' events are mixed: one would be told with the answer of another."""
    played = Played(DEPLOYMENT, {}).at_once("Check gates", "check-commit", "check-operations")
    history = played.task("Decide gates", "decide-gates", {"release_id": RELEASE}, {"verdict": "go"}).read()
    assert [(each.state, each.kind, each.function) for each in history.visits] == [
        ("Check gates", "Parallel", ""),
        ("Decide gates", "Task", "decide-gates"),
    ]
    assert (history.visits[0].left - history.visits[0].entered).total_seconds() == 2
    assert history.visits[1].answer == {"verdict": "go"}


def test_execution_that_ends_while_several_things_happen_has_ended() -> None:
    played = Played(DEPLOYMENT, {}).at_once("Check gates", "check-commit")
    del played.events[-4:]  # as when it is stopped before the branch answers
    history = played.end("Aborted").read()
    assert (history.end, [each.state for each in history.visits]) == ("Aborted", ["Check gates"])
