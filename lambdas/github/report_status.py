"""Tell GitHub where releases stand: nobody waits for this, and nothing fails for it."""

from dataclasses import dataclass, replace
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.checks.secrets import Secrets
from lambdas.clients import client
from lambdas.errors import AwsCallFailed, GitHubRefused, GitHubUnavailable
from lambdas.github.execution_states import ExecutionStates
from lambdas.github.github_api import GitHub, github_of
from lambdas.github.github_rules import AfterRollback, GitHubSettings
from lambdas.github.push_rules import Execution
from lambdas.github.report_rules import (
    GIVEN_UP_SECONDS,
    After,
    Facts,
    Reported,
    Seen,
    Standing,
    comment_of,
    console_url,
    marker_of,
    merged_with,
    revert_of,
    seen_in,
    standing_of,
    wants_after,
)
from lambdas.github.reports import GitHubReports
from lambdas.observability import logger, step
from lambdas.release.record import ReleaseRecord
from lambdas.release.release_approvals import ReleaseApprovals
from lambdas.release.report_rules import ReportPlace
from lambdas.release.requests import Requests
from lambdas.release.rules import EnvironmentRecord, Work, later, seconds_since

_MOST_RELEASES = 5
"""So many releases are told of in one go: each takes some requests of three seconds at most."""
_COMMIT_DIGITS = 40


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    github: GitHubSettings
    is_production: bool
    reports: ReportPlace


