"""A pretend account in which a new release is live and can be rolled back, again and again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moto.server import ThreadedMotoServer

from bench.measure import CannotMeasure
from rehearsal.account import Account, pretend_account
from rehearsal.engine.calls import Call
from rehearsal.packaged import Packaged
from rehearsal.play import until_served
from rehearsal.report import CRITICAL_PATH
from rehearsal.scenarios import NEW_VERSION, OLD_VERSION
from rehearsal.settings import Settings
from rehearsal.stage import Execution, Stage

_DIES_WITHIN_SECONDS = 10.0
_LOOK_EVERY_SECONDS = 0.01


@dataclass(frozen=True)
class Switched:
    """
    How a rollback moved the listener. `stamps` are by `time.monotonic`, in the order in which things happened.

    They are the start of the machine, and for each of the two functions its first AWS call and the end of its last one,
    which of the second is the change of the listener.
    """

    stamps: tuple[float, float, float, float, float]

    @property
    def in_force(self) -> float:
        """When the listener's change was."""
        return self.stamps[-1]


class LiveRelease:
    """A release that was promoted, and the state of the account in which it is to be rolled back."""

    def __init__(self, account: Account, stage: Stage, endpoint_url: str, operator: Mapping[str, str]) -> None:
        """`endpoint_url` is the account over HTTP, `operator` the environment of one who works in it."""
        self.account = account
        self.route = account.settings.routes[0]
        self.endpoint_url = endpoint_url
        self.operator = operator
        self._stage = stage
        self._prefix = f"/{account.settings.service}/{account.settings.environment}/"
        self._record, self._parameters = self._read_record(), self._read_parameters()

    def parameter(self, name: str) -> str:
        """Return the name of one of the environment's parameters, as the runbook has it."""
        return f"{self._prefix}{name}"

    def roll_back(self, start: Callable[[], str]) -> Switched:
        """
        Let `start` start the rollback machine, wait until it has ended well, and put everything back.

        Raises CannotMeasure when it did not move the listener.
        """
        log, machine = self.account.calls.log, self.account.stack.state_machine("rollback")
        before = len(log)
        with self.at_rest():
            execution = self._execution(start())
            self._stage.until(lambda: execution.ended or self._has_changed_since(before), "the listener is not moved")
        self._stage.until_ended(execution)
        if execution.status != "SUCCEEDED" or not self._has_changed_since(before):
            how = f"{execution.status} after {execution.states}: {execution.error}: {execution.cause}"
            raise CannotMeasure(f"The rollback did not move the listener, or did not end well: {how}")
        switched = switched_by(list(log[before:]), machine, *self._critical_path())
        self.put_back()
        return switched

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """
        Begin when no function works and all executions only wait, and let the clock run at real speed meanwhile.

        What an earlier rollback is followed by, and the watchdog of each minute, would otherwise be part of the time.
        """
        self._stage.until(self._rests, "the account does not come to rest")
        with self.account.clock.at_real_speed():
            yield

    def start_in_process(self) -> str:
        """Start the rollback machine by an API call, as the console does, and return the execution's ARN."""
        return self._stage.start_rollback({}).arn

    def processes(self) -> dict[str, list[int]]:
        """Return the processes of each function of the critical path."""
        return {name: sorted(self.account.functions.process_ids(name)) for name in self._critical_path()}

    def make_cold(self) -> None:
        """Let the functions of the critical path have no process, as on AWS after some quiet minutes."""
        for process in [each for processes in self.processes().values() for each in processes]:
            os.kill(process, signal.SIGKILL)
        given_up = time.monotonic() + _DIES_WITHIN_SECONDS
        while any(self.processes().values()):
            if time.monotonic() > given_up:
                raise CannotMeasure(f"A function's process does not end: {self.processes()}")
            time.sleep(_LOOK_EVERY_SECONDS)

    def put_back(self) -> None:
        """Let the new release be live again: the record, the parameters, and the listener by a bare call."""
        dynamodb, ssm = self.account.client("dynamodb"), self.account.client("ssm")
        for item in self._record:
            dynamodb.put_item(TableName=self.account.stack.table(), Item=item)
        for name, value in self._parameters.items():
            ssm.put_parameter(Name=name, Value=value, Type="String", Overwrite=True)
        self._stage.move_listener({"green": 100})

    def forwards(self) -> Mapping[str, int]:
        """Return what the listener forwards to now."""
        return self.account.load_balancer.forwards()[self.route.arn]

    def _execution(self, arn: str) -> Execution:
        self._stage.until(lambda: arn in self._stage.executions, f"{arn} did not start")
        return self._stage.executions[arn]

    def _read_record(self) -> list[dict[str, Any]]:
        table = self.account.stack.table()
        items: list[dict[str, Any]] = self.account.client("dynamodb").scan(TableName=table)["Items"]
        return items

    def _read_parameters(self) -> dict[str, str]:
        pages = self.account.client("ssm").get_paginator("get_parameters_by_path")
        found = [each for page in pages.paginate(Path=self._prefix, Recursive=True) for each in page["Parameters"]]
        return {each["Name"]: each["Value"] for each in found}

    def _rests(self) -> bool:
        """Look at the clock, too: it hurries only while nothing works."""
        entered = {step.execution: step.type for step in list(self._stage.steps)}
        executions = list(self._stage.executions.values())
        return self.account.clock.speed > 1 and all(
            each.ended or entered.get(each.arn) == "Wait" for each in executions
        )

    def _has_changed_since(self, before: int) -> bool:
        switcher = self._critical_path()[-1]
        return any(_is_change(call, switcher) for call in list(self.account.calls.log[before:]))

    def _critical_path(self) -> list[str]:
        return [self.account.stack.function(name) for name in CRITICAL_PATH]


