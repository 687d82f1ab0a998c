"""The approval of a release: a human decides from what was found, while nobody is kept from anything."""

from aws_cdk import aws_stepfunctions as sfn

from lambdas.notices.rules import Kind
from lambdas.release.approval_rules import ApprovalStatus
from statemachines.steps import EXECUTION, FAILURE, NO_FAILURE, Given, Steps, at, object_at, on_error

RELEASE_NOT_APPROVED = "ReleaseNotApproved"
"""The error in which a deployment ends that a human did not let begin."""

_RELEASE_ID = at("$.request.release_id")
_REASON = "$.unapproved.reason"


def ask_for_approval(steps: Steps, minutes: int, then: sfn.IChainable, unasked: sfn.IChainable) -> sfn.IChainable:
    """
    Wait for a human's yes; `unasked` is where an emergency goes on that does without.

    The environment is not held meanwhile: what was found may have changed by the time of the answer, so that `then` has
    to look again.
    """
    ask = steps.ask_human(
        "Wait for approval",
        "gates.ask_release_approval",
        "Tells people what would be released, and waits for the order approve or reject, given to the operate machine"
        " or to the approval URL. The environment is not held meanwhile.",
        given={"data": object_at("$"), "execution": EXECUTION},
        into="approval",
        minutes=minutes,
    )
    end = _not_approved(steps)
    unrecorded = steps.fail(
        "Approval not recorded",
        "Nobody has approved the release, and that could not be written down. Nothing was changed.",
        RELEASE_NOT_APPROVED,
        cause="Nobody has approved the release, and that could not be written down. Nothing was changed.",
    )
    rejected = _record(steps, "Record rejection", ApprovalStatus.REJECTED)
    expired = _record(steps, "Record expiry", ApprovalStatus.EXPIRED)
    lost = _record(steps, "Record that nobody was asked", ApprovalStatus.LOST, object_at(FAILURE))
    tell = steps.tell("Tell about the missing approval", Kind.RELEASE_EXPIRED.value, _RELEASE_ID, reason=at(_REASON))
    for record in (rejected, expired, lost):
        on_error(record, unrecorded, result_path=sfn.JsonPath.DISCARD)
    on_error(tell, end, result_path=sfn.JsonPath.DISCARD)
    on_error(ask, expired, sfn.Errors.TIMEOUT)
    on_error(ask, lost)
    rejected.next(end)
    expired.next(tell)
    lost.next(tell)
    tell.next(end)
    approved = steps.ask("Is the release approved?", "Goes on only with a human's yes.")
    approved.when(sfn.Condition.boolean_equals("$.approval.approved", value=True), then).otherwise(rejected)
    ask.next(approved)
    wanted = steps.ask("Is an approval wanted?", "It is, unless an emergency goes without.")
    return wanted.when(sfn.Condition.boolean_equals("$.request.skips_approval", value=True), unasked).otherwise(ask)


def _record(steps: Steps, name: str, status: ApprovalStatus, failure: object = NO_FAILURE) -> sfn.TaskStateBase:
    given: Given = {"release_id": _RELEASE_ID, "status": status.value, "failure": failure}
    return steps.task(
        name,
        "gates.end_release_approval",
        "Writes down that this release does not begin. Nobody can answer it any more.",
        given=given,
        returns=("reason",),
        into="unapproved",
    )


def _not_approved(steps: Steps) -> sfn.Fail:
    return steps.fail(
        "Release not approved",
        "A human has rejected the release, or nobody has answered in time. The cause says which. Nothing was changed.",
        RELEASE_NOT_APPROVED,
        cause_path=_REASON,
    )
