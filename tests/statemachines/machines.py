"""The synthesized machines, run in the pretend account: functions answer by name, and waits pass at once."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import count
from queue import Queue
from typing import Any
from unittest import mock

from botocore.exceptions import ClientError
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_sfn import (
    StateTaskServiceSfn,
)

from lambdas.release.rules import explain_failure, read_request
from tests.rehearsal.engine.state_machines import PASS, ROLE_ARN, FunctionError, StateMachines, state_machines
from tests.statemachines.definitions import Definition, function_of, in_branches

Json = Any
Answer = Json | Exception | Callable[[Json], Json]
"""What a function answers, the error that it raises, or how to work the answer out. A list has one for each call."""
Answers = Mapping[str, Answer]
"""Answers by the name of the state that calls, or else by that of the function."""

PREFIX = "receipt-vault-production-"
VERSION = "0123456789abcdef0123456789abcdef01234567"
REQUEST = {"version": VERSION}
MIGRATING = {**REQUEST, "migrations": "backward-compatible"}
BREAKING = {**REQUEST, "migrations": "breaking", "no_automatic_rollback": "the old version knows no currencies"}
UNASKED = {**REQUEST, "emergency": "nobody can log in", "skip_gates": ["approval"]}
"""A release in an emergency, for which nobody is asked."""
ORDER = {"action": "pause", "reason": "checkout looks slow"}
PUSHED = {"commit": VERSION}
ENDED = {"execution_arn": "arn:aws:states:eu-west-1:111122223333:execution:receipt-vault-production-deploy:one"}
"""What the rule on ended executions gives to the report machine."""
DEPLOY_LEASE = {"holder": "the deployment", "token": 7}
ROLLBACK_LEASE = {"holder": "the rollback", "token": 8}
RESTORE_LEASE = {"holder": "the restore", "token": 10}
CLEAN_UP_LEASE = {"holder": "the clean-up", "token": 9}
UNFORESEEN = FunctionError("KeyError", "'DBInstances'")
"""An error that no machine knows, and that trying again would not help."""

FASTEST = 1e6
"""
At this speed half an hour of baking takes two milliseconds, and what moto needs between two states takes minutes.

