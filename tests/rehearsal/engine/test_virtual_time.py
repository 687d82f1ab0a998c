"""Virtual time: the interpreter without sleeping, every wait at its second, and the same for the same seed."""

import os
import random
import threading
import time
import uuid
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from unittest import mock

import pytest
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_api._internal import mock_random
from moto.stepfunctions.parser.asl.component.state.exec import execute_state
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_sfn import (
    StateTaskServiceSfn,
)
from moto.stepfunctions.parser.asl.component.state.wait.wait_function import wait_function
from moto.stepfunctions.parser.asl.eval.callback import callback
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from rehearsal.clock import Clock
from rehearsal.engine.interpreter import FIXES, Fix, install
from rehearsal.engine.interpreter.patching import step_functions_modules
from rehearsal.engine.virtual import Deadlock, NotTakingPart, Stuck, ThreadsLeft, VirtualTime, scheduler, virtual_time
from tests.rehearsal.engine.state_machines import PASS, FunctionError, Json, StateMachines, States, task
from tests.statemachines.definitions import golden
from tests.statemachines.machines import Answers, Machines, Run
from tests.statemachines.roads import JUDGED_GOOD, JUDGED_YET, NOT_READY, READY

HOUR = 3600


class VirtualStateMachines(StateMachines):
    """Machines in virtual time."""

    client: Any

    def __init__(self, virtual: VirtualTime, *account: Any) -> None:
        super().__init__(*account)
        self.virtual = virtual

    def has_ended(self, execution_arn: str) -> bool:
        """Say so without a call to the pretended AWS, which takes a millisecond."""
        backend: Any = stepfunctions_parser_backends[DEFAULT_ACCOUNT_ID]["eu-west-1"]
        return bool(backend.describe_execution(execution_arn).exec_status != "RUNNING")

    def ended(self, execution_arn: str) -> dict[str, Any]:
        """Describe the execution, once it has ended."""
        self.virtual.run_until(lambda: self.has_ended(execution_arn))
        return self.describe(execution_arn)

    def seconds_of(self, states: States, payload: Json = None, **machine: Json) -> tuple[str, float]:
        """Run a new machine to its end; give status or error, and how many virtual seconds it took."""
        start = self.virtual.clock.seconds()
        end = self.run(states, payload, **machine)
        return end.get("error", end["status"]), self.virtual.clock.seconds() - start


@contextmanager
def in_virtual_time(seed: int = 0, fixes: Sequence[Fix] = FIXES) -> Iterator[VirtualStateMachines]:
    configuration: Any = {"stepfunctions": {"execute_state_machine": True}}
    with (
        VirtualTime(seed) as virtual,
        mock_aws(config=configuration),
        install(virtual.clock, fixes) as interpreter,
    ):
        account = VirtualStateMachines(virtual, virtual.clock, interpreter)
        with mock.patch.object(lambda_eval_utils, "_invoke_lambda_function", account.invoke):
            yield account


@pytest.fixture
def account() -> Iterator[VirtualStateMachines]:
    with in_virtual_time() as opened:
        yield opened


@pytest.fixture
def virtual() -> Iterator[VirtualTime]:
    with VirtualTime() as opened:
        yield opened


def wait(seconds: int, **fields: Json) -> dict[str, Any]:
    state = {"Type": "Wait", "Seconds": seconds, **fields}
    return state if "Next" in state else {**state, "End": True}


def fail(_: Json) -> Json:
    raise FunctionError("Flaky", "not now")


# Every wait ends at its second


def test_an_hour_takes_no_time(account: VirtualStateMachines) -> None:
    before = time.monotonic()
    assert account.seconds_of({"Wait": wait(HOUR)}) == ("SUCCEEDED", HOUR)
    assert time.monotonic() - before < 10


def test_times_of_an_execution_are_virtual(account: VirtualStateMachines) -> None:
    end = account.run({"Wait": wait(HOUR)})
    assert (end["startDate"], end["stopDate"]) == (virtual_time.START, virtual_time.START + timedelta(hours=1))


