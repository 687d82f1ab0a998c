"""What the operate machine gives its functions is what they read, and what they answer is what it reads."""

from types import SimpleNamespace
from typing import Any

import pytest

from lambdas.operate import answer_approval, free_environment, give_order
from lambdas.release.record import ReleaseRecord
from lambdas.release.restores import Restores
from lambdas.release.rules import Phase, Work
from tests.builders import BLUE, DEPLOYMENT, OPERATE, at
from tests.fakes import FakeExecutions, ShownListener
from tests.statemachines.definitions import golden, payload_of, tasks

CONTEXT: Any = SimpleNamespace(
    function_name="it", memory_limit_in_mb=512, invoked_function_arn="arn:of:it", aws_request_id="1"
)
STATES = tasks(golden("operate"))


@pytest.fixture(autouse=True)
def account(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a deployment that is dead hold the environment."""
    for function in (give_order, free_environment):
        monkeypatch.setattr(function, "record", record)
    monkeypatch.setattr(answer_approval, "restores", Restores(record))
    monkeypatch.setattr(free_environment, "executions", FakeExecutions())
    monkeypatch.setattr(free_environment, "load_balancer", ShownListener({BLUE: 100}))
    work = Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new", claimed_at=at(1), progress_at=at(1))
    record.claim(Work(), work)


def given(state: str, **values: Any) -> dict[str, Any]:
    """Return an event with exactly the fields that the state gives."""
    fields = {name.removesuffix(".$"): value for name, value in payload_of(STATES[state]).items()}
    return {name: values.get(name, value) for name, value in fields.items()}


def read(state: str) -> set[str]:
    """Return the fields of the answer that the state keeps."""
    selector = STATES[state]["ResultSelector"]
    return {name.removesuffix(".$") for name in selector.get("order", selector)}


def test_an_order_is_read_and_answered_as_the_machine_says() -> None:
    order = {"action": "pause", "reason": "checkout looks slow"}
    answer = give_order.lambda_handler(given("Give order", input=order, execution=OPERATE, now=at(5)), CONTEXT)
    assert set(answer) == read("Give order")
    assert (answer["verdict"], answer["release_id"]) == ("carried_out", "new")


@pytest.mark.parametrize(
    ("state", "verdict", "holder"),
    [("Look at the environment", "free", DEPLOYMENT), ("Free environment", "carried_out", None)],
)
def test_freeing_is_read_and_answered_as_the_machine_says(
    record: ReleaseRecord, state: str, verdict: str, holder: str | None
) -> None:
    event = given(state, release_id="", asked="its deployment is dead", execution=OPERATE, now=at(5))
    answer = free_environment.lambda_handler(event, CONTEXT)
    assert set(answer) == read(state)
    assert (answer["verdict"], answer["release_id"]) == (verdict, "new")
    assert record.read().work.holder == holder


def test_an_answer_to_a_restore_is_read_and_answered_as_the_machine_says() -> None:
    values = {"action": "approve", "release_id": "new", "asked": "it is worth it", "accept_unaccounted": False}
    event = given("Give the answer", **values, execution=OPERATE, now=at(5))
    answer = answer_approval.lambda_handler(event, CONTEXT)
    assert set(answer) == read("Give the answer")
    assert (answer["verdict"], answer["kind"]) == ("refused", "restore_approved")
