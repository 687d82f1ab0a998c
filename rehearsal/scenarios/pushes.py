"""
Pushes that become releases in staging, and all that must not: what nobody pushed, or too late, or twice.

A commit is named in full here: GitHub names it so, and so does the release.
"""

from dataclasses import replace

from rehearsal import fate
from rehearsal.circumstances import LATER_VERSIONS, Circumstances
from rehearsal.scenarios.plays import bad
from rehearsal.scenarios.promises import (
    all_traffic_on,
    answered_with,
    commented_once,
    executions_ended,
    github_says,
    no_failed_requests,
    nothing_waits_for_release,
    nothing_was_released,
    traffic_never_moved,
)
from rehearsal.scenarios.scenario import OLD_VERSION, Scenario
from rehearsal.stage import Execution, Stage
from rehearsal.world.github import FORMER_WEBHOOK_SECRET, WEBHOOK_SECRET, Webhook, signed
from rehearsal.world.github_repository import MAIN, full

STAGING = "staging"
PUSHED, LATER = (full(version) for version in LATER_VERSIONS)
STORM = tuple(full(f"c0ffee{number:02d}") for number in range(20))

_STORM_SECONDS = 10.0
_LOOK_SECONDS = 300.0
"""How often the shipped settings let the branch be looked at."""
_TWO_LOOKS = 2 * _LOOK_SECONDS + 60.0
_REPORTED_WITHIN_SECONDS = 180.0
_ANOTHER_DELIVERY = "01234567-89ab-cdef-0123-456789abcdef"
_TOO_LONG = 1024 * 1024


def _released(stage: Stage, count: int = 1) -> Execution:
    """Wait until so many releases have begun, whoever started them, and the last of them has ended."""
    return stage.until_ended(stage.until_started("deploy", count))


def _push(stage: Stage) -> None:
    stage.push(PUSHED, sender="kim")
    _released(stage)
    _until_told(stage, PUSHED)


def _until_told(stage: Stage, commit: str) -> None:
    """Wait until GitHub knows how the release of a commit has ended."""
    github, context = stage.account.github, f"runback/{stage.account.settings.environment}"

    def is_told() -> bool:
        status = github.repository.status_of(commit, context)
        return status is not None and status.state != "pending"

    stage.until(is_told, f"GitHub has never heard how the release of {commit} ended")


