import sys
from pathlib import Path

import pytest

from bench.aws_cli import AwsCli
from bench.measure import CannotMeasure

PYTHON = AwsCli(Path(sys.executable), {"WHO": "nobody"})


def test_a_command_answers_with_its_output_and_its_time() -> None:
    ran = PYTHON.run("-c", "print('arn:aws:…')")

    assert "arn:aws:…" == ran.output
    assert 0 < ran.seconds == ran.ended - ran.began


def test_a_command_knows_nothing_but_what_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials of whoever measures must not get to it."""
    monkeypatch.setenv("AWS_PROFILE", "production")
    told = PYTHON.told({"AWS_DEFAULT_REGION": "eu-west-1"})

    asked = "import os; print(*(os.environ.get(name) for name in ('WHO', 'AWS_DEFAULT_REGION', 'AWS_PROFILE')))"
    assert "nobody eu-west-1 None" == told.run("-c", asked).output


def test_a_command_that_fails_is_told_in_its_own_words() -> None:
    with pytest.raises(CannotMeasure, match=r"aws -c .* failed:\nListenerNotFound"):
        PYTHON.run("-c", "import sys; sys.exit('ListenerNotFound')")
