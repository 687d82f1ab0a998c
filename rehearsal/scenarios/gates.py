"""Releases that come to their gates: from staging to production, too early, in an emergency, unseen, and unwanted."""

from rehearsal.report import Report
from rehearsal.scenarios.promises import (
    all_traffic_on,
    because,
    executions_ended,
    github_says,
    moved_only,
    no_failed_requests,
    traffic_never_moved,
)
from rehearsal.scenarios.pushes import PUSHED
from rehearsal.scenarios.scenario import NEW_VERSION, Scenario
from rehearsal.stage import Execution, Stage

PRODUCTION, STAGING = "production", "staging"

_CLOSED_SECONDS = 1800.0
_FROZEN_SECONDS = 7 * 24 * 3600.0
_REASON = "Log-ins fail for everybody, and this is the correction"
_APPROVAL, _ASKED_AGAIN = "Wait for approval", "Check gates after approval"


def _push(stage: Stage) -> None:
    """Nobody does anything but to push and, once staging has validated the commit, to approve."""
    staging = stage.beside[STAGING]
    stage.push(PUSHED, sender="kim")
    staging.until_ended(staging.until_started("deploy"))
    stage.until_ended(stage.until_started("deploy"))
    for each in (staging, stage):
        _until_told(each)


def _until_told(stage: Stage) -> None:
    """Wait until GitHub knows how the environment's release has ended."""
    repository, context = stage.account.github.repository, f"runback/{stage.account.settings.environment}"

    def is_told() -> bool:
        status = repository.status_of(PUSHED, context)
        return status is not None and status.state != "pending"

    stage.until(is_told, f"GitHub has never heard how {context} ended")


def _come_too_early(stage: Stage) -> None:
    """The calendar is closed for half an hour."""
    stage.account.surroundings.calendars.close(_CLOSED_SECONDS)
    stage.until_ended(stage.start_deployment({"version": NEW_VERSION}))


def _be_in_a_hurry(stage: Stage) -> None:
    """All changes are frozen, and nobody is there to approve this one."""
    stage.approves = False
    stage.account.surroundings.calendars.close(_FROZEN_SECONDS)
    stage.until_ended(
        stage.start_deployment(
            {"version": NEW_VERSION, "emergency": _REASON, "skip_gates": ["change_window", "approval"]}
        )
    )


def _see_nothing(stage: Stage) -> None:
    """Systems Manager does not say whether the calendar is open."""
    stage.account.surroundings.calendars.fall_silent()
    stage.until_ended(stage.start_deployment({"version": NEW_VERSION}))


def _reject(stage: Stage) -> None:
    """The one who was asked says no; nothing is held meanwhile."""
    stage.approves = False
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(deployment, _APPROVAL)
    _until_asked(stage, deployment)
    stage.answers.append(stage.answer_release(deployment, "reject"))
    stage.until_ended(deployment)


def _until_asked(stage: Stage, deployment: Execution) -> None:
    stage.until(lambda: "task_token" in stage.record.request(deployment.arn), "nobody is asked for an approval")


def _staging_was_first(report: Report) -> str:
    """Promise that the environment before has released the same commit, by itself and well."""
    found = [
        (each.environment, each.outcome, each.versions["green"])
        for each in report.beside
        if [step.status for step in each.executions if step.machine == "deploy"] == ["SUCCEEDED"]
    ]
    return "" if found == [(STAGING, "promoted", PUSHED)] else f"the environments before have released {found}"


def _was_asked_again_after_approval(report: Report) -> str:
    """Promise that nothing went on with what the gates had said before a human took his time."""
    states = [state for each in report.executions if each.machine == "deploy" for state in each.states]
    wanted = [_APPROVAL, _ASKED_AGAIN, "Claim environment"]
    places = [states.index(each) for each in wanted if each in states]
    return "" if len(places) == len(wanted) and places == sorted(places) else f"the deployment went through {states}"


def _nothing_moved_while_closed(report: Report) -> str:
    """Promise that no traffic moved before the calendar opened."""
    early = [move for move in report.moves if move.at_seconds < _CLOSED_SECONDS]
    return f"traffic moved while the calendar was closed: {early}" if early else ""


def _waited_at_the_gates(report: Report) -> str:
    """Promise that the release waited, instead of being refused."""
    states = [state for each in report.executions if each.machine == "deploy" for state in each.states]
    return "" if "Wait for gates" in states else "the release has not waited at its gates"


def _everybody_heard_why(report: Report) -> str:
    """Promise that people were told of the emergency, with its reason."""
    told = [page for page in report.pages if _REASON in page]
    return "" if told else "nobody was told why the gates were skipped"


def _was_told_what_was_not_seen(report: Report) -> str:
    """Promise that the message names the gate that could not be looked at."""
    told = [page for page in report.pages if "change_window (required): error" in page]
    return "" if told else "no message says which gate could not be looked at"


def _environment_was_never_held(report: Report) -> str:
    """Promise that nobody was kept from anything meanwhile."""
    claims = [state for each in report.executions for state in each.states if state == "Claim environment"]
    return "the environment was claimed" if claims else ""


SCENARIOS = (
    Scenario(
        "push-to-production",
        "A push is released in staging, and from there in production, through its gates and after one approval",
        expected="promoted",
        beside=STAGING,
        play=_push,
        promises=(
            no_failed_requests,
            all_traffic_on("green", PUSHED),
            executions_ended("deploy", "SUCCEEDED"),
            moved_only(10, 50, 100),
            _staging_was_first,
            _was_asked_again_after_approval,
            github_says(STAGING, PUSHED, "success"),
            github_says(PRODUCTION, PUSHED, "success"),
        ),
    ),
    Scenario(
        "window-closed",
        "A release comes while the change calendar is closed: it waits, holds nothing, and begins when that opens",
        expected="promoted",
        play=_come_too_early,
        promises=(
            no_failed_requests,
            all_traffic_on("green", NEW_VERSION),
            moved_only(10, 50, 100),
            _waited_at_the_gates,
            _nothing_moved_while_closed,
        ),
    ),
    Scenario(
        "emergency",
        "All changes are frozen, but this one cannot wait: it names the gates it goes without, and everybody hears why",
        expected="promoted",
        play=_be_in_a_hurry,
        promises=(
            no_failed_requests,
            all_traffic_on("green", NEW_VERSION),
            moved_only(10, 50, 100),
            _everybody_heard_why,
        ),
    ),
    Scenario(
        "gate-error",
        "Nobody can say whether the change calendar is open: that is no yes, so the release is refused",
        expected="refused",
        play=_see_nothing,
        promises=(
            no_failed_requests,
            traffic_never_moved,
            because("The release does not pass its gates"),
            _was_told_what_was_not_seen,
            _environment_was_never_held,
        ),
    ),
    Scenario(
        "approval-rejected",
        "The approver says no: the release ends as aborted, and nothing was changed or held",
        expected="aborted",
        play=_reject,
        promises=(no_failed_requests, traffic_never_moved, _environment_was_never_held),
    ),
)
