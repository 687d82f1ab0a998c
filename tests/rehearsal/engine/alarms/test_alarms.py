"""A metric that breaches turns alarms on, on the clock, and everybody who listens is told: once."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from rehearsal.clock import TwoSpeedClock
from rehearsal.copies import in_copies
from rehearsal.engine.alarms import Alarms
from rehearsal.engine.alarms.evaluation import State
from rehearsal.engine.calls import Calls
from rehearsal.engine.events import EventBus
from rehearsal.engine.metrics import Metric
from rehearsal.engine.virtual import VirtualTime
from rehearsal.engine.virtual.virtual_time import START
from tests.waiting import eventually

REGION, ACCOUNT = "eu-west-1", "123456789012"
SESSION = boto3.Session(region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test")
"""Of the module: reading the services' models is most of what a client costs."""
CLIENTS = {service: SESSION.client(service) for service in ("cloudwatch", "events", "sns", "sqs")}
ARN = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm"
INBOX = f"arn:aws:sqs:{REGION}:{ACCOUNT}:inbox"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:notices"
MINUTE = 60
CHANGES = {"source": ["aws.cloudwatch"], "detail-type": ["CloudWatch Alarm State Change"]}
INITIAL = {"value": "INSUFFICIENT_DATA", "reason": "Unchecked: Initial alarm creation"}


