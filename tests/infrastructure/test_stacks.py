"""What an account gets beside the functions: the record, the machines, the topic, the triggers."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from moto.events.models import EventPattern

from cdk.alarms import alarm_specs
from cdk.assembly import SETTINGS_FOLDER
from cdk.functions import FUNCTIONS
from cdk.settings import load_settings
from lambdas.judge.alarm_rules import AlarmName
from tests.infrastructure.template import Resources, functions, machines, of_type, only, role_of, statements

HOLDERS = ("deploy", "rollback", "clean-up", "restore-database")
"""The machines that can hold the environment: whoever of them dies is found, and what it left is cleared."""
MACHINES = (*HOLDERS, "operate", "report")
ALARMS = ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")


def test_every_environment_and_the_ingress_have_a_stack_of_their_own(templates: Mapping[str, dict[str, Any]]) -> None:
    assert list(templates) == ["ingress", "production", "staging"]


def test_the_record_cannot_be_lost(resources: Resources) -> None:
    """Without it no rollback knows where to go."""
    (table,) = [each for each in resources.values() if each["Type"] == "AWS::DynamoDB::Table"]

    assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == "Retain"
    assert table["Properties"] == {
        "TableName": "receipt-vault-production-record",
        "KeySchema": [
            {"AttributeName": "environment", "KeyType": "HASH"},
            {"AttributeName": "item", "KeyType": "RANGE"},
        ],
        "AttributeDefinitions": [
            {"AttributeName": "environment", "AttributeType": "S"},
            {"AttributeName": "item", "AttributeType": "S"},
        ],
        "BillingMode": "PAY_PER_REQUEST",
        "DeletionProtectionEnabled": True,
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        "SSESpecification": {"SSEEnabled": True},
    }


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_logs_its_states_without_their_data(name: str, resources: Resources) -> None:
    """Not everybody who may read logs may read inputs and results."""
    _, machine = machines(resources)[name]

    assert machine["LoggingConfiguration"]["Level"] == "ALL"
    assert machine["LoggingConfiguration"]["IncludeExecutionData"] is False
    assert machine["TracingConfiguration"] == {"Enabled": True}


@pytest.mark.parametrize(("environment", "longest"), [("production", 41700), ("staging", 12600)])
def test_a_release_that_hangs_is_ended_by_the_time_that_its_plan_allows(
    environment: str, longest: int, templates: Mapping[str, dict[str, Any]]
) -> None:
    """Gates, approval, snapshot, preparing, bakes with extensions, the longest pause, and 15 minutes."""
    found = [
        json.dumps(each["DefinitionString"])
        for each in of_type(templates[environment]["Resources"], "AWS::StepFunctions::StateMachine").values()
        if each["StateMachineName"].endswith("-deploy")
    ]

    assert f'\\"TimeoutSeconds\\":{longest}}}"' in found[0]


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_may_call_its_functions_in_every_version_and_no_other(name: str, resources: Resources) -> None:
    """An update must not strand an execution that goes on with former versions."""
    _, machine = machines(resources)[name]
    invoked = [
        json.dumps(resource)
        for statement in statements(resources, role_of(machine))
        if "lambda:InvokeFunction" in statement["Action"]
        for resource in statement["Resource"]
    ]
    every_version = {
        resources[json.loads(each)["Fn::Join"][1][0]["Fn::GetAtt"][0]]["Properties"]["FunctionName"]
        for each in invoked
        if each.endswith('":*"]]}')
    }

    expected = {f"receipt-vault-production-{spec.name}" for spec in FUNCTIONS if name in spec.machines}
    assert expected == every_version


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_calls_every_function_that_the_table_says_it_calls(name: str, resources: Resources) -> None:
    """A right to call what is never called would be one too many."""
    _, machine = machines(resources)[name]
    definition = json.dumps(machine["DefinitionString"])
    called = {
        version["FunctionName"]["Ref"]
        for logical_id, version in of_type(resources, "AWS::Lambda::Version").items()
        if f'"{logical_id}"' in definition
    }
    names = {resources[each]["Properties"]["FunctionName"] for each in called}

    assert {f"receipt-vault-production-{spec.name}" for spec in FUNCTIONS if name in spec.machines} == names


def named(machine: Any, resources: Resources) -> str:
    """Return the name of a machine, which is referred to, or named where that would be a circle."""
    if isinstance(machine, str):
        return machine.rpartition(":")[2]
    name: str = resources[machine["Ref"]]["Properties"]["StateMachineName"]
    return name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("deploy", {"rollback", "clean-up"}),
        ("rollback", {"clean-up", "deploy", "restore-database"}),
        ("restore-database", set()),
        ("clean-up", set()),
        ("operate", {"rollback"}),
        ("report", set()),
        ("push", set()),
    ],
)
def test_a_machine_may_start_what_it_starts_and_no_other(name: str, expected: set[str], resources: Resources) -> None:
    _, machine = machines(resources)[name]
    started = [
        named(resource, resources)
        for statement in statements(resources, role_of(machine))
        if "states:StartExecution" in statement["Action"]
        for resource in statement["Resource"]
    ]

    assert {f"receipt-vault-production-{each}" for each in expected} == set(started)


@pytest.mark.parametrize("name", ["claim-rollback", "watchdog", "free-environment"])
def test_whoever_asks_for_a_dead_holder_can_ask_for_any(name: str, resources: Resources) -> None:
    """A holder that cannot be asked for is never cleared."""
    (asking,) = [
        statement
        for statement in statements(resources, role_of(functions(resources)[name]))
        if "states:DescribeExecution" in statement["Action"]
    ]

    executions = "arn:aws:states:eu-west-1:111122223333:execution:receipt-vault-production"
    assert {f"{executions}-{machine}:*" for machine in HOLDERS} == set(asking["Resource"])


@pytest.mark.parametrize(("environment", "longest"), [("production", 90000), ("staging", 86400)])
def test_a_clean_up_waits_for_a_day_after_the_window(
    environment: str, longest: int, templates: Mapping[str, dict[str, Any]]
) -> None:
    found = [
        json.dumps(each["DefinitionString"])
        for each in of_type(templates[environment]["Resources"], "AWS::StepFunctions::StateMachine").values()
        if each["StateMachineName"].endswith("-clean-up")
    ]

    assert f'\\"TimeoutSeconds\\":{longest}}}"' in found[0]


def test_reports_are_private_kept_for_a_year_and_repairable(resources: Resources) -> None:
    """A report can be replaced by one that knows less, and is read long after the logs are gone."""
    (bucket,) = [each for each in resources.values() if "-reports-" in each["Properties"].get("BucketName", "")]

    # kept when the stack goes, but not when it was never there: the next deployment could not make it then
    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    assert bucket["Properties"] == {
        "BucketName": "receipt-vault-production-reports-111122223333-eu-west-1",
        "BucketEncryption": {
            "ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        },
        "LifecycleConfiguration": {
            "Rules": [
                {
                    "Id": "forget",
                    "Status": "Enabled",
                    "ExpirationInDays": 400,
                    "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
                }
            ]
        },
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        },
        "VersioningConfiguration": {"Status": "Enabled"},
    }


def test_an_execution_of_a_release_that_has_ended_is_reported(resources: Resources) -> None:
    """However it ended. The report machine is not among them: it would report on itself for ever."""
    rule = _rule(resources, "report")
    (target,) = rule["Targets"]

    assert rule["State"] == "ENABLED"
    assert rule["EventPattern"] == {
        "account": ["111122223333"],
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {
            "stateMachineArn": [{"Ref": machines(resources)[name][0]} for name in HOLDERS],
            "status": ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"],
        },
    }
    assert target["Arn"] == {"Ref": machines(resources)["report"][0]}
    assert target["InputTransformer"] == {
        "InputPathsMap": {"detail-executionArn": "$.detail.executionArn"},
        "InputTemplate": '{"execution_arn":<detail-executionArn>}',
    }


def test_a_lost_report_wakes_nobody(resources: Resources) -> None:
    """The alarm on lost events says that a rollback may be missing. A report is tried for a day, and can be ordered."""
    (target,) = _rule(resources, "report")["Targets"]

    assert "DeadLetterConfig" not in target
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}


def test_an_execution_that_ends_badly_starts_the_rollback_machine(resources: Resources) -> None:
    """A time-out or an abort goes past every Catch, so somebody outside has to notice."""
    watched = [machines(resources)[name][0] for name in HOLDERS]
    rollback, _ = machines(resources)["rollback"]
    rule = _rule(resources, "unfinished-execution")
    (target,) = rule["Targets"]

    assert rule["State"] == "ENABLED"
    assert rule["EventPattern"] == {
        "account": ["111122223333"],
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {
            "stateMachineArn": [{"Ref": machine} for machine in watched],
            "status": ["FAILED", "TIMED_OUT", "ABORTED"],
        },
    }
    assert target["Arn"] == {"Ref": rollback}
    assert target["InputTransformer"] == {
        "InputPathsMap": {"detail-executionArn": "$.detail.executionArn", "detail-status": "$.detail.status"},
        "InputTemplate": '{"source":"execution-status","execution_arn":<detail-executionArn>,"status":<detail-status>}',
    }


def test_a_critical_alarm_starts_the_rollback_machine(resources: Resources) -> None:
    """The machine decides what that means for the release, or pages."""
    rule = _rule(resources, "critical-alarm")
    (target,) = rule["Targets"]

    assert rule["State"] == "ENABLED"
    assert rule["EventPattern"]["account"] == ["111122223333"]
    assert rule["EventPattern"]["source"] == ["aws.cloudwatch"]
    assert target["Arn"] == {"Ref": machines(resources)["rollback"][0]}
    assert _given(target, _change("receipt-vault-production-pages-cpu-blue")) == {
        "source": "alarm",
        "alarm": "receipt-vault-production-pages-cpu-blue",
        "state": "ALARM",
        "previous_state": "OK",
        "changed_at": "2026-03-01T10:00:00.000+0000",
        "reason": "Threshold Crossed",
    }


@pytest.mark.parametrize("environment", ["production", "staging"])
def test_every_critical_alarm_and_no_other_starts_it(environment: str, templates: Mapping[str, dict[str, Any]]) -> None:
    """An alarm that sums others up is on already when the one comes on that a release is rolled back for."""
    resources = templates[environment]["Resources"]
    names = {each["AlarmName"] for kind in ALARMS for each in of_type(resources, kind).values()}
    critical = {
        each for each in names if AlarmName.read(each, f"receipt-vault-{environment}") in _critical(environment)
    }
    pattern = _pattern(resources, f"receipt-vault-{environment}-critical-alarm")

    assert len(critical) > 10
    assert {each for each in names if pattern.matches_event(_change(each))} == critical


@pytest.mark.parametrize(
    "change",
    [
        {"detail": {"alarmName": "receipt-vault-production-pages-cpu-blue", "state": {"value": "OK"}}},
        {"detail": {"alarmName": "receipt-vault-production-pages-cpu-blue", "state": {"value": "INSUFFICIENT_DATA"}}},
        {"account": "444455556666"},
        {"source": "somebody.else"},
        {"detail-type": "CloudWatch Alarm Configuration Change"},
        {"detail": {"alarmName": "receipt-vault-staging-pages-cpu-blue", "state": {"value": "ALARM"}}},
    ],
    ids=["it goes off", "it has no data", "another account", "another source", "another event", "another environment"],
)
def test_other_events_start_nothing(change: dict[str, Any], resources: Resources) -> None:
    pattern = _pattern(resources, "receipt-vault-production-critical-alarm")
    event = _change("receipt-vault-production-pages-cpu-blue")

    assert pattern.matches_event(event)
    assert not pattern.matches_event({**event, **change})


def _critical(environment: str) -> set[AlarmName]:
    (settings,) = load_settings(SETTINGS_FOLDER, (environment,))
    return {spec.name for spec in alarm_specs(settings) if spec.is_critical}


def _pattern(resources: Resources, name: str) -> EventPattern:
    (rule,) = [each for each in of_type(resources, "AWS::Events::Rule").values() if each["Name"] == name]
    return EventPattern.load(json.dumps(rule["EventPattern"]))


def _change(alarm: str) -> dict[str, Any]:
    """Return what CloudWatch sends when an alarm comes on."""
    return {
        "version": "0",
        "source": "aws.cloudwatch",
        "account": "111122223333",
        "detail-type": "CloudWatch Alarm State Change",
        "detail": {
            "alarmName": alarm,
            "state": {"value": "ALARM", "reason": "Threshold Crossed", "timestamp": "2026-03-01T10:00:00.000+0000"},
            "previousState": {"value": "OK", "timestamp": "2026-03-01T09:00:00.000+0000"},
        },
    }


def _given(target: Mapping[str, Any], event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the input that EventBridge makes of an event."""
    text = target["InputTransformer"]["InputTemplate"]
    for name, path in target["InputTransformer"]["InputPathsMap"].items():
        value: Any = event
        for key in path.removeprefix("$.").split("."):
            value = value[key]
        text = text.replace(f"<{name}>", json.dumps(value))
    made: dict[str, Any] = json.loads(text)
    return made


