"""The certificate against its mutants: whatever is taken from an account, it names, and nothing else does."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lambdas.rollback.certificate_rules import Certificate, Finding, check_rights, questions
from lambdas.rollback.policy_simulator import PolicySimulator
from rehearsal import fate
from rehearsal.account import Account
from rehearsal.engine.needs import Need
from rehearsal.engine.policies import Principal, Statement, principals
from rehearsal.engine.policy_simulator import simulate
from rehearsal.scenarios import NEW_VERSION
from tests.rehearsal.conftest import Quiet, quiet_account

PREFIX = "receipt-vault-production-"
NOT_NEEDED = re.compile(r":function:[\w-]+(:\d+)?$")
"""The CDK lets a machine call all versions of a function, and beside them the newest one, and one without a number."""

pytestmark = pytest.mark.rehearsed


@pytest.fixture(scope="module")
def quiet(assembly: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quiet]:
    """Return production with a release that has been certified, and goes no further while nobody waits for it."""
    with quiet_account(assembly, tmp_path_factory.mktemp("certificate"), "production") as quiet:
        deployment = quiet.stage.start_deployment({"version": NEW_VERSION})
        quiet.stage.until_entered(deployment, "Wait for idle color")
        yield quiet


@pytest.fixture(scope="module")
def account(quiet: Quiet) -> Account:
    return quiet.stage.account


@pytest.fixture(scope="module", params=["rollback", "restore-database"])
def certificate(request: pytest.FixtureRequest, assembly: Path) -> Certificate:
    """Return the certificates that production ships, one after the other."""
    return shipped(assembly, request.param)


def shipped(assembly: Path, machine: str) -> Certificate:
    texts = [path.read_text(encoding="utf-8") for path in assembly.glob("asset.*/environments/certificate.json")]
    (found,) = [each for each in map(Certificate.from_json, texts) if each.machine.endswith(f"{PREFIX}{machine}")]
    return found


# Rights


class Iam:
    """IAM of an account in which a role may do what a principal may."""

    def __init__(self, principal: Principal) -> None:
        self._principal = principal

    def get_paginator(self, _: str) -> "Iam":
        return self

    def paginate(self, **asked: Any) -> Iterator[dict[str, Any]]:
        page = simulate(self._principal, asked)
        yield page
        while page["IsTruncated"]:
            page = simulate(self._principal, {**asked, "Marker": page["Marker"]})
            yield page


def judged(certificate: Certificate, principal: Principal) -> Finding:
    (actor,) = [each for each in certificate.actors if each.name == principal.name]
    simulator = PolicySimulator(Iam(replace(principal, function_arn="")))  # nobody has called the function
    decisions = {}
    for question in questions(actor.needs):
        decisions |= simulator.decide("role", question)
    return check_rights(actor, decisions)


def acting(account: Account, certificate: Certificate) -> list[Principal]:
    """Return who takes part in the way back, with the rights that the template gives."""
    names = {each.name for each in certificate.actors}
    return [each for each in principals(account.stack).values() if each.name in names]


def without(principal: Principal, change: Callable[[Statement], Statement | None]) -> Principal:
    return replace(principal, statements=tuple(left for each in principal.statements if (left := change(each))))


def mutants(principal: Principal) -> Iterator[tuple[str, str, Principal]]:
    """Yield what is missing, as action and resource pattern, and the principal without it."""
    for action in sorted({action for each in principal.statements for action in each.actions}):
        yield action, "", without(principal, lambda each: _less(each, action))  # noqa: B023  called at once
        resources = {resource for each in principal.statements if action in each.actions for resource in each.resources}
        for resource in sorted(each for each in resources if not NOT_NEEDED.search(each)):
            yield (
                action,
                resource,
                Principal(
                    principal.name,
                    tuple(part for each in principal.statements for part in _split(each, action, resource)),
                ),
            )


def _less(statement: Statement, action: str) -> Statement | None:
    actions = tuple(each for each in statement.actions if each != action)
    return replace(statement, actions=actions) if actions else None


def _split(statement: Statement, action: str, resource: str) -> Iterator[Statement]:
    """Take one action on one resource out, and leave the others as they are."""
    if action not in statement.actions or resource not in statement.resources:
        yield statement
        return
    yield replace(statement, actions=tuple(each for each in statement.actions if each != action))
    yield replace(
        statement, actions=(action,), resources=tuple(each for each in statement.resources if each != resource)
    )


def test_everybody_who_takes_part_may_do_everything(account: Account, certificate: Certificate) -> None:
    found = acting(account, certificate)

    assert {each.name for each in certificate.actors} == {each.name for each in found}
    assert [] == [judged(certificate, each) for each in found if not judged(certificate, each).passed]


def test_every_function_of_the_machine_takes_part(account: Account, certificate: Certificate) -> None:
    states = account.client("stepfunctions").describe_state_machine(stateMachineArn=certificate.machine)
    called = set(re.findall(r":function:([\w-]+)", states["definition"]))

    assert called == {each.name for each in certificate.actors if each.called}


def test_every_right_that_is_taken_away_is_named(account: Account, certificate: Certificate) -> None:
    """
    Each action, and each action on each resource, of everybody in turn.

    What is named is the action, on a resource that the pattern which is gone was about.
    """
    missed, killed = [], 0
    for principal in acting(account, certificate):
        for action, resource, mutant in mutants(principal):
            finding = judged(certificate, mutant)
            is_named = not finding.passed and re.search(rf"\b{re.escape(action)}\b", finding.says)
            killed += bool(is_named)
            missed += [] if is_named else [(principal.name, action, resource)]

    assert [] == missed
    assert killed > 200


def test_every_condition_that_is_narrowed_is_named(account: Account, certificate: Certificate) -> None:
    """A role that may launch from one color's template alone leaves the other color as it is."""
    narrowed = 0
    for principal in acting(account, certificate):
        allowing = [each for each in enumerate(principal.statements) if each[1].effect == "Allow"]
        for number, statement in allowing:
            for at, condition in enumerate(statement.conditions):
                for value in condition.values:
                    left = replace(condition, values=tuple(each for each in condition.values if each != value))
                    conditions = (*statement.conditions[:at], left, *statement.conditions[at + 1 :])
                    changed = replace(statement, conditions=conditions)
                    others = (*principal.statements[:number], changed, *principal.statements[number + 1 :])
                    finding = judged(certificate, replace(principal, statements=others))
                    assert value in finding.says
                    narrowed += 1

    assert narrowed >= 2