def test_a_wait_ends_at_its_timestamp(account: VirtualStateMachines) -> None:
    account.virtual.sleep(30)
    until = {"Type": "Wait", "Timestamp": "2026-03-01T12:00:00Z", "End": True}
    account.run({"Wait": until})
    assert account.virtual.clock.now() == datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_task_that_takes_too_long_times_out_at_its_second(account: VirtualStateMachines) -> None:
    account.functions["slow"] = lambda _: account.virtual.sleep(1000)
    slow = task("slow", TimeoutSeconds=30)
    assert account.seconds_of({"Slow": slow}) == ("States.Timeout", 30)


def test_a_task_just_in_time_does_not_time_out(account: VirtualStateMachines) -> None:
    account.functions["slow"] = lambda _: account.virtual.sleep(29.999)
    assert account.seconds_of({"Slow": task("slow", TimeoutSeconds=30)}) == ("SUCCEEDED", 29.999)


def test_a_machine_times_out_at_its_second(account: VirtualStateMachines) -> None:
    assert account.seconds_of({"Wait": wait(HOUR)}, TimeoutSeconds=90) == ("TIMED_OUT", 90)


def test_retries_come_later_and_later(account: VirtualStateMachines) -> None:
    tried_at: list[float] = []

    def flaky(_: Json) -> Json:
        tried_at.append(account.virtual.clock.seconds())
        raise FunctionError("Flaky", "not now")

    account.functions["flaky"] = flaky
    retry = {"ErrorEquals": ["Flaky"], "IntervalSeconds": 2, "BackoffRate": 3, "MaxAttempts": 3}
    assert account.seconds_of({"Flaky": task("flaky", Retry=[retry])}) == ("Flaky", 2 + 6 + 18)
    assert tried_at == [0, 2, 8, 26]


def test_the_longest_branch_says_how_long_a_parallel_takes(account: VirtualStateMachines) -> None:
    branches = [{"StartAt": "Wait", "States": {"Wait": wait(seconds)}} for seconds in (600, 900)]
    parallel = {"Type": "Parallel", "Branches": branches, "End": True}
    assert account.seconds_of({"Both": parallel}) == ("SUCCEEDED", 900)


def test_items_of_a_map_wait_at_once(account: VirtualStateMachines) -> None:
    processor = {"ProcessorConfig": {"Mode": "INLINE"}, "StartAt": "Wait", "States": {"Wait": wait(60)}}
    each = {"Type": "Map", "ItemsPath": "$", "ItemProcessor": processor, "End": True}
    assert account.seconds_of({"Each": each}, [1, 2, 3]) == ("SUCCEEDED", 60)


def test_executions_wait_at_once(account: VirtualStateMachines) -> None:
    short, long = account.start({"Wait": wait(60)}), account.start({"Wait": wait(100)})
    account.ended(short)
    assert account.virtual.clock.seconds() == 60
    account.ended(long)
    assert account.virtual.clock.seconds() == 100


def test_an_execution_is_stopped_in_the_middle(account: VirtualStateMachines) -> None:
    """The fixes of the interpreter hold in virtual time, too: error and cause are kept."""
    arn = account.start({"Wait": wait(HOUR)})
    account.virtual.sleep(100)
    account.stop(arn)
    account.virtual.settle()

    end = account.describe(arn)
    assert (end["status"], end["error"], end["cause"]) == ("ABORTED", "Superseded", "a rollback took over")
    assert account.virtual.clock.seconds() == 100


def test_status_changes_are_told_at_their_second(account: VirtualStateMachines) -> None:
    told: list[tuple[str, float]] = []
    account.interpreter.on_status_change(
        lambda change: told.append((change["status"], account.virtual.clock.seconds()))
    )
    account.run({"Wait": wait(HOUR)})
    account.virtual.settle()
    assert told == [("RUNNING", 0), ("SUCCEEDED", HOUR)]


# Answers by task token


def ask(**fields: Json) -> dict[str, Any]:
    parameters = {"FunctionName": "ask", "Payload": {"token.$": "$$.Task.Token"}}
    resource = "arn:aws:states:::lambda:invoke.waitForTaskToken"
    return {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True, **fields}