@pytest.mark.parametrize("name", ["unfinished-execution", "critical-alarm", "report", "validated"])
def test_a_rule_may_start_its_machine_and_nobody_else_may_use_its_role(name: str, resources: Resources) -> None:
    (target,) = _rule(resources, name)["Targets"]
    role = target["RoleArn"]["Fn::GetAtt"][0]
    (trust,) = resources[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    (allowed,) = statements(resources, role)

    assert trust["Principal"] == {"Service": "events.amazonaws.com"}
    assert trust["Condition"] == {
        "ArnEquals": {"aws:SourceArn": f"arn:aws:events:eu-west-1:111122223333:rule/receipt-vault-production-{name}"},
        "StringEquals": {"aws:SourceAccount": "111122223333"},
    }
    assert allowed["Action"] == ["states:StartExecution"]
    assert allowed["Resource"] == [target["Arn"]]


def test_a_warning_is_told_and_starts_no_machine(resources: Resources) -> None:
    rule = _rule(resources, "warning")
    (target,) = rule["Targets"]
    woken = resources[target["Arn"]["Ref"]]["Properties"]["FunctionName"]["Ref"]

    assert rule["State"] == "ENABLED"
    assert rule["EventPattern"] == {
        "account": ["111122223333"],
        "source": ["aws.cloudwatch"],
        "detail-type": ["CloudWatch Alarm State Change"],
        "detail": {"alarmName": [{"prefix": "receipt-vault-production-warns-"}], "state": {"value": ["ALARM"]}},
    }
    assert functions(resources)["tell-alarm"] == resources[woken]["Properties"]


def test_a_lost_warning_calls_for_no_rollback(resources: Resources) -> None:
    """The queue of lost events has an alarm that does; a warning is tried for an hour, and the alarm stays on."""
    (target,) = _rule(resources, "warning")["Targets"]

    assert "DeadLetterConfig" not in target
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 185}


