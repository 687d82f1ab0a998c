"""
Stands in for Terraform: the commands that our builds give, on the pretend one of `rehearsal/world/terraform.py`.

It finds what a commit describes in `terraform.json` beside the configuration: {"resources": by address, "variables":
names that need a value, "state": the file of its state, "fails_at": addresses}.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rehearsal.world.terraform import Terraform, TerraformFailed


def main(command: str, *options: str) -> None:
    """Do as Terraform does."""
    configured = json.loads(Path("terraform.json").read_text(encoding="utf-8"))
    state = Path(configured["state"])
    terraform = _terraform(configured, state)
    match command:
        case "init":
            if "-lockfile=readonly" not in options:
                raise TerraformFailed("Error: the stand-in has no providers but those of the lock file")
        case "plan":
            _require_variables(configured, options)
            targets = tuple(each.removeprefix("-target=") for each in options if each.startswith("-target="))
            plan = terraform.plan("", targets, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
            Path(_option("-out", options)).write_bytes(plan.file)
            sys.stdout.write("".join(f"{'/'.join(each.actions)} {each.address}\n" for each in plan.changes))
        case "show":
            sys.stdout.write(json.dumps(terraform.show(Path(options[-1]).read_bytes())) + "\n")
        case "apply":
            _apply(terraform, Path(options[-1]).read_bytes(), state)
        case _:
            raise TerraformFailed(f"Terraform has no command {command!r}.")


def _apply(terraform: Terraform, file: bytes, state: Path) -> None:
    """Whatever comes of it, what was changed until then is in the state."""
    try:
        for change in terraform.apply(file):
            sys.stdout.write(f"{change.address}: {'/'.join(change.actions)}\n")
    finally:
        applied = [[each.address, each.actions, each.before, each.after] for each in terraform.applied]
        written = {"serial": terraform.serial, "resources": terraform.state, "applied": applied}
        state.write_text(json.dumps(written), encoding="utf-8")


def _terraform(configured: dict[str, Any], state: Path) -> Terraform:
    there = json.loads(state.read_text(encoding="utf-8")) if state.exists() else {"serial": 0, "resources": {}}
    terraform = Terraform({}, {"": configured["resources"]}, fails_at=set(configured.get("fails_at", [])))
    terraform.serial, terraform.state = there["serial"], there["resources"]
    return terraform


def _require_variables(configured: dict[str, Any], options: tuple[str, ...]) -> None:
    file = _option("-var-file", options)
    given = Path(file).read_text(encoding="utf-8") if file else ""
    if missing := [name for name in configured.get("variables", []) if name not in given]:
        raise TerraformFailed(f"Error: No value for required variable: {missing}")


def _option(name: str, options: tuple[str, ...]) -> str:
    return next((each.partition("=")[2] for each in options if each.startswith(f"{name}=")), "")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except TerraformFailed as failed:
        sys.stderr.write(f"{failed}\n")
        sys.exit(1)