def asked(account: VirtualStateMachines, **fields: Json) -> tuple[str, str]:
    """Start a machine that asks, let it ask, and give the execution's ARN and the token."""
    tokens: list[str] = []
    account.functions["ask"] = lambda payload: tokens.append(payload["token"])
    arn = account.start({"Ask": ask(**fields)})
    account.virtual.settle()
    return arn, tokens[0]


def test_an_answer_may_come_a_day_later(account: VirtualStateMachines) -> None:
    arn, token = asked(account)
    account.virtual.sleep(24 * HOUR)
    account.client.send_task_success(taskToken=token, output='"yes"')
    assert (account.ended(arn)["output"], account.virtual.clock.seconds()) == ('"yes"', 24 * HOUR)


def test_an_answer_that_never_comes_times_out(account: VirtualStateMachines) -> None:
    arn, _ = asked(account, TimeoutSeconds=600)
    assert (account.ended(arn)["error"], account.virtual.clock.seconds()) == ("States.Timeout", 600)


def test_silence_ends_a_task_at_its_heartbeat(account: VirtualStateMachines) -> None:
    """Two heartbeats come in time; the third does not."""
    arn, token = asked(account, HeartbeatSeconds=60, TimeoutSeconds=600)
    for _ in range(2):
        account.virtual.sleep(50)
        account.client.send_task_heartbeat(taskToken=token)
    account.ended(arn)
    assert account.virtual.clock.seconds() == 50 + 50 + 60


# The same seed, the same run


def busy(seed: int) -> VirtualTime:
    """Run two executions at once, with branches, retries and functions that take their time."""
    with in_virtual_time(seed) as account:
        account.functions["slow"] = lambda _: account.virtual.sleep(5)
        account.functions["flaky"] = fail
        retry = {"ErrorEquals": ["Flaky"], "IntervalSeconds": 5, "MaxAttempts": 2, "JitterStrategy": "FULL"}
        catch = {"ErrorEquals": ["Flaky"], "Next": "Bake"}
        branches = [{"StartAt": "Slow", "States": {"Slow": task("slow")}}] * 2
        machine = {
            "Both": {"Type": "Parallel", "Branches": branches, "Next": "Flaky"},
            "Flaky": task("flaky", Retry=[retry], Catch=[catch], Next="Bake"),
            "Bake": wait(10),
        }
        executions = [account.start(machine) for _ in range(2)]
        account.virtual.run_until(lambda: all(account.has_ended(arn) for arn in executions))
        return account.virtual


@pytest.mark.parametrize("seed", range(20))
def test_equal_seeds_give_equal_traces(seed: int) -> None:
    one, other = busy(seed), busy(seed)
    assert one.trace == other.trace
    assert one.trace.digest == other.trace.digest


def test_seeds_differ_in_who_goes_first() -> None:
    def order(seed: int) -> str:
        with VirtualTime(seed) as virtual:
            went: list[str] = []
            for name in "abcde":
                virtual.clock.thread(went.append, (name,), name=name).start()
            virtual.settle()
            return "".join(went)

    assert len({order(seed) for seed in range(20)}) > 5


@pytest.mark.parametrize("replaced", [True, False])
def test_tokens_and_jitter_follow_the_seed(monkeypatch: pytest.MonkeyPatch, *, replaced: bool) -> None:
    if not replaced:
        monkeypatch.setattr(virtual_time, "_repeat_uuids", lambda *_: None)
        monkeypatch.setattr(virtual_time, "_seeded", lambda _: mock.MagicMock())

    def observe() -> tuple[str, float]:
        with in_virtual_time(seed=7) as account:
            _, token = asked(account)
            account.functions["flaky"] = fail
            retry = {"ErrorEquals": ["Flaky"], "IntervalSeconds": 9, "MaxAttempts": 3, "JitterStrategy": "FULL"}
            return token, account.seconds_of({"Flaky": task("flaky", Retry=[retry])})[1]

    one, other = observe(), observe()
    assert [mine == yours for mine, yours in zip(one, other, strict=True)] == [replaced] * 2


