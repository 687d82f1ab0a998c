"""
What an execution did, out of the events of its history. All pure.

https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from json import JSONDecodeError, loads
from re import escape, fullmatch, search, sub
from typing import Any, Self

from lambdas.release.rules import explain_failure

Event = Mapping[str, Any]

REPORTED = ("deploy", "rollback", "clean-up", "restore-database")
"""The machines whose executions can be part of a release."""

_FAILED_TASK = frozenset({"TaskFailed", "TaskTimedOut", "TaskStartFailed", "TaskSubmitFailed"})
_ENDS = frozenset({"ExecutionSucceeded", "ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut"})


@dataclass(frozen=True)
class Execution:
    """An execution of one of the machines, by the parts of its ARN. `prefix` is service and environment."""

    arn: str
    prefix: str
    machine: str
    name: str

    @classmethod
    def from_arn(cls, arn: object, prefix: str) -> Self:
        """Take an ARN apart. Raises ValueError, in words for the console, unless it is one of a reported machine."""
        machines = "|".join(REPORTED)
        parts = fullmatch(rf"arn:[^:]+:states:[^:]+:\d+:execution:{escape(prefix)}-({machines}):([^:]+)", str(arn))
        if parts is None:
            message = (
                f"Field 'execution_arn' must be the ARN of an execution of {', '.join(REPORTED)} of {prefix}, but it is"
                f' {str(arn)[:200]!r}. Example: {{"execution_arn": "arn:aws:states:eu-west-1:111122223333:execution:'
                f'{prefix}-deploy:4f2c1e9"}}'
            )
            raise ValueError(message)
        return cls(str(arn), prefix, *parts.groups())


@dataclass(frozen=True)
class Failure:
    """A try of a state that failed, and why, in one line."""

    at: datetime
    error: str
    why: str


@dataclass(frozen=True)
class Visit:
    """
    One stay of an execution in a state.

    A Task's `function` is the last part of the function's name, such as "switch-listener", `given` what it was told
    and `answer` what it said: nothing of both where the history does not have it. `answered` is None unless it worked.
    """

    state: str
    kind: str
    entered: datetime
    left: datetime
    function: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)
    answer: Mapping[str, Any] = field(default_factory=dict)
    answered: datetime | None = None
    failures: tuple[Failure, ...] = ()

    @property
    def failure(self) -> Failure | None:
        """Return why the state did not work at all; None when a later try did."""
        return self.failures[-1] if self.failures and self.answered is None else None


@dataclass(frozen=True)
class History:
    """
    One execution from its start to its end, or to now while it runs.

    `end` is how it ended, such as "Succeeded" or "TimedOut", and empty while it runs.
    """

    execution: Execution
    given: Mapping[str, Any]
    began: datetime
    ended: datetime
    end: str
    error: str
    why: str
    visits: tuple[Visit, ...]

    @property
    def release_id(self) -> str:
        """
        Return the release that the execution worked on; empty when it worked on none.

        That is the one that it claimed the environment for. A deployment says so when it asks, and its release is not
        recorded unless it may go on. A rollback that could not even ask was about the release that its input names.
        """
        claims = [visit for visit in self.visits if visit.function.startswith("claim-")]
        if self.execution.machine == "deploy":
            return str(claims[0].given.get("release_id", "")) if claims else ""
        answers = [visit.answer for visit in claims if visit.answer]
        if not answers:
            return str(self.given.get("release_id", ""))
        claimed = [answer for answer in answers if answer.get("lease", {}).get("holder")]
        return str(claimed[-1].get("release_id", "")) if claimed else ""


@dataclass
class _OpenVisit:
    """What is known of the state that an execution is in, while its events are read."""

    state: str
    kind: str
    entered: datetime
    function: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)
    answer: Mapping[str, Any] = field(default_factory=dict)
    answered: datetime | None = None
    failures: list[Failure] = field(default_factory=list)

    def left(self, at: datetime) -> Visit:
        return Visit(
            self.state,
            self.kind,
            self.entered,
            at,
            self.function,
            self.given,
            self.answer,
            self.answered,
            tuple(self.failures),
        )


def read_history(execution: Execution, events: Iterable[Event], now: datetime) -> History | None:
    """
    Read the events, from the first one on, each once; None when there are none.

    An execution may have 25,000 of them, each with the machine's whole data: nothing of an event is kept but what is
    told. What AWS has left out because it was too large is not known. What happens inside a Parallel is one visit:
    its branches' events are mixed, and what they have found the next step says.
    """
    began: datetime | None = None
    given: Mapping[str, Any] = {}
    last: Event = {}
    visits: list[Visit] = []
    visit: _OpenVisit | None = None
    within = 0
    for event in events:
        kind, at = event["type"], event["timestamp"]
        within += (kind == "ParallelStateEntered") - (kind == "ParallelStateExited")
        if within > (kind == "ParallelStateEntered") and kind not in _ENDS:
            last = event
            continue
        if kind == "ExecutionStarted":
            began, given = at, _object(_details(event).get("input"))
        if visit and (kind.endswith(("StateExited", "StateEntered")) or kind in _ENDS):
            visits.append(visit.left(at))
            visit = None
        if kind.endswith("StateEntered"):
            visit = _OpenVisit(event["stateEnteredEventDetails"]["name"], kind.removesuffix("StateEntered"), at)
        elif visit:
            _go_on(visit, event, execution.prefix)
        last = event
    if began is None:
        return None
    if visit:
        visits.append(visit.left(now))
    has_ended = last["type"] in _ENDS
    details = _details(last) if has_ended else {}
    return History(
        execution=execution,
        given=given,
        began=began,
        ended=last["timestamp"] if has_ended else now,
        end=last["type"].removeprefix("Execution") if has_ended else "",
        error=details.get("error", ""),
        why=_why(details, execution.prefix),
        visits=tuple(visits),
    )


def _go_on(visit: _OpenVisit, event: Event, prefix: str) -> None:
    """Take what an event says of the present state. What is scheduled once more is given the same."""
    kind, details = event["type"], _details(event)
    if kind == "TaskScheduled":
        parameters = _object(details.get("parameters"))
        name = search(r":function:([^:]+)", str(parameters.get("FunctionName", "")))
        visit.function = name.group(1).removeprefix(f"{prefix}-") if name else ""
        visit.given = _mapping(parameters.get("Payload"))
    elif kind == "TaskSucceeded":
        visit.answered = event["timestamp"]
        output = _object(details.get("output"))
        visit.answer = _mapping(output.get("Payload", output))  # a human's answer has no such wrapping
    elif kind in _FAILED_TASK:
        visit.failures.append(Failure(event["timestamp"], details.get("error", ""), _why(details, prefix)))


def _details(event: Event) -> Mapping[str, Any]:
    """Return what an event says beside its kind; the API calls that after the kind."""
    kind = event["type"]
    return _mapping(event.get(f"{kind[0].lower()}{kind[1:]}EventDetails"))


def _why(details: Mapping[str, Any], prefix: str) -> str:
    error, cause = details.get("error", ""), details.get("cause", "")
    return plain(explain_failure({"Error": error, "Cause": cause}) if error else cause[:1000], prefix)


def plain(text: str, prefix: str) -> str:
    """Write what nobody can read, ARNs and exact moments, as a human would: "rollback one", a target group's name."""
    execution = rf"arn:[^:\s]+:states:[^:\s]*:\d*:execution:(?:{escape(prefix)}-)?([^:\s]+):([\w-]+)"
    target_group = r"arn:[^:\s]+:elasticloadbalancing:[^:\s]*:\d*:targetgroup/([\w-]+)/\w+"
    moment = r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z|\+00:00)"
    named = sub(target_group, r"\1", sub(execution, r"\1 \2", text))
    return sub(moment, r"\1 \2 UTC", named).replace("Rollback rollback ", "Rollback ")


def _object(text: object) -> Mapping[str, Any]:
    try:
        return _mapping(loads(text)) if isinstance(text, str) else {}
    except JSONDecodeError:
        return {}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
