"""
The moments at which something can go wrong, named so that the same one is found again in another run of the same seed.

A moment is a request of one of our functions to AWS, an invocation of a function, an event on its way to a target of a
rule, or a state that an execution enters: the first, second, … of its name since the path began.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

from rehearsal.account import Account
from rehearsal.engine import functions
from rehearsal.engine.calls import Call, Refusal
from rehearsal.engine.events import Late
from rehearsal.stage import Stage


class Kind(StrEnum):
    """What a moment is a moment of; the value is what its name begins with."""

    CALL = "call"
    INVOCATION = "invoke"
    DELIVERY = "event"
    STATE = "state"


@dataclass(frozen=True)
class Moment:
    """
    `name` has no blanks: "switch-listener.elbv2.ModifyListener", "settle", "watchdog", "deploy.Switch_listener".

    `at` is when it came, in simulated seconds; `writes` says of a request whether it changes anything.
    """

    kind: Kind
    name: str
    nth: int
    at: float = field(default=0.0, compare=False)
    writes: bool = field(default=True, compare=False)

    def __str__(self) -> str:
        """Return "call:switch-listener.elbv2.ModifyListener#1"."""
        return f"{self.kind.value}:{self.name}#{self.nth}"

    @classmethod
    def parse(cls, text: str) -> "Moment":
        """Read what `str` has written. Raises ValueError for anything else."""
        kind, _, rest = text.partition(":")
        name, _, nth = rest.rpartition("#")
        if not name:
            raise ValueError(f"{text!r} is no moment: they look like call:settle.elbv2.DescribeListeners#1")
        return cls(Kind(kind), name, int(nth))


class Attendant:
    """Is there at every moment; this one does nothing."""

    def at_call(self, moment: Moment) -> Refusal | None:
        """Say with which error to answer instead of making the call."""
        del moment

    def loses_answer(self, moment: Moment) -> bool:
        """Say whether the answer to a call that was made is lost."""
        del moment
        return False

    def at_invocation(self, moment: Moment) -> functions.Moment | None:
        """Say when to kill the function."""
        del moment

    def at_delivery(self, moment: Moment) -> Literal["twice", "lost"] | Late | None:
        """Say what becomes of the event."""
        del moment

    def at_state(self, moment: Moment, execution_arn: str) -> None:
        """Do whatever is to be done when the state is entered."""
        del moment, execution_arn


class Recorder(Attendant):
    """Remembers every moment, in order."""

    def __init__(self) -> None:
        self.moments: list[Moment] = []

    def at_call(self, moment: Moment) -> None:
        """Remember it."""
        self.moments.append(moment)

    def at_invocation(self, moment: Moment) -> None:
        """Remember it."""
        self.moments.append(moment)

    def at_delivery(self, moment: Moment) -> None:
        """Remember it."""
        self.moments.append(moment)

    def at_state(self, moment: Moment, execution_arn: str) -> None:
        """Remember it."""
        del execution_arn
        self.moments.append(moment)


class Watch:
    """Counts the moments of an account from now on, and tells attendants of each."""

    def __init__(self, stage: Stage, attendants: Sequence[Attendant]) -> None:
        self._account = stage.account
        self._attendants = attendants
        self._so_far: Counter[tuple[Kind, str]] = Counter()
        self._under_way: dict[int, Moment] = {}
        account = stage.account
        account.calls.add_interceptor(self._intercept)
        account.calls.add_loser(self._lose)
        account.functions.add_killer(self._kill)
        account.events.add_courier(self._carry)
        account.interpreter.on_state_entered(self._entered)

    def _now(self, kind: Kind, name: str, *, writes: bool = True) -> Moment:
        self._so_far[kind, name] += 1
        return Moment(kind, name, self._so_far[kind, name], round(self._account.clock.seconds(), 3), writes)

    def _intercept(self, call: Call) -> Refusal | None:
        if call.caller is None:
            return None
        name = f"{own_name(self._account, call.caller)}.{call.service}.{call.action}"
        moment = self._now(Kind.CALL, name, writes=call.mutating)
        self._under_way[call.number] = moment
        refusals = [each.at_call(moment) for each in self._attendants]
        return next(filter(None, refusals), None)

    def _lose(self, call: Call) -> bool:
        moment = self._under_way.pop(call.number, None)
        return moment is not None and any(each.loses_answer(moment) for each in self._attendants)

    def _kill(self, function: str) -> functions.Moment | None:
        moment = self._now(Kind.INVOCATION, own_name(self._account, function))
        return next(filter(None, [each.at_invocation(moment) for each in self._attendants]), None)

    def _carry(self, rule: str) -> Literal["twice", "lost"] | Late | None:
        moment = self._now(Kind.DELIVERY, own_name(self._account, rule))
        return next(filter(None, [each.at_delivery(moment) for each in self._attendants]), None)

    def _entered(self, execution_arn: str, state: str, state_type: str, at: datetime) -> None:
        del state_type, at
        machine = own_name(self._account, execution_arn.split(":")[6])
        moment = self._now(Kind.STATE, f"{machine}.{state.replace(' ', '_')}")
        for each in self._attendants:
            each.at_state(moment, execution_arn)


def own_name(account: Account, name: str) -> str:
    """Return the name of a function, rule or machine without the environment's; of the ingress, the service's."""
    return name.removeprefix(f"{account.settings.prefix}-").removeprefix(f"{account.settings.service}-")
