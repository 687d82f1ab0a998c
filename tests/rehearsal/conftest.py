"""Rehearsals as tests need them: played once for all who look at them, and an account of a test's own."""

import fcntl
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from rehearsal.account import pretend_account
from rehearsal.assembly import assembly_of
from rehearsal.engine.calls import Call
from rehearsal.invariants import Invariants
from rehearsal.modelled import InVirtualTime, Modelled
from rehearsal.packaged import Packaged
from rehearsal.play import play, until_served
from rehearsal.report import Report
from rehearsal.scenarios import OLD_VERSION, SCENARIOS, Scenario
from rehearsal.settings import OWN_FOLDER, Settings
from rehearsal.stage import Execution, Stage
from rehearsal.staging import Speeds, Staging
from rehearsal.story import tell_rehearsal
from rehearsal.world.traffic import Traffic

PACKAGED = ("manual-rollback", "bad-release")
"""What `make test` plays with real processes under real load; in virtual time it plays every scenario."""

STAGINGS: Mapping[str, Callable[[], Staging]] = {
    "virtual": lambda: InVirtualTime(seed=1),
    "modelled": Modelled,
    "packaged": Packaged,
}

IN_A_HURRY = Packaged(Speeds(waiting=100.0, judging=40.0, baking=300.0))
"""For an account of real processes without users: nobody has to have the time to send requests."""

