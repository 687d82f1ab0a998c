"""Rules lead to targets as EventBridge leads them: by pattern, transformed, retried, and to the queue of the dead."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from rehearsal.clock import TwoSpeedClock
from rehearsal.engine.calls import Call, Calls, Refusal, access_key_of
from rehearsal.engine.event_input import InvalidInput, fill_in, target_input
from rehearsal.engine.events import EventBus, Late
from tests.waiting import eventually

REGION, ACCOUNT = "eu-west-1", "123456789012"
SESSION = boto3.Session(region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test")
"""Of the module: reading the services' models is most of what a client costs."""
ROLLBACK = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:rollback"
DEAD_LETTERS = f"arn:aws:sqs:{REGION}:{ACCOUNT}:dead-letters"
FAILED = {
    "source": "aws.states",
    "detail-type": "Step Functions Execution Status Change",
    "resources": [f"arn:aws:states:{REGION}:{ACCOUNT}:execution:deploy:r-1"],
    "detail": {"status": "FAILED", "name": "r-1", "cause": 'said "no"'},
}


class Account:
    """A bus with two queues and a machine, and what arrived in each."""

    def __init__(self, bus: EventBus, calls: Calls) -> None:
        self.bus = bus
        self.calls = calls
        self.events = SESSION.client("events")
        self.sqs = SESSION.client("sqs")
        self.states = SESSION.client("stepfunctions")
        for name in ("inbox", "dead-letters"):
            self.sqs.create_queue(QueueName=name)
        self.states.create_state_machine(
            name="rollback",
            definition='{"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}',
            roleArn=f"arn:aws:iam::{ACCOUNT}:role/x",
        )

    def rule(
        self, pattern: dict[str, Any] | str, arn: str = f"arn:aws:sqs:{REGION}:{ACCOUNT}:inbox", **target: Any
    ) -> None:
        when = {"ScheduleExpression": pattern} if isinstance(pattern, str) else {"EventPattern": json.dumps(pattern)}
        self.events.put_rule(Name="rule", **when)
        self.events.put_targets(Rule="rule", Targets=[{"Id": "target", "Arn": arn, **target}])

    def received(self, queue: str = "inbox", *, at_least: int = 1, seconds: float = 5) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = []

        def enough() -> bool:
            answer = self.sqs.receive_message(
                QueueUrl=self.sqs.get_queue_url(QueueName=queue)["QueueUrl"],
                MaxNumberOfMessages=10,
                MessageAttributeNames=["All"],
            )
            messages.extend(answer.get("Messages", []))
            return len(messages) >= at_least

        eventually(enough, seconds)
        return messages

    def put(self, **event: Any) -> None:
        """Send it, and wait until every delivery of it has ended."""
        before = len(self.bus.deliveries)
        self.bus.put(FAILED | event)
        eventually(lambda: len(self.bus.deliveries) > before)


@pytest.fixture
def account() -> Iterator[Account]:
    clock = TwoSpeedClock(speed=1000)
    with mock_aws(), Calls(clock) as calls, EventBus(clock, account=ACCOUNT, session=SESSION) as bus:
        yield Account(bus, calls)