class Planted:
    """Metrics as a test plants them: from when on which value, in every period that is over."""

    def __init__(self) -> None:
        self.asked = 0
        self._values: dict[str, list[tuple[datetime, float | None]]] = {}

    def plant(self, name: str, value: float | None, since: datetime) -> None:
        self._values.setdefault(name, []).append((since, value))

    def values(
        self, metric: Metric, statistic: str, period: int, start: datetime, end: datetime
    ) -> dict[datetime, float]:
        assert (metric.namespace, metric.dimensions) == ("Test", frozenset({("Color", "green")}))
        assert statistic in ("Sum", "p95")
        self.asked += 1
        found = {}
        for number in range(int((end - start).total_seconds()) // period):
            at = start + timedelta(seconds=number * period)
            value = next((value for since, value in reversed(self._values.get(metric.name, [])) if since <= at), None)
            if value is not None:
                found[at] = value
        return found


class Account:
    """Alarms on planted metrics, a rule that catches their changes, and a topic."""

    def __init__(self, time: VirtualTime, alarms: Alarms, bus: EventBus, planted: Planted) -> None:
        self.time, self.alarms, self.bus, self.planted = time, alarms, bus, planted
        self.cloudwatch, self.sqs = CLIENTS["cloudwatch"], CLIENTS["sqs"]
        for queue in ("inbox", "notices"):
            self.sqs.create_queue(QueueName=queue)
        CLIENTS["sns"].create_topic(Name="notices")
        CLIENTS["sns"].subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:notices")
        CLIENTS["events"].put_rule(Name="changes", EventPattern=json.dumps(CHANGES))
        CLIENTS["events"].put_targets(Rule="changes", Targets=[{"Id": "inbox", "Arn": INBOX}])

    def put(self, name: str = "errors", **properties: Any) -> None:
        self.cloudwatch.put_metric_alarm(**(plain(name) | properties))

    def put_composite(self, name: str, rule: str, **properties: Any) -> None:
        self.cloudwatch.put_composite_alarm(AlarmName=name, AlarmRule=rule, **properties)

    def plant(self, name: str, value: float | None) -> None:
        """Let a metric have a value from now on."""
        self.planted.plant(name, value, self.time.clock.now())

    def pass_time(self, seconds: float) -> None:
        self.time.sleep(seconds)
        self.time.settle()

    def changes(self, name: str) -> list[tuple[State, State]]:
        """Tell from which state to which an alarm has gone, as the rule's target was told."""
        details = [event["detail"] for event in self.events(name)]
        return [(detail["previousState"]["value"], detail["state"]["value"]) for detail in details]

    def events(self, name: str) -> list[dict[str, Any]]:
        delivered = [each.event for each in self.bus.deliveries if each.outcome == "delivered"]
        return [event for event in delivered if event["detail"]["alarmName"] == name]

    def messages(self) -> list[dict[str, Any]]:
        """Take what has arrived from the topic."""
        url = self.sqs.get_queue_url(QueueName="notices")["QueueUrl"]
        received = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for each in received:
            self.sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
        return [json.loads(each["Body"]) for each in received]

    def described(self, **asked: Any) -> list[str]:
        answer = self.cloudwatch.describe_alarms(**asked)
        return [alarm["AlarmName"] for kind in ("MetricAlarms", "CompositeAlarms") for alarm in answer[kind]]

    def alarm(self, name: str) -> dict[str, Any]:
        answer = self.cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        [alarm] = answer["MetricAlarms"] + answer["CompositeAlarms"]
        return dict(alarm)


def plain(name: str) -> dict[str, Any]:
    return {
        "AlarmName": name,
        "Namespace": "Test",
        "MetricName": "Errors",
        "Dimensions": [{"Name": "Color", "Value": "green"}],
        "Statistic": "Sum",
        "Period": MINUTE,
        "EvaluationPeriods": 1,
        "Threshold": 5.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }


def math(name: str, expression: str, *metrics: str, **properties: Any) -> dict[str, Any]:
    """Return an alarm on metric math over metrics, whose ids are their names with a small first letter."""
    queries = [
        {
            "Id": metric[0].lower() + metric[1:],
            "ReturnData": False,
            "MetricStat": {
                "Metric": {
                    "Namespace": "Test",
                    "MetricName": metric,
                    "Dimensions": [{"Name": "Color", "Value": "green"}],
                },
                "Period": MINUTE,
                "Stat": "Sum",
            },
        }
        for metric in metrics
    ]
    return {
        "AlarmName": name,
        "Metrics": [{"Id": "rate", "Expression": expression, "Label": "Error rate", "ReturnData": True}, *queries],
        "EvaluationPeriods": 1,
        "Threshold": 5.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    } | properties


RATE = "IF(FILL(requests, 0) >= 20, 100 * FILL(errors, 0) / requests, 0)"


@pytest.fixture
def account() -> Iterator[Account]:
    with ExitStack() as stack:
        time = stack.enter_context(VirtualTime(seed=1))
        stack.enter_context(mock_aws())
        stack.enter_context(Calls(time.clock))
        bus = stack.enter_context(EventBus(time.clock, account=ACCOUNT, session=SESSION))
        planted = Planted()
        alarms = stack.enter_context(Alarms(time.clock, planted, bus, account=ACCOUNT, session=SESSION))
        yield Account(time, alarms, bus, planted)


# A metric turns alarms on


def test_a_breaching_metric_turns_a_plain_a_math_and_a_composite_alarm_on_and_a_rule_delivers(
    account: Account,
) -> None:
    account.put("errors")
    account.cloudwatch.put_metric_alarm(**math("error-rate", RATE, "Requests", "Errors"))
    account.put_composite("critical", f'ALARM("{ARN}:errors") AND ALARM("{ARN}:error-rate")')
    account.plant("Requests", 100.0)
    account.pass_time(3 * MINUTE)
    assert [account.alarms.state(name) for name in ("errors", "error-rate", "critical")] == ["OK"] * 3

    account.plant("Errors", 50.0)
    account.pass_time(2 * MINUTE)

    for name in ("errors", "error-rate", "critical"):
        assert account.alarm(name)["StateValue"] == "ALARM"
        assert account.changes(name) == [("INSUFFICIENT_DATA", "OK"), ("OK", "ALARM")]
    inbox = account.sqs.get_queue_url(QueueName="inbox")["QueueUrl"]
    received = account.sqs.receive_message(QueueUrl=inbox, MaxNumberOfMessages=10)["Messages"]
    bodies = [json.loads(message["Body"]) for message in received]
    assert {body["detail"]["alarmName"] for body in bodies} == {"errors", "error-rate", "critical"}


def test_a_change_is_told_once(account: Account) -> None:
    """An alarm acts on transitions only: one that stays on is not told again."""
    account.put(AlarmActions=[TOPIC])
    account.plant("Errors", 9.0)
    account.pass_time(20 * MINUTE)
    account.plant("Errors", 1.0)
    account.pass_time(20 * MINUTE)

    assert account.changes("errors") == [
        ("INSUFFICIENT_DATA", "OK"),
        ("OK", "ALARM"),
        ("ALARM", "OK"),
    ]
    assert len(account.messages()) == 1


def test_m_of_n_values_turn_an_alarm_on(account: Account) -> None:
    account.put(EvaluationPeriods=5, DatapointsToAlarm=3)
    states = []
    for value in (9.0, 1.0, 9.0, 1.0, 9.0, 1.0, 1.0):
        account.plant("Errors", value)
        account.pass_time(MINUTE)
        states.append(account.alarms.state("errors"))
    assert states == [*["OK"] * 5, "ALARM", "OK"]


def test_the_reason_tells_how_many_values_it_takes(account: Account) -> None:
    account.put(EvaluationPeriods=5, DatapointsToAlarm=2)
    account.plant("Errors", 1.0)
    account.pass_time(10 * MINUTE)
    account.plant("Errors", 9.0)
    account.pass_time(2 * MINUTE + 6)
    told = "2 out of the last 5 datapoints [9.0 (01/03/26 10:11:00), 9.0 (01/03/26 10:10:00)] were greater than"
    assert told in account.alarm("errors")["StateReason"]
    account.plant("Errors", 1.0)
    account.pass_time(10 * MINUTE)
    assert "(minimum 4 datapoints for ALARM -> OK transition)" in account.alarm("errors")["StateReason"]


def test_missing_data_is_treated_as_the_alarm_says(account: Account) -> None:
    for treatment in ("missing", "ignore", "breaching", "notBreaching"):
        account.put(treatment, TreatMissingData=treatment)
    account.plant("Errors", 1.0)
    account.pass_time(3 * MINUTE)
    account.plant("Errors", None)
    account.pass_time(10 * MINUTE)

    expected = {"missing": "INSUFFICIENT_DATA", "ignore": "OK", "breaching": "ALARM", "notBreaching": "OK"}
    assert {name: account.alarms.state(name) for name in expected} == expected
    nothing = "no datapoints were received for 1 period and 1 missing datapoint was treated as [Breaching]"
    assert account.alarm("breaching")["StateReason"] == f"Threshold Crossed: {nothing}."
    assert account.alarm("missing")["StateReason"] == "Insufficient Data: 1 datapoint was unknown."


def test_filled_values_let_an_alarm_that_needs_them_all_never_go_on(account: Account) -> None:
    """The newest value of a FILL is the filler, as long as the metric comes late: so M is less than N."""
    for name, needed in (("all", 3), ("some", 2)):
        account.cloudwatch.put_metric_alarm(
            **math(name, "FILL(errors, 0)", "Errors", EvaluationPeriods=3, DatapointsToAlarm=needed)
        )
    late = timedelta(minutes=1)
    original = account.planted.values

    def published_late(metric: Metric, statistic: str, period: int, start: datetime, end: datetime) -> Any:
        return {
            at: value
            for at, value in original(metric, statistic, period, start, end).items()
            if at + timedelta(seconds=period) + late <= account.time.clock.now()
        }

    account.planted.values = published_late  # type: ignore[method-assign]  # ty: ignore[invalid-assignment]
    account.plant("Errors", 9.0)
    account.pass_time(10 * MINUTE)
    assert [account.alarms.state(name) for name in ("all", "some")] == ["OK", "ALARM"]


def test_an_alarm_of_high_resolution_is_evaluated_every_ten_seconds(account: Account) -> None:
    account.put("fast", Period=10, ExtendedStatistic="p95", Statistic="Sum")
    account.put("slow")
    account.pass_time(MINUTE)
    account.plant("Errors", 9.0)
    account.pass_time(16)
    assert [account.alarms.state(name) for name in ("fast", "slow")] == ["ALARM", "OK"]


def test_a_longer_period_slides_with_every_minute(account: Account) -> None:
    """AWS evaluates it every minute, over the last five, wherever those begin."""
    account.put(Period=300)
    account.pass_time(7 * MINUTE)
    account.plant("Errors", 9.0)
    account.pass_time(5 * MINUTE + 4)
    assert account.alarms.state("errors") == "OK"
    account.pass_time(2)
    assert account.alarms.state("errors") == "ALARM"
    data = json.loads(account.events("errors")[-1]["detail"]["state"]["reasonData"])
    assert (data["startDate"], data["period"]) == ("2026-03-01T10:07:00.000+0000", 300)


def test_alarms_on_the_same_metric_ask_for_it_once(account: Account) -> None:
    for number in range(40):
        account.put(f"errors-{number}", EvaluationPeriods=5 - number % 5)
    account.pass_time(MINUTE)
    before = account.planted.asked
    account.pass_time(10 * MINUTE)
    assert account.planted.asked - before == 10


# What is told


def test_the_event_of_a_metric_alarm_is_that_of_aws(account: Account) -> None:
    account.pass_time(30.25)
    account.put(AlarmDescription="Too many errors", DatapointsToAlarm=1)
    account.plant("Errors", 9.0)
    account.pass_time(3 * MINUTE)

    _, event = account.events("errors")
    assert event["source"] == "aws.cloudwatch"
    assert event["resources"] == [f"{ARN}:errors"]
    assert event["time"] == "2026-03-01T10:02:05Z"
    detail = event["detail"]
    [metric] = detail["configuration"].pop("metrics")
    assert detail["configuration"] == {"description": "Too many errors"}
    assert metric.pop("id")
    assert metric == {
        "metricStat": {
            "metric": {"dimensions": {"Color": "green"}, "name": "Errors", "namespace": "Test"},
            "period": 60,
            "stat": "Sum",
        },
        "returnData": True,
    }
    reason_data = json.loads(detail["state"].pop("reasonData"))
    assert reason_data == {
        "version": "1.0",
        "queryDate": "2026-03-01T10:02:05.000+0000",
        "startDate": "2026-03-01T10:01:00.000+0000",
        "statistic": "Sum",
        "period": 60,
        "recentDatapoints": [9.0],
        "threshold": 5.0,
    }
    assert detail["state"] == {
        "value": "ALARM",
        "reason": "Threshold Crossed: 1 out of the last 1 datapoints [9.0 (01/03/26 10:01:00)] was greater than the "
        "threshold (5.0) (minimum 1 datapoint for OK -> ALARM transition).",
        "timestamp": "2026-03-01T10:02:05.000+0000",
    }
    first, _ = account.events("errors")
    assert first["detail"]["previousState"] == INITIAL | {"timestamp": "2026-03-01T10:00:30.250+0000"}
    assert detail["previousState"] == first["detail"]["state"]


def test_the_event_of_an_alarm_on_metric_math_tells_its_expression(account: Account) -> None:
    account.cloudwatch.put_metric_alarm(**math("rate", RATE, "Requests", "Errors"))
    account.pass_time(MINUTE)
    [event] = account.events("rate")
    told = event["detail"]["configuration"]["metrics"]
    assert told[0] == {"expression": RATE, "id": "rate", "label": "Error rate", "returnData": True}
    assert [(metric["id"], metric["returnData"]) for metric in told[1:]] == [("requests", False), ("errors", False)]
    assert "statistic" not in json.loads(event["detail"]["state"]["reasonData"])


def test_the_event_of_a_composite_tells_which_alarm_changed_it(account: Account) -> None:
    account.put("a")
    account.put("b")
    account.put_composite("any", "ALARM(a) OR ALARM(b)", AlarmDescription="Either")
    account.pass_time(MINUTE)
    account.cloudwatch.set_alarm_state(AlarmName="b", StateValue="ALARM", StateReason="a test")
    account.time.settle()

    created, changed = (event["detail"] for event in account.events("any"))
    assert created["state"]["reason"] == f"{ARN}:any was created and its alarm rule evaluates to OK"
    assert changed["configuration"] == {"alarmRule": "ALARM(a) OR ALARM(b)", "description": "Either"}
    assert changed["state"]["reason"] == f"{ARN}:b transitioned to ALARM at Sunday 01 March, 2026 10:01:00 UTC"
    triggering = json.loads(changed["state"]["reasonData"])["triggeringAlarms"]
    at = "2026-03-01T10:01:00.000+0000"
    assert triggering == [{"arn": f"{ARN}:b", "state": {"value": "ALARM", "timestamp": at}}]


def test_a_topic_is_told_as_by_aws(account: Account) -> None:
    account.put("errors", AlarmActions=[TOPIC], OKActions=[TOPIC], AlarmDescription="Too many errors")
    account.cloudwatch.put_metric_alarm(**math("rate", RATE, "Requests", "Errors", AlarmActions=[TOPIC]))
    account.plant("Requests", 100.0)
    account.pass_time(MINUTE)
    account.messages()
    account.plant("Errors", 9.0)
    account.pass_time(2 * MINUTE)

    told = {json.loads(each["Message"])["AlarmName"]: each for each in account.messages()}
    assert told["errors"]["Subject"] == 'ALARM: "errors" in EU (Ireland)'
    message = json.loads(told["errors"]["Message"])
    assert {name: message[name] for name in ("NewStateValue", "OldStateValue", "Region", "AWSAccountId")} == {
        "NewStateValue": "ALARM",
        "OldStateValue": "OK",
        "Region": "EU (Ireland)",
        "AWSAccountId": ACCOUNT,
    }
    assert message["AlarmDescription"] == "Too many errors"
    assert message["StateChangeTime"] == account.events("errors")[-1]["detail"]["state"]["timestamp"]
    trigger = message["Trigger"]
    assert (trigger["Statistic"], trigger["Dimensions"]) == ("SUM", [{"value": "green", "name": "Color"}])
    of_math = json.loads(told["rate"]["Message"])["Trigger"]["Metrics"]
    assert of_math[0] == {"Id": "rate", "Expression": RATE, "Label": "Error rate", "ReturnData": True}
    assert of_math[1]["MetricStat"]["Metric"]["MetricName"] == "Requests"
    assert [(each.alarm, each.state, each.error) for each in account.alarms.notifications] == [
        ("errors", "OK", None),
        *[(each.alarm, "ALARM", None) for each in account.alarms.notifications[1:]],
    ]


def test_an_alarm_without_actions_enabled_tells_rules_only(account: Account) -> None:
    account.put(AlarmActions=[TOPIC], ActionsEnabled=False)
    account.plant("Errors", 9.0)
    account.pass_time(3 * MINUTE)
    assert account.changes("errors")[-1] == ("OK", "ALARM")
    assert account.messages() == []


def test_a_message_that_cannot_be_sent_is_remembered_with_the_reason(account: Account) -> None:
    account.put(AlarmActions=[f"{TOPIC}-of-nobody"])
    account.plant("Errors", 9.0)
    account.pass_time(3 * MINUTE)
    [notification] = account.alarms.notifications
    assert (notification.topic, notification.error) == (f"{TOPIC}-of-nobody", "NotFound")


def test_a_long_name_is_cut_for_the_subject(account: Account) -> None:
    name = "n" * 200
    account.put(name, AlarmActions=[TOPIC])
    account.cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a test")
    account.time.settle()
    [message] = account.messages()
    assert len(message["Subject"]) == 100
    assert message["Subject"].endswith('n..." in EU (Ireland)')


# An account that is not new


def test_nothing_is_on_in_an_account_in_which_all_was_well(account: Account) -> None:
    """Else every rehearsal would begin with the alarms that a new stack has on AWS."""
    account.put("silent", TreatMissingData="breaching", EvaluationPeriods=3, DatapointsToAlarm=3)
    rounds = math("rounds", "FILL(rounds, 0)", "Rounds", EvaluationPeriods=5, DatapointsToAlarm=3)
    account.cloudwatch.put_metric_alarm(**rounds | {"ComparisonOperator": "LessThanThreshold", "Threshold": 1.0})
    account.put_composite("any", "ALARM(silent) OR ALARM(rounds)")
    account.alarms.assume_well(until=account.time.clock.now())
    account.plant("Errors", 1.0)
    account.plant("Rounds", 1.0)
    account.pass_time(20 * MINUTE)

    names = ("silent", "rounds", "any")
    assert [account.alarm(name)["StateValue"] for name in names] == ["OK"] * 3
    assert [account.changes(name) for name in names] == [[]] * 3


def test_what_is_bad_from_the_first_minute_on_is_found_though_all_was_well(account: Account) -> None:
    account.put("silent", TreatMissingData="breaching", EvaluationPeriods=3, DatapointsToAlarm=3)
    account.put("errors", EvaluationPeriods=3, DatapointsToAlarm=2)
    account.put_composite("any", "ALARM(errors)")
    account.alarms.assume_well(until=account.time.clock.now())
    account.plant("Errors", 9.0)
    account.pass_time(MINUTE + 6)
    assert account.alarms.state("errors") == "OK"
    account.pass_time(MINUTE)
    assert account.changes("errors") == account.changes("any") == [("OK", "ALARM")]
    told = json.loads(account.events("errors")[0]["detail"]["state"]["reasonData"])
    assert told["recentDatapoints"] == [9.0, 9.0]
    account.plant("Errors", None)
    account.pass_time(10 * MINUTE)
    assert account.alarms.state("silent") == "ALARM"


def test_alarms_that_were_made_before_a_fork_are_evaluated_in_each_copy(account: Account) -> None:
    """An account is built once, and rehearsed in copies of the process."""
    account.put()
    account.put_composite("any", "ALARM(errors)")
    account.alarms.assume_well(until=account.time.clock.now())

    def rehearse(value: float) -> list[tuple[State, State]]:
        account.plant("Errors", value)
        account.pass_time(3 * MINUTE)
        return account.changes("any")

    results = dict(in_copies(rehearse, [1.0, 9.0], at_most=2, longest_seconds=30))
    assert results == {1.0: [], 9.0: [("OK", "ALARM")]}


# Composites


def suppressed(account: Account) -> None:
    """Make a composite on `child`, whose actions `maintenance` keeps back, with AWS's examples' periods in minutes."""
    account.put("child", MetricName="Child")
    account.put("maintenance", MetricName="Maintenance")
    account.put_composite(
        "main",
        "ALARM(child)",
        ActionsSuppressor="maintenance",
        ActionsSuppressorWaitPeriod=120,
        ActionsSuppressorExtensionPeriod=180,
        AlarmActions=[TOPIC],
        OKActions=[TOPIC],
    )
    account.pass_time(10 * MINUTE)
    account.messages()


def test_a_suppressed_composite_changes_and_tells_rules_but_not_the_topic(account: Account) -> None:
    suppressed(account)
    account.plant("Maintenance", 9.0)
    account.pass_time(2 * MINUTE)
    account.plant("Child", 9.0)
    account.pass_time(10 * MINUTE)

    assert account.alarms.state("main") == "ALARM"
    state = account.events("main")[-1]["detail"]["state"]
    assert (state["value"], state["actionsSuppressedBy"]) == ("ALARM", "Alarm")
    assert account.events("main")[-1]["detail"]["configuration"] == {
        "alarmRule": "ALARM(child)",
        "actionsSuppressor": "maintenance",
        "actionsSuppressorWaitPeriod": 120,
        "actionsSuppressorExtensionPeriod": 180,
    }
    described = account.alarm("main")
    assert (described["ActionsSuppressedBy"], described["ActionsSuppressor"]) == ("Alarm", "maintenance")
    assert account.messages() == []


def test_actions_wait_for_both_periods(account: Account) -> None:
    """AWS's examples 1 and 5, by the clock."""
    suppressed(account)
    account.plant("Child", 9.0)
    account.pass_time(2 * MINUTE + 6)
    assert account.alarm("main")["ActionsSuppressedBy"] == "WaitPeriod"
    assert account.messages() == []
    account.pass_time(2 * MINUTE)
    [message] = account.messages()
    assert json.loads(message["Message"])["NewStateValue"] == "ALARM"
    assert "ActionsSuppressedBy" not in account.alarm("main")

    account.plant("Maintenance", 9.0)
    account.pass_time(3 * MINUTE)
    account.plant("Child", None)
    account.pass_time(5 * MINUTE)
    assert account.alarm("main")["ActionsSuppressedBy"] == "Alarm"
    account.plant("Maintenance", None)
    account.pass_time(4 * MINUTE)
    assert account.alarm("main")["ActionsSuppressedBy"] == "ExtensionPeriod"
    assert account.messages() == []
    account.pass_time(3 * MINUTE)
    [message] = account.messages()
    assert json.loads(message["Message"])["NewStateValue"] == "OK"


def test_a_composite_whose_state_is_set_keeps_it_until_one_of_its_alarms_changes(account: Account) -> None:
    """As AWS says of SetAlarmState."""
    account.put()
    account.put_composite("any", "ALARM(errors)")
    account.pass_time(MINUTE)
    account.cloudwatch.set_alarm_state(AlarmName="any", StateValue="ALARM", StateReason="a drill")
    account.pass_time(10 * MINUTE)
    assert account.alarms.state("any") == "ALARM"
    account.plant("Errors", None)
    account.put(TreatMissingData="missing")
    account.pass_time(2 * MINUTE)
    assert account.changes("any")[-1] == ("ALARM", "OK")


def test_a_composite_is_judged_when_it_is_made(account: Account) -> None:
    account.put()
    account.pass_time(10 * MINUTE)
    account.put_composite("any", "ALARM(errors)")
    account.time.settle()
    assert account.alarms.state("any") == "OK"


def test_a_wait_period_ends_at_its_second(account: Account) -> None:
    account.put()
    account.put("maintenance")
    account.put_composite(
        "any",
        "ALARM(errors)",
        ActionsSuppressor="maintenance",
        ActionsSuppressorWaitPeriod=30,
        ActionsSuppressorExtensionPeriod=0,
        AlarmActions=[TOPIC],
    )
    account.pass_time(10 * MINUTE + 10)
    account.cloudwatch.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="a drill")
    account.pass_time(29)
    assert account.messages() == []
    account.pass_time(2)
    assert len(account.messages()) == 1