def _changed(webhook: Webhook, body: bytes | None = None, **headers: str | None) -> Webhook:
    """Return a webhook with another body, or other headers, under the signature that it had."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    kept = {name: value for name, value in {**webhook.headers, **given}.items() if value is not None}
    return replace(webhook, headers=kept, body=webhook.body if body is None else body)


def _forge(stage: Stage) -> None:
    """Nothing of this is what GitHub would send for a push to main, so main stays where it is."""
    github = stage.account.github
    push = github.push(PUSHED, moves=False)
    too_long = push.body + b" " * _TOO_LONG
    for forged in (
        _changed(push, X_Hub_Signature_256=None),
        _changed(push, X_Hub_Signature_256=signed("a guess", push.body)),
        _changed(push, X_Hub_Signature_256="sha256=é"),
        _changed(push, X_Hub_Signature_256=push.headers["X-Hub-Signature-256"].replace("sha256=", "sha1=")),
        _changed(push, push.body.replace(PUSHED.encode(), LATER.encode())),
        github.push(PUSHED, moves=False, secret=FORMER_WEBHOOK_SECRET),
        _changed(push, too_long, X_Hub_Signature_256=signed(WEBHOOK_SECRET, too_long)),
    ):
        stage.deliver(forged)
    for strange in (
        github.webhook("push", {"ref": MAIN, "after": PUSHED}),
        github.webhook("ping", {"zen": "Keep it logically awesome."}),
        github.push(PUSHED, moves=False, id=7, full_name="your-org/another"),
        github.push(PUSHED, "refs/heads/main2", moves=False),
        github.push(PUSHED, moves=False, deleted=True),
        github.push(PUSHED, "refs/tags/v1.0", moves=False),
    ):
        stage.deliver(strange)
    stage.wait(_TWO_LOOKS)


def _replay(stage: Stage) -> None:
    """Send a push again: as it was, under another id, when nobody remembers it; and what is on the bus, too."""
    first = stage.account.github.push(PUSHED)
    stage.deliver(first)
    _released(stage)
    stage.push(LATER)
    _released(stage, 2)
    stage.deliver(first)
    stage.deliver(_changed(first, X_GitHub_Delivery=_ANOTHER_DELIVERY))
    fate.forget_deliveries(stage.account)
    stage.deliver(first)
    fate.replay_pushes(stage.account)
    stage.wait(_TWO_LOOKS)


def _push_often(stage: Stage) -> None:
    for commit in STORM:
        stage.push(commit)
        stage.wait(_STORM_SECONDS / len(STORM))
    _released(stage, 2)
    stage.wait(_TWO_LOOKS)


def _push_old(stage: Stage) -> None:
    """Of two pushes the second is heard of first; then main is put back to the first by force."""
    late = stage.account.github.push(PUSHED)
    stage.push(LATER)
    _released(stage)
    stage.deliver(late)
    stage.push(PUSHED, forced=True)
    stage.wait(_TWO_LOOKS)


def _push_in_fork(stage: Stage) -> None:
    """Whoever owns a copy may push there, and propose what he likes."""
    github = stage.account.github
    stage.deliver(github.pull_request_of_fork(PUSHED))
    stage.deliver(github.push(PUSHED, moves=False, id=github.repository.number + 1, fork=True))
    stage.wait(_TWO_LOOKS)


def _push_while_github_is_away(stage: Stage) -> None:
    """It has told of the push, and is slow when that is judged; later it breaks, is gone, and asks to be left alone."""
    stage.push(PUSHED)
    _released(stage)
    github = stage.account.github
    github.become("slow")
    stage.push(LATER)
    deployment = stage.until_started("deploy", 2)
    github.become("fine")  # a release has gates that are GitHub's own: without it they are not passed
    stage.until_entered(deployment, "Wait for idle color")
    github.become("broken")
    stage.until_entered(deployment, "Bake at 100 %")
    github.become("down")
    stage.until_ended(deployment)
    stage.wait(_REPORTED_WITHIN_SECONDS)
    github.become("limited")
    stage.wait(_REPORTED_WITHIN_SECONDS)
    github.become("fine")
    _until_told(stage, LATER)


def _miss_a_webhook(stage: Stage) -> None:
    """The branch was looked at before; then it moves, and nobody is told."""
    stage.wait(_LOOK_SECONDS + 60.0)
    stage.account.github.push(PUSHED)
    _released(stage)
    stage.wait(_TWO_LOOKS)


def _push_bad(stage: Stage) -> None:
    """The branch stays at the bad commit, which is looked at again and again, and told of once more."""
    webhook = stage.account.github.push(PUSHED)
    stage.note_fault()
    stage.deliver(webhook)
    _released(stage)
    stage.until_rollback_ended()
    fate.replay_pushes(stage.account)
    stage.wait(2 * _TWO_LOOKS)


SCENARIOS = (
    Scenario(
        "push-to-staging",
        "A push to main is released in staging by nobody's hand, and GitHub hears that it is live",
        expected="promoted",
        environment=STAGING,
        play=_push,
        promises=(
            no_failed_requests,
            all_traffic_on("green", PUSHED),
            answered_with(202),
            executions_ended("deploy", "SUCCEEDED"),
            nothing_waits_for_release,
            github_says(STAGING, PUSHED, "success"),
        ),
    ),
    Scenario(
        "forged-webhook",
        "Whatever is not signed by GitHub, or is no push to this branch, starts nothing, and each is told why",
        expected="untouched",
        environment=STAGING,
        play=_forge,
        promises=(
            no_failed_requests,
            traffic_never_moved,
            nothing_was_released,
            answered_with(*[401] * 6, 413, 400, *[202] * 5),
        ),
    ),
    Scenario(
        "replayed-webhook",
        "A push that is delivered again, by whomever and however late, is released once",
        expected="promoted",
        environment=STAGING,
        play=_replay,
        promises=(
            no_failed_requests,
            all_traffic_on("blue", LATER),
            answered_with(202, 202, 200, 200, 202),
            executions_ended("deploy", "SUCCEEDED", "SUCCEEDED"),
            nothing_waits_for_release,
        ),
    ),
    Scenario(
        "push-storm",
        "Twenty pushes come in ten seconds: the first is released, and then the last; the others never are",
        expected="promoted",
        environment=STAGING,
        play=_push_often,
        promises=(
            no_failed_requests,
            all_traffic_on("blue", STORM[-1]),
            answered_with(*[202] * len(STORM)),
            executions_ended("deploy", "SUCCEEDED", "SUCCEEDED"),
            nothing_waits_for_release,
        ),
    ),
    Scenario(
        "old-push",
        "Pushes arrive in the wrong order, and main is put back by force: what is live is newer, and stays",
        expected="promoted",
        environment=STAGING,
        play=_push_old,
        promises=(
            no_failed_requests,
            all_traffic_on("green", LATER),
            answered_with(202, 202, 202),
            executions_ended("deploy", "SUCCEEDED"),
            nothing_waits_for_release,
        ),
    ),
    Scenario(
        "fork-pull-request",
        "Somebody proposes a commit of his own copy, and pushes to that copy: nothing of it is released",
        expected="untouched",
        environment=STAGING,
        play=_push_in_fork,
        promises=(no_failed_requests, traffic_never_moved, nothing_was_released, answered_with(202, 202)),
    ),
    Scenario(
        "github-down",
        "GitHub is slow, breaks and is gone while a release runs: the release is not held up, and told when it is back",
        expected="promoted",
        environment=STAGING,
        play=_push_while_github_is_away,
        promises=(
            no_failed_requests,
            all_traffic_on("blue", LATER),
            executions_ended("deploy", "SUCCEEDED", "SUCCEEDED"),
            nothing_waits_for_release,
            github_says(STAGING, PUSHED, "success"),
            github_says(STAGING, LATER, "success"),
        ),
    ),
    Scenario(
        "missed-webhook",
        "GitHub's webhook never arrives: the next look at the branch finds the push, and releases it",
        expected="promoted",
        environment=STAGING,
        play=_miss_a_webhook,
        promises=(
            no_failed_requests,
            all_traffic_on("green", PUSHED),
            answered_with(),
            executions_ended("deploy", "SUCCEEDED"),
            nothing_waits_for_release,
        ),
    ),
    Scenario(
        "bad-head",
        "The newest commit is bad and was rolled back: it stays the head of main, and is not released once more",
        expected="rolled_back",
        environment=STAGING,
        play=_push_bad,
        promises=(
            all_traffic_on("blue", OLD_VERSION),
            executions_ended("deploy", "FAILED"),
            nothing_waits_for_release,
            github_says(STAGING, PUSHED, "failure"),
            commented_once(PUSHED),
        ),
        circumstances=Circumstances(behaviours={PUSHED: bad(failing_share=0.5)}),
    ),
)