def test_the_simulator_of_the_rehearsal_decides_as_its_judge_does(account: Account, certificate: Certificate) -> None:
    """Over HTTP and by what the roles have in the account, not in the template."""
    by_name = {each.name: replace(each, function_arn="") for each in acting(account, certificate)}
    for actor in certificate.actors:
        if actor.kind != "function":
            continue
        role = account.client("lambda").get_function_configuration(FunctionName=actor.name)["Role"]
        for question in questions((*actor.needs, replace(actor.needs[0], action="s3:DeleteBucket"))):
            told = PolicySimulator(account.client("iam")).decide(role, question)
            for need in question.needs:
                expected = by_name[actor.name].decision(Need(need.action, need.resource), dict(need.context))
                assert expected == told[need]


# State


def certify(quiet: Quiet) -> dict[str, Any]:
    """Ask the function, as the machine does."""
    (deployment,) = quiet.stage.of_machine("deploy")
    account = quiet.stage.account
    event = {
        "lease": {"holder": deployment.arn, "token": 1},
        "release_id": quiet.stage.record.item("lease")["release_id"],
        "active": "blue",
        "now": account.clock.now().isoformat(),
    }
    name = account.stack.function("certify-rollback")
    answer: dict[str, Any] = json.loads(account.functions.invoke(name, json.dumps(event).encode())[0])
    return answer


