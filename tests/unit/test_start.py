"""How a function starts in Lambda, in a process of its own: nothing else here is imported as late."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import gc, importlib, json, sys

class Watch:
    collects = {}
    def find_spec(self, name, path=None, target=None):
        self.collects.setdefault(name.partition(".")[0], gc.isenabled())

sys.meta_path.insert(0, Watch())
importlib.import_module("lambdas.traffic.switch_listener")
print(json.dumps({"boto3": Watch.collects["boto3"], "afterwards": gc.isenabled()}))
"""


@pytest.mark.parametrize(("where", "during"), [({"AWS_LAMBDA_FUNCTION_NAME": "switch-listener"}, False), ({}, True)])
def test_a_function_collects_no_garbage_while_it_starts_in_lambda(where: dict[str, str], during: bool) -> None:  # noqa: FBT001  parameter
    """And again afterwards; whoever imports its module elsewhere is left alone."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_LAMBDA")}
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment | where, cwd=ROOT, stdout=subprocess.PIPE, check=True
    )

    assert {"boto3": during, "afterwards": True} == json.loads(told.stdout)
