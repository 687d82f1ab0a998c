"""The five minutes of the runbook are added up from what ships, and a change that breaks them is found before AWS."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cdk import budget as module
from cdk.budget import (
    ASSUMPTIONS,
    BALANCER_PUBLISHES,
    EVALUATED_BY_MINUTE,
    EVENT_DELIVERED,
    EXECUTION_STARTS,
    LISTENER_IN_FORCE,
    PROVEN_BY_AWS_ONLY,
    BudgetError,
    Row,
    Took,
    budget,
    main,
)
from tests.infrastructure.template import of_type

PREFIX = "shop-test"
FAST_ALARM = "rolls-back-fast-error-rate-green"
AWS_BACK = EVENT_DELIVERED.took.worst + EXECUTION_STARTS.took.worst + LISTENER_IN_FORCE.took.worst


def task(timeout: int, following: str = "", attempts: int = 1, **more: Any) -> dict[str, Any]:
    retry = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": attempts - 1, "BackoffRate": 2}
    ends = {"Next": following} if following else {"End": True}
    return {"Type": "Task", "TimeoutSeconds": timeout, "Retry": [retry], **ends, **more}


def rollback(**changes: Any) -> dict[str, Any]:
    """Return a machine of 12 + 1 + 12 s and 8 s until traffic is safe, with slow work behind."""
    return {
        "StartAt": "Claim rollback",
        "States": {
            "Claim rollback": task(12, "What is there?", 2, Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Page"}]),
            "What is there?": {
                "Type": "Choice",
                "Choices": [{"Next": "Switch listener back"}, {"Next": "Page"}],
                "Default": "Page",
            },
            "Switch listener back": task(8, "Verify"),
            "Verify": task(600, attempts=10),
            "Page": task(600, attempts=10),
            **changes,
        },
    }


def alarm(subject: str = "", period: int = 60, breaching: int = 1, looked_at: int = 3, **more: Any) -> dict[str, Any]:
    stat = {"Metric": {"Namespace": "Shop"}, "Period": period}
    properties = {
        "AlarmName": f"{PREFIX}-{subject or FAST_ALARM}",
        "EvaluationPeriods": looked_at,
        "DatapointsToAlarm": breaching,
        "Metrics": [{"Id": "e", "Expression": "FILL(m, 0)"}, {"Id": "m", "MetricStat": stat}],
        **more,
    }
    return {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}


def balancer(**more: Any) -> dict[str, Any]:
    metrics = [
        {"Id": "e", "Expression": "FILL(m, 0)"},
        {"Id": "m", "MetricStat": {"Metric": {"Namespace": "AWS/ApplicationELB"}, "Period": 60}},
    ]
    return alarm("rolls-back-error-rate-api-green", **({"Metrics": metrics} | more))


def machine(name: str, definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return it as CloudFormation has it: in pieces, with a function's version between them."""
    text = json.dumps(definition).split("@")
    pieces: list[Any] = [text[0]]
    for piece in text[1:]:
        logical_id, _, rest = piece.partition("!")
        pieces += [{"Ref": logical_id}, rest]
    return {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {"StateMachineName": f"{PREFIX}-{name}", "DefinitionString": {"Fn::Join": ["", pieces]}},
    }


