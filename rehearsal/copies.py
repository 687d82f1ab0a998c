"""
One account, built once, and many rehearsals in it: each in a copy of this process, which nothing of it outlives.

    with built(scenario, settings, assembly, folder) as original:
        for copy in original.rehearse(scenario, seeds=range(1000), at_most=2):
            ...

To build an account takes longer than to play a scenario in virtual time, and a process can be forked before anybody
but the main participant has had a turn. What happens in a copy depends on the scenario and the seed alone.
"""

import faulthandler
import gc
import logging
import os
import pickle
import re
import shutil
import signal
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from multiprocessing import Pipe, connection
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any, Generic, NoReturn, TypeVar

from botocore.model import ServiceModel
from moto.stepfunctions.parser.asl.component.common.path import result_path
from moto.stepfunctions.parser.asl.utils import json_path

from rehearsal.account import Account, pretend_account
from rehearsal.engine.calls import service_model
from rehearsal.engine.needs import TABLE
from rehearsal.engine.virtual import Chooser
from rehearsal.modelled import InVirtualTime
from rehearsal.permissions import judge_for
from rehearsal.play import Conclude, beside, nothing_more, perform
from rehearsal.report import Report
from rehearsal.scenarios import OLD_VERSION, Scenario
from rehearsal.settings import Settings
from rehearsal.stage import Stage

LONGEST_COPY_SECONDS = 120.0
"""Wall seconds after which a copy that has not ended is stuck; it then tells where, and ends."""

_SECONDS_TO_TELL = 10.0
"""How much longer one that is stuck may take for that, before it is killed."""

Argument = TypeVar("Argument")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Played:
    """What a rehearsal came to. The same scenario and seed give the same, except for `cpu_seconds`."""

    seed: int
    outcome: str
    broken_promises: tuple[str, ...]
    trace_digest: str
    weights: dict[str, int]
    states: dict[str, list[list[str]]]
    """By machine, for each of its executions in the order of their start, the states that it entered."""
    errors: tuple[str, ...]
    """The names of the errors by which executions ended, in the same order."""
    messages: tuple[str, ...]
    simulated_seconds: float
    cpu_seconds: float = field(compare=False)


@dataclass(frozen=True)
class Lost:
    """A copy that came to nothing. `reason` holds its traceback, or those of all its threads if it was stuck."""

    seed: int
    reason: str


@dataclass(frozen=True)
class Original:
    """An account in which nothing has happened yet. `folder` receives what is left of those copies that went wrong."""

    account: Account
    staging: InVirtualTime
    folder: Path

    def rehearse(
        self,
        scenario: Scenario,
        seeds: Iterable[int],
        *,
        at_most: int = 2,
        longest_seconds: float = LONGEST_COPY_SECONDS,
    ) -> Iterator[Played | Lost]:
        """
        Play a scenario once for each seed, in `at_most` copies at a time; yield what comes of each as soon as it ends.

        The scenario's circumstances must be those that the account was built for. A copy's folder is
        `<its number>-seed-<seed>`; it is kept when a promise was broken or the copy was lost.
        """

        def played(numbered: tuple[int, int]) -> Played:
            number, seed = numbered
            return self._play(scenario, seed, self.folder / f"{number}-seed-{seed}")

        for (_, seed), result in in_copies(played, enumerate(seeds), at_most=at_most, longest_seconds=longest_seconds):
            yield Lost(seed, result.traceback) if isinstance(result, Crash) else result

    def _play(self, scenario: Scenario, seed: int, folder: Path) -> Played:
        began = time.process_time()
        report = self.perform(scenario, seed, folder)
        broken = tuple(scenario.broken_promises(report))
        states: dict[str, list[list[str]]] = {}
        for execution in report.executions:
            states.setdefault(execution.machine, []).append(list(execution.states))
        if not broken:
            shutil.rmtree(folder)
        return Played(
            seed=seed,
            outcome=report.outcome,
            broken_promises=broken,
            trace_digest=self.staging.time.trace.digest,
            weights=dict(report.weights),
            states=states,
            errors=tuple(execution.error for execution in report.executions if execution.error is not None),
            messages=tuple(report.messages),
            simulated_seconds=report.simulated_seconds,
            cpu_seconds=time.process_time() - began,
        )

    def perform(
        self,
        scenario: Scenario,
        seed: int,
        folder: Path,
        conclude: Conclude = nothing_more,
        chooser: Chooser | None = None,
    ) -> Report:
        """
        Play a scenario here, where this is a copy of the process: of the account, nothing is left as it was.

        `chooser` decides who goes next, by the seed, if it is not to be as usual. `folder` is made anew.
        """
        if chooser is not None:
            self.staging.choose_by(chooser)
        account = self._in_copy(seed, folder)
        try:
            return perform(scenario, account, self.staging, _show_nobody, time.monotonic(), conclude)
        finally:
            if scenario.circumstances.real_database:
                account.database.remove_servers()  # a copy just ends, and leaves what is on disk

    def _in_copy(self, seed: int, folder: Path) -> Account:
        """Let chance begin anew, and what is written go to a folder of the copy's own."""
        logs = folder / "logs"
        shutil.rmtree(folder, ignore_errors=True)
        logs.mkdir(parents=True)
        self.staging.begin_anew(seed, logs)
        self.account.functions.log_to(logs)
        others = {name: replace(each, folder=folder) for name, each in self.account.beside.items()}
        return replace(self.account, folder=folder, beside=others)


