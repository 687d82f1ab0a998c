"""The CDK's command line, as package.json pins it."""

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent

Run = Callable[[Sequence[str]], int]
"""Runs the CDK's command line with these arguments, in sight of the user, and returns its exit code."""


class CliMissing(RuntimeError):
    """The command line is not installed."""


def run_cdk(arguments: Sequence[str]) -> int:
    """
    Run it with the Node.js that `make` found or installed; it tells nobody what it is used for.

    Raises CliMissing where `npm ci` was not run.
    """
    if not (ROOT / "node_modules" / ".bin" / "cdk").exists():
        raise CliMissing("The CDK's command line is not installed. Run: scripts/npm.sh ci")
    command = [ROOT / "scripts" / "npm.sh", "exec", "--no", "--", "cdk", *arguments]
    # https://docs.aws.amazon.com/cdk/v2/guide/cli-telemetry.html
    environment = {**os.environ, "CDK_DISABLE_CLI_TELEMETRY": "true"}
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
