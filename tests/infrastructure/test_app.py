"""The entry points: under the CDK CLI, under make, and for somebody who made a mistake."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import app
from cdk.assembly import SETTINGS_FOLDER
from cdk.settings import load_settings

ROOT = Path(__file__).parents[2]

# what the CDK CLI hands to an app, beside the folder to write to
CLI_CONTEXT = {
    "aws:cdk:enable-asset-metadata": True,
    "aws:cdk:enable-path-metadata": True,
    "aws:cdk:bundling-stacks": ["**"],
}


def run_app(outdir: Path, context: dict[str, Any]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env={**os.environ, "CDK_OUTDIR": str(outdir), "CDK_CONTEXT_JSON": json.dumps(context)},
        capture_output=True,
        text=True,
        check=False,
    )


def without_metadata(template: dict[str, Any]) -> dict[str, Any]:
    for resource in template["Resources"].values():
        resource.pop("Metadata", None)
    return template


def test_the_cdk_cli_deploys_the_template_that_was_tested(assembly: Path, tmp_path: Path) -> None:
    """The CLI reads cdk.json by itself; whoever builds without it must get the same."""
    done = run_app(tmp_path, CLI_CONTEXT | {"environment": "production"})

    assert done.returncode == 0, done.stderr
    stack = "Runback-receipt-vault-production.template.json"
    assert [stack] == [path.name for path in tmp_path.glob("*.template.json")]
    tested, deployed = (json.loads((folder / stack).read_text(encoding="utf-8")) for folder in (assembly, tmp_path))
    assert without_metadata(tested) == without_metadata(deployed)


def test_a_mistake_is_answered_in_its_own_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A traceback would hide the one line that helps."""

    def refuse(_: str) -> None:
        load_settings(SETTINGS_FOLDER, ("prod",))

    monkeypatch.setattr(app, "synthesize", refuse)

    assert app.main() == 1
    assert capsys.readouterr().err == (
        f"{SETTINGS_FOLDER}: prod.toml: there is no such environment; this folder has production, staging\n"
    )