def of(account: Account, name: str) -> str:
    return f"{account.settings.service}-{account.settings.environment}-{name}"


def delete_alarm(account: Account) -> None:
    account.client("cloudwatch").delete_alarms(AlarmNames=[of(account, "rolls-back-error-rate-api-green")])


def reset_alarm(account: Account) -> None:
    name = of(account, "watchdog-silent")
    account.client("cloudwatch").set_alarm_state(AlarmName=name, StateValue="INSUFFICIENT_DATA", StateReason="new")


def silence_alarm(account: Account) -> None:
    account.client("cloudwatch").disable_alarm_actions(AlarmNames=[of(account, "lost-events")])


def unsubscribe(account: Account) -> None:
    sns = account.client("sns")
    for each in sns.list_subscriptions()["Subscriptions"]:
        sns.unsubscribe(SubscriptionArn=each["SubscriptionArn"])


def switch_off(name: str) -> Callable[[Account], None]:
    return lambda account: account.client("events").disable_rule(Name=of(account, name))


def aim_elsewhere(account: Account) -> None:
    events, name = account.client("events"), of(account, "unfinished-execution")
    targets = events.list_targets_by_rule(Rule=name)["Targets"]
    events.remove_targets(Rule=name, Ids=[each["Id"] for each in targets])


def unreserve(account: Account) -> None:
    account.client("lambda").delete_function_concurrency(FunctionName=of(account, "switch-listener"))


def throttle(account: Account) -> None:
    account.client("lambda").put_function_concurrency(
        FunctionName=of(account, "claim-rollback"), ReservedConcurrentExecutions=0
    )


def change_machine(account: Account) -> None:
    states, arn = account.client("stepfunctions"), account.stack.state_machine("rollback")
    definition = json.loads(states.describe_state_machine(stateMachineArn=arn)["definition"])
    definition["States"]["Settle listener"] = {"Type": "Pass", "Next": "Has the listener settled?"}
    states.update_state_machine(stateMachineArn=arn, definition=json.dumps(definition))


def take_right(account: Account) -> None:
    fate.take_right(account, "notify", "sns:Publish")


def shrink(account: Account) -> None:
    group = account.settings.colors["blue"].auto_scaling_group
    account.client("autoscaling").update_auto_scaling_group(AutoScalingGroupName=group, MinSize=1, DesiredCapacity=1)


FAULTS: list[tuple[Callable[[Account], None], str]] = [
    (delete_alarm, "rolls-back-error-rate-api-green is missing"),
    (reset_alarm, "watchdog-silent was not evaluated yet"),
    (silence_alarm, "lost-events tells nobody"),
    (unsubscribe, "notices has no confirmed subscription"),
    (switch_off("critical-alarm"), "critical-alarm is DISABLED"),
    (switch_off("watchdog"), "watchdog is DISABLED"),
    (aim_elsewhere, "unfinished-execution does not start"),
    (unreserve, "switch-listener has none of its 2 reserved executions"),
    (throttle, "claim-rollback has 0 of its 2 reserved executions"),
    (take_right, "notify may not sns:Publish"),
    (change_machine, "rollback does not call receipt-vault-production-settle"),
    (shrink, "has 1 instances, and 2 were recorded"),
]


def test_every_precondition_that_is_taken_away_is_named_beside_all_the_others(quiet: Quiet) -> None:
    """Whoever mends one thing, and then learns of the next one, has mended nothing when the release is urgent."""
    assert "" == certify(quiet)["concern"]
    for number, (take_away, _) in enumerate(FAULTS, start=1):
        take_away(quiet.stage.account)
        answer = certify(quiet)
        assert "RollbackNotCertified" == answer["errorType"]
        for said in [each for _, each in FAULTS[:number]]:
            assert said in answer["errorMessage"]

    noted = quiet.stage.record.release(quiet.stage.record.item("lease")["release_id"])["certificate"]
    assert "failed" == noted["outcome"]
    assert len(noted["findings"]) >= len(FAULTS) - 3
    assert noted["unproven"]
