"""What is proof that a rollback is possible, and what a human reads when there is none."""

from dataclasses import replace
from pathlib import Path

import pytest

from lambdas.fleet.rules import Capacity
from lambdas.judge.alarm_rules import AlarmState
from lambdas.rollback.certificate_rules import (
    Actor,
    Certificate,
    Finding,
    FunctionState,
    Kind,
    MachineState,
    Need,
    Outcome,
    RuleState,
    as_record,
    check_alarms,
    check_commands,
    check_forwards,
    check_function,
    check_health,
    check_machine,
    check_rights,
    check_size,
    check_starter,
    check_topic,
    explain,
    not_checked,
    questions,
    unproven,
    verdict,
)
from lambdas.traffic.rules import Route
from tests.builders import BLUE, GREEN, LISTENER, TEST_LISTENER, at

CERTIFICATE = Certificate.from_json((Path(__file__).parent / "certificate.json").read_text(encoding="utf-8"))
MACHINE, SETTLE, RULE = CERTIFICATE.actors
(STARTER,) = CERTIFICATE.starters
ROLE = "arn:aws:iam::123456789012:role/settle"
VERSION = "arn:aws:lambda:eu-west-1:123456789012:function:receipts-test-settle:7"
ALLOWED = dict.fromkeys(SETTLE.needs, "allowed")
ROUTE = Route("api", LISTENER, TEST_LISTENER, BLUE, GREEN)
FULL = Capacity(minimum=2, maximum=4, desired=2)
WELL = AlarmState("OK", "breaching", acts=True)
ALARMS = dict.fromkeys(CERTIFICATE.alarms, WELL)
PASSED = Finding("one", Outcome.PASSED, "One is well.")
FAILED = Finding("two", Outcome.FAILED, "Two is gone.", "Bring it back.")
ERROR = not_checked("three", "Throttling: slow down")


# Rights


def test_what_has_the_same_context_is_asked_in_one_request() -> None:
    """The simulator is throttled early, and a rollback has a dozen functions."""
    plain, tagging = questions(SETTLE.needs)

    assert (["dynamodb:UpdateItem", "elasticloadbalancing:DescribeListeners"], ()) == (plain.actions, plain.context)
    assert ["*", SETTLE.needs[0].resource] == plain.resources
    assert (("ec2:CreateAction", "RunInstances"),) == tagging.context


def test_rights_are_proven_only_by_an_allowed_for_each_of_them() -> None:
    assert check_rights(SETTLE, ALLOWED).passed
    for need in SETTLE.needs:
        silent = {each: said for each, said in ALLOWED.items() if each != need}
        for decisions in (silent, {**ALLOWED, need: "implicitDeny"}, {**ALLOWED, need: "explicitDeny"}):
            finding = check_rights(SETTLE, decisions)
            assert Outcome.FAILED is finding.outcome
            assert str(need) in finding.says
            assert 1 == sum(str(each) in finding.says for each in SETTLE.needs)


def test_a_right_that_is_denied_is_not_given_back_by_deploying() -> None:
    missing = check_rights(SETTLE, {**ALLOWED, SETTLE.needs[0]: "implicitDeny"})
    denied = check_rights(SETTLE, {**ALLOWED, SETTLE.needs[0]: "explicitDeny"})

    assert "Deploy Runback again" in missing.remedy
    assert "who denies it" in denied.remedy


def test_a_role_without_any_right_does_not_fill_the_page() -> None:
    needs = tuple(Need("s3:GetObject", f"arn:aws:s3:::bucket/{number}") for number in range(100))

    assert "and 88 more." in check_rights(replace(SETTLE, needs=needs), {}).says


def test_what_no_simulation_shows_is_named() -> None:
    """Passed over in silence it would be taken for proven."""
    found = unproven(CERTIFICATE)

    assert "the resource policy and the key of the record's table" in found
    assert "the policy and the key of the topic" not in found
    assert any("network" in each for each in found)


# State


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (MachineState("ACTIVE", ROLE, {SETTLE.name: VERSION}), ""),
        (MachineState("DELETING", ROLE, {SETTLE.name: VERSION}), "is DELETING"),
        (MachineState("ACTIVE", ROLE, {}), "does not call receipts-test-settle"),
        (MachineState("ACTIVE", ROLE, {SETTLE.name: VERSION, "x": "y"}), "calls x, which nobody has certified"),
    ],
)
def test_a_machine_calls_what_is_certified(found: MachineState, said: str) -> None:
    finding = check_machine("rollback", found, CERTIFICATE.actors)

    assert (not said, True) == (finding.passed, said in finding.says)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (FunctionState("Active", ROLE, 2), ""),
        (None, "does not exist"),
        (FunctionState("Pending", ROLE, 2), "is Pending"),
        (FunctionState("Active", ROLE), "has none of its 2 reserved executions"),
        (FunctionState("Active", ROLE, 1), "has 1 of its 2 reserved executions"),
    ],
)
def test_a_function_can_be_called_whatever_others_do(found: FunctionState | None, said: str) -> None:
    finding = check_function(SETTLE, found)

    assert (not said, True) == (finding.passed, said in finding.says)


