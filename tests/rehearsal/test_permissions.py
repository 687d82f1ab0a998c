"""Requests are judged by the policies that ship: what is missing is named, and what is too much as well."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from rehearsal.engine.calls import Call, access_key_of
from rehearsal.permissions import Judge, Judgement, judge_for
from rehearsal.scenarios import NEW_VERSION
from tests.rehearsal.assemblies import policies_of
from tests.rehearsal.conftest import quiet_account
from tests.rehearsal.unused_permissions import BY_CHANCE, NOT_IN_A_SCENARIO, allowed_actions, findings


@dataclass(frozen=True)
class Released:
    """A release without users that went live and was cleaned up after, and the judge of its requests."""

    judge: Judge
    calls: list[Call]

    def judged(self, call: Call) -> Judgement:
        return self.judge.of([call])

    def first(self, caller: str, action: str) -> Call:
        """Return a function's first request of a kind."""
        return next(each for each in self.calls if each.action == action and (each.caller or "").endswith(caller))


@pytest.fixture(scope="module")
def released(assembly: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Released]:
    """Return one for all tests. The account stands until its end, because the judge asks it for launch templates."""
    with quiet_account(assembly, tmp_path_factory.mktemp("released"), "staging") as quiet:
        deployment = quiet.stage.start_deployment({"version": NEW_VERSION})
        quiet.stage.until_all_ended()
        assert "SUCCEEDED" == deployment.status
        yield Released(judge_for(quiet.stage.account), list(quiet.stage.account.calls.log))


@pytest.mark.rehearsed
def test_policies_and_models_accept_every_request(released: Released) -> None:
    judgement = released.judge.of(released.calls)

    assert ([], []) == (judgement.denied, judgement.malformed)
    assert judgement.judged == sum(1 for call in released.calls if call.access_key in released.judge.principals)


@pytest.mark.rehearsed
def test_machines_are_judged_as_functions_are(released: Released) -> None:
    assert {"lambda:InvokeFunction"} <= set(released.judge.of(released.calls).used_actions["deploy"])


@pytest.mark.rehearsed
def test_whatever_actions_are_taken_away_are_missed(released: Released) -> None:
    """
    A judge that misses none would allow everything.

    The CDK divides a statement that is long, and who may invoke a function may invoke its versions twice.
    """
    missed = 0
    for key, principal in released.judge.principals.items():
        calls = [call for call in released.calls if call.access_key == key]
        used = set(chain.from_iterable(released.judge.of(calls).used_actions.values()))
        for actions in {statement.actions for statement in principal.statements}:
            others = tuple(each for each in principal.statements if each.actions != actions)
            judge = replace(released.judge, principals={key: replace(principal, statements=others)})
            denied = judge.of(calls).denied
            assert bool(used & set(actions)) is bool(denied)
            missed += bool(denied)
    assert missed > len(released.judge.principals) // 2


@pytest.mark.rehearsed
@pytest.mark.parametrize(
    ("caller", "action", "changes", "said"),
    [
        (
            "switch-listener",
            "ModifyListener",
            {"ListenerArn": "arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener/app/other/1/2"},
            "ModifyListener on arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener/app/other/1/2, which",
        ),
        (
            "take-snapshot",
            "CreateDBSnapshot",
            {"DBSnapshotIdentifier": "by-hand"},
            "rds:CreateDBSnapshot on arn:aws:rds:eu-west-1:111122223333:snapshot:by-hand",
        ),
        ("notify", "Publish", {"TopicArn": None, "PhoneNumber": "+1"}, "what sns:Publish needs cannot be told"),
    ],
)
def test_another_resource_is_not_allowed(
    released: Released, caller: str, action: str, changes: dict[str, Any], said: str
) -> None:
    call = released.first(caller, action)
    parameters = {name: value for name, value in {**call.parameters, **changes}.items() if value is not None}

    assert [] == released.judged(call).denied
    assert said in released.judged(replace(call, parameters=parameters)).denied[0]


@pytest.mark.rehearsed
def test_a_secret_is_read_through_the_endpoint_only(released: Released) -> None:
    """A function that is taken out of the VPC, or a VPC without the endpoint, gets no secret on AWS."""
    call = released.first("check-data-stores", "GetSecretValue")
    outside = {key: replace(each, in_vpc=False) for key, each in released.judge.principals.items()}

    assert [] == released.judged(call).denied
    assert 1 == len(replace(released.judge, principals=outside).of([call]).denied)
    assert 1 == len(replace(released.judge, endpoints={}).of([call]).denied)


@pytest.mark.rehearsed
def test_a_request_that_nobody_knows_is_a_finding(released: Released) -> None:
    call = released.first("notify", "Publish")

    (unknown,) = released.judged(replace(call, action="CreateTopic", parameters={"Name": "mine"})).denied
    assert unknown.startswith("notify: nobody has said in")
    assert unknown.endswith(f"what sns:CreateTopic needs (call {call.number})")
    (unsigned,) = released.judged(replace(call, access_key=access_key_of("stranger"))).denied
    assert f"sns:Publish was signed by nobody in the stack (call {call.number})" == unsigned


@pytest.mark.rehearsed
def test_a_request_that_the_model_refuses_is_a_finding(released: Released) -> None:
    """Told once, however often it was made."""
    call = released.first("notify", "Publish")
    wrong = replace(call, parameters={**call.parameters, "Message": 1})

    (found,) = released.judge.of([wrong, replace(wrong, number=call.number + 1)]).malformed
    assert f"notify: sns:Publish: Message: int is no string (call {call.number})" == found


@pytest.fixture
def resources(templates: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ships to production, for a test to change."""
    shipped: dict[str, Any] = deepcopy(templates["production"]["Resources"])
    return shipped


@pytest.fixture
def used(resources: dict[str, Any]) -> dict[str, set[str]]:
    """Return everything that is allowed but what has a reason."""
    reasons = NOT_IN_A_SCENARIO.keys() | BY_CHANCE.keys()
    return {
        name: {action for action in actions if (name, action) not in reasons}
        for name, actions in allowed_actions(resources).items()
    }


def test_what_is_used_or_has_a_reason_is_no_finding(resources: dict[str, Any], used: dict[str, set[str]]) -> None:
    assert [] == findings(allowed_actions(resources), used)


def test_an_action_more_than_any_scenario_uses_is_a_finding(
    resources: dict[str, Any], used: dict[str, set[str]]
) -> None:
    policies_of({"Resources": resources}, "Notify")[0]["Action"].append("sns:DeleteTopic")

    assert ["notify may do sns:DeleteTopic, which no scenario does"] == findings(allowed_actions(resources), used)


def test_a_reason_that_is_none_is_a_finding(resources: dict[str, Any], used: dict[str, set[str]]) -> None:
    """Or the table of reasons would only grow."""
    allowed = allowed_actions(resources)
    (name, action), *_ = NOT_IN_A_SCENARIO

    assert [f"{name} does {action}, and has a reason not to"] == findings(
        allowed, {**used, name: used[name] | {action}}
    )
    assert [f"{name} may not do {action}, and has a reason to"] == findings(
        {**allowed, name: allowed[name] - {action}}, used
    )


def test_machines_and_rules_have_permissions_too(resources: dict[str, Any]) -> None:
    allowed = allowed_actions(resources)

    assert {"states:StartExecution"} == allowed["unfinished-execution"]
    assert {"lambda:InvokeFunction", "states:StartExecution"} < allowed["deploy"]
