import re
from pathlib import Path

import pytest

from bench.machine import Machine

ROOT = Path(__file__).parents[2]


def test_the_machine_at_hand_says_something_of_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    machine = Machine.at_hand()

    assert all(value for _, value in machine.rows())
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", machine.measured_at)
    assert {"boto3", "moto", "aws-cdk-lib", "awscli"} == machine.packages.keys()


def test_the_aws_cli_that_is_named_is_the_pinned_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    pinned = (ROOT / "requirements" / "awscli.in").read_text(encoding="utf-8").splitlines()[-1]

    assert pinned == f"awscli=={Machine.at_hand().packages['awscli']}"
