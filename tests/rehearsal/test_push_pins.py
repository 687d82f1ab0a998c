"""
What a rehearsal of pushes could pretend, and the proof that it does not.

Each test takes something away without which no push may become a release, and looks whether the rehearsal notices. In
virtual time, on staging as shipped, but for what a test changes.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from rehearsal.permissions import judge_for
from rehearsal.scenarios.pushes import LATER, PUSHED
from rehearsal.settings import Settings
from rehearsal.world.github import FORMER_WEBHOOK_SECRET
from tests.rehearsal.assemblies import (
    changed_assembly,
    without_push_rule,
    without_reconciler,
    without_right_to_put_events,
)
from tests.rehearsal.conftest import Quiet, quiet_account

pytestmark = pytest.mark.rehearsed

SETTINGS = Settings.read("staging")
LOOK_SECONDS = 300
QUARTER_OF_AN_HOUR = 900
CANARY = "canary-of-the-payload-x7Kq"


def test_without_the_rule_a_push_waits_for_the_next_look(assembly: Path, tmp_path: Path) -> None:
    """Rule and look are independent: each is enough, and neither is the rehearsal itself."""
    changed = changed_assembly(assembly, tmp_path / "cdk.out", SETTINGS.stack_name, without_push_rule)
    with quiet_account(changed, tmp_path) as quiet:
        stage = quiet.stage
        stage.wait(LOOK_SECONDS + 60)
        assert stage.push(PUSHED).status == 202
        pushed_at = stage.account.clock.seconds()
        deployment = stage.until_started("deploy")
        waited = stage.account.clock.seconds() - pushed_at
        stage.until_all_ended()

        assert waited <= LOOK_SECONDS
        assert [":reconcile-" in each.arn for each in stage.of_machine("push")] == [True]
        assert PUSHED in deployment.arn


def test_without_rule_and_look_no_push_is_released(assembly: Path, tmp_path: Path) -> None:
    changed = changed_assembly(
        assembly, tmp_path / "cdk.out", SETTINGS.stack_name, without_push_rule, without_reconciler
    )
    with quiet_account(changed, tmp_path) as quiet:
        assert quiet.stage.push(PUSHED).status == 202
        quiet.stage.wait(QUARTER_OF_AN_HOUR)

        assert quiet.stage.executions == {}


def test_github_s_signature_is_compared_with_the_secret_of_the_account(quiet: Quiet) -> None:
    stage = quiet.stage
    assert SETTINGS.ingress is not None
    secrets = stage.account.client("secretsmanager")
    stage.deliver(stage.account.github.push(PUSHED))
    secrets.put_secret_value(SecretId=SETTINGS.ingress.secret_arns[0], SecretString=FORMER_WEBHOOK_SECRET)
    stage.wait(120)  # longer than a secret is kept
    stage.deliver(stage.account.github.push(LATER))
    stage.deliver(stage.account.github.push(LATER, secret=FORMER_WEBHOOK_SECRET))

    stage.until_all_ended()

    assert [each.status for each in stage.answers] == [202, 401, 202]


def test_a_right_that_is_missing_to_put_pushes_is_found(assembly: Path, tmp_path: Path) -> None:
    """The emulator lets everybody put events: what the role may not do is found by its policy."""
    assert SETTINGS.ingress is not None
    name = SETTINGS.ingress.stack_name
    changed = changed_assembly(assembly, tmp_path / "cdk.out", name, without_right_to_put_events)
    with quiet_account(changed, tmp_path) as quiet:
        judge = judge_for(quiet.stage.account)
        quiet.stage.push(PUSHED)
        quiet.stage.until_all_ended()

        denied = judge.of(list(quiet.stage.account.calls.log)).denied

    assert len(denied) == 1
    assert "needs events:PutEvents on arn:aws:events:eu-west-1:111122223333:event-bus/receipt-vault-github" in denied[0]


def test_github_that_is_down_is_really_not_reached(quiet: Quiet) -> None:
    """What nobody can ask about is told, and nothing is released because of it."""
    stage = quiet.stage
    stage.account.github.become("down")
    asked = len(stage.account.github.asked)
    stage.wait(LOOK_SECONDS + 60)
    log = stage.account.functions.logs(stage.account.stack.function("reconcile"))

    assert "GitHub does not say what refs/heads/main points at" in log
    assert len(stage.account.github.asked) == asked
    assert stage.of_machine("push") == []
    stage.account.github.become("fine")
    stage.wait(LOOK_SECONDS + 60)
    assert len(stage.account.github.asked) > asked


def test_the_log_says_why_a_webhook_is_refused_and_repeats_nothing_of_it(quiet: Quiet) -> None:
    """Whoever can write into the log can lead its reader astray."""
    stage = quiet.stage
    push = stage.account.github.push(PUSHED, moves=False)
    headers = {**push.headers, "X-Hub-Signature-256": f"sha256={CANARY}", "X-GitHub-Event": CANARY}
    stage.deliver(replace(push, headers=headers, body=push.body.replace(b"README.md", CANARY.encode())))
    stage.deliver(stage.account.github.push(PUSHED, CANARY, moves=False))
    assert stage.account.ingress is not None
    log = stage.account.functions.logs(stage.account.ingress.function("receive-webhook"))

    assert [each.status for each in stage.answers] == [401, 400]
    assert all(each.body["reason"] in log for each in stage.answers)
    assert CANARY not in log
    assert push.headers["X-Hub-Signature-256"] not in log