def test_names_follow_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    def name() -> str:
        with in_virtual_time(seed=7) as account:
            machine = account.create({"Only": PASS})
            started: dict[str, str] = account.client.start_execution(stateMachineArn=machine)
            return started["executionArn"]

    once = name()
    mock_random.uuid4()
    assert name() == once
    monkeypatch.setattr(virtual_time, "_seeded", lambda _: mock.MagicMock())
    assert name() != name()


def test_a_trace_holds_nothing_that_differs_by_run(virtual: VirtualTime) -> None:
    virtual.record(f"token {uuid.UUID(int=5)} of <function at 0x7f3a>")
    assert virtual.trace == [(0.0, "main", "token * of <function at *>")]


def test_a_trace_shortens_what_is_long(virtual: VirtualTime) -> None:
    """Moto names some threads after a whole program."""
    virtual.record("long " * 1000)
    assert len(virtual.trace[0].what) == 80


def test_a_digest_tells_moments_apart() -> None:
    def digest(what: str, seconds: float) -> str:
        with VirtualTime() as virtual:
            virtual.sleep(seconds)
            virtual.record(what)
            return virtual.trace.digest

    assert digest("a", 1) == digest("a", 1)
    assert len({digest("a", 1), digest("b", 1), digest("a", 2)}) == 3


# Threads