Functions are called at real speed all the same. A test of how long a machine waits needs a speed at which that is more
than what moto needs, a few milliseconds.
"""
LOOKS_AT_GATES = ("Check commit", "Check foundations", "Check operations", "Decide gates")
"""What is called at the gates; the first three are at the same time, so that nobody knows their order."""

_LONGEST_RUN_SECONDS = 20
_LONGEST_WAIT_SECONDS = 99_999_999
"""For a human, who otherwise would have milliseconds; one who does not answer is an error of this name."""
UNANSWERED = FunctionError("States.Timeout", "nobody has answered")
_START_EXECUTION = StateTaskServiceSfn._eval_service_task


def claimed(action: str = "switch", reason: str = "Release two goes back to one.") -> dict[str, Any]:
    """Return what the claim of a rollback answers."""
    return {
        "action": action,
        "reason": reason,
        "lease": ROLLBACK_LEASE,
        "release_id": "release-two",
        "active": "green",
        "color": "blue",
        "version": "aaaaaaa",
        "wanted_healthy": 2,
        "last_healthy": 3,
        "last_healthy_at": "2026-03-01T10:00:00.000Z",
        "claimed_at": "2026-03-01T10:01:00.000Z",
        "loser": "arn:of:the:deployment",
        "database": False,
        "why": "checkout is broken",
        "asked_by": "",
        "infrastructure": False,
        "ended_as": "rolled_back",
    }


def plan_checked(changes: int = 2) -> dict[str, Any]:
    """Return what the function answers that inspects plans of the infrastructure."""
    summary = "Terraform adds aws_sqs_queue.thumbnails, changes aws_iam_role.worker." if changes else "Nothing."
    return {"ready": True, "digest": "d" * 64, "inspected": "e" * 64, "summary": summary, "changes": changes}


def left(*, changed: bool = True, over: bool = True) -> dict[str, Any]:
    """Return what the function answers that looks for an apply that somebody has left behind."""
    return {"over": over, "changed": changed, "reason": "The infrastructure was applied whole." if changed else ""}


def looked() -> dict[str, Any]:
    """Return what the functions answer that look at gates."""
    return {"results": [{"gate": "backup", "level": "required", "status": "passed", "detail": "It is young."}]}


def gated(verdict: str = "go", warnings: str = "", again_at: str = "") -> dict[str, Any]:
    """Return what the function answers that decides what becomes of a release at its gates."""
    return {
        "verdict": verdict,
        "reason": "The release waits for its tests.",
        "again_at": again_at,
        "summary": "backup (required): passed",
        "warnings": warnings,
    }


def clean_up_claimed(action: str = "clean", reason: str = "The window is over.", again_at: str = "") -> dict[str, Any]:
    """Return what the claim of a clean-up answers."""
    lease = CLEAN_UP_LEASE if action == "clean" else {"holder": "", "token": 0}
    return {
        "action": action,
        "reason": reason,
        "again_at": again_at,
        "lease": lease,
        "release_id": "release-two",
        "color": "blue",
    }


def ordered(verdict: str = "carried_out", action: str = "pause", kind: str = "paused") -> dict[str, Any]:
    """Return what the function answers that carries orders out."""
    return {
        "verdict": verdict,
        "reason": "Release release-two holds.",
        "asked": "checkout looks slow",
        "action": action,
        "release_id": "release-two",
        "kind": kind,
        "start_as": "abort-release-two-0a1b2c3d",
        "accept_unaccounted": False,
    }


def planned(decision: str = "restore", kind: str = "snapshot", **source: str) -> dict[str, Any]:
    """Return what the function answers that plans restores."""
    plan = {
        "restore_id": "r-release-two-0a1b2c3d",
        "release_id": "release-two",
        "source": {"kind": kind, "snapshot_id": "runback-receipt-vault-production-release-two", **source},
        "forward_instance": "receipt-vault-production",
        "forward_host": "forward.rds.example",
        "forward_port": 5432,
        "restored_instance": "runback-receipt-vault-production-r0a1b2c3d",
        "safety_snapshot": "runback-receipt-vault-production-safety-r-release-two-0a1b2c3d",
        "recovery_point": "2026-03-01T10:00:00.000Z",
        "loss_seconds": 600,
    }
    return {
        "decision": decision,
        "reason": "The database goes back.",
        "release_id": "release-two",
        "restore_id": "r-release-two-0a1b2c3d",
        "plan": plan,
    }


def counted(*, done: bool = True, unaccounted: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return what the function answers that counts lost writes."""
    return {
        "done": done,
        "cursor": {"table": 1},
        "lost": {"receipts": {"inserted": 3, "changed": 1, "deleted": 0}},
        "unaccounted": [{"table": each, "rows": 1, "why": "is not named", "differs": True} for each in unaccounted],
        "exported": "s3://exports/r-release-two-0a1b2c3d/",
    }


def taken(action: str = "run", reason: str = "It is the newest push.") -> dict[str, Any]:
    """Return what the function answers that judges pushes."""
    return {"action": action, "reason": reason, "commit": VERSION}


def begun(action: str = "started", again_at: str = "") -> dict[str, Any]:
    """Return what the function answers that starts releases of pushes."""
    return {
        "action": action,
        "reason": "The environment is taken.",
        "again_at": again_at,
        "commit": VERSION,
        "release_id": "release-two",
    }


def looked_at(verdict: str) -> dict[str, Any]:
    """Return what the function answers that frees an environment, or only looks whether it could."""
    return {
        "verdict": verdict,
        "reason": "The environment is free.",
        "asked": "its deployment is dead",
        "release_id": "release-two",
        "kind": "environment_freed",
    }


def reported(*, written: bool = True) -> dict[str, Any]:
    """Return what the function answers that writes reports."""
    return {"written": written, "reason": "", "report": "https://console/report" if written else ""}