def template(*alarms: dict[str, Any], back: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    named = {f"Alarm{n}": each for n, each in enumerate(alarms)}
    return {"Resources": {"Rollback": machine("rollback", back or rollback()), **named, **more}}


def judged(judge: Mapping[str, Any], **settings: Any) -> dict[str, Any]:
    """Return what a judge needs of a template: its function, and a deploy machine that starts the rollback."""
    catch = [{"ErrorEquals": ["LeaseLost"], "Next": "Lost"}, {"ErrorEquals": ["States.ALL"], "Next": "Start rollback"}]
    deploy = {
        "StartAt": "Prepare",
        "States": {
            "Prepare": task(3600, "Judge"),
            "Judge": {**judge, "Catch": catch, "Parameters": {"FunctionName": "@JudgeVersion!"}},
            "Start rollback": task(10, "Handed over", Parameters={"StateMachineArn": "@Rollback!"}),
            "Handed over": {"Type": "Fail"},
            "Lost": {"Type": "Fail"},
        },
    }
    variables = {"JUDGE": json.dumps({"source": "application", "metrics": {"period_seconds": 10}} | settings)}
    function = {"FunctionName": f"{PREFIX}-judge-bake", "Environment": {"Variables": variables}}
    return {
        "Judge": {"Type": "AWS::Lambda::Function", "Properties": function},
        "JudgeVersion": {"Type": "AWS::Lambda::Version", "Properties": {"FunctionName": {"Ref": "Judge"}}},
        "Deploy": machine("deploy", deploy),
    }


def test_alarm_of_a_load_balancer_is_counted_from_its_fault_to_safe_traffic() -> None:
    (row,) = budget(template(balancer(DatapointsToAlarm=2, EvaluationPeriods=4)), PREFIX)

    late = BALANCER_PUBLISHES.took.worst + EVALUATED_BY_MINUTE.took.worst
    assert row.name == "rolls-back-error-rate-api-green"
    assert row.noticed.worst == 3 * 60 + late
    assert row.mended.worst == (12 + 1 + 12) + 8 + AWS_BACK
    assert row.is_over


def test_alarm_in_high_resolution_is_counted_with_its_own_delays() -> None:
    (row,) = budget(template(alarm(period=10, breaching=3, looked_at=5)), PREFIX)

    assert row.noticed == Took(4 * 10 + 10 + 10, 35 + 5 + 5)
    assert row.aim_seconds == 90
    assert not row.is_over


def test_probe_asks_once_in_every_period_of_its_alarm() -> None:
    success = {"Namespace": "Runback/Probe", "Period": 60, "Metrics": []}
    without_math = alarm("rolls-back-probe-login-all", breaching=2, **success)
    del without_math["Properties"]["Metrics"]
    (row,) = budget(template(without_math), PREFIX)

    assert row.noticed.worst == 3 * 60 + 15 + 60


def test_only_alarms_that_roll_back_are_counted() -> None:
    found = [alarm(each) for each in ("warns-cpu-green", "pages-cpu-green", FAST_ALARM)]

    assert [row.name for row in budget(template(*found), PREFIX)] == [FAST_ALARM]


def test_usual_case_has_no_retries() -> None:
    (row,) = budget(template(alarm()), PREFIX)
    aws = EVENT_DELIVERED.took.usual + EXECUTION_STARTS.took.usual + LISTENER_IN_FORCE.took.usual

    assert row.mended.usual == 2 * 1 + aws


def test_alarm_that_waits_for_filled_up_points_is_never_on() -> None:
    """A minute late, of two points the newest one is a filling: two of two can never be breaching."""
    (row,) = budget(template(balancer(DatapointsToAlarm=2, EvaluationPeriods=2)), PREFIX)

    assert row.is_over
    assert row.took.worst == float("inf")


@pytest.mark.parametrize(
    ("change", "more_seconds"),
    [
        ({"Switch listener back": task(8, "Verify", attempts=3)}, 8 + 1 + 8 + 2),
        ({"Switch listener back": task(20, "Verify")}, 12),
        (
            {
                "Switch listener back": task(8, "Verify")
                | {"Retry": [{"ErrorEquals": ["A"], "MaxAttempts": 1}, {"ErrorEquals": ["B"], "MaxAttempts": 2}]}
            },
            3 * 8 + 1 + (1 + 2),
        ),
        ({"Switch listener back": task(8, "Verify") | {"Retry": [{"ErrorEquals": ["A"]}]}}, 3 * 8 + (1 + 2 + 4)),
        (
            {
                "Switch listener back": task(8, "Verify")
                | {"Retry": [{"ErrorEquals": ["A"], "MaxAttempts": 3, "MaxDelaySeconds": 2}]}
            },
            3 * 8 + (1 + 2 + 2),
        ),
    ],
    ids=["retries", "time-out", "two kinds of retries", "defaults", "a limit of pauses"],
)
def test_every_attempt_and_pause_before_the_switch_counts(change: dict[str, Any], more_seconds: float) -> None:
    (before,) = budget(template(alarm()), PREFIX)
    (after,) = budget(template(alarm(), back=rollback(**change)), PREFIX)

    assert after.mended.worst - before.mended.worst == more_seconds
    assert after.mended.usual == before.mended.usual


def test_something_slow_before_the_switch_counts() -> None:
    slow = {
        "Claim rollback": task(12, "Breathe", 2),
        "Breathe": {"Type": "Wait", "Seconds": 30, "Next": "What is there?"},
    }
    (before,) = budget(template(alarm()), PREFIX)
    (after,) = budget(template(alarm(), back=rollback(**slow)), PREFIX)

    assert (after.mended.worst - before.mended.worst, after.mended.usual - before.mended.usual) == (30, 30)


@pytest.mark.parametrize(
    "change",
    [
        {"Claim rollback": {"Type": "Task", "Next": "What is there?"}},
        {"Claim rollback": {"Type": "Wait", "TimestampPath": "$.at", "Next": "What is there?"}},
        {
            "What is there?": {
                "Type": "Choice",
                "Choices": [{"Next": "Switch listener back"}],
                "Default": "Claim rollback",
            }
        },
    ],
    ids=["no time-out", "a wait of unknown length", "a loop"],
)
def test_what_has_no_bound_is_over_the_limit(change: dict[str, Any]) -> None:
    (row,) = budget(template(alarm(), back=rollback(**change)), PREFIX)

    assert row.is_over


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (template(), "Nothing in shop-test starts a rollback"),
        ({"Resources": {}}, "There is no machine shop-test-rollback"),
        (
            template(alarm(), back=rollback(**{"Claim rollback": task(12, "Verify")})),
            "There is no way from 'Claim rollback' to 'Switch listener back'",
        ),
        (
            template(alarm(), back=rollback(**{"Claim rollback": {"Type": "Map", "Next": "What is there?"}})),
            "how long a state of type Map takes",
        ),
        (template(balancer(Metrics=[{"MetricStat": {"Metric": {"Namespace": "AWS/EC2"}, "Period": 60}}])), "AWS/EC2"),
    ],
)
def test_what_nobody_has_thought_about_is_an_error(given: dict[str, Any], told: str) -> None:
    with pytest.raises(BudgetError, match=told):
        budget(given, PREFIX)


