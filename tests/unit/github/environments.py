"""An environment whose pushes the functions take care of: only GitHub and Step Functions are pretended."""

from dataclasses import dataclass, field, replace
from typing import Any

import boto3
import pytest

from lambdas.errors import GitHubUnavailable
from lambdas.github import check_release, reconcile, start_release, take_push
from lambdas.github.commits import Commits
from lambdas.github.environment_before import EnvironmentBefore
from lambdas.github.github_rules import Comparison
from lambdas.github.push_rules import Execution, PushSettings, Starts
from lambdas.github.queue import Pushes
from lambdas.release.record import ReleaseRecord, to_dynamodb
from lambdas.release.requests import Requests
from lambdas.release.rules import Lease, Live, Phase, Work
from tests.builders import at
from tests.fakes import FakeExecutions

MAIN = PushSettings(Starts.PUSH, "refs/heads/main", "", "", 412906233)
AFTER_TABLE = "receipts-staging-record"
AFTER = PushSettings(Starts.VALIDATED, "refs/heads/main", "staging", AFTER_TABLE, 412906233)
PUSH_ARN = "arn:aws:states:eu-west-1:123456789012:execution:receipts-test-push"
RUNNER, OTHER_RUNNER, THIRD_RUNNER = f"{PUSH_ARN}:one", f"{PUSH_ARN}:two", f"{PUSH_ARN}:three"


def commit(number: int) -> str:
    """Return the commit of a number: each is the child of the one before, and begins in its own way."""
    return f"{number:02x}".ljust(40, "0")


@dataclass
class PretendGitHub:
    """A repository with one branch, on which the commits are numbers, and each is the child of the one before."""

    branch: str = commit(1)
    is_down: bool = False
    asked: int = 0

    def head(self, ref: str) -> str:
        assert ref == "refs/heads/main"
        self._answer()
        return self.branch

    def compare(self, base: str, head: str) -> Comparison:
        self._answer()
        ahead = int(head, 16) - int(base, 16)
        status = "identical" if ahead == 0 else "ahead" if ahead > 0 else "behind"
        return Comparison(status, max(ahead, 0), "https://github.com/compare")

    def _answer(self) -> None:
        self.asked += 1
        if self.is_down:
            raise GitHubUnavailable("GitHub was to answer, and did not.")


@dataclass
class PretendStates:
    """Executions as Step Functions describes them; those that it has not heard of have no state."""

    executions: dict[str, Execution] = field(default_factory=dict)

    def of(self, execution_arn: str) -> Execution:
        return replace(self.with_failures(execution_arn), failures=frozenset())

    def with_failures(self, execution_arn: str) -> Execution:
        return self.executions.get(execution_arn, Execution(""))


