"""Infrastructure that comes with a release, or must not, and that is taken back with it, or stays for a human."""

from collections.abc import Mapping

from rehearsal import fate
from rehearsal.circumstances import Circumstances
from rehearsal.report import Report
from rehearsal.scenarios.plays import release
from rehearsal.scenarios.promises import (
    Promise,
    all_traffic_on,
    because,
    executions_ended,
    green_is_as_it_was,
    human_was_paged,
    moved_only,
    no_failed_requests,
    nobody_was_disturbed,
    traffic_never_moved,
)
from rehearsal.scenarios.scenario import NEW_VERSION, OLD_VERSION, Scenario
from rehearsal.stage import Stage
from rehearsal.world.customer_infrastructure import BUCKET, LISTENER, QUEUE, SECURITY_GROUP
from rehearsal.world.terraform import Values

_A_WHILE = 120.0
_CUT_OFF_SECONDS = 5.0

_COMPUTE = "module.compute"
_CONNECTION_RIGHT = "codeconnections:GetConnectionToken"
_INGRESS = [{"from_port": port, "to_port": port, "protocol": "tcp"} for port in (8080, 9090)]
GROWN: Mapping[str, Values] = {
    SECURITY_GROUP: {"ingress": _INGRESS},
    QUEUE: {"name": "thumbnails"},
    BUCKET: {"force_destroy": True},
}
"""What the new version's commit has else: a change and something new in `module.compute`, and a change outside."""
_OTHER_POLICY = "ELBSecurityPolicy-TLS13-1-3-2021-06"
_LISTENS_OTHERWISE: Mapping[str, Values] = {LISTENER: {"ssl_policy": _OTHER_POLICY}}
"""Looks harmless; but who applies it sends all of the traffic to blue, as the configuration has it."""


# What is played


def _release_without_repository(stage: Stage) -> None:
    """Release after somebody has taken the right to the connection from the role that plans."""
    fate.take_right_of_builds(stage.account, "plan", _CONNECTION_RIGHT)
    release(stage)


def _take_all_back(stage: Stage) -> None:
    """Roll back with the infrastructure, and wait until the old version is released anew."""
    release(stage)
    stage.wait(_A_WHILE)
    stage.until_ended(stage.start_rollback({"infrastructure": True, "reason": "the port of the metrics is open"}))
    stage.until_ended(stage.until_started("deploy", 2))


def _ask_too_much(stage: Stage) -> None:
    """Roll back with the infrastructure after somebody has changed the listener, which would be taken back, too."""
    release(stage)
    stage.account.terraform.change_by_hand(LISTENER, ssl_policy=_OTHER_POLICY)
    stage.until_ended(stage.start_rollback({"infrastructure": True, "reason": "the queue costs too much"}))


def _take_back_later(stage: Stage) -> None:
    """Roll back quickly, find out what stayed, and take that back, too."""
    release(stage)
    stage.until_ended(stage.start_rollback({}))
    stage.wait(_A_WHILE)
    stage.until_ended(stage.start_rollback({"infrastructure": True, "reason": "the page has told it"}))


def _fail_half_way(stage: Stage) -> None:
    stage.account.terraform.fails_at.add(BUCKET)
    release(stage)
    stage.until_rollback_ended()


def _overtake(stage: Stage) -> None:
    """Let somebody apply something from his own machine, after the plan and before its apply."""
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(deployment, "Take snapshot")
    stage.account.terraform.change_by_hand(SECURITY_GROUP, description="by hand")
    stage.until_ended(deployment)
    stage.until_rollback_ended()


def _stop_while_applying(stage: Stage) -> None:
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until_entered(deployment, "Wait for infrastructure")
    stage.stop(deployment)
    stage.until_ended(deployment)
    stage.until_rollback_ended()


def _forget_the_apply(stage: Stage) -> None:
    """Let the function that begins to apply not get as far as writing down which build does it, and try again."""
    fate.cut_off_after(stage.account, "start-apply", "StartBuild", _CUT_OFF_SECONDS)
    release(stage)


def _die_before_it_is_known(stage: Stage) -> None:
    """Let the deployment die before anybody knows which build applies, which takes its time."""
    stage.account.terraform.change_seconds = _A_WHILE
    fate.cut_off_after(stage.account, "start-apply", "StartBuild", _A_WHILE)
    deployment = stage.start_deployment({"version": NEW_VERSION})
    stage.until(lambda: len(stage.account.builds.all()) > 1, "nothing was applied")
    stage.stop(deployment)
    stage.until_ended(deployment)
    stage.until_rollback_ended()


