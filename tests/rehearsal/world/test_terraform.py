"""The pretend Terraform plans as the real one does, and applies what was planned or nothing."""

import json
import os
import shutil
import subprocess
from pathlib import Path
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


# -- against the real one

KEPT, GONE, OTHER = (f"module.compute.terraform_data.{each}" for each in ("kept", 'each["x"]', "other"))
COMMITS: dict[str, dict[str, dict[str, Any]]] = {
    OLD: {KEPT: {"input": "a"}, GONE: {"input": "a"}, OTHER: {"triggers_replace": "a"}},
    NEW: {KEPT: {"input": "b"}, "terraform_data.added": {"input": "a"}, OTHER: {"triggers_replace": "b"}},
}
"""By commit, the arguments of each resource."""
_ENTRY = ("address", "module_address", "mode", "type", "name", "index", "provider_name", "action_reason")


def configuration(commit: str, folder: Path) -> Path:
    """Write the commit for Terraform."""
    modules: dict[str, dict[str, Any]] = {"": {}, "compute": {}}
    for address, given in COMMITS[commit].items():
        module, name = ("compute" if address.startswith("module.") else ""), address.split("terraform_data.")[1]
        if "[" in name:
            modules[module][name.split("[")[0]] = {"for_each": {"x": "x"}, **given}
        else:
            modules[module][name] = given
    (folder / "compute").mkdir(parents=True, exist_ok=True)
    root = {
        "terraform": {"backend": {"local": {}}},
        "variable": {"environment": {"default": "production"}},
        "module": {"compute": {"source": "./compute"}},
    }
    (folder / "main.tf.json").write_text(json.dumps({**root, **resources(modules[""])}))
    (folder / "compute" / "main.tf.json").write_text(json.dumps(resources(modules["compute"])))
    return folder


def resources(given: dict[str, Any]) -> dict[str, Any]:
    return {"resource": {"terraform_data": given}} if given else {}


def run(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "TF_CLI_CONFIG_FILE": "/dev/null", "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}
    command = ["terraform", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout


def planned(folder: Path, commit: str, *targets: str) -> dict[str, Any]:
    configuration(commit, folder)
    run(folder, "init", "-input=false")
    run(folder, "plan", "-input=false", "-out=plan.bin", *(f"-target={each}" for each in targets))
    shown: dict[str, Any] = json.loads(run(folder, "show", "-json", "plan.bin"))
    return shown


def outline(shown: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what of a plan does not depend on what a provider knows of its resources."""
    return [
        {
            **{name: each[name] for name in _ENTRY if name in each},
            **{name: each["change"][name] for name in ("actions", "replace_paths") if name in each["change"]},
            "members": sorted(each["change"].keys()),
            "before": each["change"]["before"] is not None,
            "after": each["change"]["after"] is not None,
            "unknown": "id" in (each["change"]["after_unknown"] or {}),
        }
        for each in sorted(shown["resource_changes"], key=lambda each: str(each["address"]))
    ]


@pytest.mark.skipif(shutil.which("terraform") is None, reason="there is no Terraform on PATH")
@pytest.mark.parametrize("targets", [(), ("module.compute",)])
def test_plans_look_as_those_of_terraform(targets: tuple[str, ...], tmp_path: Path) -> None:
    """A change of the format, or a shape that we made up, would let a gate pass here that fails on AWS."""
    terraform = Terraform(COMMITS[OLD], {NEW: {**COMMITS[NEW], GONE: None}}, variables={"environment": "production"})
    planned(tmp_path, OLD)
    run(tmp_path, "apply", "-input=false", "plan.bin")
    for commit in (OLD, NEW):
        real, ours = planned(tmp_path, commit, *targets), terraform.plan(commit, targets, NOW).shown
        assert outline(real) == outline(dict(ours))
        about = ("format_version", "applyable", "complete", "errored")
        assert {name: real[name] for name in about} == {name: ours[name] for name in about}
        assert ours.keys() <= real.keys()
