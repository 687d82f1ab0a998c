"""The pretend Terraform plans as the real one does, and applies what was planned or nothing."""

from typing import Any

import pytest

from rehearsal.world.terraform import StalePlan, Terraform, TerraformFailed

OLD, NEW = "1a2b3c4", "5d6e7f8"
QUEUE, BUCKET, DATABASE = "module.compute.aws_sqs_queue.a", "aws_s3_bucket.b", "module.database.aws_db_instance.c"
BASE = {QUEUE: {"name": "thumbnails", "delay": 0}, DATABASE: {"identifier": "receipts", "password": "in clear"}}
NOW = "2026-11-23T17:00:00Z"


def pretend(changes: dict[str, Any] | None = None, *, fails_at: str = "") -> Terraform:
    """Return one whose new commit changes these."""
    return Terraform(BASE, {NEW: changes or {}}, fails_at={fails_at})


def actions(terraform: Terraform, *targets: str) -> dict[str, list[str]]:
    shown = terraform.plan(NEW, targets, NOW).shown
    return {each["address"]: each["change"]["actions"] for each in shown["resource_changes"]}


def apply(terraform: Terraform, file: bytes) -> None:
    for _ in terraform.apply(file):
        pass


def test_a_commit_like_the_one_before_changes_nothing() -> None:
    terraform = pretend()
    assert {QUEUE: ["no-op"], DATABASE: ["no-op"]} == actions(terraform)
    assert not terraform.plan(NEW, (), NOW).shown["applyable"]


def test_a_plan_says_what_becomes_of_each_resource() -> None:
    terraform = pretend({QUEUE: None, BUCKET: {"bucket": "new"}, DATABASE: {"identifier": "another"}})
    assert {BUCKET: ["create"], QUEUE: ["delete"], DATABASE: ["delete", "create"]} == actions(terraform)


def test_targets_leave_everything_else_alone() -> None:
    terraform = pretend({QUEUE: {"delay": 5}, BUCKET: {"bucket": "new"}, DATABASE: {"identifier": "another"}})
    assert {QUEUE: ["update"]} == actions(terraform, "module.compute")
    assert not terraform.plan(NEW, ("module.compute",), NOW).shown["complete"]


def test_what_was_planned_is_what_is_applied() -> None:
    terraform = pretend({QUEUE: {"delay": 5}, BUCKET: {"bucket": "new"}, DATABASE: None})
    apply(terraform, terraform.plan(NEW, (), NOW).file)
    assert terraform.is_at(NEW)
    assert not terraform.is_at(OLD)
    apply(terraform, terraform.plan(OLD, (), NOW).file)
    assert terraform.is_at(OLD)


def test_a_plan_for_another_state_is_refused() -> None:
    """Whoever changed something after it was made may have changed what it is about."""
    terraform = pretend({QUEUE: {"delay": 5}})
    plan = terraform.plan(NEW, (), NOW)
    terraform.change_by_hand(DATABASE, instance_class="db.t4g.large")
    with pytest.raises(StalePlan, match="Saved plan is stale"):
        apply(terraform, plan.file)
    assert 0 == terraform.state[QUEUE]["delay"]


def test_an_apply_that_fails_leaves_what_it_had_made() -> None:
    terraform = pretend({BUCKET: {"bucket": "new"}, QUEUE: {"delay": 5}}, fails_at=QUEUE)
    with pytest.raises(TerraformFailed, match=QUEUE):
        apply(terraform, terraform.plan(NEW, (), NOW).file)
    assert BUCKET in terraform.state
    assert 0 == terraform.state[QUEUE]["delay"]


def test_a_secret_is_marked_and_in_clear() -> None:
    """That is the trap: whoever passes a plan on tells it."""
    (_, change) = pretend({DATABASE: {"instance_class": "x"}}).plan(NEW, (), NOW).shown["resource_changes"]
    assert {"password": True} == change["change"]["after_sensitive"]
    assert "in clear" == change["change"]["after"]["password"]