def test_a_suppressor_needs_its_periods(account: Account) -> None:
    account.put()
    with pytest.raises(ClientError, match=r"ValidationError.*ActionsSuppressorWaitPeriod"):
        account.put_composite("any", "ALARM(errors)", ActionsSuppressor="errors")


def test_composites_of_composites_settle(account: Account) -> None:
    account.put("leaf")
    account.put_composite("inner", "ALARM(leaf)")
    account.put_composite("outer", f'ALARM("{ARN}:inner") AND NOT FALSE')
    account.cloudwatch.set_alarm_state(AlarmName="leaf", StateValue="ALARM", StateReason="a test")
    assert account.alarms.state("outer") == "ALARM"


def test_a_composite_on_alarms_that_do_not_exist_is_refused(account: Account) -> None:
    with pytest.raises(ClientError, match=r"ValidationError.*nobody"):
        account.put_composite("any", "ALARM(nobody)")
    with pytest.raises(ClientError, match=r"ValidationError.*AlarmRule"):
        account.put_composite("any", "ALARM(")


# Requests


def test_a_state_that_is_set_is_told_and_lasts_until_the_next_evaluation(account: Account) -> None:
    account.put(AlarmActions=[TOPIC])
    account.plant("Errors", 1.0)
    account.pass_time(10 * MINUTE)

    account.cloudwatch.set_alarm_state(
        AlarmName="errors", StateValue="ALARM", StateReason="a drill", StateReasonData='{"a": 1}'
    )
    assert account.alarm("errors")["StateReason"] == "a drill"
    assert account.alarm("errors")["StateTransitionedTimestamp"] == START + timedelta(minutes=10)
    account.pass_time(MINUTE)

    assert account.changes("errors")[1:] == [("OK", "ALARM"), ("ALARM", "OK")]
    assert account.events("errors")[1]["detail"]["state"]["reasonData"] == '{"a": 1}'
    assert len(account.messages()) == 1
    with pytest.raises(ClientError, match="ResourceNotFound"):
        account.cloudwatch.set_alarm_state(AlarmName="nobody", StateValue="OK", StateReason="a drill")