_NO_USERS = cast("Traffic", None)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let `kept` be every scenario in virtual time, and some packaged; with --packaged=all, every one packaged."""
    if "kept" not in metafunc.fixturenames:
        return
    every = [each.name for each in SCENARIOS]
    played = {"virtual": every, "packaged": PACKAGED}
    if metafunc.config.getoption("packaged") == "all":
        played = {"packaged": every}
    names = [f"{staging} {name}" for staging, scenarios in played.items() for name in scenarios]
    metafunc.parametrize("kept", names, indirect=True, scope="session")


@dataclass(frozen=True)
class Kept:
    """What a rehearsal left in its folder and in the record, and which promises it broke."""

    scenario: str
    staging: str
    folder: Path
    assembly: Path
    settings: Settings

    @property
    def report(self) -> dict[str, Any]:
        """Return report.json."""
        return cast("dict[str, Any]", _read(self.folder / "report.json"))

    @property
    def page(self) -> str:
        """Return report.html."""
        return (self.folder / "report.html").read_text(encoding="utf-8")

    @property
    def samples(self) -> list[dict[str, Any]]:
        """Return the raw samples, as the users wrote them."""
        lines = (self.folder / "samples.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    @property
    def broken_promises(self) -> list[str]:
        """Return what the command would have said was broken."""
        return cast("list[str]", _read(self.folder / "broken.json"))

    @property
    def record(self) -> dict[str, dict[str, Any]]:
        """Return the items `lease` and `live` as they were at the end."""
        return cast("dict[str, dict[str, Any]]", _read(self.folder / "record.json"))

    @property
    def executions(self) -> list[dict[str, Any]]:
        """Return every execution with all that is known of it, in the order of their start."""
        return cast("list[dict[str, Any]]", _read(self.folder / "executions.json"))


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
        """
        Return what functions changed between two lengths of the call log.

        But for notes of what GitHub was told, which follow in their own time, and may be about what was before.
        """
        calls, tells = self.stage.account.calls.log[since:until], self.stage.account.stack.function("report-status")
        return [call for call in calls if call.mutating and call.caller not in (None, tells)]

    def _is_dealt_with(self, execution: Execution) -> bool:
        ended = [rollback.arn for rollback in self.stage.of_machine("rollback") if rollback.ended]
        return any(execution.arn in self._input_of(rollback) for rollback in ended)

    def _input_of(self, execution_arn: str) -> str:
        described = self.stage.account.client("stepfunctions").describe_execution(executionArn=execution_arn)
        return str(described["input"])


def scenario(name: str) -> Scenario:
    """Return a shipped scenario."""
    return next(each for each in SCENARIOS if each.name == name)


Keep = Callable[[str, str], Kept]


@pytest.fixture(scope="session")
def keep(assembly: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Keep:
    """
    Return a way to have a shipped scenario played, once, by whichever worker comes first.

    It is played on production, unless it has settings of its own.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent

    def kept(staging: str, name: str) -> Kept:
        shipped = scenario(name)
        settings = Settings.read(shipped.environment or "production")
        own, has_own = shared / f"{staging}-{name}-assembly", (OWN_FOLDER / f"{shipped.environment}.toml").exists()
        played = Kept(
            name,
            staging,
            shared / f"{staging}-{name}",
            own / f"assembly-{shipped.environment}" if has_own else assembly,
            settings,
        )
        with (shared / f"{staging}-{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (played.folder / "broken.json").exists():
                if has_own:
                    assembly_of(shipped.environment, own)
                show = _remembering(played.folder)
                conclude = partial(tell_rehearsal, shipped)
                report = play(shipped, settings, played.assembly, played.folder, show, STAGINGS[staging](), conclude)
                _write(played.folder / "broken.json", list(shipped.broken_promises(report)))
        return played

    return kept


@pytest.fixture(scope="session")
def kept(request: pytest.FixtureRequest, keep: Keep) -> Kept:
    """Return each shipped scenario, played."""
    staging, _, name = str(request.param).partition(" ")
    return keep(staging, name)


@pytest.fixture(scope="session")
def all_kept(keep: Keep, pytestconfig: pytest.Config) -> list[Kept]:
    """Return all shipped scenarios, played: those that no test of this run has asked for yet are played now."""
    staging = "packaged" if pytestconfig.getoption("packaged") == "all" else "virtual"
    return [keep(staging, each.name) for each in SCENARIOS]


@pytest.fixture
def rehearse(tmp_path: Path) -> Rehearse:
    """Return a way to play a scenario of a test's own on production, in virtual time, on whatever assembly."""

    def rehearsed(scenario: Scenario, assembly: Path) -> Rehearsal:
        stages: list[Stage] = []

        def show(stage: Stage) -> AbstractContextManager[None]:
            stages.append(stage)
            return nullcontext()

        report = play(scenario, Settings.read("production"), assembly, tmp_path / "rehearsal", show, InVirtualTime())
        return Rehearsal(scenario, report, stages[0])

    return rehearsed


@contextmanager
def quiet_account(
    assembly: Path, folder: Path, environment: str = "staging", staging: Staging | None = None
) -> Iterator[Quiet]:
    """
    Build an environment, with the old version healthy on blue; in virtual time, unless a staging is given.

    Staging is quicker, and has no rollback window. In virtual time others move only while this thread waits on the
    stage or on the clock.
    """
    settings, staging = Settings.read(environment), staging or InVirtualTime()
    with pretend_account(settings, assembly, folder, staging, version=OLD_VERSION) as account:
        until_served(account)
        stage = Stage(account, _NO_USERS, staging)
        world = (account.load_balancer, account.fleet, stage.record, account.builds, account.terraform)
        invariants = Invariants(settings, account.clock, *world)
        account.calls.add_observer(invariants.observe)
        yield Quiet(stage, invariants)


@contextmanager
def users_of(quiet: Quiet, staging: Staging, folder: Path) -> Iterator[None]:
    """Send a quiet account users, by whom a release can be judged."""
    account = quiet.stage.account
    listener, samples = account.settings.routes[0].arn, folder / "samples.jsonl"
    with staging.traffic(account.clock, account.world, listener, samples, sticky_share=0.0):
        yield


@pytest.fixture
def quiet(assembly: Path, tmp_path: Path) -> Iterator[Quiet]:
    """Return an account of a test's own, without users, in which nothing was released yet."""
    with quiet_account(assembly, tmp_path) as account:
        yield account


def _remembering(folder: Path) -> Callable[[Stage], AbstractContextManager[None]]:
    """Write down what the report leaves out, when the scenario was played."""

    @contextmanager
    def show(stage: Stage) -> Iterator[None]:
        yield
        _write(folder / "record.json", {"lease": stage.record.lease, "live": stage.record.live})
        _write(folder / "executions.json", [asdict(each) for each in stage.executions.values()])

    return show


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, default=str), encoding="utf-8")


def _read(path: Path) -> object:
    content: object = json.loads(path.read_text(encoding="utf-8"))
    return content
