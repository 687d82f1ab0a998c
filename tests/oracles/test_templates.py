"""cfn-lint and cdk-nag have seen every template, and the CDK CLI makes the same ones as tests and rehearsals use."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import ManualArgs, lint

from cdk.assembly import synthesize
from cdk.settings_files import INGRESS
from tests.statemachines.definitions import ENVIRONMENTS

from aws_cdk import App, Validations  # isort: skip  after cdk, which chooses its Node.js
from aws_cdk import aws_sqs as sqs  # isort: skip
from cdk_nag import AwsSolutionsChecks  # isort: skip

ROOT = Path(__file__).parents[2]


NOT_ASKED = ["W3005"]
"""A dependency that is there twice: the CDK adds one on a role and its policy, where the role alone is implied."""


def problems(template: Mapping[str, Any]) -> list[str]:
    found = lint(json.dumps(template), config=ManualArgs(regions=["eu-west-1"], ignore_checks=NOT_ASKED))
    return [f"{each.rule.id} {each.message} ({each.path})" for each in found]


@pytest.mark.parametrize("stack", [*ENVIRONMENTS, INGRESS])
def test_cfn_lint_has_nothing_to_say(templates: Mapping[str, Any], stack: str) -> None:
    assert problems(templates[stack]) == []


def test_cfn_lint_sees_a_property_that_does_not_exist() -> None:
    queue = {"Type": "AWS::SQS::Queue", "Properties": {"Retention": 1}}
    assert problems({"Resources": {"Queue": queue}})


def _nagging(app: App) -> None:
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))


def test_cdk_nag_has_nothing_to_say(tmp_path: Path) -> None:
    """A rule of AWS Solutions that we do not follow is acknowledged where that happens, with its reason."""
    synthesize(tmp_path / "assembly", prepare=_nagging)


def test_cdk_nag_sees_what_nobody_has_acknowledged(tmp_path: Path) -> None:
    def add_a_bare_queue(app: App) -> None:
        _nagging(app)
        sqs.Queue(next(child for child in app.node.children if child.node.id.endswith("production")), "Bare")

    with pytest.raises(Exception, match="SQS"):
        synthesize(tmp_path / "assembly", prepare=add_a_bare_queue)


def test_the_cdk_cli_makes_the_same_templates(templates: Mapping[str, Any], tmp_path: Path) -> None:
    """Context in cdk.json is read by the CLI alone, and by us for everything else."""
    output = tmp_path / "from-cli"
    subprocess.run(
        [ROOT / "scripts/npm.sh", "exec", "--no", "--", "cdk", "synth", "--quiet", "--no-notices", "--output", output],
        cwd=ROOT,
        env={**os.environ, "CDK_DISABLE_CLI_TELEMETRY": "true"},
        check=True,
        capture_output=True,
    )
    for environment, template in templates.items():
        (made,) = output.glob(f"*-{environment}.template.json")
        assert _essence(json.loads(made.read_text(encoding="utf-8"))) == _essence(template)


def _essence(template: dict[str, Any]) -> dict[str, Any]:
    """Leave out where the CDK writes down its own paths."""
    without = {name: {k: v for k, v in each.items() if k != "Metadata"} for name, each in template["Resources"].items()}
    return {**template, "Resources": without}