def test_only_one_thread_runs_at_a_time(virtual: VirtualTime) -> None:
    inside: list[str] = []
    most: list[int] = []

    def work(name: str) -> None:
        for _ in range(5):
            inside.append(name)
            for _ in range(100):
                os.sched_yield()  # another thread would come in if it could
            most.append(len(inside))
            inside.remove(name)
            virtual.sleep(1)

    threads = [virtual.clock.thread(work, (name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, virtual.clock.seconds()) == ([1] * 15, 5)


# -- work in rounds


class InRounds:
    """Three who work in rounds, and one who stops them all in the middle of a wait."""

    def __init__(self, begin: Any) -> None:
        self.rounds: list[tuple[float, str, int | None]] = []
        with VirtualTime(seed=3) as virtual:
            self.virtual, stopped = virtual, virtual.clock.event()

            def work(name: str, seconds: float) -> Generator[float]:
                yield seconds / 2
                while not stopped.is_set():
                    self.rounds.append((virtual.clock.seconds(), name, threading.get_ident()))
                    yield seconds
                virtual.record("tidies up")

            intervals = {"a": 2.0, "b": 2.0, "c": 3.0}
            threads = [begin(virtual, partial(work, *each), stopped, each[0]) for each in intervals.items()]
            for thread in threads:
                thread.start()
            virtual.clock.thread(lambda: (virtual.sleep(20.5), stopped.set()), name="who stops").start()
            virtual.sleep(10)
            self.lived = [thread.is_alive() for thread in threads]
            for thread in threads:
                thread.join()
            self.live = [thread.is_alive() for thread in threads]


def as_guest(virtual: VirtualTime, rounds: Any, stopped: Any, name: str) -> threading.Thread:
    return virtual.clock.rounds(rounds, stopped, name=name)


def as_thread(virtual: VirtualTime, rounds: Any, stopped: Any, name: str) -> threading.Thread:
    def run() -> None:
        for seconds in rounds():
            stopped.wait(seconds)

    return virtual.clock.thread(run, name=name)


def test_rounds_are_what_a_thread_would_do() -> None:
    """At the same moments, in the same order and with the same trace; only the threads are others'."""
    guests, threads = InRounds(as_guest), InRounds(as_thread)
    assert [each[:2] for each in guests.rounds] == [each[:2] for each in threads.rounds]
    assert list(guests.virtual.trace) == list(threads.virtual.trace)
    assert 3 == len({thread for *_, thread in threads.rounds})
    assert threading.get_ident() in {thread for *_, thread in guests.rounds}
    assert (guests.lived, guests.live) == (threads.lived, threads.live) == ([True] * 3, [False] * 3)


def test_a_round_that_waits_in_the_middle_fails(virtual: VirtualTime, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would stop whoever does it."""
    reported: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", reported.append)

    def work() -> Generator[float]:
        yield 1.0
        virtual.sleep(5)

    thread = virtual.clock.rounds(work, virtual.clock.event(), name="impatient")
    thread.start()
    thread.join()
    assert ([NotTakingPart], 1.0) == ([each.exc_type for each in reported], virtual.clock.seconds())
    assert not thread.is_alive()


def test_rounds_left_over_end_where_they_wait() -> None:
    ended: list[str] = []

    def work(name: str) -> Generator[float]:
        try:
            while True:
                yield 10.0
        finally:
            ended.append(name)

    with VirtualTime() as virtual:
        never = virtual.clock.event()
        begun = virtual.clock.rounds(lambda: work("begun"), never, name="begun")
        begun.start()
        virtual.sleep(15)
        not_yet_begun = virtual.clock.rounds(lambda: work("not yet begun"), never, name="not yet begun")
        not_yet_begun.start()
    assert ["begun"] == ended
    assert [False, False] == [begun.is_alive(), not_yet_begun.is_alive()]


def test_a_deadlock_names_those_who_work_in_rounds(virtual: VirtualTime) -> None:
    never = virtual.clock.event()

    def work() -> Generator[float | None]:
        yield None

    virtual.clock.rounds(work, never, name="for ever").start()
    with pytest.raises(Deadlock, match=r"for ever waits for an event since 0\.000000 s between two turns"):
        never.wait()


def test_an_event_set_and_cleared_at_once_wakes_all_who_wait(virtual: VirtualTime) -> None:
    """Moto tells of the end of an execution so."""
    flag = virtual.clock.event()
    woken: list[bool] = []
    for _ in range(2):
        virtual.clock.thread(lambda: woken.append(flag.wait(100))).start()
    virtual.settle()
    flag.set()
    flag.clear()
    virtual.settle()
    assert (woken, flag.is_set(), virtual.clock.seconds()) == ([True, True], False, 0)


def test_an_event_that_is_not_set_lets_go_in_time(virtual: VirtualTime) -> None:
    assert not virtual.clock.event().wait(7)
    assert virtual.clock.seconds() == 7


def test_who_no_longer_waits_for_an_event_is_not_woken_by_it(virtual: VirtualTime) -> None:
    flag = virtual.clock.event()
    virtual.clock.thread(lambda: (virtual.sleep(10), flag.set())).start()
    flag.wait(5)
    virtual.sleep(20)
    assert virtual.clock.seconds() == 25


def test_joining_gives_up_in_time(virtual: VirtualTime) -> None:
    thread = virtual.clock.thread(lambda: virtual.sleep(10))
    thread.start()
    thread.join(timeout=4)
    assert (thread.is_alive(), virtual.clock.seconds()) == (True, 4)
    thread.join()
    assert (thread.is_alive(), virtual.clock.seconds()) == (False, 10)


def test_many_short_waits_end_at_a_whole_second(virtual: VirtualTime) -> None:
    """Binary fractions would end a little before or after it, on either side of a time-out."""
    for _ in range(10):
        virtual.sleep(0.1)
    assert virtual.clock.seconds() == 1


def test_a_wait_into_the_past_is_over_at_once(virtual: VirtualTime) -> None:
    virtual.sleep(-5)
    assert virtual.clock.seconds() == 0


def test_waiting_for_a_condition_ends_at_its_second(virtual: VirtualTime) -> None:
    assert not virtual.run_until(lambda: False, seconds=30)
    assert virtual.clock.seconds() == 30


def test_only_the_main_participant_waits_for_conditions(virtual: VirtualTime) -> None:
    refused: list[str] = []

    def look() -> None:
        with pytest.raises(NotTakingPart, match="only the main participant") as refusal:
            virtual.run_until(lambda: True)
        refused.append(str(refusal.value))

    virtual.clock.thread(look).start()
    virtual.settle()
    assert refused


def test_a_thread_that_fails_is_reported_and_the_others_go_on(
    virtual: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", reported.append)
    thread = virtual.clock.thread([].pop)
    thread.start()
    thread.join()
    virtual.sleep(1)
    assert [each.exc_type for each in reported] == [IndexError]


@pytest.mark.parametrize(("replaced", "expected"), [(True, [True, 0.03]), (False, [False, 0.0])])
def test_a_lock_blocks_in_virtual_time_only(
    monkeypatch: pytest.MonkeyPatch, *, replaced: bool, expected: list[float]
) -> None:
    """A thread that sleeps with a real lock would stop the only thread that may run, and itself with it."""
    if not replaced:
        monkeypatch.setattr(virtual_time, "_replace_threading", lambda *_: None)

    with in_virtual_time() as account:
        mutex: Any = account.environment(account.start({"Wait": wait(HOUR)}))._state_mutex

        def hold() -> None:
            with mutex:
                account.virtual.sleep(0.03)

        account.virtual.clock.thread(hold).start()
        account.virtual.settle()
        got = mutex.acquire(timeout=0.05)
        at = account.virtual.clock.seconds()
        if got:
            mutex.release()
        account.virtual.sleep(1)  # or the thread would hold a real lock beyond the end of virtual time
    assert [got, at] == expected


def test_a_lock_is_given_to_one_after_the_other(virtual: VirtualTime) -> None:
    lock = callback.Lock()
    ends: list[float] = []

    def work() -> None:
        with lock:
            virtual.sleep(10)
            ends.append(virtual.clock.seconds())

    for _ in range(3):
        virtual.clock.thread(work).start()
    virtual.settle()
    assert lock.locked()
    assert not lock.acquire(blocking=False)
    assert not lock.acquire(timeout=5)
    virtual.run_until(lambda: len(ends) == 3)
    assert ends == [10, 20, 30]


def test_a_lock_is_released_by_who_holds_it(virtual: VirtualTime) -> None:
    del virtual
    with pytest.raises(RuntimeError, match="nobody holds"):
        callback.Lock().release()


# What goes wrong is said


def test_a_deadlock_names_who_waits_and_where(virtual: VirtualTime) -> None:
    never = virtual.clock.event()

    def wait_for_ever() -> None:
        never.wait()

    virtual.clock.thread(wait_for_ever, name="the patient one").start()
    virtual.sleep(5)
    with pytest.raises(Deadlock) as deadlock:
        virtual.run_until(lambda: False)

    expected = r"""nobody can run at 5.000000 s, and no time-out would wake anybody:
  main waits for a condition since 5.000000 s at .*test_virtual_time.py:\d+ in test_a_deadlock_names_who_waits_and_where
  1 the patient one waits for an event since 0.000000 s at .*test_virtual_time.py:\d+ in wait_for_ever"""
    deadlock.match(expected)


def test_a_deadlock_is_told_to_the_main_participant_whoever_finds_it(virtual: VirtualTime) -> None:
    never = virtual.clock.event()

    def wait_for_ever() -> None:
        virtual.sleep(5)
        never.wait()

    thread = virtual.clock.thread(wait_for_ever)
    thread.start()
    with pytest.raises(Deadlock, match="in wait_for_ever"):
        thread.join()


def test_one_may_go_on_after_a_deadlock(virtual: VirtualTime) -> None:
    never = virtual.clock.event()
    with pytest.raises(Deadlock):
        never.wait()
    virtual.sleep(3)
    assert virtual.clock.seconds() == 3


def test_a_thread_that_waits_for_real_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds the baton meanwhile, so that everything else would stand still without a word."""
    monkeypatch.setattr(scheduler, "LONGEST_TURN_SECONDS", 0.01)
    go = threading.Event()

    def wait_for_real() -> None:
        go.wait(10)

    with VirtualTime() as virtual:
        thread = virtual.clock.thread(wait_for_real, name="stubborn")
        thread.start()
        with pytest.raises(Stuck, match=r"1 stubborn neither waits in virtual time nor ends, at .* in wait_for_real"):
            virtual.settle()
        with pytest.raises(NotTakingPart, match="virtual time is over"):
            virtual.sleep(1)
        go.set()
    threading.Thread.join(thread)


def test_long_turns_of_many_are_not_taken_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here every turn lasts until the main participant has waited for it as long as it may."""
    begun, waited_for = threading.Semaphore(0), threading.Semaphore(0)
    long_turns = iter(range(8))
    really_take = scheduler.Participant.take_baton

    def take_baton(participant: scheduler.Participant, wall_seconds: float = -1) -> bool:
        if wall_seconds < 0 or next(long_turns, None) is None:
            return really_take(participant, wall_seconds)
        assert begun.acquire(timeout=10)
        waited_for.release()
        return False

    def take_long() -> None:
        begun.release()
        assert waited_for.acquire(timeout=10)

    monkeypatch.setattr(scheduler.Participant, "take_baton", take_baton)
    with VirtualTime() as virtual:
        for _ in range(8):
            virtual.clock.thread(take_long).start()
        virtual.sleep(1)
    assert next(long_turns, None) is None


def test_a_thread_from_outside_is_refused(virtual: VirtualTime) -> None:
    """Nobody would give it the baton: it would wait for ever, or run at the same time as another one."""
    refused: list[str] = []

    def come_in() -> None:
        try:
            virtual.sleep(1)
        except NotTakingPart as refusal:
            refused.append(str(refusal))

    outside = threading.Thread(target=come_in, name="outsider")
    outside.start()
    outside.join()
    assert refused[0].startswith("outsider takes no part in virtual time")


# Nothing is left behind


def test_threads_left_over_are_ended() -> None:
    ended: list[str] = []

    def run(name: str, seconds: float | None) -> None:
        try:
            VirtualTime.sleep(virtual, seconds) if seconds else never.wait()
        finally:
            ended.append(name)

    with VirtualTime() as virtual:
        never = virtual.clock.event()
        threads = [virtual.clock.thread(run, each) for each in (("sleeps", 10), ("waits", None))]
        for thread in threads:
            thread.start()
        virtual.settle()
        not_yet_begun = virtual.clock.thread(run, ("not yet begun", 1))
        not_yet_begun.start()

    for thread in (*threads, not_yet_begun):
        thread.join()
    assert sorted(ended) == ["sleeps", "waits"]


def test_a_thread_that_is_ended_waits_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even to tidy up, and nothing is reported: it has done nothing wrong."""
    reported: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", reported.append)

    def tidy_up() -> None:
        try:
            virtual.sleep(10)
        finally:
            virtual.sleep(1)

    with VirtualTime() as virtual:
        thread = virtual.clock.thread(tidy_up)
        thread.start()
        virtual.settle()
    thread.join()
    assert (reported, virtual.clock.seconds()) == ([], 0)


def test_threads_left_over_are_ended_also_when_the_rehearsal_fails() -> None:
    threads: list[threading.Thread] = []

    def fail_with_one_running() -> None:
        with VirtualTime() as virtual:
            threads.append(virtual.clock.thread(lambda: virtual.sleep(10)))
            threads[0].start()
            raise KeyError("planted")

    with pytest.raises(KeyError, match="planted"):
        fail_with_one_running()
    threads[0].join()
    assert not threads[0].is_alive()


def test_a_thread_that_does_not_end_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "SECONDS_TO_END", 0.01)
    go = threading.Event()
    virtual = VirtualTime()

    def insist() -> None:
        try:
            virtual.sleep(10)
        finally:
            go.wait(10)

    thread = virtual.clock.thread(insist, name="stubborn")

    def leave_it_behind() -> None:
        with virtual:
            thread.start()
            virtual.settle()

    with pytest.raises(ThreadsLeft, match=r"1 stubborn waits for time since 0.000000 s at .* in insist"):
        leave_it_behind()
    go.set()
    threading.Thread.join(thread)


def test_nobody_waits_once_virtual_time_is_over() -> None:
    with VirtualTime() as virtual:
        pass
    with pytest.raises(NotTakingPart, match="virtual time is over"):
        virtual.sleep(1)


def names_in_moto() -> dict[tuple[str, str], object]:
    return {
        (module.__name__, name): value for module in step_functions_modules() for name, value in vars(module).items()
    }


def test_moto_and_python_are_as_they_were_found() -> None:
    before = (names_in_moto(), mock_random.getstate(), random.getstate())
    real = (threading.Thread, threading.Event, threading.Lock, threading.RLock, time.time, time.sleep, datetime)
    with VirtualTime() as virtual:
        assert execute_state.threading is not threading
        assert wait_function.time is not time
        virtual.clock.thread(mock_random.uuid4).start()
        virtual.sleep(1)
    assert (names_in_moto(), mock_random.getstate(), random.getstate()) == before
    assert real == (threading.Thread, threading.Event, threading.Lock, threading.RLock, time.time, time.sleep, datetime)


# The clock


def test_the_clock_has_all_that_a_clock_needs(virtual: VirtualTime) -> None:
    clock: Clock = virtual.clock
    with clock.at_real_speed():
        clock.sleep(2)
    assert clock.now() == virtual_time.START + timedelta(seconds=2)


def test_a_clock_has_no_pace_but_checks_it(virtual: VirtualTime) -> None:
    virtual.clock.pace(500)
    assert virtual.clock.speed == float("inf")
    with pytest.raises(ValueError, match="must be positive, not 0"):
        virtual.clock.pace(0)


# The shipped machine


class VirtualMachines(Machines):
    """The shipped machines in virtual time, with the time-out of the whole execution left in."""

    _account: VirtualStateMachines

    def _runnable(self, definition: dict[str, Any]) -> dict[str, Any]:
        return {**super()._runnable(definition), "TimeoutSeconds": definition["TimeoutSeconds"]}

    def _end(self) -> dict[str, Any]:
        self._account.virtual.run_until(lambda: self._account.has_ended(self._running))
        self._account.virtual.settle()
        return super()._end()


def release(account: VirtualStateMachines, definition: dict[str, Any]) -> Run:
    """Bake until 10:10, 10:20 and 11:00; virtual time begins at 10:00."""
    bakes = {10: "10:10", 50: "10:20", 100: "11:00"}
    baking: Answers = {
        f"Judge at {percent} %": [{**JUDGED_YET, "again_at": f"2026-03-01T{at}:00Z"}, JUDGED_GOOD]
        for percent, at in bakes.items()
    }
    opened = VirtualMachines(account, {"deploy": definition})

    def start_execution(self: StateTaskServiceSfn, env: Any, *more: Any, **named: Any) -> None:
        opened.start_execution(self, env, *more, **named)

    with mock.patch.object(StateTaskServiceSfn, "_eval_service_task", start_execution):
        return opened.run("deploy", {"Check idle color": [NOT_READY, READY], **baking})


def test_the_shipped_deploy_machine_goes_live_when_its_waits_are_over(account: VirtualStateMachines) -> None:
    definition = golden("deploy")
    run = release(account, deepcopy(definition))

    assert run.ending == ("SUCCEEDED", None, None)
    assert run.entered[0] == "Validate request"
    assert [name for name in run.entered if name.startswith(("Shift", "Bake"))] == [
        "Shift 10 % of traffic",
        "Bake at 10 %",
        "Shift 50 % of traffic",
        "Bake at 50 %",
        "Shift 100 % of traffic",
        "Bake at 100 %",
    ]
    assert run.entered[-1] == "Release is live"
    assert run.entered.count("Wait for idle color") == 2
    assert account.virtual.clock.seconds() == HOUR


def test_a_process_can_be_copied_as_long_as_no_thread_has_had_its_turn() -> None:
    """A built account is rehearsed many times so: each copy goes on by itself."""
    with VirtualTime() as virtual:
        before = threading.active_count()
        woken = virtual.clock.event()
        virtual.clock.thread(woken.set).start()
        assert threading.active_count() == before
        child = os.fork()
        if child == 0:
            os._exit(0 if virtual.run_until(woken.is_set, seconds=1) else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert virtual.run_until(woken.is_set, seconds=1)
