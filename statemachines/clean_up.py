"""The clean-up machine: once nobody can go back any more, the old color is scaled in."""

from dataclasses import dataclass

from aws_cdk import aws_stepfunctions as sfn

from lambdas.errors import LeaseLost
from lambdas.release.rules import CleanUp
from statemachines.steps import CLAIM, EXECUTION, FAILURE, INPUT, Steps, at, object_at, on_error


@dataclass(frozen=True)
class _Endings:
    """Where a clean-up ends that could not do its work."""

    lease_lost: sfn.IChainable
    not_claimed: sfn.IChainable
    handed_back: sfn.IChainable
    failed: sfn.IChainable


def clean_up_definition(steps: Steps) -> sfn.IChainable:
    """
    Wait for everybody, and take the way back only when nobody needs it.

    The way back is given up in the record before the first instance goes. Whoever holds the environment is waited for,
    so a rollback or the next release always goes first, and then there may be nothing left to clean up. What fails
    costs money, never traffic: a human is told, and can start this machine again.
    """
    endings = _endings(steps)
    claim = steps.task(
        "Claim clean-up",
        "release.claim_clean_up",
        "Decides from the record whether it is time, and if so takes the environment and gives the way back up. The"
        " input {} means: after whatever release is live now.",
        given={"input": INPUT, "execution": EXECUTION},
        returns=("action", "reason", "again_at", "lease", "release_id", "color"),
        into="claim",
        starts_anew=True,
    )
    on_error(claim, endings.not_claimed, result_path="$")
    wait = steps.wait_until(
        "Wait until it is time",
        "The old color is the way back still, or somebody works on the environment: look again then.",
        "$.claim.again_at",
    )
    question = steps.ask("Is it time to clean up?", "Follows the decision of the claim.")
    question.when(_decided(CleanUp.CLEAN), _scale_in(steps, endings))
    question.when(_decided(CleanUp.WAIT), wait)
    question.when(_decided(CleanUp.INVALID), steps.reject("$.claim.reason"))
    question.otherwise(
        steps.succeed("Nothing to clean up", "The old color is needed, or was scaled in already. Changed nothing.")
    )
    wait.next(claim)
    return claim.next(question)


def start_clean_up(steps: Steps, clean_up: sfn.IStateMachine, release_id: str) -> sfn.TaskStateBase:
    """Start the clean-up after a release, once: its execution is named after it."""
    return steps.start(
        "Start clean-up",
        "Starts the clean-up machine, which waits for the end of the rollback window and then scales the old color in.",
        clean_up,
        execution=sfn.JsonPath.format("clean-up-{}", release_id),
        given={"release_id": release_id},
    )


def _decided(action: CleanUp) -> sfn.Condition:
    return sfn.Condition.string_equals("$.claim.action", action.value)


def _scale_in(steps: Steps, endings: _Endings) -> sfn.IChainable:
    scale_in = steps.task(
        "Scale in old color",
        "fleet.scale_in_old_color",
        "Gives the old color the size that the idle color had before the release, if it receives no traffic, and lets"
        " its scheduled actions work again.",
        given={**CLAIM, "color": at("$.claim.color")},
        returns=("instances",),
        into="scaled",
    )
    release = _release(steps, "Release environment", "Gives the lease back. The next release may begin.")
    cleaned_up = steps.succeed("Cleaned up", "The old color is as small as an idle color is.")
    on_error(scale_in, endings.lease_lost, LeaseLost)
    on_error(scale_in, endings.handed_back)
    on_error(release, endings.lease_lost, LeaseLost)
    on_error(release, endings.failed)
    return scale_in.next(release).next(cleaned_up)


def _endings(steps: Steps) -> _Endings:
    lease_lost = steps.fail(
        "Lease lost",
        "Another execution has taken the environment over. Nothing is left to do here.",
        LeaseLost.__name__,
        cause="Another execution has taken the environment over.",
    )
    failed = steps.fail(
        "Clean-up failed",
        "The old color could not be scaled in, and a human was told. The cause says what failed. Once that is removed,"
        " the input {} tries again.",
        "CleanUpFailed",
        cause_path=sfn.JsonPath.format("{}: {}", at("$.failure.Error"), at("$.failure.Cause")),
    )
    tell = _tell(steps, "Tell about the failure", at("$.claim.release_id"))
    explain = steps.remember(
        "Explain why nothing was claimed",
        "The listener is not what the record says, or the record cannot be read. Nothing was scaled.",
        "failure",
        {"Error": at("$.Error"), "Cause": at("$.Cause")},
    )
    tell_unclaimed = _tell(steps, "Tell that nothing was claimed", "")
    release = _release(
        steps, "Hand environment back", "Gives the lease back, so that nobody has to wait for this clean-up."
    )
    on_error(release, lease_lost, LeaseLost)
    on_error(release, tell, result_path=sfn.JsonPath.DISCARD)
    on_error(tell, failed, result_path=sfn.JsonPath.DISCARD)
    on_error(tell_unclaimed, failed, result_path=sfn.JsonPath.DISCARD)
    explain.next(tell_unclaimed).next(failed)
    release.next(tell).next(failed)
    return _Endings(lease_lost=lease_lost, not_claimed=explain, handed_back=release, failed=tell)


def _release(steps: Steps, name: str, comment: str) -> sfn.TaskStateBase:
    """The release itself stays what it was, committed, whatever becomes of its clean-up."""
    return steps.release_environment(name, comment, CLAIM, "committed")


def _tell(steps: Steps, name: str, release_id: str) -> sfn.TaskStateBase:
    return steps.tell(name, "clean_up_failed", release_id, failure=object_at(FAILURE))
