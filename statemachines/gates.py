"""
The gates of a release: everything that has to be so before it begins, looked at without holding the environment.

Three functions look at the same time, each at gates of its kind. One that fails is a result, too: what nobody could
look at is decided as such, and never taken for passed.
"""

from dataclasses import dataclass

from aws_cdk import aws_stepfunctions as sfn

from lambdas.notices.rules import Kind
from statemachines.plan import ReleasePlan
from statemachines.steps import EXECUTION, FAILURE, NOW, STARTED, Given, Patience, Steps, at, object_at, on_error

GATES_FAILED = "GatesFailed"
"""The error in which a deployment ends that did not pass its gates."""

_GATES = Patience(seconds=30, attempts=2, first_pause_seconds=1)
"""All gates together are known within half a minute; what fails even then is looked at again by the machine."""

_ASKED: Given = {"version": at("$.request.version"), "release_id": at("$.request.release_id")}
_SKIPS: Given = {"emergency_skips": object_at("$.request.skip_gates")}
_RELEASE_ID = at("$.request.release_id")


@dataclass(frozen=True)
class _Round:
    """One of the times at which all gates are looked at; `again` is what tells the names of its states apart."""

    again: str = ""

    def named(self, name: str) -> str:
        """Return the name of a state in this round."""
        if not self.again:
            return name
        return f"{name.removesuffix('?')} {self.again}{'?' if name.endswith('?') else ''}"


class Gates:
    """The states of a machine's gates. A release that does not pass them ends in the same place in every round."""

    def __init__(self, steps: Steps, plan: ReleasePlan) -> None:
        self._steps = steps
        self._plan = plan
        self._refused = _refused(steps)
        self._undecided = _undecided(steps)

    def first(self, then: sfn.IChainable) -> sfn.IChainable:
        """Look at all gates, and tell what the release goes on in spite of."""
        return self._round(_Round(), then=self._told(then))

    def again(self, then: sfn.IChainable) -> sfn.IChainable:
        """Look at all gates once more, because a human has taken his time."""
        return self._round(_Round("after approval"), then=then)

    def _round(self, this: _Round, then: sfn.IChainable) -> sfn.IChainable:
        steps = self._steps
        begin = steps.remember(
            this.named("Come to the gates"), "Remembers since when the release waits.", "gates", {"since": NOW}
        )
        check = self._check(this)
        decide = steps.task(
            this.named("Decide gates"),
            "gates.decide_gates",
            "Decides from all results whether the release goes on, waits or is refused, and writes them into its"
            " request.",
            given={
                **_ASKED,
                **_SKIPS,
                "execution": EXECUTION,
                "asked_at": STARTED,
                "pushed_by": at("$.request.pushed_by"),
                "emergency": at("$.request.emergency"),
                "since": at("$.gates.since"),
                "looks": object_at("$.gates.looks"),
            },
            returns=("verdict", "reason", "again_at", "summary", "warnings"),
            into="gated",
        )
        wait = steps.wait_until(
            this.named("Wait for gates"),
            "Something is not finished yet, or the window is closed: looks again then. Nothing is held meanwhile.",
            "$.gated.again_at",
        )
        question = steps.ask(this.named("Are the gates passed?"), "Goes on only when every required gate lets it.")
        question.when(_is("go"), then)
        question.when(_is("wait"), wait)
        question.otherwise(self._refused)
        on_error(decide, self._undecided)
        wait.next(check)
        check.next(decide)
        decide.next(question)
        return begin.next(check)

    def _check(self, this: _Round) -> sfn.Parallel:
        """Whatever becomes of a branch is an answer of the whole, so that no gate hides another one."""
        applies = {"infrastructure": object_at("$.request.infrastructure") if self._plan.can_apply else False}
        return self._steps.at_once(
            this.named("Check gates"),
            "Looks at all gates at the same time. Changes nothing.",
            "gates.looks",
            [
                self._look(this, "Check commit", "gates.check_commit", applies),
                self._look(
                    this,
                    "Check foundations",
                    "gates.check_infrastructure",
                    {"despite_alarms": at("$.request.despite_alarms")},
                ),
                self._look(this, "Check operations", "gates.check_operations", {}),
            ],
        )

    def _look(self, this: _Round, name: str, module: str, more: Given) -> sfn.IChainable:
        comments = {
            "gates.check_commit": "Asks GitHub about the commit's checks, and looks whether it was built and validated"
            " elsewhere, and who reviews its plan.",
            "gates.check_infrastructure": "Looks at backup, alarms, certificates, records and distributions.",
            "gates.check_operations": "Looks at the change window, at maintenance, and whether anybody is told.",
        }
        task = self._steps.task(
            this.named(name),
            module,
            comments[module],
            given={**_ASKED, **_SKIPS, **more},
            returns=("results",),
            into="look",
            starts_anew=True,
            patience=_GATES,
        )
        unseen = self._steps.answer(
            f"{this.named(name)} failed",
            "Hands on why nobody could look at these gates. They are not taken for passed.",
            {"look": {"failure": {"Error": at("$.Error"), "Cause": at("$.Cause")}}},
        )
        on_error(task, unseen, result_path="$")
        return task

    def _told(self, then: sfn.IChainable) -> sfn.IChainable:
        """Nobody releases past a gate unseen."""
        steps = self._steps
        emergency = steps.tell(
            "Tell about the emergency",
            Kind.EMERGENCY.value,
            _RELEASE_ID,
            reason=sfn.JsonPath.format(
                "{} (started by {})\n\n{}", at("$.request.emergency"), EXECUTION, at("$.gated.summary")
            ),
            comment="Tells everybody that the release goes without some gates, and why.",
        )
        warn = steps.tell(
            "Tell about the warnings",
            Kind.GATES_WARNED.value,
            _RELEASE_ID,
            reason=at("$.gated.warnings"),
            comment="Tells which gates do not pass that settings only warn about.",
        )
        for tell in (emergency, warn):
            on_error(tell, then, result_path=sfn.JsonPath.DISCARD)
            tell.next(then)
        question = steps.ask("Is anybody to be told?", "Only of an emergency, or of what is not as it should be.")
        question.when(sfn.Condition.not_(sfn.Condition.string_equals("$.request.emergency", "")), emergency)
        question.when(sfn.Condition.not_(sfn.Condition.string_equals("$.gated.warnings", "")), warn)
        return question.otherwise(then)


def _is(verdict: str) -> sfn.Condition:
    return sfn.Condition.string_equals("$.gated.verdict", verdict)


def _refused(steps: Steps) -> sfn.IChainable:
    tell = steps.tell("Tell about the gates", Kind.GATES_FAILED.value, _RELEASE_ID, reason=at("$.gated.reason"))
    failed = steps.fail(
        "Gates failed",
        "The release does not pass its gates. The cause names each that it does not pass. Nothing was changed.",
        GATES_FAILED,
        cause_path="$.gated.reason",
    )
    on_error(tell, failed, result_path=sfn.JsonPath.DISCARD)
    return tell.next(failed)


def _undecided(steps: Steps) -> sfn.IChainable:
    tell = steps.tell("Tell that no gate is decided", Kind.GATES_FAILED.value, _RELEASE_ID, failure=object_at(FAILURE))
    failed = steps.fail(
        "Gates not decided",
        "The function that decides did not answer, or the record could not be written. Nothing was changed.",
        GATES_FAILED,
        cause_path=sfn.JsonPath.format("{}: {}", at("$.failure.Error"), at("$.failure.Cause")),
    )
    on_error(tell, failed, result_path=sfn.JsonPath.DISCARD)
    return tell.next(failed)