def test_setting_the_same_state_tells_nobody(account: Account) -> None:
    account.put()
    account.pass_time(MINUTE)
    account.cloudwatch.set_alarm_state(AlarmName="errors", StateValue="OK", StateReason="a drill")
    account.time.settle()
    assert account.changes("errors") == [("INSUFFICIENT_DATA", "OK")]


def test_a_new_alarm_has_no_data_and_one_put_anew_keeps_its_state(account: Account) -> None:
    account.put()
    described = account.alarm("errors")
    assert {"value": described["StateValue"], "reason": described["StateReason"]} == INITIAL
    assert "StateReasonData" not in described
    account.pass_time(MINUTE)
    account.put(Threshold=7.0)
    assert (account.alarm("errors")["StateValue"], account.alarm("errors")["Threshold"]) == ("OK", 7.0)
    account.pass_time(3 * MINUTE)
    assert account.changes("errors") == [("INSUFFICIENT_DATA", "OK")]


def test_deleted_alarms_are_evaluated_no_more(account: Account) -> None:
    account.put()
    account.put_composite("any", "ALARM(errors)")
    account.pass_time(MINUTE)
    account.cloudwatch.delete_alarms(AlarmNames=["errors", "any"])
    account.plant("Errors", 9.0)
    account.pass_time(3 * MINUTE)
    assert account.described(AlarmTypes=["MetricAlarm", "CompositeAlarm"]) == []
    assert account.changes("errors") == [("INSUFFICIENT_DATA", "OK")]