settings = Settings(
    environ["ENVIRONMENT"],
    environ["RECORD_TABLE"],
    GitHubSettings.from_json(environ["GITHUB"]),
    environ["ENVIRONMENT"] == "production",
    ReportPlace.from_json(environ["REPORTS"]),
)
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)
requests, approvals, reports = Requests(record), ReleaseApprovals(record), GitHubReports(record)
states = ExecutionStates(client("stepfunctions"))
github: GitHub = github_of(settings.github, Secrets(client("secretsmanager")))


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Read an event of EventBridge: its time, and of which release it tells if it is an execution's status change.

    Return {"told": releases, "problems": texts}.
    """
    return report_status(seen_in(event), event["time"])


def report_status(seen: Seen | None, now: str) -> dict[str, Any]:
    """
    Compare where each release stands that GitHub was not told the end of with what it was told, and make up for it.

    Safe to repeat: what was told is not told again, and of a rollback the comment or the pull request is made once.
    When GitHub does not answer, the next look tries again.
    """
    index = reports.open()
    if index.quiet_until and seconds_since(index.quiet_until, now) < 0:
        if seen and reports.of(seen.release_id) is None:
            reports.keep(Reported(seen.release_id, seen.version, now, seen.execution))
        return {"told": [], "problems": [f"GitHub wants to be left alone until {index.quiet_until}."]}
    found = record.read()
    told, problems = [], []
    wanted = _open(index.releases, found, seen, now)[-_MOST_RELEASES:]
    newest = {reported.version: reported.release_id for reported in wanted}
    for reported in wanted:
        try:
            is_newest = newest[reported.version] == reported.release_id
            problem = _report(reported, found, now, is_newest=is_newest)
        except GitHubUnavailable as error:
            reports.be_quiet(later(now, error.retry_after))
            problems.append(str(error))
            break
        if problem:
            problems.append(problem)
        else:
            told.append(reported.release_id)
    for problem in problems:
        logger.warning(problem)
    return {"told": told, "problems": problems}


def _open(releases: frozenset[str], found: EnvironmentRecord, seen: Seen | None, now: str) -> list[Reported]:
    """Return what was told of each release that may have more to tell, the one that was asked for last at the end."""
    known = {release_id: reports.of(release_id) for release_id in releases}
    at_work = found.work.release_id if _is_of_today(found.work, now) else None
    fresh = {each for each in (at_work, found.live.release_id if found.live else None) if each}
    known |= {release_id: reports.of(release_id) for release_id in fresh - set(known)}
    if seen:
        known[seen.release_id] = known.get(seen.release_id) or reports.of(seen.release_id)
    begun = [each or _begin(release_id, seen, now) for release_id, each in known.items()]
    held = found.work.release_id if found.work.holder else ""
    return sorted(
        (each for each in begun if each.version and (not each.is_over or each.release_id == held)),
        key=lambda each: each.since,
    )


def _is_of_today(work: Work, now: str) -> bool:
    """Say whether its end may not be told yet: nobody wants to hear of what ended before GitHub was told anything."""
    return work.holder is not None or (
        work.progress_at is not None and seconds_since(work.progress_at, now) < GIVEN_UP_SECONDS
    )


def _begin(release_id: str, seen: Seen | None, now: str) -> Reported:
    """Read what a release is that nobody has told GitHub of; one without a version has been none."""
    if seen and seen.release_id == release_id:
        return Reported(release_id, seen.version, now, seen.execution)
    history = record.release(release_id)
    return Reported(release_id, str(history.get("version", "")), now, str(history.get("execution", "")))


def _report(reported: Reported, found: EnvironmentRecord, now: str, *, is_newest: bool) -> str:
    """Tell what is new of one release; return what GitHub will not be told, or "". Raises GitHubUnavailable."""
    standing = standing_of(_facts(reported, found, now))
    if not is_newest:  # a later release of the same commit speaks for it
        reported = replace(reported, commit=reported.commit or reported.version, status=standing.of_commit)
    after, problem = reported, ""
    try:
        for tell in (_tell_commit, _tell_deployment, _begin_to_follow, _follow):
            try:
                if tell is not _follow or after.after_at != reported.after_at:
                    after = tell(after, standing, now)
            except (GitHubRefused, AwsCallFailed) as error:
                problem = problem or str(error)
    except GitHubUnavailable as error:
        reports.keep(after.tried(str(error), now))
        raise
    after = after.tried(problem, now)
    is_over = after.is_given_up(now) or (standing.is_over and _is_told(after, standing))
    after = replace(after, is_over=is_over)
    if after != reported or reported.since == now:
        reports.keep(after)
    return problem


def _facts(reported: Reported, found: EnvironmentRecord, now: str) -> Facts:
    request = requests.of(reported.release_id)
    history = record.release(reported.release_id)
    execution = reported.execution or str(history.get("execution", "")) or (request.execution if request else "")
    return Facts(
        reported.release_id,
        found,
        history,
        request,
        approvals.of(reported.release_id),
        Execution("") if history.get("outcome") else states.of(execution),
        now,
    )


def _is_told(reported: Reported, standing: Standing) -> bool:
    """Say whether there is nothing left to tell, nor to do."""
    follows = bool(standing.rolled_back) and settings.github.after_rollback is not AfterRollback.NOTHING
    is_same = (reported.status, reported.deployment_status) == (standing.of_commit, standing.of_deployment)
    return is_same and (not follows or reported.after is After.DONE)


def _tell_commit(reported: Reported, standing: Standing, now: str) -> Reported:  # noqa: ARG001
    if reported.status == standing.of_commit:
        return reported
    after = reported if reported.commit else replace(reported, commit=_whole(reported.version))
    context = f"runback/{settings.environment}"
    github.set_status(after.commit, context, standing.commit, standing.description, _link(after, standing))
    return replace(after, status=standing.of_commit)


def _whole(version: str) -> str:
    """Return the whole commit: a human may have released it by its beginning, which GitHub takes no status for."""
    return version if len(version) == _COMMIT_DIGITS else github.head(version)


def _link(reported: Reported, standing: Standing) -> str:
    """Link the execution while it runs, and the report once it can be there."""
    if standing.is_over:
        return settings.reports.link(reported.release_id)
    return console_url(reported.execution) or settings.reports.link(reported.release_id)


def _tell_deployment(reported: Reported, standing: Standing, now: str) -> Reported:  # noqa: ARG001
    if reported.deployment_status == standing.of_deployment or not reported.commit:
        return reported
    after = reported if reported.deployment else replace(reported, deployment=_deployment(reported))
    github.set_deployment_status(after.deployment, standing.deployment, standing.description, _link(after, standing))
    return replace(after, deployment_status=standing.of_deployment)


def _deployment(reported: Reported) -> int:
    """Find or make it: an earlier attempt may have made it, and not lived to write that down."""
    place = (reported.commit, settings.environment, reported.release_id)
    found = github.deployment_of(*place)
    return github.create_deployment(*place, production=settings.is_production) if found is None else found


def _begin_to_follow(reported: Reported, standing: Standing, now: str) -> Reported:
    """Leave a trace first: whoever is stopped in the middle does nothing twice."""
    if not reported.commit or not wants_after(reported, standing, settings.github.after_rollback, now):
        return reported
    return reports.begin_after(reported, now) or reported


def _follow(reported: Reported, standing: Standing, now: str) -> Reported:  # noqa: ARG001
    """Do what settings want after a rollback: only who has just left the trace does."""
    is_first = reported.after is After.BEGUN
    url = _revert(reported, standing) if is_first and settings.github.after_rollback is AfterRollback.REVERT else ""
    if not url:
        _comment(reported, standing, is_first=is_first)
    return replace(reported, after=After.DONE, after_url=url)


def _revert(reported: Reported, standing: Standing) -> str:
    """Return the URL of the pull request; "" where there is nothing to revert, or GitHub will not."""
    try:
        pull_request = merged_with(reported.commit, github.pull_requests(reported.commit))
        if pull_request is None:
            return ""
        title, body = revert_of(reported, standing, settings.environment, pull_request)
        return github.revert(pull_request.node_id, title, body)
    except GitHubRefused as error:
        logger.warning(str(error))
        return ""


def _comment(reported: Reported, standing: Standing, *, is_first: bool) -> None:
    """Comment, unless an attempt before this one did: nobody knows how far that came."""
    marker = marker_of(reported.release_id, settings.environment)
    if not is_first and any(marker in each for each in github.comments(reported.commit)):
        return
    report = settings.reports.link(reported.release_id)
    github.comment(reported.commit, comment_of(reported, standing, settings.environment, report))