ANSWERS: Answers = {
    "validate-request": lambda given: asdict(
        read_request(given["input"], given["execution_name"], can_apply=True, skippable=("change_window", "approval"))
    ),
    "claim-environment": {"lease": DEPLOY_LEASE, "active": "blue", "idle": "green", "again_at": ""},
    "record-rollback-point": {"version": "aaaaaaa", "capacity": 2},
    "certify-rollback": {"checks": 38, "concern": ""},
    "certify-restore": {"checks": 61, "concern": ""},
    "start-plan": {"build_id": "plan:1", "ready_by": "2026-03-01T11:00:00.000Z"},
    "check-plan": plan_checked(),
    "start-apply": {"build_id": "apply:1", "ready_by": "2026-03-01T11:00:00.000Z"},
    "check-apply": {"ready": True},
    "check-unfinished-apply": left(changed=False),
    "take-snapshot": {"snapshot_id": "runback-test", "ready_by": "2026-03-01T11:00:00.000Z"},
    "check-snapshot": {"available": True, "percent": 100},
    "prepare-idle-color": {"refresh_id": "refresh-1", "wanted_healthy": 2, "ready_by": "2026-03-01T11:00:00.000Z"},
    "check-idle-color": {"ready": True, "percent": 100, "healthy": 2},
    "start-migrations": {"build_id": "migrate:1", "ready_by": "2026-03-01T11:00:00.000Z"},
    "check-migrations": {"ready": True},
    "look-at-migrations": {"running": False, "pages": False, "concern": ""},
    "run-smoke-checks": {"passed": ["health", "login", "upload"]},
    "check-data-stores": {"answered": ["database", "cache"]},
    "check-error-rate": {"requests": 1000, "errors": 0},
    "hold-old-color": {"held": 2},
    "switch-listener": {"changed": True, "concern": ""},
    "check-alarms": {"on": []},
    "check-bake": {"done": True, "again_at": ""},
    "judge-bake": {"done": True, "again_at": "", "asks": False, "reason": "It is good."},
    "promote": {"window_ends_at": "2026-03-01T12:00:00.000Z"},
    "resume-scaling": {"resumed": True},
    "scale-back-idle-color": {"active": "blue"},
    "release-environment": lambda given: {"issue": explain_failure(given["failure"])},
    "claim-rollback": claimed(),
    "stop-deployment": {"stopped": True},
    "settle": {"settled": True},
    "record-rollback": {"phase": "rolled_back"},
    "claim-clean-up": clean_up_claimed(),
    "scale-in-old-color": {"instances": 0},
    "give-order": ordered(),
    "free-environment": lambda given: looked_at("free" if given["only_look"] else "carried_out"),
    "answer-approval": lambda given: (
        {**looked_at("carried_out"), "kind": "restore_approved"} | {"asked": given["asked"]}
    ),
    "write-report": reported(),
    "take-push": taken(),
    "start-release": begun("nothing"),
    "check-release": {"action": "ended", "reason": "Release release-two ended as promoted."},
    "plan-restore": planned(),
    "check-commit": looked(),
    "check-infrastructure": looked(),
    "check-operations": looked(),
    "decide-gates": gated(),
    "ask-release-approval": {"approved": True, "by": "the operate machine", "reason": "all is well"},
    "end-release-approval": {"reason": "Nobody has approved release release-two."},
    "ask-approval": {"approved": True, "by": "the operate machine", "reason": "it is worth it"},
    "copy-snapshot": {"snapshot_id": "runback-copy", "ready_by": "2026-03-01T11:00:00.000Z"},
    "check-copied-snapshot": {"available": True, "percent": 100},
    "claim-restore": {
        "lease": RESTORE_LEASE,
        "release_id": "release-two",
        "active": "blue",
        "idle": "green",
        "accept_unaccounted": False,
    },
    "freeze-traffic": {"frozen_at": "2026-03-01T10:02:00.000Z", "rules": ["arn:of:the:rule"]},
    "fence-writers": {"fenced": True, "still_writing": "", "fenced_at": "2026-03-01T10:02:30.000Z"},
    "lift-fence": {"lifted": True, "roles": ["receiptvault"]},
    "take-safety-snapshot": {"snapshot_id": "runback-safety", "ready_by": "2026-03-01T11:00:00.000Z"},
    "check-safety-snapshot": {"available": True, "percent": 100},
    "set-master-password": {"asked": True},
    "hold-capacity": {"held": {"receipt-vault-blue": 2}},
    "give-capacity-back": {"given_back": ["receipt-vault-blue"]},
    "restore-instance": {"instance": "runback-restored", "ready_by": "2026-03-01T12:00:00.000Z"},
    "check-restored-instance": {
        "available": True,
        "host": "restored.rds.example",
        "port": 5432,
        "settings": "equal",
    },
    "verify-restored-data": {"checked": ["check query 1"], "sequences": 1, "unmanaged": []},
    "count-lost-writes": counted(),
    "swap-connection": {"version_id": "two", "previous_version_id": "one", "finding": ""},
    "restart-application": {"started": True, "refresh_id": "refresh-2", "ready_by": "2026-03-01T13:00:00.000Z"},
    "check-restart": {"restarted": True, "percent": 100, "healthy": 2},
    "point-test-listener": {"changed": True},
    "thaw-traffic": {"thawed": 1},
    "record-restore": {"issue": ""},
    "notify": {"told": "[receipt-vault production] …"},
}
"""
All goes well.

A deployment goes live, a rollback brings back, a clean-up ends at once, an order is carried out, a report is written,
a push is taken and was released meanwhile, and a restore is approved and made.
"""


