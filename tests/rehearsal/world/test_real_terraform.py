"""The pretend Terraform's plans look as those of the real one; collected where this machine has it."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rehearsal.world.terraform import Terraform

OLD, NEW, NOW = "1a2b3c4", "5d6e7f8", "2026-11-23T17:00:00Z"
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
