"""
How a release brings its infrastructure, and how a rollback takes it back, where settings say where it is described.

A plan is made with rights to read, and inspected, before anything else may be changed. What is applied is that plan and
no other. Nothing is undone while somebody applies still.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import aws_stepfunctions as sfn

from lambdas.errors import LeaseLost
from lambdas.infrastructure.rules import Purpose
from statemachines.plan import CHECK_EVERY_SECONDS
from statemachines.steps import (
    ALREADY_STARTED,
    CLAIM,
    FAILURE,
    Given,
    Steps,
    at,
    object_at,
    on_error,
    under_lease,
)

_RELEASE = under_lease("$.request.release_id", "$.environment.lease")
_REQUEST: Given = {"release_id": at("$.request.release_id")}
_RELEASED: Given = {"version": at("$.request.version"), "purpose": Purpose.RELEASE.value}
_ROLLED_BACK: Given = {"version": at("$.claim.version"), "purpose": Purpose.ROLLBACK.value}
_LEFT = "unfinished"


@dataclass(frozen=True)
class _Words:
    """What the states of one plan, or of one apply, are called."""

    start: str
    wait: str
    check: str
    question: str


# Before anything is claimed


def plan_infrastructure(steps: Steps, release_id: str, then: sfn.IChainable) -> sfn.IChainable:
    """Plan what a release would change, and refuse what no release may: nobody waits for it, and nothing is changed."""
    refused = _refused(steps, release_id)
    words = _Words("Plan infrastructure", "Wait for plan", "Check plan", "Is the plan ready?")
    planned = _plan(steps, words, _REQUEST, _RELEASED, refused, None, then)
    question = steps.ask(
        "Does the release bring its infrastructure?", 'It does, unless its request says "infrastructure": false.'
    )
    brings = sfn.Condition.boolean_equals("$.request.infrastructure", value=True)
    return question.when(brings, planned).otherwise(then)


def _refused(steps: Steps, release_id: str) -> sfn.IChainable:
    tell = steps.tell("Tell about the plan", "plan_refused", release_id, failure=object_at(FAILURE))
    refused = steps.fail(
        "Plan refused",
        "There is no plan of the infrastructure, or one that would do what no release may. The cause names each"
        " resource. Nothing was changed.",
        "ReleaseRefused",
        cause_path=sfn.JsonPath.format("{}: {}", at("$.failure.Error"), at("$.failure.Cause")),
    )
    on_error(tell, refused, result_path=sfn.JsonPath.DISCARD)
    return tell.next(refused)


def _plan(
    steps: Steps,
    words: _Words,
    holder: Given,
    what: Given,
    failed: sfn.IChainable,
    lease_lost: sfn.IChainable | None,
    then: sfn.IChainable,
) -> sfn.IChainable:
    start = steps.task(
        words.start,
        "infrastructure.start_plan",
        "Has Terraform plan what this version changes, in CodeBuild, with rights to read.",
        given={**holder, **what},
        returns=("build_id", "ready_by"),
        into="plan",
    )
    wait = steps.wait(words.wait, "Terraform looks at what is there.", CHECK_EVERY_SECONDS)
    check = steps.task(
        words.check,
        "infrastructure.check_plan",
        "Looks whether the plan is there, and refuses one that touches what divides traffic, runs the versions or"
        " connects to the database, or that destroys what settings do not name.",
        given={
            **holder,
            "purpose": what["purpose"],
            "build_id": at("$.plan.build_id"),
            "ready_by": at("$.plan.ready_by"),
        },
        returns=("ready", "digest", "inspected", "summary", "changes"),
        into="planned",
    )
    for task in (start, check):
        if lease_lost:
            on_error(task, lease_lost, LeaseLost)
        on_error(task, failed)
    question = steps.ask(words.question, "Only a plan that was inspected is applied.")
    ready = sfn.Condition.boolean_equals("$.planned.ready", value=True)
    return start.next(steps.poll(wait, check, question, ready, then=then))


# Under the lease


def apply_infrastructure(
    steps: Steps, aborted: sfn.IChainable, lease_lost: sfn.IChainable, then: sfn.IChainable
) -> sfn.IChainable:
    """Apply what was planned, if it changes anything, before the new version is brought up."""
    words = _Words("Apply infrastructure", "Wait for infrastructure", "Check infrastructure", "Is it applied?")
    question = steps.ask("Is infrastructure to be changed?", "Goes on at once when the plan changes nothing.")
    apply = _apply(steps, words, _RELEASE, _RELEASED, aborted, lease_lost, then)
    return question.when(_changes(), apply).otherwise(then)


def _changes() -> sfn.Condition:
    """Say that there is a plan, and that it is not empty."""
    planned = sfn.Condition.is_present("$.planned.changes")
    return sfn.Condition.and_(planned, sfn.Condition.number_greater_than("$.planned.changes", 0))


def _apply(
    steps: Steps,
    words: _Words,
    holder: Given,
    what: Given,
    failed: sfn.IChainable,
    lease_lost: sfn.IChainable,
    then: sfn.IChainable,
) -> sfn.IChainable:
    start = steps.task(
        words.start,
        "infrastructure.start_apply",
        "Writes down what is about to be applied, and has Terraform apply exactly the plan that was inspected.",
        given={
            **holder,
            **what,
            "digest": at("$.planned.digest"),
            "inspected": at("$.planned.inspected"),
            "summary": at("$.planned.summary"),
        },
        returns=("build_id", "ready_by"),
        into="apply",
    )
    wait = steps.wait(words.wait, "Terraform changes what it has planned.", CHECK_EVERY_SECONDS)
    check = steps.task(
        words.check,
        "infrastructure.check_apply",
        "Looks whether Terraform is done. Fails when it failed, which may leave a part applied, or when time is up.",
        given={
            **holder,
            "purpose": what["purpose"],
            "build_id": at("$.apply.build_id"),
            "ready_by": at("$.apply.ready_by"),
        },
        returns=("ready",),
        into="applied",
    )
    for task in (start, check):
        on_error(task, lease_lost, LeaseLost)
        on_error(task, failed)
    question = steps.ask(words.question, "The new version may need what it adds.")
    ready = sfn.Condition.boolean_equals("$.applied.ready", value=True)
    return start.next(steps.poll(wait, check, question, ready, then=then))


# After a release was given up


def await_apply(
    steps: Steps,
    holder: Given,
    lease_lost: sfn.IChainable,
    failed: sfn.IChainable,
    then: sfn.IChainable,
    when: str = "",
) -> sfn.IChainable:
    """Undo nothing while Terraform applies something for the release; `when` tells this wait from another one."""
    look = steps.task(
        f"Look at applies{when}",
        "infrastructure.check_unfinished_apply",
        "Looks whether Terraform applies something still, and what it has left. It is not stopped: half of an apply is"
        " worse than all of it.",
        given=holder,
        returns=("over", "changed", "reason"),
        into=_LEFT,
    )
    wait = steps.wait(f"Wait for its end{when}", "Terraform is not stopped.", CHECK_EVERY_SECONDS)
    question = steps.ask(f"Is nothing applied any more{when}?", "Nothing is undone while something is applied.")
    over = sfn.Condition.boolean_equals(f"$.{_LEFT}.over", value=True)
    on_error(look, lease_lost, LeaseLost)
    on_error(look, failed)
    return steps.repeat(wait, look, question, over, yes=then, no=wait)


def page_infrastructure(steps: Steps, release_id: str, then: sfn.IChainable, when: str = "") -> sfn.IChainable:
    """Page with the way back, if a release that is gone has left its infrastructure."""
    page = steps.tell(
        f"Page about the infrastructure{when}",
        "infrastructure_changed",
        release_id,
        reason=at(f"$.{_LEFT}.reason"),
        comment="Tells the people on call what the release has left changed, and how to take it back.",
    )
    on_error(page, then, result_path=sfn.JsonPath.DISCARD)
    page.next(then)
    question = steps.ask(f"Was infrastructure changed{when}?", "Runback takes it back only when a human asks for it.")
    return question.when(_is(f"$.{_LEFT}.changed"), page).otherwise(then)


def _is(path: str) -> sfn.Condition:
    """Say that something is there, and true."""
    return sfn.Condition.and_(sfn.Condition.is_present(path), sfn.Condition.boolean_equals(path, value=True))


# In the rollback machine


def roll_infrastructure_back(
    steps: Steps, lease_lost: sfn.IChainable, back: sfn.IChainable, failed: sfn.IChainable
) -> sfn.IChainable:
    """Bring the infrastructure back to the version that serves, as far as settings say. Traffic is not touched."""
    applied = _apply(
        steps,
        _Words(
            "Apply old infrastructure",
            "Wait for old infrastructure",
            "Check old infrastructure",
            "Is the old infrastructure back?",
        ),
        CLAIM,
        _ROLLED_BACK,
        failed,
        lease_lost,
        back,
    )
    question = steps.ask("Is there anything to take back?", "Goes on at once when the plan changes nothing.")
    question.when(_changes(), applied).otherwise(back)
    words = _Words(
        "Plan old infrastructure", "Wait for old plan", "Check old plan", "Is the plan of the old infrastructure ready?"
    )
    return _plan(steps, words, CLAIM, _ROLLED_BACK, failed, lease_lost, question)


def release_again(
    steps: Steps, deploy: sfn.IStateMachine, skips: Sequence[str], then: sfn.IChainable
) -> sfn.IChainable:
    """
    Have the deploy machine release the previous version anew, on the infrastructure that is its own again.

    It serves already: neither a gate nor an approval has to let it pass once more (`skips`).
    """
    reason = sfn.JsonPath.format(
        "The infrastructure of release {} was taken back. The version that serves is released anew on its own.",
        at("$.claim.release_id"),
    )
    without: Given = {"emergency": reason, "skip_gates": list(skips)} if skips else {}
    start = steps.start(
        "Start release of old version",
        "Starts the deploy machine with the version that serves again. It leaves the infrastructure alone.",
        deploy,
        execution=sfn.JsonPath.format("after-rollback-{}", at("$.claim.release_id")),
        given={"version": at("$.claim.version"), "infrastructure": False, **without},
    )
    tell = steps.tell(
        "Tell that nothing is released",
        "not_released_again",
        at("$.claim.release_id"),
        failure=object_at(FAILURE),
    )
    on_error(start, then, ALREADY_STARTED, result_path=sfn.JsonPath.DISCARD)
    on_error(start, tell)
    on_error(tell, then, result_path=sfn.JsonPath.DISCARD)
    start.next(then)
    tell.next(then)
    return start