def test_judge_is_counted_from_its_tick_to_the_start_of_the_rollback() -> None:
    (first, then, last) = budget(template(**judged(task(35, "Handed over", 2))), PREFIX)
    judge, start = 35 + 1 + 35, 10

    assert first.noticed.worst == 10 + 10 + 10
    assert first.mended.worst == judge + start + (25 + 8) + EXECUTION_STARTS.took.worst + LISTENER_IN_FORCE.took.worst
    assert [row.noticed.worst - first.noticed.worst for row in (then, last)] == [21, 51]
    assert [row.aim_seconds for row in (first, then, last)] == [30, 300, 300]


def test_judge_by_the_load_balancer_is_minutes_late() -> None:
    first, *_ = budget(template(**judged(task(35, "Handed over"), source="load_balancer", metrics=None)), PREFIX)

    assert first.noticed.worst == 60 + 10 + 60
    assert first.aim_seconds == 300


def test_judge_by_slow_evidence_may_be_slower_than_the_alarms_beside_it() -> None:
    slow = template(**judged(task(300, "Handed over"), source="load_balancer", metrics=None))
    fast = template(**judged(task(300, "Handed over")))

    assert not any(row.is_over for row in budget(slow, PREFIX))
    assert all(row.is_over for row in budget(fast, PREFIX))


def test_judge_that_starts_no_rollback_is_over_the_limit() -> None:
    found = judged(task(35, "Handed over"))
    found["Deploy"] = machine("deploy", {"StartAt": "Judge", "States": {"Judge": {"Type": "Fail"}}})
    first, *_ = budget(template(**found), PREFIX)

    assert first.is_over


def write(folder: Path, given: dict[str, Any]) -> list[str]:
    (folder / f"Runback-{PREFIX}.template.json").write_text(json.dumps(given), encoding="utf-8")
    return [str(folder)]


def test_what_is_in_time_is_shown_and_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(write(tmp_path, template(alarm(period=10)))) == 0
    shown = capsys.readouterr()
    assert FAST_ALARM in shown.out
    assert shown.err == ""


def test_raised_retry_fails_and_names_the_alarm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stubborn = rollback(**{"Switch listener back": task(8, "Verify", attempts=9)})

    assert main(write(tmp_path, template(alarm(period=10), back=stubborn))) == 1
    assert f"{PREFIX}: {FAST_ALARM} (" in capsys.readouterr().err


def test_folder_without_templates_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Otherwise nothing would be in time."""
    assert main([str(tmp_path)]) == 1
    assert "make synth" in capsys.readouterr().err


def test_stack_without_machines_takes_no_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "Runback-shop-ingress.template.json").write_text('{"Resources": {}}', encoding="utf-8")
    assert main(write(tmp_path, template(alarm(period=10)))) == 0
    assert "ingress" not in capsys.readouterr().out


def test_template_that_cannot_be_counted_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(write(tmp_path, template())) == 1
    assert "Nothing in shop-test" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("took", "aim", "told"),
    [
        (Took(80, 40), 90, "90: met"),
        (Took(120, 40), 90, "90: met usually"),
        (Took(120, 95), 90, "90: not met"),
        (Took(301, 40), 90, "90: OVER THE LIMIT of 300"),
    ],
)
def test_aim_is_told_for_the_worst_case_and_the_usual_one(took: Took, aim: float, told: str) -> None:
    assert module._aim(Row("it", Took(0, 0), took, aim)) == told


def test_everything_that_is_assumed_has_a_source_and_says_whether_aws_alone_can_prove_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(write(tmp_path, template(alarm(period=10))))
    lines = capsys.readouterr().out.splitlines()

    for each in ASSUMPTIONS:
        (line,) = [line for line in lines if each.what in line]
        assert each.source.startswith("https://")
        assert each.source in line
        assert line.startswith("*") == (each in PROVEN_BY_AWS_ONLY)


@pytest.mark.parametrize("environment", ["production", "staging"])
def test_every_alarm_that_rolls_back_is_in_the_table(environment: str, templates: Mapping[str, dict[str, Any]]) -> None:
    prefix = f"receipt-vault-{environment}"
    alarms = of_type(templates[environment]["Resources"], "AWS::CloudWatch::Alarm").values()
    expected = {
        each["AlarmName"].removeprefix(f"{prefix}-") for each in alarms if f"{prefix}-rolls-back-" in each["AlarmName"]
    }
    found = {row.name for row in budget(templates[environment], prefix)}

    assert expected
    assert expected == {name for name in found if not name.startswith("judge")}
    assert {name.partition(",")[2] for name in found if name.startswith("judge")}
