"""Rehearsals as tests need them: played once for all who look at them, and an account that is in a hurry."""

import fcntl
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from rehearsal.account import pretend_account
from rehearsal.engine.calls import Call
from rehearsal.invariants import Invariants
from rehearsal.packaged import Packaged
from rehearsal.play import play
from rehearsal.report import Report
from rehearsal.scenarios import OLD_VERSION, SCENARIOS, Scenario
from rehearsal.settings import Settings
from rehearsal.stage import Execution, Stage
from rehearsal.staging import Speeds
from rehearsal.world import customer
from rehearsal.world.customer import CAPACITY
from rehearsal.world.traffic import Traffic
from tests.waiting import eventually

IN_A_HURRY = Packaged(Speeds(waiting=100.0, baking=300.0))
"""For an account without users: nobody has to have the time to send requests."""

_NO_USERS = cast("Traffic", None)


@dataclass(frozen=True)
class Kept:
    """What a rehearsal left in its folder, and which promises it broke."""

    scenario: str
    folder: Path

    @property
    def report(self) -> dict[str, Any]:
        """Return report.json."""
        return cast("dict[str, Any]", _read(self.folder / "report.json"))

    @property
    def samples(self) -> list[dict[str, Any]]:
        """Return the raw samples, as the users wrote them."""
        lines = (self.folder / "samples.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    @property
    def broken_promises(self) -> list[str]:
        """Return what the command would have said was broken."""
        return cast("list[str]", _read(self.folder / "broken.json"))


@dataclass(frozen=True)
class Rehearsal:
    """A rehearsal that was played in this test."""

    scenario: Scenario
    report: Report
    stage: Stage

    @property
    def broken_promises(self) -> list[str]:
        """Return what the command would have said was broken."""
        return list(self.scenario.broken_promises(self.report))


Rehearse = Callable[[Scenario, Path], Rehearsal]


@dataclass(frozen=True)
class Quiet:
    """An account without users, whose stage hurries."""

    stage: Stage
    invariants: Invariants

    def until_dealt_with(self, execution: Execution) -> None:
        """Wait until an execution has failed, and a rollback that was started because of it has ended, too."""
        self.stage.until_ended(execution)
        self.stage.until(lambda: self._is_dealt_with(execution), "the status rule started no rollback")

    def changes(self, since: int, until: int | None = None) -> list[Call]:
        """Return what functions changed between two lengths of the call log."""
        calls = self.stage.account.calls.log[since:until]
        return [call for call in calls if call.mutating and call.caller is not None]

    def _is_dealt_with(self, execution: Execution) -> bool:
        ended = [rollback.arn for rollback in self.stage.of_machine("rollback") if rollback.ended]
        return any(execution.arn in self._input_of(rollback) for rollback in ended)

    def _input_of(self, execution_arn: str) -> str:
        described = self.stage.account.client("stepfunctions").describe_execution(executionArn=execution_arn)
        return str(described["input"])


def scenario(name: str) -> Scenario:
    """Return a shipped scenario."""
    return next(each for each in SCENARIOS if each.name == name)


@pytest.fixture(scope="session")
def keep(assembly: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Callable[[str], Kept]:
    """Return a way to have a shipped scenario played on production, once, by whichever worker comes first."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent

    def kept(name: str) -> Kept:
        played = Kept(name, shared / f"rehearsal-{name}")
        with (shared / f"rehearsal-{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (played.folder / "broken.json").exists():
                shipped = scenario(name)
                report = play(shipped, Settings.read("production"), assembly, played.folder, _no_screen, Packaged())
                broken = json.dumps(list(shipped.broken_promises(report)))
                (played.folder / "broken.json").write_text(broken, encoding="utf-8")
        return played

    return kept


@pytest.fixture(scope="session", params=[each.name for each in SCENARIOS])
def kept(request: pytest.FixtureRequest, keep: Callable[[str], Kept]) -> Kept:
    """Return each shipped scenario, played."""
    return keep(request.param)


@pytest.fixture(scope="session")
def all_kept(keep: Callable[[str], Kept]) -> list[Kept]:
    """Return all shipped scenarios, played: those that no test of this run has asked for yet are played now."""
    return [keep(each.name) for each in SCENARIOS]


@pytest.fixture
def rehearse(tmp_path: Path) -> Rehearse:
    """Return a way to play a scenario of a test's own on production, on whatever assembly."""

    def rehearsed(scenario: Scenario, assembly: Path) -> Rehearsal:
        stages: list[Stage] = []

        def show(stage: Stage) -> AbstractContextManager[None]:
            stages.append(stage)
            return nullcontext()

        report = play(scenario, Settings.read("production"), assembly, tmp_path / "rehearsal", show, Packaged())
        return Rehearsal(scenario, report, stages[0])

    return rehearsed


@contextmanager
def quiet_account(assembly: Path, folder: Path, environment: str = "staging") -> Iterator[Quiet]:
    """Build an environment, with the old version healthy on blue. Staging is quicker, and has no rollback window."""
    settings = Settings.read(environment)
    with pretend_account(settings, assembly, folder, IN_A_HURRY, version=OLD_VERSION) as account:
        customer.open_to_functions(settings, account.world)
        stage = Stage(account, _NO_USERS, IN_A_HURRY)
        invariants = Invariants(settings, account.clock, account.load_balancer, account.fleet, stage.record)
        account.calls.add_observer(invariants.observe)
        blue = settings.routes[0].blue
        eventually(lambda: account.load_balancer.healthy_targets(blue) == CAPACITY, seconds=60)
        yield Quiet(stage, invariants)


@pytest.fixture
def quiet(assembly: Path, tmp_path: Path) -> Iterator[Quiet]:
    """Return an account of a test's own, without users, in which nothing was released yet."""
    with quiet_account(assembly, tmp_path) as account:
        yield account


def _no_screen(_: Stage) -> AbstractContextManager[None]:
    return nullcontext()


def _read(path: Path) -> object:
    content: object = json.loads(path.read_text(encoding="utf-8"))
    return content
