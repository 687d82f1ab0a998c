"""The AWS CLI, in an environment of its own: it wants another botocore than everything else here."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Self

from uv import find_uv_bin

from bench.measure import CannotMeasure

REQUIREMENTS = Path("requirements/awscli.txt")


@dataclass(frozen=True)
class Ran:
    """`began` and `ended` are by `time.monotonic`."""

    output: str
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        """Wall seconds, the start of the command's Python included."""
        return self.ended - self.began


@dataclass(frozen=True)
class AwsCli:
    """The program, and all that it is told of by its environment."""

    program: Path
    environment: Mapping[str, str]

    def told(self, environment: Mapping[str, str]) -> Self:
        """Return the same program with more variables."""
        return replace(self, environment={**self.environment, **environment})

    def run(self, *arguments: str) -> Ran:
        """Run one command as a user would type it after `aws`. Raises CannotMeasure when it fails."""
        began = time.monotonic()
        done = subprocess.run(
            (self.program, *arguments), env=dict(self.environment), capture_output=True, text=True, check=False
        )
        ended = time.monotonic()
        if done.returncode:
            raise CannotMeasure(f"aws {' '.join(arguments)} failed:\n{done.stderr.strip()}")
        return Ran(done.stdout.strip(), began, ended)


def pinned_version() -> str:
    """Return the version that requirements/awscli.txt pins."""
    found = re.search(r"^awscli==(\S+)", REQUIREMENTS.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else "unknown"


def installed(folder: Path) -> AwsCli:
    """
    Return the CLI, installed below `folder` exactly as pinned by hash, in a home without any settings of anybody.

    Installed once for each state of the pins. Raises CannotMeasure when that fails.
    """
    home = folder.resolve() / f"awscli-{sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]}"
    program, ready = home / "bin" / "aws", home / "ready"
    if not ready.exists():
        _uv("venv", "--quiet", "--clear", "--python", sys.executable, str(home))
        python = str(home / "bin" / "python")
        _uv(
            *("pip", "sync", "--quiet", "--require-hashes", "--compile-bytecode", "--python", python, str(REQUIREMENTS))
        )
        ready.touch()
    nobody = home / "home-of-nobody"
    nobody.mkdir(exist_ok=True)
    return AwsCli(program, {"HOME": str(nobody), "PATH": "/usr/local/bin:/usr/bin:/bin"})


def _uv(*arguments: str) -> None:
    done = subprocess.run(
        (find_uv_bin(), *arguments), env=_with_index(os.environ), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CannotMeasure(f"The AWS CLI could not be installed from {REQUIREMENTS}:\n{done.stderr.strip()}")


def _with_index(environment: Mapping[str, str]) -> dict[str, str]:
    """Tell uv the package index that pip is told of, as scripts/bootstrap.sh does: uv does not read pip's settings."""
    if environment.get("UV_DEFAULT_INDEX"):
        return dict(environment)
    asked = (sys.executable, "-m", "pip", "config", "get", "global.index-url")
    index = (
        environment.get("PIP_INDEX_URL")
        or subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    )
    return {**environment, **({"UV_DEFAULT_INDEX": index} if index else {})}