def test_alarms_are_found_by_all_that_is_asked_for(account: Account) -> None:
    for name in ("b-1", "a-2", "a-1"):
        account.put(name, AlarmActions=[TOPIC] if name == "b-1" else [])
    account.put_composite("a-all", 'ALARM("a-1") OR ALARM("a-2")')
    account.cloudwatch.set_alarm_state(AlarmName="a-2", StateValue="ALARM", StateReason="a test")

    assert account.described() == ["a-1", "a-2", "b-1"]
    assert account.described(AlarmTypes=["CompositeAlarm"]) == ["a-all"]
    assert account.described(AlarmTypes=["MetricAlarm", "CompositeAlarm"]) == ["a-1", "a-2", "b-1", "a-all"]
    assert account.described(AlarmNames=["a-all", "a-1"]) == ["a-1"]
    assert account.described(AlarmNamePrefix="a-", StateValue="ALARM") == ["a-2"]
    assert account.described(ActionPrefix="arn:aws:sns") == ["b-1"]
    assert account.described(AlarmNames=["nobody"]) == []
    with pytest.raises(ClientError, match="ValidationError"):
        account.described(AlarmNames=["a-1"], AlarmNamePrefix="a-")


def test_alarms_are_told_by_pages_of_fifty(account: Account) -> None:
    """Who does not turn pages overlooks alarms that are on."""
    for number in range(53):
        account.put(f"alarm-{number:03}")
    first = account.cloudwatch.describe_alarms()
    assert len(first["MetricAlarms"]) == 50
    rest = account.cloudwatch.describe_alarms(NextToken=first["NextToken"])
    assert [alarm["AlarmName"] for alarm in rest["MetricAlarms"]] == ["alarm-050", "alarm-051", "alarm-052"]
    assert "NextToken" not in rest
    assert len(account.described(MaxRecords=100)) == 53
    pages = account.cloudwatch.get_paginator("describe_alarms").paginate(PaginationConfig={"PageSize": 10})
    assert len([alarm for page in pages for alarm in page["MetricAlarms"]]) == 53


