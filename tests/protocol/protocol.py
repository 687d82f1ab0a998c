"""The protocol as a machine of Hypothesis: who may do what next, and with which fault."""

from collections.abc import Sequence
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from pytest import MonkeyPatch  # noqa: PT013  the class alone is wanted

from tests.builders import BLUE, GREEN, LISTENER
from tests.protocol.engine import Engine, Fault
from tests.protocol.witness import Witness
from tests.protocol.world import Event, World, alarm_of

_FAULTS = st.sampled_from(
    [
        *[Fault.NONE] * 6,
        *[Fault.STALLS] * 3,
        Fault.FAILS,
        Fault.ANSWER_LOST,
        Fault.CRASHES,
        Fault.CRASHES_FOR_GOOD,
    ]
)
_ORDERS = st.sampled_from(
    ["pause", "resume", "promote", "abort", "end-window", "release-environment", "begin-maintenance"]
)
_SECONDS = st.sampled_from([1, 5, 10, 30, 70, 310, 3600])
_COLORS = st.sampled_from(["blue", "green"])


_Drawn = TypeVar("_Drawn")


def _one(data: st.DataObject, among: Sequence[_Drawn]) -> _Drawn:
    """Draw one by its name, so that a falsifying example can be read."""
    named = {repr(each): each for each in among}
    return named[data.draw(st.sampled_from(list(named)))]


class Protocol(RuleBasedStateMachine):
    """Deployments, rollbacks, clean-ups, orders, alarms, the watchdog and humans, at one environment and at once."""

    def __init__(self) -> None:
        super().__init__()
        self.monkeypatch = MonkeyPatch()
        self.world = World()
        self.world.install(self.monkeypatch)
        self.engine, self.witness = Engine(self.world), Witness(self.world)
        self.witness.watch()
        self.versions = 0

    def teardown(self) -> None:
        try:
            if not self.witness.problems:
                self.engine.come_to_rest()
                self.witness.conclude()
            self.no_problem()
        finally:
            self.engine.close()
            self.monkeypatch.undo()

    @invariant()
    def no_problem(self) -> None:
        if not self.witness.problems:
            self.witness.look()
        assert not self.witness.problems, "; ".join(self.witness.problems)

    @initialize(before=st.sampled_from(["", "committed", "cleaned up"]))
    def some_release_is_at_work(self, before: str) -> None:
        if before:
            self.deployment_is_asked_for()
            self.engine.play_until(lambda: self.world.read().work.holder is None and self.world.seen.live is not None)
        if before == "cleaned up":
            self.engine.come_to_rest()
        self.deployment_is_asked_for()

    @precondition(lambda self: self.engine.few("deploy"))
    @rule()
    def deployment_is_asked_for(self) -> None:
        self.versions += 1
        self.engine.start("deploy", f"{self.versions:07x}")

    @precondition(lambda self: self.engine.few("rollback"))
    @rule(given=st.sampled_from([{}, {"reason": "checkout is broken"}]))
    def human_asks_for_rollback(self, given: dict[str, Any]) -> None:
        self.engine.start("rollback", given)

    @precondition(lambda self: self.engine.few("clean-up"))
    @rule()
    def human_asks_for_clean_up(self) -> None:
        self.engine.start("clean-up", {})

    @precondition(lambda self: self.engine.few("operate"))
    @rule(action=_ORDERS)
    def human_orders(self, action: str) -> None:
        self.engine.start("operate", {"action": action, "reason": "a human wants it"})

    @precondition(lambda self: self.engine.ready())
    @rule(data=st.data(), fault=_FAULTS, calls=st.integers(1, 7))
    def execution_goes_on(self, data: st.DataObject, fault: Fault, calls: int) -> None:
        self.engine.advance(_one(data, self.engine.ready()), fault, calls)

    @precondition(lambda self: self.engine.ready())
    @rule(data=st.data(), steps=st.integers(2, 8))
    def execution_goes_well(self, data: st.DataObject, steps: int) -> None:
        execution = _one(data, self.engine.ready())
        for _ in range(steps):
            if execution in self.engine.ready():
                self.engine.advance(execution)

    @precondition(lambda self: self.engine.ready())
    @rule(data=st.data(), calls=st.integers(1, 3), steps=st.integers(1, 4), goes_on=st.booleans())
    def one_step_is_overtaken(self, data: st.DataObject, calls: int, steps: int, goes_on: bool) -> None:  # noqa: FBT001  Hypothesis gives it by name
        """Stand still between a decision and its write, while somebody else goes on."""
        slow = _one(data, self.engine.ready())
        self.engine.advance(slow, Fault.STALLS_AT_WRITE, calls)
        if data.draw(st.booleans()):
            self.engine.start("rollback", {})
        if not self.engine.ready():
            return
        quick = _one(data, self.engine.ready())
        for _ in range(steps):
            if quick in self.engine.ready():
                self.engine.advance(quick)
        if goes_on and slow in self.engine.stalled():
            self.engine.go_on(slow)

    @precondition(lambda self: self.engine.stalled())
    @rule(data=st.data())
    def stalled_step_goes_on(self, data: st.DataObject) -> None:
        self.engine.go_on(_one(data, self.engine.stalled()))

    @precondition(lambda self: self.engine.orphans)
    @rule()
    def late_step_of_stopped_execution_goes_on(self) -> None:
        self.engine.let_orphan_go_on()

    @precondition(lambda self: self.engine.running())
    @rule(data=st.data())
    def execution_is_stopped(self, data: st.DataObject) -> None:
        self.engine.stop(_one(data, self.engine.running()))

    @precondition(lambda self: self.world.events)
    @rule(data=st.data(), times=st.integers(0, 2))
    def event_arrives(self, data: st.DataObject, times: int) -> None:
        event = _one(data, self.world.events)
        self.world.events.remove(event)
        for _ in range(times):
            self.engine.start("rollback", event.given)

    @rule(color=_COLORS)
    def alarm_changes(self, color: str) -> None:
        if self.world.alarms.pop(color, None) is None:
            self.world.alarms[color] = self.world.seconds
            given = {
                "source": "alarm",
                "alarm": alarm_of(color),
                "state": "ALARM",
                "previous_state": "OK",
                "changed_at": self.world.now,
                "reason": "too many errors",
            }
            self.world.events.append(Event(given))

    @rule(color=_COLORS)
    def health_changes(self, color: str) -> None:
        self.world.sick ^= {color}

    @rule(weights=st.sampled_from([{BLUE: 100}, {GREEN: 100}, {BLUE: 50, GREEN: 50}]))
    def human_moves_listener(self, weights: dict[str, int]) -> None:
        self.world.weights[LISTENER] = dict(weights)
        self.world.moved_by = "human"

    @rule()
    def watchdog_looks(self) -> None:
        self.engine.look()

    @rule(seconds=_SECONDS)
    def time_passes(self, seconds: int) -> None:
        self.engine.pass_time(seconds)