# What is promised


def _infrastructure_of(version: str, *targets: str) -> Promise:
    """Promise whose infrastructure is there in the end, all of it or what is in the targets."""

    def promise(report: Report) -> str:
        is_there = report.infrastructure.is_of(version, *targets)
        return "" if is_there else f"{' and '.join(targets) or 'the infrastructure'} is not that of {version}"

    return promise


def _built(*expected: str) -> Promise:
    """Promise what was planned and applied, in this order, and how each ended: "plan SUCCEEDED"."""

    def promise(report: Report) -> str:
        found = tuple(f"{each.work} {each.status}" for each in report.infrastructure.builds)
        return "" if found == expected else f"the builds were {found}"

    return promise


def _applied(*addresses: str) -> Promise:
    """Promise which resources were changed."""

    def promise(report: Report) -> str:
        found = tuple(each.address for each in report.infrastructure.applied)
        return "" if sorted(found) == sorted(addresses) else f"applied were {found}"

    return promise


def _nothing_was_begun(report: Report) -> str:
    """Promise that the release was refused before it held the environment."""
    states = [state for each in report.executions if each.machine == "deploy" for state in each.states]
    return "the release went on" if "Claim environment" in states else ""


def _page_says(*words: str) -> Promise:
    """Promise that one and the same page says all of that."""

    def promise(report: Report) -> str:
        is_said = any(all(word in page for word in words) for page in report.pages)
        return "" if is_said else f"no page says {words}"

    return promise


def _nothing_was_undone_under_it(report: Report) -> str:
    """Promise that the rollback waited for the apply, and only then let the environment go."""
    applies = [each for each in report.infrastructure.builds if each.work == "apply"]
    rollbacks = [each for each in report.executions if each.machine == "rollback"]
    waited = any("Wait for its end after abort" in each.states for each in rollbacks)
    ended = all(each.status == "SUCCEEDED" for each in applies)
    return "" if applies and waited and ended else "the rollback did not wait for the apply"


_ABORTED: tuple[Promise, ...] = (no_failed_requests, traffic_never_moved, green_is_as_it_was, human_was_paged)
_WAY_BACK = '"infrastructure": true'