@pytest.mark.parametrize(
    ("properties", "named"),
    [
        ({"AlarmActions": ["arn:aws:automate:eu-west-1:ec2:stop"]}, "arn:aws:automate"),
        ({"Unit": "Count"}, "Unit"),
        ({"EvaluateLowSampleCountPercentile": "ignore"}, "EvaluateLowSampleCountPercentile"),
        ({"ComparisonOperator": "GreaterThanUpperThreshold"}, "GreaterThanUpperThreshold"),
        ({"EvaluationInterval": 60}, "EvaluationInterval"),
    ],
)
def test_an_alarm_that_could_not_be_evaluated_is_refused_when_it_is_made(
    account: Account, properties: dict[str, Any], named: str
) -> None:
    """A rehearsal in which an alarm is silently never on would prove nothing."""
    with pytest.raises(ClientError, match=rf"NotImplemented.*{named}"):
        account.put(**properties)
    assert account.described() == []


def test_metric_math_that_nobody_understands_is_refused_when_the_alarm_is_made(account: Account) -> None:
    with pytest.raises(ClientError, match=r"NotImplemented.*ANOMALY_DETECTION_BAND"):
        account.cloudwatch.put_metric_alarm(**math("a", "ANOMALY_DETECTION_BAND(errors)", "Errors"))
    with pytest.raises(ClientError, match=r"NotImplemented.*unknown ids"):
        account.cloudwatch.put_metric_alarm(**math("a", "nobody + errors", "Errors"))
    with pytest.raises(ClientError, match=r"ValidationError.*expression"):
        account.cloudwatch.put_metric_alarm(**math("a", "errors +", "Errors"))
    two_periods, of_a_unit = (math("a", "errors + requests", "Errors", "Requests") for _ in range(2))
    two_periods["Metrics"][1]["MetricStat"]["Period"] = 300
    with pytest.raises(ClientError, match=r"NotImplemented.*\[60, 300\]"):
        account.cloudwatch.put_metric_alarm(**two_periods)
    of_a_unit["Metrics"][1]["MetricStat"]["Unit"] = "Count"
    with pytest.raises(ClientError, match=r"NotImplemented.*unit"):
        account.cloudwatch.put_metric_alarm(**of_a_unit)
    assert account.described() == []


