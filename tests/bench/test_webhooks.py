"""What is counted of webhooks, and that they are what GitHub would send."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench import webhooks
from bench.findings import Plan
from bench.measure import CannotMeasure
from bench.webhooks import BENCHMARK, findings, push_of
from bench.webhooks_process import Receiver, event, seconds_of

WANTED = {"repository_id": 7, "refs": ["refs/heads/main"]}


def raw(seconds: float) -> dict[str, Any]:
    return {"bytes": {"a push of one commit": 8192}, "seconds": {"a push of one commit": [seconds, 9, seconds]}}


@pytest.mark.parametrize(("seconds", "found", "met"), [(0.001, "1,000", True), (0.00101, "990", False)])
def test_goal_is_how_many_there_are_in_a_second(seconds: float, found: str, met: bool) -> None:  # noqa: FBT001  parameter
    (goal,) = findings(raw(seconds)).goals
    assert (goal.found, goal.met) == (found, met)
    ((_, size, a_second, *_),) = findings(raw(seconds)).tables[0].rows
    assert (size, a_second) == ("8 KB", found)


@pytest.mark.parametrize("size", [8 * 1024, 1024 * 1024])
def test_a_push_has_its_size(size: int) -> None:
    body = push_of(size, 7, "refs/heads/main")
    assert len(body.encode()) == size
    assert json.loads(body)["repository"]["id"] == 7


def test_shipped_rules_judge() -> None:
    receiver, body = Receiver(["a secret of the webhook"], WANTED), push_of(9000, 7, "refs/heads/main")
    assert receiver.receive(event(body, "")) == "refused"
    assert seconds_of(receiver, event(body, ""), 2) >= 0


def test_every_kind_is_measured_with_the_code_that_ships(assembly: Path, tmp_path: Path) -> None:
    said: list[str] = []
    found = BENCHMARK.measure(Plan(assembly, tmp_path, 1, said.append))
    assert {len(each) for each in found["seconds"].values()} == {1}
    assert len(findings(found).tables[0].rows) == len(found["bytes"]) == 6
    assert said == ["1 rounds of 10,440 webhooks"]


def test_code_that_judges_otherwise_is_not_measured(
    assembly: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How fast it refuses everything says nothing."""
    monkeypatch.setattr(webhooks, "_signature", lambda *_: "sha256=0")
    with pytest.raises(CannotMeasure, match="The shipped code answers a push of one commit with 'refused'"):
        BENCHMARK.measure(Plan(assembly, tmp_path, 1, lambda _: None))
