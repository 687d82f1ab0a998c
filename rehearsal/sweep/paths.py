"""
The ways through Runback that are swept: each is played once without a fault, and then once for every fault.

A script starts what humans and GitHub start, answers what humans are asked, and lets everything come to its end. It
asserts nothing and gets stuck at nothing: a fault may have kept from happening whatever it waits for.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from rehearsal.circumstances import Circumstances
from rehearsal.engine.function_urls import Answer
from rehearsal.scenarios import NEW_VERSION, Scenario
from rehearsal.scenarios.infrastructure import GROWN
from rehearsal.scenarios.plays import bad, turn_bad
from rehearsal.scenarios.pushes import PUSHED, STAGING
from rehearsal.stage import Execution, Stage, Step

SWEEP = "sweep"
"""The environment of the rehearsal's own that is in a hurry."""

PATIENCE_SECONDS = 3600.0
"""How long, in simulated seconds, humans wait for what may never happen."""
_THINKS_SECONDS = 60.0
_MOST_ANSWERS = 10
_MOST_STARTS = 3
_WATCHDOG_SECONDS = 210.0
"""Within which the watchdog has looked at least three times."""
_MOST_LOOKS = 8

_RESTORE = "restore-database"
_ASKED = "Wait for approval"
_CLAIMS = "rollback.Claim_rollback"


@dataclass(frozen=True)
class Path:
    """
    One way through Runback: who does what, in which environment, under which circumstances.

    Swept is what comes after the first entry of `begins_at` and before that of `ends_at`, "machine.State" as moments
    are named, and what the functions in `always` do at any time. With `has_pairs`, two faults at a time, too.
    """

    name: str
    summary: str
    play: Callable[[Stage], None]
    environment: str = SWEEP
    circumstances: Circumstances = field(default_factory=Circumstances)
    begins_at: str = ""
    ends_at: str = ""
    always: tuple[str, ...] = ()
    has_pairs: bool = False

    @property
    def scenario(self) -> Scenario:
        """Return what can be performed, and expects nothing."""
        return Scenario(
            self.name, self.summary, expected="", play=self._play_to_the_end, circumstances=self.circumstances
        )

    def _play_to_the_end(self, stage: Stage) -> None:
        self.play(stage)
        until_quiet(stage)


# -- waiting for what may never happen


