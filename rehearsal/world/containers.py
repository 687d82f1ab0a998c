"""
The machine of a build, in a folder: the commands of a buildspec run in bash as they stand.

Stood in for is only what is far away or as large: the download of Terraform, S3, and Terraform itself, unless a test
has the real one.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

_STAND_INS = Path(__file__).parent / "stand_ins"
_PHASES = ("install", "pre_build", "build", "post_build")
TERRAFORM = f'exec "{sys.executable}" "{_STAND_INS / "terraform.py"}" "$@"'
"""What the archive's `terraform` does, in sh."""


@dataclass(frozen=True)
class Container:
    """
    One of them. Whoever runs a build puts what it checks out into `source`, and finds what it left in `bucket`.

    `terraform` is what the program does that the download brings.
    """

    folder: Path
    terraform: str = TERRAFORM

    def __post_init__(self) -> None:
        """Lay the archive down that a build downloads."""
        self.folder.mkdir(parents=True, exist_ok=True)
        about = zipfile.ZipInfo("terraform")
        about.external_attr = 0o755 << 16
        with zipfile.ZipFile(self._archive, "w") as archive:
            archive.writestr(about, f"#!/bin/sh\n{self.terraform}\n")

    @property
    def source(self) -> Path:
        """Where the repository is checked out."""
        return self.folder / "source"

    @property
    def downloads(self) -> list[str]:
        """Return the addresses that were downloaded from."""
        return _lines(self.folder / "downloads")

    @property
    def copied(self) -> list[tuple[str, str]]:
        """Return from where to where objects were copied; one of the two is an address in S3."""
        return [(line.split()[0], line.split()[1]) for line in _lines(self.folder / "copied")]

    @property
    def archive_digest(self) -> str:
        """Return the SHA-256 that settings would name."""
        return hashlib.sha256(self._archive.read_bytes()).hexdigest()

    def bucket(self, name: str) -> Path:
        """Return the folder that is a bucket."""
        return self.folder / "buckets" / name

    def run(self, buildspec: str, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run the commands as CodeBuild does: one after the other in one shell, to the first that fails."""
        tools = self.folder / "bin"
        shutil.rmtree(tools, ignore_errors=True)
        tools.mkdir()
        for name in ("curl", "aws"):
            (tools / name).write_text(f'#!/bin/sh\nexec /bin/bash "{_STAND_INS / name}.sh" "$@"\n', encoding="utf-8")
            (tools / name).chmod(0o755)
        own_places = {"/tmp": self.folder, "/usr/local/bin": tools}  # noqa: S108  the container's
        script = "\n".join(f"{{ {each}\n}} || exit" for each in _commands(buildspec, own_places))
        environment = {
            **variables,
            "CODEBUILD_SRC_DIR": str(self.source),
            "STAND_IN_FOLDER": str(self.folder),
            "PATH": f"{tools}:/usr/bin:/bin",
            "PYTHONPATH": os.pathsep.join(each for each in sys.path if each),
            "TF_CLI_CONFIG_FILE": os.devnull,
            "CHECKPOINT_DISABLE": "1",
        }
        return subprocess.run(["/bin/bash", "-c", script], env=environment, capture_output=True, text=True, check=False)

    @property
    def _archive(self) -> Path:
        return self.folder / "archive.zip"


def _commands(buildspec: str, own_places: Mapping[str, Path]) -> list[str]:
    """Return them with the container's own folders in another place. Raises NotImplementedError for anything else."""
    read = yaml.safe_load(buildspec)
    phases = read["phases"]
    unknown = read.keys() - {"version", "env", "phases"} | phases.keys() - set(_PHASES)
    unknown |= {key for phase in phases.values() for key in phase.keys() - {"commands", "on-failure"}}
    if (
        unknown
        or read.get("env", {}) != {"shell": "bash"}
        or any(each["on-failure"] != "ABORT" for each in phases.values())
    ):
        raise NotImplementedError(f"the rehearsal does not know {sorted(unknown)} of a buildspec, or what env it has")
    commands = [each for phase in _PHASES if phase in phases for each in phases[phase]["commands"]]
    for place, folder in own_places.items():
        commands = [each.replace(place, str(folder)) for each in commands]
    return commands


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