@dataclass
class Environment:
    """What the functions of one environment see and do."""

    record: ReleaseRecord
    settings: PushSettings = MAIN
    github: PretendGitHub = field(default_factory=PretendGitHub)
    states: PretendStates = field(default_factory=PretendStates)
    executions: FakeExecutions = field(default_factory=FakeExecutions)

    @property
    def pushes(self) -> Pushes:
        return Pushes(self.record)

    @property
    def pending(self) -> str:
        """The commit that waits."""
        queue = self.pushes.read()
        return queue.pending.commit if queue.pending else ""

    @property
    def started(self) -> list[str]:
        """The commits whose release was started, in order."""
        return [given["version"] for given in self.executions.started.values() if "version" in given]

    def push(self, number: int, *, pushed_at: str = "", execution: str = RUNNER, **more: Any) -> str:
        """Tell of a push, and return what becomes of it."""
        given = {
            "source": "github.com",
            "commit": commit(number),
            "ref": "refs/heads/main",
            "sender": "jane",
            "delivery": "7c1e9a60-4a1b-11ef-8f21-5c6d7e8f9a0b",
            "pushed_at": pushed_at or at(number),
            "before": commit(number - 1),
            "repository_id": 412906233,
            "deleted": False,
            "fork": False,
            **more,
        }
        return self.take(given, execution)["action"]

    def take(self, given: Any, execution: str = RUNNER, now: str = at(50)) -> dict[str, str]:
        """Run the first step."""
        self.states.executions[execution] = Execution("RUNNING")
        return take_push.lambda_handler({"input": given, "execution": execution, "now": now}, CONTEXT)

    def start(self, execution: str = RUNNER, now: str = at(51)) -> dict[str, str]:
        """Run the step that starts a release."""
        return start_release.lambda_handler({"execution": execution, "now": now}, CONTEXT)

    def check(self, execution: str = RUNNER, now: str = at(52)) -> dict[str, str]:
        """Run the step that looks how it ended."""
        return check_release.lambda_handler({"execution": execution, "now": now}, CONTEXT)

    def look(self, now: str = at(55)) -> dict[str, str]:
        """Run the look of every few minutes."""
        return reconcile.lambda_handler({"time": now}, CONTEXT)

    def die(self, execution: str = RUNNER, status: str = "ABORTED") -> None:
        """End an execution of the push machine in the middle of its work."""
        self.states.executions[execution] = Execution(status)

    def release_ended(self, error: str = "", outcome: str = "", failures: tuple[str, ...] = ()) -> None:
        """End the release that was started last: in success, or with this error, and this outcome in the record."""
        started = self.pushes.read().started
        assert started is not None
        status = "FAILED" if error else "SUCCEEDED"
        self.states.executions[started.execution] = Execution(status, error, frozenset(failures))
        if outcome:
            self.has_released(int(started.push.commit[:2], 16), outcome, release_id=started.release_id)

    def has_released(
        self, number: int, outcome: str = "promoted", *, release_id: str = "", requested_at: str = at(1)
    ) -> None:
        """Write a release into the record as it is after its end; a promoted one is live."""
        release_id = release_id or f"{commit(number)[:12]}-0a1b2c3d"
        facts = {"version": commit(number), "requested_at": requested_at, "outcome": outcome}
        self.record.note_release(release_id, facts)
        if outcome == "promoted":
            self.serves(Live(release_id, commit(number), "green", requested_at))

    def serves(self, live: Live) -> None:
        """Let a release be what is live."""
        lease = self.hold(live.release_id)
        self.record.finish(lease, Phase.COMMITTED, at(2), {}, live=live)

    def hold(self, release_id: str = "another") -> Lease:
        """Let somebody work on the environment."""
        found = self.record.read().work
        return self.record.claim(found, Work(holder="somebody", phase=Phase.BAKING, release_id=release_id))

    def free(self) -> None:
        """Let whoever works on the environment end."""
        lease = self.record.read().work.lease
        assert lease is not None
        self.record.finish(lease, Phase.ABORTED, at(3), {})


class _Context:
    """What Lambda says of an invocation."""

    function_name = "push"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:push"
    aws_request_id = "one"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


CONTEXT: Any = _Context()


def table_of(name: str, environment: str) -> ReleaseRecord:
    """Make the record of an environment, in an empty table."""
    dynamodb = boto3.client("dynamodb")
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": "environment", "KeyType": "HASH"},
            {"AttributeName": "item", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "environment", "AttributeType": "S"},
            {"AttributeName": "item", "AttributeType": "S"},
        ],
    )
    return ReleaseRecord(dynamodb, name, environment)


def use(monkeypatch: pytest.MonkeyPatch, environment: Environment) -> None:
    """Let the functions work on an environment."""
    record = environment.record
    before = EnvironmentBefore.of(record.dynamodb, environment.settings)
    for function in (take_push, start_release, check_release, reconcile):
        parts = {
            "settings": _with_pushes(function.settings, environment.settings),
            "record": record,
            "pushes": Pushes(record),
            "commits": Commits(record),
            "before": before,
            "states": environment.states,
            "executions": environment.executions,
            "github": environment.github,
        }
        for name, part in parts.items():
            if hasattr(function, name):
                monkeypatch.setattr(function, name, part)
    monkeypatch.setattr(check_release, "requests", Requests(record))


def _with_pushes(settings: Any, pushes: PushSettings) -> Any:
    fields = {**vars(settings)}
    if "pushes" in fields:
        fields["pushes"] = pushes
    return type(settings)(**fields)


def put(record: ReleaseRecord, item: dict[str, Any]) -> None:
    """Write an item into a record."""
    record.dynamodb.put_item(TableName=record.table, Item=to_dynamodb({"environment": record.environment, **item}))
