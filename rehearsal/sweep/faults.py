"""What can go wrong at a moment."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from rehearsal.engine import functions
from rehearsal.engine.calls import Refusal
from rehearsal.engine.events import Late
from rehearsal.stage import Stage
from rehearsal.sweep.moments import Attendant, Kind, Moment


class Fault(StrEnum):
    """Each a way in which AWS, or a human, disturbs what Runback does. The values stand in the names of cases."""

    FAILS_BEFORE = "fails-before"
    """The request, and the client's own repetition of it, are answered with an internal error; nothing was done."""
    ANSWER_LOST = "answer-lost"
    """The request was done, and the connection is closed before the answer. The client may ask again."""
    THROTTLED_ONCE = "throttled-once"
    THROTTLED_FOR_LONG = "throttled-for-long"
    """All such requests of the function for some minutes."""
    ACCESS_DENIED = "access-denied"
    """All such requests of the function, until somebody who was told gives the right back."""
    KILLED_BEFORE = "killed-before"
    KILLED_AFTER = "killed-after"
    TIMED_OUT = "timed-out"
    """The function has done its work, and hangs until its time-out ends it."""
    STOPPED = "stopped"
    """An operator stops the execution in this state."""
    EVENT_TWICE = "event-twice"
    EVENT_LATE = "event-late"
    EVENT_LOST = "event-lost"


_AT_CALLS = (Fault.FAILS_BEFORE, Fault.THROTTLED_ONCE, Fault.THROTTLED_FOR_LONG, Fault.ACCESS_DENIED)
_AT: Mapping[Kind, tuple[Fault, ...]] = {
    Kind.CALL: _AT_CALLS,
    Kind.INVOCATION: (Fault.KILLED_BEFORE, Fault.KILLED_AFTER, Fault.TIMED_OUT),
    Kind.DELIVERY: (Fault.EVENT_TWICE, Fault.EVENT_LATE, Fault.EVENT_LOST),
    Kind.STATE: (Fault.STOPPED,),
}
_LASTING = frozenset({Fault.THROTTLED_FOR_LONG, Fault.ACCESS_DENIED})
"""Of these, one that begins at the first request of a kind says all that later ones would."""

THROTTLED_SECONDS = 180.0
DENIED_SECONDS = 900.0
LATE_SECONDS = 240.0
_KILLED: Mapping[Fault, functions.Moment] = {
    Fault.KILLED_BEFORE: "before its work",
    Fault.KILLED_AFTER: "after its work",
    Fault.TIMED_OUT: "in time",
}
_DISTURBED: Mapping[Fault, Literal["twice", "lost"] | Late] = {
    Fault.EVENT_TWICE: "twice",
    Fault.EVENT_LATE: Late(LATE_SECONDS),
    Fault.EVENT_LOST: "lost",
}
_REPEATED_WITHIN_SECONDS = 5.0
_FAILED_REQUESTS = 2
"""As often as Runback's clients ask, see lambdas/clients.py."""

_INTERNAL = Refusal("InternalServerError", "Internal server error", status=500)
_THROTTLING = Refusal("ThrottlingException", "Rate exceeded")
_TOO_MANY = Refusal("TooManyRequestsException", "Rate Exceeded.", status=429)
_DENIED = Refusal("AccessDeniedException", "User is not authorized to perform this action")
_DENIED_BY = {
    "ec2": Refusal("UnauthorizedOperation", "You are not authorized to perform this operation.", status=403),
    "sns": Refusal("AuthorizationError", "User is not authorized to perform this action", status=403),
    **dict.fromkeys(
        ("autoscaling", "cloudwatch", "elbv2", "iam", "rds", "s3"),
        Refusal("AccessDenied", "User is not authorized to perform this action", status=403),
    ),
}
"""The services of the query protocol, and S3, name it otherwise."""


def faults_at(moment: Moment) -> tuple[Fault, ...]:
    """Return what can go wrong at a moment and does not say the same as at another one."""
    faults = _AT[moment.kind]
    if moment.kind is Kind.CALL and moment.writes:
        faults = (*faults, Fault.ANSWER_LOST)
    return tuple(each for each in faults if moment.nth == 1 or each not in _LASTING)


@dataclass(frozen=True)
class Strike:
    """A fault at a moment. `str` is "call:promote.dynamodb.TransactWriteItems#1/answer-lost"."""

    moment: Moment
    fault: Fault

    def __str__(self) -> str:
        """Return moment and fault."""
        return f"{self.moment}/{self.fault.value}"

    @classmethod
    def parse(cls, text: str) -> "Strike":
        """Read what `str` has written. Raises ValueError for anything else."""
        moment, _, fault = text.rpartition("/")
        return cls(Moment.parse(moment), Fault(fault))


class Striker(Attendant):
    """Lets a fault happen at its moment. `struck_at` is when it did, in simulated seconds; None if it never came."""

    def __init__(self, stage: Stage, strike: Strike) -> None:
        self.struck_at: float | None = None
        self._stage = stage
        self._moment, self._fault = strike.moment, strike.fault
        self._refused = 0

    def at_call(self, moment: Moment) -> Refusal | None:
        """Refuse the request."""
        if moment.kind is not self._moment.kind or moment.name != self._moment.name or moment.nth < self._moment.nth:
            return None
        if moment.nth == self._moment.nth:
            self._strikes()
        return self._refusal(moment) if self._refuses() else None

    def loses_answer(self, moment: Moment) -> bool:
        """Lose the answer."""
        return moment == self._moment and self._fault is Fault.ANSWER_LOST

    def at_invocation(self, moment: Moment) -> functions.Moment | None:
        """Kill the function."""
        if not self._is_now(moment):
            return None
        return _KILLED.get(self._fault)

    def at_delivery(self, moment: Moment) -> Literal["twice", "lost"] | Late | None:
        """Let the event come twice, late, or not at all."""
        if not self._is_now(moment):
            return None
        return _DISTURBED.get(self._fault)

    def at_state(self, moment: Moment, execution_arn: str) -> None:
        """Stop the execution, as somebody does in the console."""
        if self._is_now(moment):
            states = self._stage.account.client("stepfunctions")
            states.stop_execution(executionArn=execution_arn, error="Operator", cause="Stopped by hand")

    def _refuses(self) -> bool:
        assert self.struck_at is not None
        since = self._stage.account.clock.seconds() - self.struck_at
        match self._fault:
            case Fault.FAILS_BEFORE:
                self._refused += 1
                return self._refused <= _FAILED_REQUESTS and since <= _REPEATED_WITHIN_SECONDS
            case Fault.THROTTLED_ONCE:
                self._refused += 1
                return self._refused == 1
            case Fault.THROTTLED_FOR_LONG:
                return since <= THROTTLED_SECONDS
            case Fault.ACCESS_DENIED:
                return since <= DENIED_SECONDS
        return False

    def _refusal(self, moment: Moment) -> Refusal:
        service = moment.name.split(".")[-2]
        if self._fault is Fault.FAILS_BEFORE:
            return _INTERNAL
        if self._fault is Fault.ACCESS_DENIED:
            return _DENIED_BY.get(service, _DENIED)
        return _TOO_MANY if service == "lambda" else _THROTTLING

    def _is_now(self, moment: Moment) -> bool:
        if moment != self._moment:
            return False
        self._strikes()
        return True

    def _strikes(self) -> None:
        self.struck_at = self._stage.account.clock.seconds()