@dataclass(frozen=True)
class Call:
    """A Task was tried. `given` is the payload without `now`; `seconds` is when, on the simulated clock."""

    state: str
    given: dict[str, Any]
    now: datetime
    seconds: float


@dataclass(frozen=True)
class Run:
    """An execution that has ended."""

    arn: str
    ending: tuple[str, str | None, str | None]
    """Status, error and cause, as the console and the status event show them."""
    entered: list[str]
    """Its states, in order."""
    calls: list[Call]

    @property
    def name(self) -> str:
        """The execution's name."""
        return self.arn.rpartition(":")[2]

    @property
    def release_id(self) -> str:
        """The id of the release of a deployment."""
        return read_request(REQUEST, self.name).release_id

    @property
    def called(self) -> list[str]:
        """The states that called something, in order, once per attempt."""
        return [call.state for call in self.calls]

    def calls_of(self, state: str) -> list[Call]:
        """Return the attempts of one state."""
        return [call for call in self.calls if call.state == state]

    def given(self, state: str) -> dict[str, Any]:
        """Return what the only attempt of a state was given."""
        (call,) = self.calls_of(state)
        return call.given

    def after(self, state: str) -> list[str]:
        """Return the states that were entered after this one was entered first."""
        return self.entered[self.entered.index(state) + 1 :]


