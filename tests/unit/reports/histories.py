"""Histories of executions, event by event, as GetExecutionHistory answers them."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import boto3
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from lambdas.reports.history_rules import Execution, History, read_history
from tests.builders import BLUE, CLEAN_UP, DEPLOYMENT, GREEN, NEW_VERSION, OLD_VERSION, ROLLBACK

PREFIX = "receipts-test"
RELEASE = "2222222-0a1b2c3d"
BEGAN = datetime(2026, 3, 1, 10, tzinfo=UTC)
NOW = datetime(2026, 3, 1, 15, tzinfo=UTC)
RECORD: dict[str, Any] = {
    "item": f"release#{RELEASE}",
    "version": NEW_VERSION,
    "execution": DEPLOYMENT,
    "requested_at": "2026-03-01T10:00:00.000Z",
    "rollback_point": {"color": "blue", "version": OLD_VERSION, "target_groups": {"api": BLUE}},
    "idle": {"color": "green"},
    "snapshot": {"id": f"runback-receipts-test-{RELEASE}"},
}
GROUPS = {"blue": BLUE, "green": GREEN}


def after(seconds: float) -> datetime:
    """Return a moment after the beginning of the first execution."""
    return BEGAN + timedelta(seconds=seconds)


@dataclass
class Played:
    """An execution, as it is played step by step. `at` is in seconds after the beginning of the first one."""

    arn: str
    given: dict[str, Any]
    at: float = 0
    events: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._add("ExecutionStarted", executionStartedEventDetails={"input": json.dumps(self.given)})

    def task(self, state: str, function: str, given: Any = None, answer: Any = None, seconds: float = 0.1) -> Self:
        """Enter a Task, whose function answers."""
        self._enter("Task", state)
        self._schedule(function, given)
        self.at += seconds
        self._succeed(answer)
        return self._leave("Task", state)

    def failing(
        self, state: str, function: str, error: str, message: str = "", *, times: int = 1, answer: Any = None
    ) -> Self:
        """Enter a Task, whose function fails so many times and then answers, unless there is no answer."""
        self._enter("Task", state)
        cause = json.dumps({"errorMessage": message, "errorType": error})
        for _ in range(times):
            self._schedule(function, {"release_id": RELEASE})
            self.at += 1
            details = {"resourceType": "lambda", "resource": "invoke", "error": error, "cause": cause}
            self._add("TaskFailed", taskFailedEventDetails=details)
        if answer is not None:
            self._schedule(function, {"release_id": RELEASE})
            self._succeed(answer)
        return self._leave("Task", state)

    def human(self, state: str, function: str, answer: dict[str, Any]) -> Self:
        """Enter a Task whose function asks a human, who answers: that output has nothing of Lambda around it."""
        self._enter("Task", state)
        self._schedule(function, {"release_id": RELEASE})
        details = {"resourceType": "lambda", "resource": "invoke.waitForTaskToken", "output": json.dumps(answer)}
        self._add("TaskSucceeded", taskSucceededEventDetails=details)
        return self._leave("Task", state)

    def hanging(self, state: str) -> Self:
        """Enter a Task, and stay in it."""
        self._enter("Task", state)
        return self

    def at_once(self, state: str, *functions: str, seconds: float = 2) -> Self:
        """Enter a Parallel, in which all functions are asked before the first one answers."""
        self._enter("Parallel", state)
        self._add("ParallelStateStarted")
        for function in functions:
            self._enter("Task", f"{state}: {function}")
            self._schedule(function, {"release_id": RELEASE})
        self.at += seconds
        for function in functions:
            self._succeed({"results": [function]})
            self._leave("Task", f"{state}: {function}")
        self._add("ParallelStateSucceeded")
        return self._leave("Parallel", state)

    def wait(self, state: str, seconds: float) -> Self:
        """Enter a Wait, and leave it."""
        self._enter("Wait", state)
        self.at += seconds
        return self._leave("Wait", state)

    def ask(self, state: str) -> Self:
        """Enter a Choice, and leave it."""
        self._enter("Choice", state)
        return self._leave("Choice", state)

    def bake(self, percent: int, seconds: float, looks: int = 3) -> Self:
        """Look again and again whether a bake is over."""
        given = {"release_id": RELEASE, "percent": percent, "bake_seconds": seconds}
        for left in reversed(range(looks)):
            self.task(f"Judge at {percent} %", "judge-bake", given, _judged(done=not left), seconds=0)
            self.ask(f"Has it baked at {percent} %?")
            if left:
                self.wait(f"Bake at {percent} %", seconds / (looks - 1))
        return self

    def shift(self, percent: int) -> Self:
        """Give green its share."""
        given = {"release_id": RELEASE, "color": "green", "percent": percent, "before_percent": 0, "back": False}
        answer = {"changed": True, "concern": ""}
        return self.task(f"Shift {percent} % of traffic", "switch-listener", given, answer)

    def switch_back(self, concern: str = "") -> Self:
        """Bring all traffic back to blue."""
        given = {"release_id": RELEASE, "color": "blue", "percent": 100, "before_percent": 0, "back": True}
        return self.task("Switch listener back", "switch-listener", given, {"changed": True, "concern": concern})

    def tell(self, kind: str, subject: str) -> Self:
        """Send a message."""
        given = {"kind": kind, "release_id": RELEASE, "reason": "why", "failure": {}, "execution": self.arn}
        return self.task("Tell about it", "notify", given, {"told": subject})

    def end(self, kind: str, error: str = "", cause: str = "", *, state: str = "") -> Self:
        """End the execution: "Succeeded", "Failed", "Aborted" or "TimedOut"."""
        if state:
            self._enter("Fail" if kind == "Failed" else "Succeed", state)
        details = {name: text for name, text in (("error", error), ("cause", cause)) if text}
        self._add(f"Execution{kind}", **{f"execution{kind}EventDetails": details})
        return self

    def read(self, now: datetime = NOW) -> History:
        """Return what the events say."""
        history = read_history(Execution.from_arn(self.arn, PREFIX), self.events, now)
        assert history is not None
        return history

    def _add(self, kind: str, **details: Any) -> None:
        number = len(self.events) + 1
        self.events.append({"id": number, "type": kind, "timestamp": after(self.at), **details})

    def _enter(self, kind: str, state: str) -> None:
        self._add(f"{kind}StateEntered", stateEnteredEventDetails={"name": state, "input": "{}"})

    def _leave(self, kind: str, state: str) -> Self:
        self._add(f"{kind}StateExited", stateExitedEventDetails={"name": state, "output": "{}"})
        return self

    def _schedule(self, function: str, given: Any) -> None:
        name = f"arn:aws:lambda:eu-west-1:123456789012:function:{PREFIX}-{function}:7"
        parameters = json.dumps({"FunctionName": name, "Payload": given or {}})
        details = {"resourceType": "lambda", "resource": "invoke", "region": "eu-west-1", "parameters": parameters}
        self._add("TaskScheduled", taskScheduledEventDetails=details)

    def _succeed(self, answer: Any) -> None:
        output = json.dumps({"StatusCode": 200, "Payload": answer or {}})
        details = {"resourceType": "lambda", "resource": "invoke", "output": output}
        self._add("TaskSucceeded", taskSucceededEventDetails=details)


def _judged(*, done: bool) -> dict[str, Any]:
    return {"done": done, "again_at": "" if done else "2026-03-01T10:06:00Z", "asks": False, "reason": "It is good."}


def lease_of(arn: str) -> dict[str, Any]:
    """Return the lease of an execution that has claimed the environment."""
    return {"holder": arn, "token": 1}


def deployment() -> Played:
    """Return a deployment that has brought green up."""
    claimed = {"lease": lease_of(DEPLOYMENT), "active": "blue", "idle": "green", "again_at": ""}
    given = {"release_id": RELEASE, "version": NEW_VERSION}
    snapshot = {"snapshot_id": f"runback-receipts-test-{RELEASE}"}
    played = Played(DEPLOYMENT, {"version": NEW_VERSION}).task("Validate request", "validate-request")
    played.task("Claim environment", "claim-environment", given, claimed)
    played.task("Take snapshot", "take-snapshot", {"release_id": RELEASE}, snapshot)
    for available in (False, True):
        played.wait("Wait for snapshot", 15)
        played.task("Check snapshot", "check-snapshot", snapshot, {"available": available, "percent": 100})
        played.ask("Is the snapshot available?")
    return played


def shifted() -> Played:
    """Return a deployment whose new version has all traffic, after five minutes with a tenth of it."""
    return deployment().shift(10).bake(10, 300).shift(100)


def promoted() -> Played:
    """Return a deployment that went live."""
    played = shifted().bake(100, 1800)
    played.task("Promote release", "promote", {"release_id": RELEASE}, {"window_ends_at": "2026-03-01T11:36:00.000Z"})
    return played.tell("promoted", "[receipts test] Release is live").end("Succeeded", state="Release is live")


def rollback(arn: str = ROLLBACK, at: float = 400, **given: str) -> Played:
    """Return a rollback that has claimed the environment."""
    reason = f"Release {RELEASE} goes back to {OLD_VERSION} on blue."
    claim = {"action": "switch", "reason": reason, "lease": lease_of(arn), "release_id": RELEASE}
    return Played(arn, given, at).task("Claim rollback", "claim-rollback", {"input": given}, claim)


def clean_up(at: float) -> Played:
    """Return a clean-up that has waited for the end of the window, and has scaled blue in."""
    wait = {"action": "wait", "reason": "The window is open.", "lease": lease_of(""), "release_id": RELEASE}
    clean = {"action": "clean", "reason": "The window is over.", "lease": lease_of(CLEAN_UP), "release_id": RELEASE}
    played = Played(CLEAN_UP, {"release_id": RELEASE}, at)
    played.task("Claim clean-up", "claim-clean-up", {}, wait).wait("Wait until it is time", 3600)
    played.task("Claim clean-up", "claim-clean-up", {}, clean)
    played.task("Scale in old color", "scale-in-old-color", {"color": "blue"}, {"instances": 0})
    return played.end("Succeeded", state="Cleaned up")


@dataclass
class FakeStepFunctions:
    """Histories by ARN, in pages. It checks requests and answers against AWS's own model of them."""

    played: list[Played] = field(default_factory=list)
    page: int = 1000
    asked: list[dict[str, Any]] = field(default_factory=list)

    def get_execution_history(self, **request: Any) -> Any:
        self.asked.append(request)
        client = boto3.client("stepfunctions")
        found = [each for each in self.played if each.arn == request["executionArn"]]
        if not found:
            error: Any = {"Error": {"Code": "ExecutionDoesNotExist", "Message": "Execution Does Not Exist"}}
            raise ClientError(error, "GetExecutionHistory")
        first = int(request.get("nextToken", "0"))
        last = first + min(self.page, request["maxResults"])
        more = {"nextToken": str(last)} if last < len(found[0].events) else {}
        with Stubber(client) as stubber:
            answer = {"events": found[0].events[first:last], **more}
            stubber.add_response("get_execution_history", answer, request)
            return client.get_execution_history(**request)