@pytest.mark.parametrize("name", ["watchdog", "probe", "probe-database"])
def test_what_looks_every_minute_is_woken_by_its_rule_alone(name: str, resources: Resources) -> None:
    rule = _rule(resources, name)
    (target,) = rule["Targets"]
    permissions = of_type(resources, "AWS::Lambda::Permission").values()
    (permission,) = [each for each in permissions if each["FunctionName"] == target["Arn"]]
    woken = resources[target["Arn"]["Ref"]]

    assert rule["ScheduleExpression"] == "rate(1 minute)"
    assert woken["Type"] == "AWS::Lambda::Version"
    assert functions(resources)[name] == resources[woken["Properties"]["FunctionName"]["Ref"]]["Properties"]
    assert permission["Principal"] == "events.amazonaws.com"
    assert resources[permission["SourceArn"]["Fn::GetAtt"][0]]["Properties"] == rule


@pytest.mark.parametrize("name", ["probe", "probe-database"])
def test_a_lost_round_of_a_probe_wakes_nobody(name: str, resources: Resources) -> None:
    """The alarm on lost events says that a rollback may be missing; a probe's silence has alarms of its own."""
    (target,) = _rule(resources, name)["Targets"]

    assert "DeadLetterConfig" not in target
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 0}


@pytest.mark.parametrize(
    ("name", "oldest_seconds"), [("unfinished-execution", 3600), ("critical-alarm", 3600), ("watchdog", 60)]
)
def test_an_event_that_cannot_be_delivered_is_kept_and_told(
    name: str, oldest_seconds: int, resources: Resources
) -> None:
    """EventBridge drops what it could not deliver, unless there is a queue for it."""
    (target,) = _rule(resources, name)["Targets"]
    (queue_id,) = of_type(resources, "AWS::SQS::Queue")
    alarm = _alarm(resources, "lost-events")
    (topic_id,) = of_type(resources, "AWS::SNS::Topic")

    assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": [queue_id, "Arn"]}}
    assert target["RetryPolicy"]["MaximumEventAgeInSeconds"] == oldest_seconds
    assert alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": {"Fn::GetAtt": [queue_id, "QueueName"]}}]
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (1, "GreaterThanOrEqualToThreshold")
    assert alarm["AlarmActions"] == [{"Ref": topic_id}]


