"""What goes wrong at its moment, for how long, and at no other one."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from rehearsal.engine.events import Late
from rehearsal.stage import Stage
from rehearsal.sweep.faults import Fault, Strike, Striker
from rehearsal.sweep.moments import Kind, Moment


class Clock:
    """Stands still until it is moved."""

    now = 0.0

    def seconds(self) -> float:
        return self.now


class Played:
    """A striker, and the clock that it looks at."""

    def __init__(self, kind: Kind, fault: Fault, nth: int = 2) -> None:
        self.clock = Clock()
        self.kind, self.stopped = kind, list[str]()
        states = SimpleNamespace(stop_execution=lambda **given: self.stopped.append(given["executionArn"]))
        account = SimpleNamespace(clock=self.clock, client=lambda _: states)
        strike = Strike(Moment(kind, "f.rds.X", nth), fault)
        self.striker = Striker(cast("Stage", SimpleNamespace(account=account)), strike)

    def refused(self, nth: int, at: float = 0.0, name: str = "f.rds.X") -> str | None:
        self.clock.now = at
        refusal = self.striker.at_call(Moment(Kind.CALL, name, nth))
        return refusal.code if refusal else None


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault.FAILS_BEFORE, [None, "InternalServerError", "InternalServerError", None]),
        (Fault.THROTTLED_ONCE, [None, "ThrottlingException", None, None]),
        (Fault.THROTTLED_FOR_LONG, [None, *["ThrottlingException"] * 3]),
        (Fault.ACCESS_DENIED, [None, *["AccessDenied"] * 3]),
        (Fault.ANSWER_LOST, [None] * 4),
    ],
)
def test_requests_are_refused_from_the_moment_on(fault: Fault, expected: list[str | None]) -> None:
    """What fails before fails for the client's own repetition, too: the state has to try again."""
    played = Played(Kind.CALL, fault)

    assert [played.refused(nth) for nth in (1, 2, 3, 4)] == expected
    assert played.refused(5, name="f.rds.Another") is None


@pytest.mark.parametrize(
    ("fault", "seconds"), [(Fault.FAILS_BEFORE, 5), (Fault.THROTTLED_FOR_LONG, 180), (Fault.ACCESS_DENIED, 900)]
)
def test_nothing_is_refused_for_ever(fault: Fault, seconds: float) -> None:
    """AWS comes back by itself, and a right when somebody has been told: then all must come to its end."""
    early, late = Played(Kind.CALL, fault), Played(Kind.CALL, fault)
    for played in (early, late):
        played.refused(2)

    assert early.refused(3, at=seconds - 1)
    assert late.refused(3, at=seconds + 1) is None


def test_an_answer_is_lost_once() -> None:
    """The client's repetition gets its answer."""
    striker = Played(Kind.CALL, Fault.ANSWER_LOST).striker

    assert [striker.loses_answer(Moment(Kind.CALL, "f.rds.X", nth)) for nth in (1, 2, 3)] == [False, True, False]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault.KILLED_BEFORE, "before its work"),
        (Fault.KILLED_AFTER, "after its work"),
        (Fault.TIMED_OUT, "in time"),
    ],
)
def test_an_invocation_is_killed(fault: Fault, expected: str) -> None:
    """The one that is meant."""
    striker = Played(Kind.INVOCATION, fault).striker

    killed = [striker.at_invocation(Moment(Kind.INVOCATION, "f.rds.X", nth)) for nth in (1, 2, 3)]

    assert killed == [None, expected, None]


@pytest.mark.parametrize(
    ("fault", "expected"), [(Fault.EVENT_TWICE, "twice"), (Fault.EVENT_LOST, "lost"), (Fault.EVENT_LATE, Late(240.0))]
)
def test_an_event_is_disturbed(fault: Fault, expected: Any) -> None:
    """The one that is meant, and it is known when."""
    played = Played(Kind.DELIVERY, fault)

    assert [played.striker.at_delivery(Moment(Kind.DELIVERY, "f.rds.X", nth)) for nth in (1, 2)] == [None, expected]
    assert played.striker.struck_at == 0.0


def test_an_execution_is_stopped_in_its_state() -> None:
    """Whichever execution entered it."""
    played = Played(Kind.STATE, Fault.STOPPED)

    played.striker.at_state(Moment(Kind.STATE, "f.rds.X", 1), "arn:first")
    played.striker.at_state(Moment(Kind.STATE, "f.rds.X", 2), "arn:second")

    assert played.stopped == ["arn:second"]
