"""Which machine the figures are of, and what ran on it."""

import os
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from bench.aws_cli import pinned_version

_PACKAGES = ("boto3", "moto", "aws-cdk-lib")
_CPUINFO = Path("/proc/cpuinfo")
_GIB = 1024**3


@dataclass(frozen=True)
class Machine:
    """Everything is text, as it is shown."""

    processor: str
    processors: int
    memory: str
    system: str
    load: str
    python: str
    packages: dict[str, str]
    commit: str
    measured_at: str

    @classmethod
    def at_hand(cls) -> Self:
        """Look around. What a system does not tell is said to be unknown."""
        return cls(
            processor=_processor(_CPUINFO.read_text(encoding="utf-8") if _CPUINFO.exists() else ""),
            processors=_processors(),
            memory=_memory(),
            system=f"{_distribution()}, {platform.system()} {platform.release()} on {platform.machine()}",
            load=_load(),
            python=f"{platform.python_implementation()} {sys.version.split()[0]}",
            packages={name: version(name) for name in _PACKAGES} | {"awscli": pinned_version()},
            commit=_commit(),
            measured_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        )

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> Self:
        """Read what `as_json` has written."""
        return cls(**given)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return asdict(self)

    def rows(self) -> list[tuple[str, str]]:
        """Return what a table of it shows."""
        packages = ", ".join(f"{name} {number}" for name, number in self.packages.items())
        return [
            ("measured", f"{self.measured_at}, commit {self.commit}"),
            ("processor", f"{self.processor}, {self.processors} to be used"),
            ("memory", self.memory),
            ("system", self.system),
            ("load when it began", self.load),
            ("Python", self.python),
            ("packages", packages),
        ]


def _processor(cpuinfo: str) -> str:
    names = [line.partition(":")[2].strip() for line in cpuinfo.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor() or "an unknown processor"


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / _GIB:.0f} GiB"
    except (OSError, ValueError):
        return "unknown"


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _load() -> str:
    try:
        return f"{os.getloadavg()[0]:.1f} (average of a minute): near 0 is a quiet machine"
    except OSError:
        return "unknown"


def _commit() -> str:
    try:
        head = _git("rev-parse", "--short=10", "HEAD")
        return f"{head} and changes since" if _git("status", "--porcelain", "--untracked-files=no") else head
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    done = subprocess.run(("git", *arguments), capture_output=True, text=True, check=True)  # noqa: S607  whichever git
    return done.stdout.strip()