def test_a_watchdog_that_does_not_complete_its_rounds_is_told(resources: Resources) -> None:
    """Nobody would miss it before the day on which an event is lost."""
    alarm = _alarm(resources, "watchdog-silent")
    (topic_id,) = of_type(resources, "AWS::SNS::Topic")
    watched = [metric["MetricStat"]["Metric"] for metric in alarm["Metrics"] if "MetricStat" in metric]

    assert {each["MetricName"] for each in watched} == {"Invocations", "Errors"}
    assert {each["Dimensions"][0]["Value"] for each in watched} == {"receipt-vault-production-watchdog"}
    assert (alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"]) == (3, 5)
    assert alarm["TreatMissingData"] == "breaching"
    assert alarm["AlarmActions"] == [{"Ref": topic_id}]


def test_a_message_that_no_machine_could_send_is_told(resources: Resources) -> None:
    """The machine goes on without it: only CloudWatch, which publishes with rights of its own, can say so."""
    alarm = _alarm(resources, "notices-fail")
    (topic_id,) = of_type(resources, "AWS::SNS::Topic")

    assert (alarm["MetricName"], alarm["Statistic"], alarm["Period"]) == ("Errors", "Sum", 60)
    assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": "receipt-vault-production-notify"}]
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (1, "GreaterThanOrEqualToThreshold")
    assert alarm["AlarmActions"] == [{"Ref": topic_id}]


def _alarm(resources: Resources, suffix: str) -> dict[str, Any]:
    alarms = of_type(resources, "AWS::CloudWatch::Alarm").values()
    (alarm,) = (each for each in alarms if each["AlarmName"].endswith(suffix))
    return alarm


@pytest.mark.parametrize("kind", ["AWS::S3::BucketPolicy", "AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy"])
def test_buckets_the_topic_and_the_queue_refuse_unencrypted_connections(kind: str, resources: Resources) -> None:
    for properties in of_type(resources, kind).values():
        denied = [each for each in properties["PolicyDocument"]["Statement"] if each["Effect"] == "Deny"]

        assert {"Bool": {"aws:SecureTransport": "false"}} in [each["Condition"] for each in denied]


def test_alarms_of_this_account_reach_the_topic(resources: Resources) -> None:
    """A topic with a policy of its own loses the default one, which let alarms publish."""
    allowed = [
        each
        for each in only(resources, "AWS::SNS::TopicPolicy")["PolicyDocument"]["Statement"]
        if each["Effect"] == "Allow"
    ]

    assert [(each["Principal"], each["Action"]) for each in allowed] == [
        ({"Service": "cloudwatch.amazonaws.com"}, "sns:Publish")
    ]
    assert allowed[0]["Condition"]["StringEquals"] == {"aws:SourceAccount": "111122223333"}


def test_the_on_call_is_subscribed_by_e_mail(resources: Resources) -> None:
    subscription = only(resources, "AWS::SNS::Subscription")

    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "oncall@receiptvault.pro")


def _rule(resources: Resources, name: str) -> dict[str, Any]:
    rules = of_type(resources, "AWS::Events::Rule").values()
    (found,) = [each for each in rules if each["Name"] == f"receipt-vault-production-{name}"]
    return found