def test_expressions_may_be_made_of_expressions(account: Account) -> None:
    alarm = math("a", "2 * half", "Errors")
    alarm["Metrics"].append({"Id": "half", "Expression": "errors / 2", "ReturnData": False})
    account.cloudwatch.put_metric_alarm(**alarm)
    account.plant("Errors", 6.0)
    account.pass_time(3 * MINUTE)
    assert account.alarms.state("a") == "ALARM"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_when_a_metric_cannot_be_told_nobody_is_told_that_alarms_are_off(account: Account) -> None:
    def values(*_: object) -> dict[datetime, float]:
        raise NotImplementedError("this statistic is not known")

    account.planted.values = values  # type: ignore[method-assign]  # ty: ignore[invalid-assignment]
    account.put()
    account.pass_time(MINUTE)
    with pytest.raises(ClientError, match=r"NotImplemented.*this statistic is not known"):
        account.described()


# The other clock, and moto without us


def test_alarms_are_evaluated_on_a_clock_that_hurries() -> None:
    with ExitStack() as stack:
        clock = TwoSpeedClock(speed=600, start=START)
        stack.enter_context(mock_aws())
        bus = stack.enter_context(EventBus(clock, account=ACCOUNT, session=SESSION))
        planted = Planted()
        alarms = stack.enter_context(Alarms(clock, planted, bus, account=ACCOUNT, session=SESSION))
        CLIENTS["cloudwatch"].put_metric_alarm(**plain("errors"))
        planted.plant("Errors", 9.0, START)
        eventually(lambda: alarms.state("errors") == "ALARM")


def test_moto_alone_does_none_of_this() -> None:
    """When this fails, moto has learnt something, and what we do may be unnecessary."""
    with mock_aws():
        cloudwatch = CLIENTS["cloudwatch"]
        cloudwatch.put_metric_alarm(**plain("errors"))
        [alarm] = cloudwatch.describe_alarms()["MetricAlarms"]
        assert alarm["StateValue"] == "OK"
        with pytest.raises(NotImplementedError):
            cloudwatch.put_composite_alarm(AlarmName="any", AlarmRule="ALARM(errors)")
        found = cloudwatch.describe_alarms(AlarmNamePrefix="err", StateValue="ALARM")
        assert len(found["MetricAlarms"]) == 1