def _show_nobody(stage: Stage) -> AbstractContextManager[None]:
    del stage
    return nullcontext()


@contextmanager
def built(scenario: Scenario, settings: Settings, assembly: Path, folder: Path) -> Iterator[Original]:
    """
    Build the account in which a scenario can be rehearsed, with functions that are warm.

    Raises UnsupportedTemplate when the template holds what a rehearsal cannot make real or judge.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    staging = InVirtualTime()
    states_log = logging.getLogger("moto.stepfunctions")
    level = states_log.level
    states_log.setLevel(logging.CRITICAL)  # it prints every state that fails
    try:
        with pretend_account(
            settings,
            assembly,
            folder / "original",
            staging,
            version=OLD_VERSION,
            circumstances=scenario.circumstances,
            beside=beside(scenario, settings),
        ) as account:
            _warm_up(account)
            yield Original(account, staging, folder)
    finally:
        states_log.setLevel(level)


def _warm_up(account: Account) -> None:
    """Let the original load and parse what each copy would otherwise: nothing of it is of one rehearsal."""
    account.functions.warm_up()
    account.builds.warm_up()
    for service, operation in sorted({*TABLE, *((call.service, call.action) for call in account.calls.log)}):
        _look_at(account.client(service).meta.service_model, operation)
        _look_at(service_model(service), operation)
    judge_for(account).of(account.calls.log)
    states = account.client("stepfunctions")
    states.get_paginator("get_execution_history")
    for machine in states.list_state_machines()["stateMachines"]:
        described = states.describe_state_machine(stateMachineArn=machine["stateMachineArn"])
        for path in set(re.findall(r'"(\$[.\[][^"]*)"', described["definition"])):
            with suppress(Exception):  # an intrinsic function is no path, and nothing is found in nothing
                vars(result_path)["parse"](path)
                json_path.extract_json(path, {})


def _look_at(model: ServiceModel, operation: str) -> None:
    """Let a service's model find the shapes of an operation: it does so when it is first asked, and keeps them."""
    if operation not in model.operation_names:
        return
    known: set[str] = set()
    shapes: list[Any] = [model.operation_model(operation).input_shape, model.operation_model(operation).output_shape]
    while shapes:
        shape = shapes.pop()
        if shape is not None and shape.name not in known:
            known.add(shape.name)
            shapes += _parts(shape)


def _parts(shape: Any) -> list[Any]:
    match shape.type_name:
        case "structure":
            return list(shape.members.values())
        case "list":
            return [shape.member]
        case "map":
            return [shape.key, shape.value]
    return []


# -- copies of this process, whatever they do


@dataclass(frozen=True)
class Crash:
    """How a copy ended that returned nothing."""

    traceback: str


@dataclass(frozen=True)
class _Copy(Generic[Argument]):
    argument: Argument
    place: int
    process_id: int
    answer: Connection
    last_words: IO[bytes]
    give_up_at: float


@dataclass(frozen=True)
class _Terms:
    """What is the same for all copies. They can read from the lifeline when nobody can write to it any more."""

    longest_seconds: float
    lifeline: tuple[int, int]
    processors: Sequence[int]
    """By place; empty where the copies have to share them."""


