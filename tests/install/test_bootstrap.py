"""What is needed of the CDK's own resources is what the templates ask for."""

import json
from pathlib import Path

from install.bootstrap import NEEDED_VERSION, PARAMETER


def test_the_needed_version_is_that_of_the_assembly(assembly: Path) -> None:
    """A newer aws-cdk-lib may ask for more."""
    artifacts = json.loads((assembly / "manifest.json").read_text(encoding="utf-8"))["artifacts"].values()
    stacks = [each["properties"] for each in artifacts if each["type"] == "aws:cloudformation:stack"]
    assert stacks
    assert {NEEDED_VERSION} == {stack["requiresBootstrapStackVersion"] for stack in stacks}
    assert {PARAMETER} == {stack["bootstrapStackVersionSsmParameter"] for stack in stacks}