def test_a_function_that_somebody_has_throttled_cannot_be_called() -> None:
    """In the console it is one button."""
    free = Actor("notify", Kind.FUNCTION, ())

    assert check_function(free, FunctionState("Active", ROLE)).passed
    assert "switched off" in check_function(free, FunctionState("Active", ROLE, 0)).says


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (RuleState("ENABLED", {STARTER.target: ROLE}), ""),
        (RuleState("ENABLED", {f"{STARTER.target}:7": ROLE}), ""),
        (None, "does not exist"),
        (RuleState("DISABLED", {STARTER.target: ROLE}), "is DISABLED"),
        (RuleState("ENABLED", {}), "does not start"),
        (RuleState("ENABLED", {f"{STARTER.target}-two": ROLE}), "does not start"),
    ],
)
def test_somebody_starts_it(found: RuleState | None, said: str) -> None:
    finding = check_starter(STARTER, found)

    assert (not said, True) == (finding.passed, said in finding.says)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"watchdog-silent": None}, "receipts-test-watchdog-silent is missing"),
        ({"watchdog-silent": AlarmState("INSUFFICIENT_DATA", "breaching", acts=True)}, "was not evaluated yet"),
        ({"watchdog-silent": AlarmState("OK", "breaching", acts=False)}, "tells nobody"),
        ({"rolls-back-error-rate-api-green": AlarmState("OK", "missing", acts=False)}, ""),
        ({"rolls-back-error-rate-api-green": AlarmState("INSUFFICIENT_DATA", "notBreaching", acts=False)}, ""),
        ({"warns-cpu-green": AlarmState("INSUFFICIENT_DATA", "breaching", acts=False)}, ""),
    ],
)
def test_alarms_can_turn_on(changes: dict[str, AlarmState | None], said: str) -> None:
    """No alarm of a release has an action: the rule hears it."""
    changed = {f"receipts-test-{name}": state for name, state in changes.items()}
    found = {name: state for name, state in {**ALARMS, **changed}.items() if state}
    finding = check_alarms(CERTIFICATE, found)

    assert (not said, True) == (finding.passed, said in finding.says)


def test_somebody_is_told() -> None:
    assert check_topic(CERTIFICATE.topic, 1).passed
    assert "receipts-test-notices has no confirmed subscription" in check_topic(CERTIFICATE.topic, 0).says


def test_commands_for_humans_are_there_once_a_release_has_written_them() -> None:
    assert check_commands("/way-back", "aws elbv2 …", first_release=False).passed
    assert check_commands("/way-back", None, first_release=True).passed
    gone = check_commands("/way-back", None, first_release=False)
    assert not gone.passed
    assert "aws ssm put-parameter --name /way-back" in gone.remedy


@pytest.mark.parametrize("forwards", [{LISTENER: {BLUE: 90, GREEN: 10}}, {LISTENER: {GREEN: 100}}, {}])
def test_what_is_recorded_is_what_serves(forwards: dict[str, dict[str, int]]) -> None:
    assert check_forwards("blue", [ROUTE], {LISTENER: {BLUE: 100}}).passed
    assert "route api forwards" in check_forwards("blue", [ROUTE], forwards).says


def test_the_way_back_is_as_large_as_recorded_and_stays_what_it_is() -> None:
    assert [True, True] == [each.passed for each in check_size("blue", FULL, FULL, "7")]
    assert [True, True] == [each.passed for each in check_size("blue", FULL, replace(FULL, desired=3), "7")]
    smaller, moving = check_size("blue", FULL, replace(FULL, desired=1), "$Latest")
    assert "has 1 instances, and 2 were recorded" in smaller.says
    assert "launches from $Latest" in moving.says


def test_the_way_back_is_healthy_on_every_route() -> None:
    assert check_health("blue", FULL, {"api": 2, "site": 3}).passed
    assert "1 of 2 healthy targets on route site" in check_health("blue", FULL, {"api": 2, "site": 1}).says


# The whole


def test_only_what_passed_is_proof() -> None:
    assert Outcome.PASSED is verdict([PASSED])
    assert Outcome.ERROR is verdict([PASSED, ERROR])
    assert Outcome.FAILED is verdict([ERROR, FAILED, PASSED])


def test_everything_that_did_not_pass_is_said_at_once() -> None:
    other = replace(FAILED, subject="four", says="Four is gone.")

    assert "" == explain([PASSED])
    assert (
        explain([PASSED, FAILED, ERROR, other])
        == "3 of 4 checks of the way back did not pass. Two is gone. Four is gone. Bring it back."
        " three could not be checked (Throttling: slow down). Remove that, and start again."
    )


def test_an_explanation_has_an_end_and_names_the_rest() -> None:
    many = [Finding(f"check-{n}", Outcome.FAILED, f"Check {n}: {'x' * 90}.", f"Remedy {n:03}.") for n in range(60)]
    text = explain(many)

    assert 2900 < len(text) <= 3000
    assert " more, which the release's record has: check-" in text
    assert text.endswith("check-59.")
    assert all(f"check-{n}" in text or f"Check {n}:" in text for n in range(60))


def test_one_remedy_for_very_much_does_not_hide_what_it_is_for() -> None:
    many = [Finding(f"check-{n}", Outcome.FAILED, f"Check {n}: {'x' * 90}.", "Bring it back.") for n in range(60)]
    text = explain(many)

    assert len(text) <= 3000
    assert all(f"check-{n}" in text or f"Check {n}:" in text for n in range(60))
    assert "Bring it back." in text


def test_the_record_keeps_what_did_not_pass_whole() -> None:
    noted = as_record([PASSED, FAILED, ERROR], ["the network"], at(3), enforced=False)

    assert noted == {
        "at": at(3),
        "enforced": False,
        "outcome": "failed",
        "passed": ["one"],
        "findings": [FAILED.as_record(), ERROR.as_record()],
        "unproven": ["the network"],
    }
