"""The workflow that docs offer puts on the bus what a webhook of the same push would."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cdk.assembly import SETTINGS_FOLDER
from cdk.ingress_settings import load_ingress
from lambdas.github.webhook_rules import PUSH, SOURCE, read_push
from tests.unit.github.webhooks import DELIVERY, NOTHING, TAG, payload, raw

ROOT = Path(__file__).parents[2]
WORKFLOW: dict[Any, Any] = yaml.safe_load((ROOT / "docs" / "github-actions-push.yml").read_text(encoding="utf-8"))
(JOB,) = WORKFLOW["jobs"].values()
CREDENTIALS, WRITE, PUT = JOB["steps"]


def written(folder: Path, event: dict[str, Any]) -> dict[str, Any]:
    """Run the step that writes the event, as a runner does, and return what it has written."""
    (folder / "event.json").write_bytes(raw(event))
    (folder / "step.py").write_text(WRITE["run"], encoding="utf-8")
    told = {
        **WRITE["env"],
        "GITHUB_EVENT_PATH": str(folder / "event.json"),
        "GITHUB_RUN_ID": "15",
        "GITHUB_RUN_ATTEMPT": "2",
        "RUNNER_TEMP": str(folder),
    }
    subprocess.run([sys.executable, folder / "step.py"], env={**os.environ, **told}, check=True)
    (entry,) = json.loads((folder / "entries.json").read_text(encoding="utf-8"))
    assert isinstance(entry, dict)
    return entry


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"forced": True, "created": True, "before": NOTHING},
        {"ref": "refs/tags/v1.2.0", "after": TAG},
        {"head_commit__message": "'; rm -rf / #", "sender__login": "dependabot[bot]"},
    ],
)
def test_it_says_what_a_webhook_says(tmp_path: Path, changes: dict[str, Any]) -> None:
    event = payload(**changes)
    entry = written(tmp_path, event)
    webhook = read_push(raw(event), DELIVERY)
    assert webhook is not None
    assert json.loads(entry["Detail"]) == {**webhook.detail(), "delivery": "actions-15-2"}
    assert (entry["Source"], entry["DetailType"]) == (SOURCE, PUSH)


def test_it_fits_the_shipped_settings() -> None:
    ingress = load_ingress(SETTINGS_FOLDER)
    assert ingress is not None
    triggers = WORKFLOW[True]["push"]  # YAML takes "on" for true
    refs = [f"refs/heads/{each}" for each in triggers["branches"]] + [f"refs/tags/{each}" for each in triggers["tags"]]
    assert tuple(refs) == ingress.refs
    assert WRITE["env"]["BUS"] == ingress.bus
    assert CREDENTIALS["with"]["aws-region"] == ingress.region


def test_it_can_do_nothing_but_prove_who_it_is() -> None:
    assert WORKFLOW["permissions"] == {"id-token": "write"}
    assert CREDENTIALS["uses"].partition("@")[2].isalnum()
    assert len(CREDENTIALS["uses"].partition("@")[2]) == 40  # a tag could be moved by whoever owns the action


@pytest.mark.parametrize("step", [WRITE, PUT])
def test_nothing_that_people_write_becomes_a_part_of_a_command(step: dict[str, Any]) -> None:
    """See https://docs.github.com/en/actions/concepts/security/script-injections."""
    assert "${{" not in step["run"]


@pytest.mark.parametrize(("failed", "code"), [("0", 0), ("1", 1), ("", 1)])
def test_a_push_that_the_bus_did_not_take_fails_the_run(tmp_path: Path, failed: str, code: int) -> None:
    """The AWS CLI succeeds then, and nobody would look."""
    aws = tmp_path / "aws"
    aws.write_text(f"#!/bin/sh\necho '{failed}'\n", encoding="utf-8")
    aws.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "RUNNER_TEMP": str(tmp_path)}
    done = subprocess.run(["/bin/bash", "-e", "-c", PUT["run"]], env=environment, check=False)
    assert done.returncode == code
