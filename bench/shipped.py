"""The functions as they ship: read from the cloud assembly that would be deployed."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.measure import CannotMeasure
from rehearsal.engine.resources import Assets
from rehearsal.engine.sandbox import FunctionVersion
from rehearsal.settings import Settings

_OF_NOBODY = "ASIABENCHMARK0000000"


@dataclass(frozen=True)
class Shipped:
    """A function: `name` is without what all names of its environment begin with, `version` is what would run."""

    name: str
    version: FunctionVersion

    @property
    def folders(self) -> tuple[Path, ...]:
        """What is uploaded for it: its code, then its layers."""
        return (self.version.code_dir, *self.version.layer_dirs)


def answer_of(script: Path, function: Shipped, given: Mapping[str, Any]) -> dict[str, Any]:
    """
    Run a script on the code that ships, in a process of its own: what it is given it reads from its input, as JSON.

    Raises CannotMeasure with what the process said when it fails.
    """
    done = subprocess.run(
        (sys.executable, "-I", "-B", str(script), str(function.version.code_dir)),
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CannotMeasure(f"The code of {function.name} could not be run:\n{done.stderr.strip()}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def functions_of(assembly: Path, settings: Settings) -> list[Shipped]:
    """Read all functions of an environment. Raises CannotMeasure when the assembly has none."""
    path = assembly / f"{settings.stack_name}.template.json"
    if not path.exists():
        raise CannotMeasure(f"{path} is missing: `make synth` builds it.")
    resources = json.loads(path.read_text(encoding="utf-8"))["Resources"]
    assets = Assets.read(assembly, settings.stack_name)
    found = [
        _shipped(each["Properties"], resources, assets, f"{settings.service}-{settings.environment}-")
        for each in resources.values()
        if each["Type"] == "AWS::Lambda::Function"
    ]
    if not found:
        raise CannotMeasure(f"{path} has no functions.")
    return sorted(found, key=lambda function: function.name)


def _shipped(properties: Mapping[str, Any], resources: Mapping[str, Any], assets: Assets, prefix: str) -> Shipped:
    layers = [resources[each["Ref"]]["Properties"]["Content"] for each in properties.get("Layers", [])]
    variables = properties.get("Environment", {}).get("Variables", {})
    version = FunctionVersion(
        name=properties["FunctionName"],
        version="1",
        code_dir=assets.folder(properties["Code"]).resolve(),
        layer_dirs=tuple(assets.folder(layer).resolve() for layer in layers),
        handler=properties["Handler"],
        environment={name: value if isinstance(value, str) else json.dumps(value) for name, value in variables.items()},
        timeout_seconds=properties.get("Timeout", 3),
        memory_megabytes=properties.get("MemorySize", 128),
        access_key=_OF_NOBODY,
    )
    return Shipped(version.name.removeprefix(prefix), version)
