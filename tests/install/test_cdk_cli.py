"""How the CDK's command line is called."""

import json
from pathlib import Path

import pytest

from install import cdk_cli

NPM = """#!/bin/sh
printf '%s\\n' "$@" > arguments
printf '%s' "$CDK_DISABLE_CLI_TELEMETRY" > telemetry
exit 3
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of what the command line is started by, which only writes down how."""
    (tmp_path / "scripts").mkdir()
    script = tmp_path / "scripts" / "npm.sh"
    script.write_text(NPM, encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setattr(cdk_cli, "ROOT", tmp_path)
    return tmp_path


def test_the_pinned_one_runs_and_its_exit_code_counts(root: Path) -> None:
    """--no: npm would otherwise fetch another one where it is missing."""
    (root / "node_modules" / ".bin").mkdir(parents=True)
    (root / "node_modules" / ".bin" / "cdk").touch()
    assert 3 == cdk_cli.run_cdk(["diff", "a stack"])
    assert ["exec", "--no", "--", "cdk", "diff", "a stack"] == (root / "arguments").read_text().splitlines()
    assert "true" == (root / "telemetry").read_text()


def test_without_it_nothing_runs(root: Path) -> None:
    with pytest.raises(cdk_cli.CliMissing, match=r"scripts/npm\.sh ci"):
        cdk_cli.run_cdk(["deploy"])
    assert not (root / "arguments").exists()


def test_the_pin_is_exact() -> None:
    """The newest one may refuse what our aws-cdk-lib builds."""
    package = json.loads((Path(__file__).parents[2] / "package.json").read_text(encoding="utf-8"))
    assert package["devDependencies"]["aws-cdk"].replace(".", "").isdigit()