SCENARIOS = (
    Scenario(
        "infrastructure-release",
        "A release that needs other infrastructure: planned, inspected, applied, and then released as any",
        expected="promoted",
        play=release,
        promises=(
            no_failed_requests,
            all_traffic_on("green", NEW_VERSION),
            nobody_was_disturbed,
            _infrastructure_of(NEW_VERSION),
            _built("plan SUCCEEDED", "apply SUCCEEDED"),
            _applied(SECURITY_GROUP, QUEUE, BUCKET),
        ),
        circumstances=Circumstances(commits={NEW_VERSION: GROWN}),
    ),
    Scenario(
        "plan-touches-listener",
        "Terraform would change the listener, and with it the traffic: refused before anything is begun",
        expected="refused",
        play=release,
        promises=(
            no_failed_requests,
            traffic_never_moved,
            green_is_as_it_was,
            moved_only(),
            _nothing_was_begun,
            because("PlanRefused"),
            _built("plan SUCCEEDED"),
            _applied(),
            _page_says(LISTENER),
        ),
        circumstances=Circumstances(commits={NEW_VERSION: {**GROWN, **_LISTENS_OTHERWISE}}),
    ),
    Scenario(
        "plan-fails",
        "The build that plans may not read the repository any more: refused before anything is begun, naming the right",
        expected="refused",
        play=_release_without_repository,
        promises=(
            no_failed_requests,
            traffic_never_moved,
            green_is_as_it_was,
            moved_only(),
            _nothing_was_begun,
            because("PlanFailed"),
            _built("plan FAILED"),
            _page_says("DOWNLOAD_SOURCE", _CONNECTION_RIGHT),
        ),
    ),
    Scenario(
        "complete-rollback",
        "A human takes a release back with its infrastructure: traffic first, then that, then the old version anew",
        expected="promoted",
        play=_take_all_back,
        promises=(
            no_failed_requests,
            all_traffic_on("green", OLD_VERSION),
            _infrastructure_of(OLD_VERSION, _COMPUTE),
            _built("plan SUCCEEDED", "apply SUCCEEDED", "plan SUCCEEDED", "apply SUCCEEDED"),
            _applied(SECURITY_GROUP, QUEUE, BUCKET, SECURITY_GROUP, QUEUE),
            executions_ended("deploy", "SUCCEEDED", "SUCCEEDED"),
            executions_ended("rollback", "SUCCEEDED"),
        ),
        circumstances=Circumstances(commits={NEW_VERSION: GROWN}),
    ),
    Scenario(
        "infrastructure-stays",
        "A human takes a release back with its infrastructure, which touches the listener: only the traffic is back",
        expected="rolled_back",
        play=_ask_too_much,
        promises=(
            no_failed_requests,
            all_traffic_on("blue", OLD_VERSION),
            _built("plan SUCCEEDED", "apply SUCCEEDED", "plan SUCCEEDED"),
            _applied(SECURITY_GROUP, QUEUE, BUCKET),
            executions_ended("deploy", "SUCCEEDED"),
            _page_says(LISTENER, _WAY_BACK),
            human_was_paged,
        ),
        circumstances=Circumstances(commits={NEW_VERSION: GROWN}),
    ),
    Scenario(
        "infrastructure-follows",
        "A release is rolled back without its infrastructure: a page says so, and a human takes that back later",
        expected="rolled_back",
        play=_take_back_later,
        promises=(
            no_failed_requests,
            all_traffic_on("blue", OLD_VERSION),
            _infrastructure_of(OLD_VERSION, _COMPUTE),
            _page_says(_WAY_BACK),
            executions_ended("rollback", "SUCCEEDED", "SUCCEEDED"),
        ),
        circumstances=Circumstances(commits={NEW_VERSION: GROWN}),
    ),
    Scenario(
        "apply-fails",
        "AWS refuses the last of three changes of the infrastructure: aborted, and a page says what is half done",
        expected="aborted",
        play=_fail_half_way,
        promises=(
            *_ABORTED,
            _built("plan SUCCEEDED", "apply FAILED"),
            _applied(SECURITY_GROUP, QUEUE),
            _page_says(_WAY_BACK),
        ),
        circumstances=Circumstances(commits={NEW_VERSION: GROWN}),
    ),
    Scenario(
        "plan-overtaken",
        "Somebody applies by hand what a plan does not know of: the plan is not applied any more",
        expected="aborted",
        play=_overtake,
        promises=(*_ABORTED, _built("plan SUCCEEDED", "apply FAILED"), _applied(), because("InfrastructureFailed")),
        circumstances=Circumstances(commits={NEW_VERSION: GROWN}),
    ),
    Scenario(
        "abort-during-apply",
        "A release is stopped while Terraform applies: nothing is undone before that ends, and a page says what is",
        expected="aborted",
        play=_stop_while_applying,
        promises=(
            *_ABORTED,
            _built("plan SUCCEEDED", "apply SUCCEEDED"),
            _infrastructure_of(NEW_VERSION),
            _nothing_was_undone_under_it,
            _page_says(_WAY_BACK),
        ),
        circumstances=Circumstances(commits={NEW_VERSION: GROWN}),
    ),
    Scenario(
        "apply-begun-twice",
        "The function that has begun to apply cannot write it down, and is tried again: nothing is applied twice",
        expected="promoted",
        play=_forget_the_apply,
        promises=(
            no_failed_requests,
            all_traffic_on("green", NEW_VERSION),
            _infrastructure_of(NEW_VERSION),
            _built("plan SUCCEEDED", "apply SUCCEEDED"),
        ),
        circumstances=Circumstances(commits={NEW_VERSION: GROWN}),
    ),
    Scenario(
        "apply-unrecorded",
        "A release dies when it has begun to apply and nobody has written that down: found, waited for, and paged",
        expected="aborted",
        play=_die_before_it_is_known,
        promises=(
            *_ABORTED,
            _built("plan SUCCEEDED", "apply SUCCEEDED"),
            _nothing_was_undone_under_it,
            _page_says(_WAY_BACK),
        ),
        circumstances=Circumstances(commits={NEW_VERSION: GROWN}),
    ),
)