def patiently(stage: Stage, condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> bool:
    """Wait for a condition, but no longer than so many simulated seconds; say whether it came true."""
    clock = stage.account.clock
    give_up_at = clock.seconds() + seconds
    stage.until(lambda: condition() or clock.seconds() >= give_up_at, "time stands still")
    return condition()


def until_quiet(stage: Stage) -> None:
    """Wait until nothing runs any more, and nothing has run while the watchdog has looked several times."""
    known = -1
    for _ in range(_MOST_LOOKS):
        stage.until_all_ended()
        if known == len(stage.steps):
            return
        known = len(stage.steps)
        stage.wait(_WATCHDOG_SECONDS)


def ended(stage: Stage, execution: Execution) -> bool:
    """Wait for an execution's end with a human's patience."""
    return patiently(stage, lambda: execution.ended)


def reached(stage: Stage, machine: str, state: str) -> Execution | None:
    """Wait until an execution of a machine, whoever started it, has entered a state; None if nobody ever does."""

    def found() -> Execution | None:
        return next((each for each in stage.of_machine(machine) if state in each.states), None)

    def is_hopeless() -> bool:
        known = stage.of_machine(machine)
        return bool(known) and all(each.ended for each in known)

    patiently(stage, lambda: found() is not None or is_hopeless())
    return found()


# -- what humans do


def approve_restores(stage: Stage) -> None:
    """Let somebody approve every restore of the database that asks for it, again and again until it goes on."""

    def notice(step: Step) -> None:
        if (step.machine, step.state) == (_RESTORE, _ASKED):
            execution = stage.executions[step.execution]
            stage.account.clock.thread(
                _approve, (stage, execution), name=f"approver of {step.execution}", daemon=True
            ).start()

    stage.on_step(notice)


def _approve(stage: Stage, restore: Execution) -> Answer | None:
    answer = None
    for _ in range(_MOST_ANSWERS):
        stage.account.clock.sleep(_THINKS_SECONDS)
        if restore.ended or restore.states[-1:] != [_ASKED]:
            return answer
        release_id = stage.record.item("restore").get("release_id")
        order = {"action": "approve", "release_id": release_id, "reason": "the loss is known and accepted"}
        answer = stage.post(stage.account.people.approver, "answer-by-url", order)
    return answer


def deploy(stage: Stage) -> Execution:
    """Release the new version, and wait for its end; an operator tries again when it is not even claimed."""
    execution = stage.start_deployment({"version": NEW_VERSION})
    ended(stage, execution)
    return execution


# -- the paths


def _deploy(stage: Stage) -> None:
    deploy(stage)


def _roll_back_by_hand(stage: Stage) -> None:
    deploy(stage)
    ended(stage, stage.start_rollback({}))


def _roll_back_by_alarm(stage: Stage) -> None:
    """Let the new version turn bad while it has all traffic and is still looked at."""
    stage.start_deployment({"version": NEW_VERSION})
    if reached(stage, "deploy", "Bake at 100 %"):
        turn_bad(stage, bad(failing_share=0.5))
    patiently(stage, lambda: any(each.ended for each in stage.of_machine("rollback")))


def _restore_database(stage: Stage) -> None:
    """Bring the database back while the release is live; whoever asks for it goes on with it when it has failed."""
    approve_restores(stage)
    deploy(stage)
    for _ in range(_MOST_STARTS):
        restore = stage.start(_RESTORE, {"reason": "receipts of today are garbled"})
        ended(stage, restore)
        stage.wait(_THINKS_SECONDS)
        if restore.status == "SUCCEEDED":
            return


def _roll_back_completely(stage: Stage) -> None:
    """Take the release back with its infrastructure, upon which the old version is released anew."""
    deploy(stage)
    stage.wait(_THINKS_SECONDS)
    rollback = stage.start_rollback({"infrastructure": True, "reason": "the port of the metrics is open"})
    ended(stage, rollback)
    patiently(stage, lambda: any(each.ended for each in stage.of_machine("deploy")[1:]), seconds=10 * _THINKS_SECONDS)


def _push(stage: Stage) -> None:
    stage.push(PUSHED, sender="kim")
    patiently(stage, lambda: any(each.ended for each in stage.of_machine("deploy")))
    stage.wait(_THINKS_SECONDS)


PATHS: Mapping[str, Path] = {
    each.name: each
    for each in (
        Path("deploy", "a version is released", _deploy),
        Path(
            "rollback-by-hand",
            "an operator takes a live release back",
            _roll_back_by_hand,
            begins_at=_CLAIMS,
            has_pairs=True,
        ),
        Path(
            "rollback-by-alarm",
            "a version turns bad under all traffic, and an alarm or the judge takes it back",
            _roll_back_by_alarm,
            begins_at="deploy.Bake_at_100_%",
        ),
        Path(
            "restore-database",
            "the database is brought back to before a release",
            _restore_database,
            circumstances=Circumstances(real_database=True),
            begins_at=f"{_RESTORE}.Plan_restore",
        ),
        Path(
            "complete-rollback",
            "a release is taken back with its infrastructure",
            _roll_back_completely,
            circumstances=Circumstances(commits={NEW_VERSION: GROWN}),
            begins_at=_CLAIMS,
        ),
        Path(
            "push",
            "a push to GitHub becomes a release",
            _push,
            environment=STAGING,
            ends_at="deploy.Claim_environment",
            always=("report-status", "reconcile", "check-release", "start-release", "push"),
        ),
    )
}


def alike(names: Iterable[str]) -> list[list[Path]]:
    """Group paths by the account that they need: environment and circumstances."""
    groups: list[list[Path]] = []
    for path in (PATHS[name] for name in names):
        for group in groups:
            if (group[0].environment, group[0].circumstances) == (path.environment, path.circumstances):
                group.append(path)
                break
        else:
            groups.append([path])
    return groups