def in_copies(
    work: Callable[[Argument], Result],
    arguments: Iterable[Argument],
    *,
    at_most: int,
    longest_seconds: float,
) -> Generator[tuple[Argument, Result | Crash]]:
    """
    Do `work` with each argument in a copy of this process; yield arguments with results, in the order of their ends.

    Results must be picklable. To be called where no other thread runs. Copies do not collect garbage, so that they
    share the memory that is here already. None outlives this iterator, nor this process if that is killed. When there
    are as many at a time as processors, each has one of its own: to pass a baton among threads is quicker there.
    """
    waiting = iter(arguments)
    places = list(range(at_most))
    processors = _processors()
    terms = _Terms(longest_seconds, os.pipe(), processors if at_most == len(processors) else ())
    running: dict[Connection, _Copy[Argument]] = {}
    gc.collect()
    gc.freeze()
    try:
        while True:
            for argument in islice(waiting, len(places)):
                copy = _forked(work, argument, places.pop(), terms)
                running[copy.answer] = copy
            if not running:
                return
            for copy in _answering(running):
                result = _ended(copy)
                del running[copy.answer]
                places.append(copy.place)
                yield copy.argument, result
    finally:
        for copy in running.values():
            os.kill(copy.process_id, signal.SIGKILL)
            _ended(copy)
        for end in terms.lifeline:
            os.close(end)
        gc.unfreeze()


def _processors() -> list[int]:
    """Number those that this process may run on; none where the system does not tell."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def _forked(work: Callable[[Argument], Result], argument: Argument, place: int, terms: _Terms) -> _Copy[Argument]:
    answer, ours = Pipe(duplex=False)
    last_words = tempfile.TemporaryFile()  # noqa: SIM115  closed by _ended
    process_id = os.fork()
    if process_id == 0:
        _be_copy(lambda: work(argument), place, ours, last_words, terms)
    ours.close()
    give_up_at = time.monotonic() + terms.longest_seconds + _SECONDS_TO_TELL
    return _Copy(argument, place, process_id, answer, last_words, give_up_at)


def _be_copy(work: Callable[[], Any], place: int, answer: Connection, last_words: IO[bytes], terms: _Terms) -> NoReturn:
    """Work, answer, and end without anything that the original has planned for its own end."""
    try:
        gc.disable()
        if hasattr(os, "SCHED_BATCH"):  # who hands the baton on is not interrupted before he stands still himself
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        faulthandler.enable(last_words)
        faulthandler.dump_traceback_later(terms.longest_seconds, exit=True, file=last_words)
        os.close(terms.lifeline[1])
        threading.Thread(target=_end_with_original, args=(terms.lifeline[0],), daemon=True).start()
        if terms.processors:
            os.sched_setaffinity(0, {terms.processors[place]})
        answer.send_bytes(pickle.dumps(work()))
    except BaseException:  # noqa: BLE001  whatever it is, the original wants to know
        answer.send_bytes(pickle.dumps(Crash(traceback.format_exc())))
    finally:
        os._exit(0)


def _end_with_original(lifeline: int) -> None:
    os.read(lifeline, 1)
    os._exit(1)


def _answering(running: dict[Connection, _Copy[Argument]]) -> list[_Copy[Argument]]:
    """Wait until a copy has answered or ended; kill those that should have by now."""
    first = min(copy.give_up_at for copy in running.values())
    ready = connection.wait(list(running), timeout=max(0.0, first - time.monotonic()))
    if not ready:
        for copy in running.values():
            if copy.give_up_at <= time.monotonic():
                os.kill(copy.process_id, signal.SIGKILL)
    return [copy for answer, copy in running.items() if answer in ready]


def _ended(copy: _Copy[Any]) -> Any:
    """Return what a copy has answered, or how it ended without; it is gone then."""
    with copy.answer, copy.last_words:
        try:
            result = pickle.loads(copy.answer.recv_bytes())  # noqa: S301  from a copy of ourselves
        except EOFError:
            result = None
        _, status = os.waitpid(copy.process_id, 0)
        if result is not None:
            return result
        copy.last_words.seek(0)
        how = os.waitstatus_to_exitcode(status)
        return Crash(f"It ended with {how} and no answer.\n{copy.last_words.read().decode(errors='replace')}")