def switched_by(calls: Sequence[Call], machine: str, claimer: str, switcher: str) -> Switched:
    """Find in a log how the first rollback in it moved the listener. `machine` is an ARN, the others are functions."""
    (started, *_) = [call for call in calls if _starts(call, machine)]
    (change, *_) = [call for call in calls if _is_change(call, switcher)]
    within = [call for call in calls if started.number <= call.number <= change.number]
    claims, switches = ([call for call in within if call.caller == function] for function in (claimer, switcher))
    return Switched((started.stamp, claims[0].stamp, _answered(claims[-1]), switches[0].stamp, _answered(change)))


def _starts(call: Call, machine: str) -> bool:
    return call.action == "StartExecution" and call.parameters.get("stateMachineArn") == machine


def _is_change(call: Call, switcher: str) -> bool:
    return call.caller == switcher and call.action == "ModifyListener" and call.answered is not None and not call.error


def _answered(call: Call) -> float:
    return call.answered or call.stamp


@contextmanager
def live_release(assembly: Path, folder: Path, say: Callable[[str], None]) -> Iterator[LiveRelease]:
    """
    Release a new version to production as shipped, packaged, with users; then let the users go, and nobody else act.

    Raises CannotMeasure when the release does not become live.
    """
    settings, staging = Settings.read("production"), Packaged()
    say("building the pretend account")
    folder.mkdir(parents=True, exist_ok=True)
    with pretend_account(settings, assembly, folder, staging, version=OLD_VERSION) as account:
        until_served(account)
        with staging.traffic(
            account.clock, account.world, settings.routes[0].arn, folder / "samples.jsonl", 0.0
        ) as users:
            stage = Stage(account, users, staging)
            say("releasing a new version (half a minute)")
            deployment = stage.until_ended(stage.start_deployment({"version": NEW_VERSION}))
            if deployment.status != "SUCCEEDED":
                raise CannotMeasure(f"The release ended as {deployment.status}: {deployment.cause}")
            users.stop()
            with _over_http() as endpoint_url:
                yield LiveRelease(account, stage, endpoint_url, _operator(settings, endpoint_url))


@contextmanager
def _over_http() -> Iterator[str]:
    """Serve the account once more, at an address that is known here."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def _operator(settings: Settings, endpoint_url: str) -> dict[str, str]:
    """Return what the AWS CLI has to know; the credentials are those that the pretend account has set."""
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_EC2_METADATA_DISABLED")
    return {
        **{name: os.environ[name] for name in names},
        "AWS_DEFAULT_REGION": settings.region,
        "AWS_ENDPOINT_URL": endpoint_url,
    }


@contextmanager
def bare_calls(release: LiveRelease) -> Iterator[Callable[[str], float]]:
    """Start bench.bare_call, and yield what gives a target group all traffic and returns the seconds that took."""
    command = (sys.executable, "-m", "bench.bare_call", release.endpoint_url)
    with subprocess.Popen(
        (*command, release.account.settings.region, release.route.arn),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise CannotMeasure("The process that makes bare calls has no pipes.")
        to, answers = process.stdin, process.stdout

        def forward(target_group: str) -> float:
            to.write(f"{target_group}\n")
            to.flush()
            answer = answers.readline()
            if not answer:
                raise CannotMeasure("The process that makes bare calls has ended.")
            return float(answer)

        yield forward
        to.close()