class Machines:
    """The machines of one environment in a pretend account, in which one execution after the other is run."""

    def __init__(self, account: StateMachines, definitions: Mapping[str, Definition]) -> None:
        self._account = account
        self._names = (f"run-{number}" for number in count(1))
        self._status_changes: Queue[dict[str, Any]] = Queue()
        self._answers: Answers = {}
        self._calls: list[Call] = []
        self._running = ""
        # What the deploy machine starts does nothing, so that a test sees one machine at a time.
        self._started = self._create("started", {"StartAt": "Only", "States": {"Only": PASS}})
        self._machines = {name: self._create(name, self._runnable(each)) for name, each in definitions.items()}
        self._in_branches = {
            parallel: dict(inner) for each in definitions.values() for parallel, inner in in_branches(each).items()
        }
        account.functions.update({name: self._stand_in(name) for name in ANSWERS})
        account.interpreter.on_status_change(self._status_changes.put)

    def run(
        self,
        machine: str,
        answers: Answers | None = None,
        given: Json = None,
        *,
        name: str = "",
        speed: float = FASTEST,
    ) -> Run:
        """
        Run an execution to its end. Whatever `answers` does not mention goes well.

        `given` is the execution's input; without it, it is a valid one.
        """
        name = name or next(self._names)
        self._account.clock.pace(speed)
        self._calls = []
        self._answers = {**ANSWERS, **(answers or {})}
        self._running = _execution(self._machines[machine], name)
        usual = {"deploy": REQUEST, "operate": ORDER, "report": ENDED, "push": PUSHED}.get(machine, {})
        execution_input = json.dumps(usual if given is None else given)
        self._account.client.start_execution(stateMachineArn=self._machines[machine], name=name, input=execution_input)
        end = self._end()
        return Run(self._running, (end["status"], end["error"], end["cause"]), self._entered(), self._calls)

    def now(self) -> datetime:
        """Tell the time of the account."""
        return self._account.clock.now()

    def started(self, name: str) -> Json:
        """Return the input of the execution that a deployment has started under this name."""
        return json.loads(self._account.describe(_execution(self._started, name))["input"])

    def start(self, name: str) -> None:
        """Start an execution under this name, with an input that no deployment gives."""
        self._account.client.start_execution(stateMachineArn=self._started, name=name, input='{"other": 1}')

    def start_execution(self, task: StateTaskServiceSfn, env: Any, *more: Any, **named: Any) -> None:
        """Stand in for the Task that starts a machine: fail as its state is told to, or really start it."""
        state = _state_of(env)
        clock = self._account.clock
        self._calls.append(Call(state, {}, clock.now(), clock.seconds()))
        answer = self._answers.get(state)
        if isinstance(answer, FunctionError):
            raise _refusal(*answer.args)
        _START_EXECUTION(task, env, *more, **named)

    def _create(self, name: str, definition: Definition) -> str:
        arn: str = self._account.client.create_state_machine(
            name=PREFIX + name, roleArn=ROLE_ARN, definition=json.dumps(definition)
        )["stateMachineArn"]
        return arn

    def _runnable(self, definition: Definition) -> Definition:
        """Leave the time-out of the whole execution away: on so fast a clock a stall of this machine is an hour."""
        runnable = deepcopy(definition)
        del runnable["TimeoutSeconds"]
        for state in runnable["States"].values():
            if str(state.get("Resource", "")).endswith(".waitForTaskToken"):
                state["TimeoutSeconds"] = _LONGEST_WAIT_SECONDS
            if "StateMachineArn" in state.get("Parameters", {}):
                state["Parameters"]["StateMachineArn"] = self._started
        return runnable

    def _end(self) -> dict[str, Any]:
        while True:
            change = self._status_changes.get(timeout=_LONGEST_RUN_SECONDS)
            if change["executionArn"] == self._running and change["status"] != "RUNNING":
                return change

    def _entered(self) -> list[str]:
        """Return the states that were entered, in order; those in branches, which are entered at once, are left out."""
        events = self._account.history(self._running)
        entered = [event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event]
        within = {name for inner in self._in_branches.values() for name in inner}
        return [name for name in entered if name not in within]

    def _stand_in(self, function: str) -> Callable[[Json], Json]:
        def answer(payload: Json) -> Json:
            state = self._calling(_state_of(self._account.environment(self._running)), function)
            now = datetime.strptime(payload.pop("now"), "%Y-%m-%dT%H:%M:%S.%f%z")  # as Step Functions writes it
            self._calls.append(Call(state, payload, now, self._account.clock.seconds()))
            token = payload.pop("task_token", None)
            answered = self._answer(state, function, payload)
            if token:  # a human, at once
                self._account.client.send_task_success(taskToken=token, output=json.dumps(answered))
            return answered

        return answer

    def _calling(self, state: str, function: str) -> str:
        """Return the state that calls: of a Parallel that is the one in its branches that calls this function."""
        inner = self._in_branches.get(state, {})
        return next((name for name, each in inner.items() if function_of(each) == function), state)

    def _answer(self, state: str, function: str, payload: Json) -> Json:
        answer = self._answers[state if state in self._answers else function]
        if isinstance(answer, list):
            attempts = [call for call in self._calls if call.state == state]
            answer = answer[len(attempts) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer(payload) if callable(answer) else answer


@contextmanager
def machines(definitions: Mapping[str, Definition]) -> Iterator[Machines]:
    """Open a pretend account with these machines, by name."""
    with state_machines() as account:
        opened = Machines(account, definitions)

        def start_execution(self: StateTaskServiceSfn, env: Any, *more: Any, **named: Any) -> None:
            opened.start_execution(self, env, *more, **named)

        with mock.patch.object(StateTaskServiceSfn, "_eval_service_task", start_execution):
            yield opened


def _execution(machine: str, name: str) -> str:
    return f"{machine.replace(':stateMachine:', ':execution:')}:{name}"


def _state_of(env: Any) -> str:
    name: str = env.states.context_object.context_object_data["State"]["Name"]
    return name


def _refusal(error: str, message: str) -> ClientError:
    """Return what boto3 raises, so that the Task's error has this name."""
    code = error.removeprefix("StepFunctions.").removesuffix("Exception")
    answer: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": 400, "RequestId": "1"},
    }
    return ClientError(answer, "StartExecution")