def test_an_aws_event_starts_the_rollback_machine_through_its_rule(account: Account) -> None:
    """A failed deployment's way into rollback: status event, rule, transformed input, StartExecution."""
    account.rule(
        {"source": ["aws.states"], "detail": {"status": ["FAILED", "TIMED_OUT", "ABORTED"]}},
        arn=ROLLBACK,
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/start",
        InputTransformer={
            "InputPathsMap": {"execution": "$.resources[0]", "status": "$.detail.status"},
            "InputTemplate": '{"execution_arn":<execution>,"reason":"deploy ended <status>"}',
        },
    )

    account.put()

    [execution] = account.states.list_executions(stateMachineArn=ROLLBACK)["executions"]
    started = account.states.describe_execution(executionArn=execution["executionArn"])
    assert json.loads(started["input"]) == {"execution_arn": FAILED["resources"][0], "reason": "deploy ended FAILED"}
    (start,) = [call for call in account.calls.log if call.action == "StartExecution"]
    assert access_key_of(f"arn:aws:iam::{ACCOUNT}:role/start") == start.access_key


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ({"detail": {"status": ["FAILED"]}}, True),
        ({"detail": {"status": [{"anything-but": ["SUCCEEDED"]}]}}, True),
        ({"resources": [{"prefix": f"arn:aws:states:{REGION}:{ACCOUNT}:execution:deploy:"}]}, True),
        ({"$or": [{"detail": {"status": ["RUNNING"]}}, {"detail": {"name": [{"exists": True}]}}]}, True),
        ({"detail": {"status": ["SUCCEEDED"]}}, False),
        ({"account": ["999999999999"]}, False),
        ({"resources": [{"prefix": f"arn:aws:states:{REGION}:{ACCOUNT}:execution:other:"}]}, False),
        ({"detail": {"release_id": [{"exists": True}]}}, False),
    ],
)
def test_only_events_that_fit_the_pattern_arrive(account: Account, pattern: dict[str, Any], *, expected: bool) -> None:
    """Patterns pin account and source; an event that slips through would start a rollback."""
    account.events.put_rule(Name="all", EventPattern='{"source": [{"prefix": ""}]}')
    account.events.put_targets(Rule="all", Targets=[{"Id": "t", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:inbox"}])
    account.rule(pattern, arn=ROLLBACK)

    account.bus.put(FAILED)

    eventually(lambda: len(account.bus.deliveries) == 1 + expected)
    assert bool(account.states.list_executions(stateMachineArn=ROLLBACK)["executions"]) == expected


def test_what_is_told_later_has_the_time_at_which_it_was(account: Account) -> None:
    """CloudTrail tells of a call some minutes after it."""
    account.rule({"source": ["aws.states"]})

    account.bus.put_later(FAILED | {"time": "2026-03-01T10:00:00Z"}, 1)
    account.bus.put_later(FAILED | {"source": "aws.nobody"}, 0)

    assert account.bus.deliveries == []
    (message,) = account.received()
    assert json.loads(message["Body"])["time"] == "2026-03-01T10:00:00Z"
    assert len(account.bus.deliveries) == 1


def test_without_a_transformer_the_whole_event_arrives_complete(account: Account) -> None:
    account.rule({"source": ["aws.states"]})

    account.put()

    event = json.loads(account.received()[0]["Body"])
    assert set(event) == {"version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail"}
    assert event["account"] == ACCOUNT
    assert event["time"].endswith("Z")
    assert event["detail"] == FAILED["detail"]


def test_events_of_user_code_take_the_same_way(account: Account) -> None:
    account.rule({"source": ["runback"]}, InputPath="$.detail.release")

    account.events.put_events(
        Entries=[{"Source": "runback", "DetailType": "Release", "Detail": json.dumps({"release": {"id": "r-1"}})}]
    )

    assert json.loads(account.received()[0]["Body"]) == {"id": "r-1"}


def test_a_bus_of_ones_own_has_only_what_is_put_on_it(account: Account) -> None:
    """Neither AWS's own events, nor what is put on the default bus, reaches its rules; and it keeps its own archive."""
    bus = account.events.create_event_bus(Name="github")["EventBusArn"]
    kept = account.events.create_archive(ArchiveName="pushes", EventSourceArn=bus)["ArchiveArn"]
    pattern = json.dumps({"source": ["github.com"]})
    account.events.put_rule(Name="push", EventPattern=pattern, EventBusName=bus)
    inbox = f"arn:aws:sqs:{REGION}:{ACCOUNT}:inbox"
    account.events.put_targets(Rule="push", EventBusName=bus, Targets=[{"Id": "target", "Arn": inbox}])
    entry = {"Source": "github.com", "DetailType": "push"}

    account.bus.put({"source": "github.com", "detail-type": "push", "detail": {"n": 0}})
    account.events.put_events(Entries=[{**entry, "Detail": '{"n": 1}'}])
    account.events.put_events(Entries=[{**entry, "Detail": '{"n": 2}', "EventBusName": bus}])

    (message,) = account.received()
    assert json.loads(message["Body"])["detail"] == {"n": 2}
    assert [(each.rule, each.outcome) for each in account.bus.deliveries] == [("push", "delivered")]
    assert account.events.describe_archive(ArchiveName=kept.rpartition("/")[2])["EventCount"] == 1


def test_a_disabled_rule_delivers_nothing(account: Account) -> None:
    """Operators switch rules off; the rehearsal must not pretend otherwise."""
    account.rule({"source": ["aws.states"]}, arn=ROLLBACK)
    account.events.disable_rule(Name="rule")
    account.events.put_rule(Name="other", EventPattern='{"source": ["aws.states"]}')
    account.events.put_targets(Rule="other", Targets=[{"Id": "t", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:inbox"}])

    account.put()

    assert [delivery.rule for delivery in account.bus.deliveries] == ["other"]


def test_a_target_that_does_not_exist_goes_to_the_dead_letter_queue_at_once(account: Account) -> None:
    """The event is kept with the reason, and the queue's alarm pages a human."""
    gone = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:gone"
    account.rule({"source": ["aws.states"]}, arn=gone, DeadLetterConfig={"Arn": DEAD_LETTERS})

    account.put()

    [message] = account.received("dead-letters")
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert attributes["RULE_ARN"] == f"arn:aws:events:{REGION}:{ACCOUNT}:rule/rule"
    assert attributes["TARGET_ARN"] == gone
    assert attributes["ERROR_CODE"] == "NO_RESOURCE"
    assert attributes["RETRY_ATTEMPTS"] == "0"
    assert json.loads(message["Body"])["detail"] == FAILED["detail"]
    assert [(delivery.outcome, delivery.error) for delivery in account.bus.deliveries] == [
        ("dead letter", "NO_RESOURCE")
    ]


def test_without_a_dead_letter_queue_a_failed_event_is_dropped(account: Account) -> None:
    """AWS drops it in silence; here the report at least shows it."""
    account.rule({"source": ["aws.states"]}, arn=f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:gone")

    account.put()

    assert [delivery.outcome for delivery in account.bus.deliveries] == ["dropped"]


def test_throttling_is_retried_until_it_ends(account: Account) -> None:
    throttled: list[Call] = []

    def throttle_twice(call: Call) -> Refusal | None:
        if call.action != "StartExecution" or len(throttled) == 2:
            return None
        throttled.append(call)
        return Refusal("ThrottlingException", "Rate exceeded")

    account.calls.add_interceptor(throttle_twice)
    account.rule({"source": ["aws.states"]}, arn=ROLLBACK)

    account.put()

    assert [(delivery.outcome, delivery.attempts) for delivery in account.bus.deliveries] == [("delivered", 3)]


def test_the_retry_policy_ends_in_the_dead_letter_queue(account: Account) -> None:
    account.calls.add_interceptor(
        lambda call: Refusal("ThrottlingException", "Rate exceeded") if call.action == "StartExecution" else None
    )
    account.rule(
        {"source": ["aws.states"]},
        arn=ROLLBACK,
        RetryPolicy={"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 3600},
        DeadLetterConfig={"Arn": DEAD_LETTERS},
    )

    account.put()

    [message] = account.received("dead-letters")
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert attributes["ERROR_CODE"] == "THROTTLING"
    assert attributes["RETRY_ATTEMPTS"] == "2"
    assert attributes["EXHAUSTED_RETRY_CONDITION"] == "MaximumRetryAttempts"


def test_a_schedule_ticks_every_simulated_minute(account: Account) -> None:
    """The watchdog is started this way; another rule's events must not look like ticks, nor ticks like events."""
    made_at = account.bus._clock.seconds()
    account.rule("rate(1 minute)")

    messages = account.received(at_least=3)
    account.bus.put(FAILED)

    for minute, delivery in enumerate(account.bus.deliveries, start=1):
        assert delivery.at >= made_at + 60 * minute
    event = json.loads(messages[0]["Body"])
    assert event["detail-type"] == "Scheduled Event"
    assert event["source"] == "aws.events"
    assert event["resources"] == [f"arn:aws:events:{REGION}:{ACCOUNT}:rule/rule"]
    assert event["detail"] == {}
    assert all(delivery.event["source"] == "aws.events" for delivery in account.bus.deliveries)


def test_a_deleted_schedule_ticks_no_more(account: Account) -> None:
    account.rule("rate(1 minute)")
    account.received()
    account.events.remove_targets(Rule="rule", Ids=["target"])
    account.events.delete_rule(Name="rule")
    account.events.put_rule(Name="slower", ScheduleExpression="rate(5 minutes)")
    account.events.put_targets(Rule="slower", Targets=[{"Id": "t", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:inbox"}])
    before = [delivery.rule for delivery in account.bus.deliveries].count("rule")

    eventually(lambda: [delivery.rule for delivery in account.bus.deliveries].count("slower") >= 1)

    assert [delivery.rule for delivery in account.bus.deliveries].count("rule") <= before + 1


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"Arn": f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/x"}, "kinesis"),
        ({"Arn": ROLLBACK, "InputPath": "$.detail[?(@.x)]"}, r"\$.detail\[\?"),
    ],
)
def test_a_target_that_cannot_be_rehearsed_is_refused(account: Account, parameters: Any, named: str) -> None:
    """A rehearsal that leaves a target out would prove something else than what ships."""
    account.events.put_rule(Name="rule", EventPattern='{"source": ["x"]}')
    with pytest.raises(ClientError, match=named):
        account.events.put_targets(Rule="rule", Targets=[{"Id": "t", **parameters}])
    assert [unsupported.call.action for unsupported in account.calls.unsupported] == ["PutTargets"]


def test_a_cron_schedule_is_refused_by_name(account: Account) -> None:
    with pytest.raises(ClientError, match=r"cron\(0 2 "):
        account.events.put_rule(Name="nightly", ScheduleExpression="cron(0 2 * * ? *)")


EVENT = {"id": "e-1", "source": "aws.states", "detail": {"name": 'r "1"', "count": 3, "tags": ["a"], "open": True}}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ('{"name":<name>}', {"name": 'r "1"'}),
        ('{"name":"<name>"}', {"name": 'r "1"'}),
        ('{"text":"release <name> of <count>"}', {"text": 'release r "1" of 3'}),
        ('"release <name> is \\"bad\\""', 'release r "1" is "bad"'),
        ('{"count":<count>,"tags":<tags>,"open":<open>}', {"count": 3, "tags": ["a"], "open": True}),
        ('{"missing":<missing>,"text":"[<missing>]"}', {"missing": None, "text": "[]"}),
        ('{"at":<aws.events.event.ingestion-time>}', {"at": "2026-01-01T00:00:00Z"}),
        ('{"rule":"<aws.events.rule-name>","arn":<aws.events.rule-arn>}', {"rule": "rule", "arn": "arn:rule"}),
        ('{"event":<aws.events.event.json>}', {"event": EVENT}),
        ('{"event":<aws.events.event>}', {"event": {"id": "e-1", "source": "aws.states"}}),
    ],
)
def test_templates_fill_in_to_json_as_eventbridge_does_it(template: str, expected: Any) -> None:
    """The parser of moto breaks on quotes in values, on missing paths and on unquoted strings."""
    paths = {"name": "$.detail.name", "count": "$.detail.count", "tags": "$.detail.tags", "open": "$.detail.open"}
    paths["missing"] = "$.detail.nothing.here"
    transformer = {"InputPathsMap": paths, "InputTemplate": template}

    text = target_input(
        {"InputTransformer": transformer},
        EVENT,
        rule_arn="arn:rule",
        rule_name="rule",
        ingestion_time="2026-01-01T00:00:00Z",
    )

    assert json.loads(text) == expected


def test_a_template_of_several_quoted_lines_stays_text() -> None:
    """Notifications through SNS are written so."""
    assert fill_in('"Release <id>"\n"rolled back"', {"id": "r-1"}) == '"Release r-1"\n"rolled back"'


def test_a_template_that_is_not_json_is_not_delivered() -> None:
    with pytest.raises(InvalidInput):
        fill_in('{"event":"<aws.events.event.json>"}', {"aws.events.event.json": {"id": "e"}})


# -- what a courier makes of a delivery


def test_an_event_is_delivered_twice(account: Account) -> None:
    """AWS delivers at least once."""
    account.rule({"source": ["aws.states"]})
    account.bus.add_courier(lambda rule: "twice" if rule == "rule" else None)

    account.put()

    assert len(account.received(at_least=2)) == 2


def test_an_event_is_lost(account: Account) -> None:
    """Status events are best effort: nobody receives it, and no queue of the dead either."""
    account.rule({"source": ["aws.states"]}, DeadLetterConfig={"Arn": DEAD_LETTERS})
    account.bus.add_courier(lambda _: "lost")

    account.put()

    assert [each.outcome for each in account.bus.deliveries] == ["lost"]
    assert account.received(at_least=0) == account.received("dead-letters", at_least=0) == []


def test_an_event_is_late(account: Account) -> None:
    """It arrives as it was."""
    account.rule({"source": ["aws.states"]})
    account.bus.add_courier(lambda _: Late(60))
    began = account.calls._clock.seconds()

    account.put()

    (message,) = account.received()
    assert json.loads(message["Body"])["detail"] == FAILED["detail"]
    assert account.calls._clock.seconds() - began >= 60
