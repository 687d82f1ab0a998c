"""What an operator can type, against the functions that ship: every answer is readable, and no slip hurts."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lambdas.release.rules import read_clean_up_request, read_request
from lambdas.rollback.rules import read_rollback_request
from rehearsal.scenarios import NEW_VERSION, OLD_VERSION
from tests.rehearsal.conftest import Quiet, quiet_account

pytestmark = pytest.mark.rehearsed

BAD_INPUTS = {
    "no version": ("deploy", {}, "Field 'version' is missing"),
    "a list": ("deploy", [], "must be a JSON object, but it is a list"),
    "text": ("deploy", "text", "must be a JSON object, but it is text 'text'"),
    "an unknown field": ("deploy", {"version": NEW_VERSION, "colour": "green"}, "Field 'colour' is not known"),
    "no commit": ("deploy", {"version": "latest"}, "Field 'version' must be a git commit"),
    "a list to roll back": ("rollback", [], "must be a JSON object, but it is a list"),
    "text to roll back": ("rollback", "text", "must be a JSON object, but it is text 'text'"),
    "a list to clean up": ("clean-up", [], "must be a JSON object, but it is a list"),
    "an unknown field to clean up": ("clean-up", {"version": OLD_VERSION}, "Field 'version' is not known"),
    "an unknown field to roll back": ("rollback", {"version": OLD_VERSION}, "Field 'version' is not known"),
}


@pytest.fixture(scope="module")
def fresh(assembly: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quiet]:
    """Return an account in which nothing was ever released; the tests that share it must leave it so."""
    with quiet_account(assembly, tmp_path_factory.mktemp("fresh")) as account:
        yield account


@pytest.mark.parametrize(("machine", "given", "named"), BAD_INPUTS.values(), ids=BAD_INPUTS.keys())
def test_bad_input_is_explained_and_changes_nothing(fresh: Quiet, machine: str, given: Any, named: str) -> None:
    """Neither the execution itself changes anything, nor the rollback that the rule starts because it failed."""
    before = len(fresh.stage.account.calls.log)
    start = {
        "deploy": fresh.stage.start_deployment,
        "rollback": fresh.stage.start_rollback,
        "clean-up": fresh.stage.start_clean_up,
    }
    execution = start[machine](given)
    fresh.until_dealt_with(execution)

    assert ("FAILED", "InvalidRequest") == (execution.status, execution.error)
    reason, examples = str(execution.cause).split("Example of a valid input: ")
    assert named in reason
    assert {""} == {_problem(machine, json.loads(example)) for example in examples.split(" or ")}
    assert [] == fresh.changes(before)


def test_a_rollback_with_nothing_to_roll_back_succeeds(fresh: Quiet) -> None:
    """Who is in a hurry must not have to find out first whether there is something to undo."""
    before = len(fresh.stage.account.calls.log)
    rollback = fresh.stage.until_ended(fresh.stage.start_rollback({}))

    assert "SUCCEEDED" == rollback.status
    assert "Nothing to roll back" == rollback.states[-1]
    assert [] == fresh.changes(before)


def test_a_clean_up_with_nothing_to_clean_up_succeeds(fresh: Quiet) -> None:
    before = len(fresh.stage.account.calls.log)
    clean_up = fresh.stage.until_ended(fresh.stage.start_clean_up({}))

    assert ("SUCCEEDED", "Nothing to clean up") == (clean_up.status, clean_up.states[-1])
    assert [] == fresh.changes(before)


def _problem(machine: str, example: object) -> str:
    if machine == "deploy":
        return read_request(example, "name").problem
    return read_clean_up_request(example).problem if machine == "clean-up" else read_rollback_request(example).problem


def test_a_release_does_not_begin_behind_a_freeze(fresh: Quiet) -> None:
    """A restore has died, and has left users shut out: the answer names the rule, and the request can come again."""
    before = len(fresh.stage.account.calls.log)
    elbv2 = fresh.stage.account.client("elbv2")
    listener = fresh.stage.account.settings.routes[0].arn
    rule = elbv2.create_rule(
        ListenerArn=listener,
        Priority=1,
        Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": ["*"]}}],
        Actions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503"}}],
        Tags=[{"Key": "runback:freeze", "Value": "r-dead"}],
    )["Rules"][0]["RuleArn"]
    try:
        deployment = fresh.stage.start_deployment({"version": NEW_VERSION})
        fresh.until_dealt_with(deployment)
    finally:
        elbv2.delete_rule(RuleArn=rule)

    assert ("FAILED", "ReleaseRefused") == (deployment.status, deployment.error)
    assert rule in str(deployment.cause)
    assert {"sns", "dynamodb"} >= {call.service for call in fresh.changes(before)}
    request = fresh.stage.record.request(deployment.arn)
    assert ("go", None) == (request["verdict"], request.get("outcome"))
