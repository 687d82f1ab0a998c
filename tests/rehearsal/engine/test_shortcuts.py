"""A shortcut changes no answer: what is done with it and without it is the same."""

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import boto3
import botocore.parsers
import moto.core.serialize
import pytest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.hooks import EventAliaser, HierarchicalEmitter
from botocore.parsers import JSONParser
from moto import mock_aws
from moto.core.request import Request
from moto.core.responses import XFormedAttributePicker
from moto.core.serialize import AttributePickerContext, JSONSerializer
from moto.core.utils import get_service_model
from moto.dynamodb.models import dynamodb_backends
from moto.moto_api._internal.moto_random import MotoRandom

from rehearsal.clock import TwoSpeedClock
from rehearsal.copies import in_copies
from rehearsal.engine import shortcuts
from rehearsal.engine.calls import Call, Calls, Refusal
from rehearsal.modelled import InVirtualTime
from rehearsal.play import play
from rehearsal.settings import Settings
from rehearsal.stage import Stage
from tests.rehearsal.conftest import scenario
from tests.waiting import eventually

REGION = "eu-west-1"


def both_ways(make: Any) -> tuple[Any, Any]:
    """Do the same without shortcuts, and twice with them: the second time they know it already."""
    without = make()
    with shortcuts.taken():
        first, second = make(), make()
    assert first == second
    return without, first


@pytest.mark.rehearsed
def test_a_rehearsal_is_the_same_without_shortcuts(assembly: Path, tmp_path: Path) -> None:
    """
    The whole trace, every request of a function with its parameters, the record and what people are told.

    Each in a process of its own: moto's ids differ between the first account that a process builds and the next one.
    """

    def rehearse(how: str) -> dict[str, Any]:
        if how == "without":
            vars(shortcuts)["taken"] = nullcontext
        return rehearsed(assembly, tmp_path / how)

    known: dict[str, Any] = dict(in_copies(rehearse, ("with", "without"), at_most=2, longest_seconds=120))

    assert isinstance(known["with"], dict), known["with"]
    for part, with_shortcuts in known["with"].items():
        assert with_shortcuts == known["without"][part], part


def rehearsed(assembly: Path, folder: Path) -> dict[str, Any]:
    """Return what can be known of one rehearsal."""
    known: dict[str, Any] = {}
    staging = InVirtualTime(seed=7)

    @contextmanager
    def show(stage: Stage) -> Iterator[None]:
        yield
        settings, calls = stage.account.settings, stage.account.calls.log
        table = dynamodb_backends[settings.account][settings.region].get_table(stage.account.stack.table())
        known["record"] = [untimed(item.to_regular_json()) for item in table.all_items()]
        known["calls"] = [
            (each.at, each.caller, each.service, each.action, untimed(each.parameters), each.error)
            for each in calls
            if each.caller is not None
        ]

    report = play(scenario("good-release"), Settings.read("production"), assembly, folder, show, staging)
    known["report"] = {key: value for key, value in report.as_json().items() if key != "seconds"}
    known["digest"] = staging.time.trace.digest
    return known


def untimed(value: Any) -> Any:
    """Leave out for how long checks waited for real answers of the model: that depends on this machine."""
    if isinstance(value, dict):
        return {name: untimed(each) for name, each in value.items() if name != "milliseconds"}
    return [untimed(each) for each in value] if isinstance(value, list) else value


def test_requests_reach_moto_as_they_were_sent() -> None:
    """Whatever the method, with and without a body, and with values that came before only under the same names."""

    def environ_of(
        body: bytes | None, headers: dict[str, Any], url: str = "https://sqs.eu-west-1.amazonaws.com/"
    ) -> Any:
        request = Request.from_primitives("POST", url, headers, body)
        environ = {key: str(value) for key, value in request.environ.items() if not key.startswith(("wsgi.", "werkz"))}
        return environ, request.data, dict(request.form), dict(request.headers), request.url

    json, form = {"Content-Type": "application/x-amz-json-1.0"}, {"Content-Type": "application/x-www-form-urlencoded"}
    without, with_shortcuts = both_ways(
        lambda: [
            environ_of(b'{"a": 1}', {**json, "X-Amz-Target": "A.B"}),
            environ_of(b'{"a": 2, "b": 3}', {**json, "X-Amz-Target": b"A.C"}),
            environ_of(None, {"X-Amz-Target": "A.D", "Content-Length": "0"}),
            environ_of(b"", {"X-Amz-Target": "A.E", "Content-Length": "0"}),
            environ_of(b"Action=Send&Body=%C3%A4+1", {**form, "Content-Length": "25"}),
            environ_of(b"Action=List", {**form, "Content-Length": "11"}),
            environ_of(b"x", {"x-amz-meta-my_key": "1"}, "https://s3.eu-west-1.amazonaws.com/b/a%2Fb?list=%20"),
            environ_of(b"y", {"x-amz-meta-my_key": "2"}, "https://s3.eu-west-1.amazonaws.com/b/a%2Fb?list=%20"),
        ]
    )

    assert with_shortcuts == without


def test_answers_have_the_same_members_in_the_same_order() -> None:
    """Under whatever name moto's dictionaries hold them, and without those that are null or unknown."""
    operation = get_service_model("stepfunctions").operation_model("GetExecutionHistory")
    entered = {"name": "Bake", "input": "{}", "unknown": 1, "inputDetails": None}
    event = {"unknown": 1, "type": "TaskStateEntered", "id": 3, "timestamp": datetime(2026, 3, 1, tzinfo=UTC)}
    result = {
        "next_token": "more",
        "events": [event | {"state_entered_event_details": entered, "previousEventId": None}],
    }

    def body() -> Any:
        return JSONSerializer(operation, value_picker=XFormedAttributePicker()).serialize(copy.deepcopy(result))["body"]

    without, with_shortcuts = both_ways(body)

    assert '"name": "Bake"' in without
    assert with_shortcuts == without


class DBInstance:
    """As moto's: it holds some attributes under shorter names, and one under a name that it says itself."""

    class Meta:
        """What moto asks for aliases."""

        serialization_aliases: ClassVar = {"EngineVersion": "speaks"}

    def __init__(self) -> None:
        self.identifier, self.db_instance_status, self.speaks = "main", "available", "16"


class Described(DBInstance):
    """Another class, for which the same attributes have other names."""

    def __init__(self) -> None:
        super().__init__()
        self.db_instance_identifier = "other"


def test_attributes_of_objects_are_found_under_the_same_names() -> None:
    """By the class of the object, and changed as the answer wants it."""
    shape = get_service_model("rds").operation_model("DescribeDBInstances").output_shape
    members = shape.members["DBInstances"].member.members
    picker = XFormedAttributePicker(response_transformers={".DBInstanceStatus": str.upper})

    def picked() -> Any:
        return [
            picker(AttributePickerContext(obj=each, key=key, shape=members[key], key_path="DBInstances"))
            for each in (DBInstance(), Described(), DBInstance(), {"db_instance_identifier": "kept"})
            for key in ("DBInstanceIdentifier", "DBInstanceStatus", "EngineVersion", "Engine")
            if key != "DBInstanceStatus" or isinstance(each, DBInstance)
        ]

    without, with_shortcuts = both_ways(picked)

    assert without[:4] == ["main", "AVAILABLE", "16", None]
    assert with_shortcuts == without


def test_answers_are_read_in_the_order_of_the_model() -> None:
    """Nulls and unknown members are left out."""
    shape: Any = (
        boto3.Session()
        .client("stepfunctions", region_name=REGION)
        .meta.service_model.operation_model("GetExecutionHistory")
        .output_shape
    )
    answer = (
        b'{"nextToken": "x", "no": 1, "events": [{"type": "T", "id": 3, "timestamp": 1.5, "previousEventId": null}]}'
    )

    def parsed() -> Any:
        response = JSONParser().parse({"body": answer, "headers": {}, "status_code": 200}, shape)
        return [list(response), [list(event.items()) for event in response["events"]]]

    without, with_shortcuts = both_ways(parsed)

    assert without[0][:2] == ["events", "nextToken"]
    assert with_shortcuts == without


def test_times_are_read_the_same() -> None:
    """A number, its text and a truth value are different things."""

    def times() -> list[Any]:
        read = vars(moto.core.serialize)["parse_to_aware_datetime"]
        parse = vars(botocore.parsers)["DEFAULT_TIMESTAMP_PARSER"]
        given = [1, 1.0, "1", 1.5, "2026-03-01T10:00:00Z", "2026-03-01T10:00:00+02:00"]
        moment = datetime(2026, 3, 1, 10)  # noqa: DTZ001  naive on purpose
        return [repr(how(each)) for how in (read, parse) for each in given] + [repr(read(moment))]

    without, with_shortcuts = both_ways(times)

    assert with_shortcuts == without


@pytest.mark.parametrize("options", [{}, {"length": 52}, {"include_digits": False}, {"lower_case": True}])
def test_chance_gives_the_same_text(options: dict[str, Any]) -> None:
    """And goes on from the same place."""

    def texts() -> list[str]:
        chance = MotoRandom(7)
        return [chance.get_random_string(**options), chance.get_random_string(), str(chance.uuid4())]

    without, with_shortcuts = both_ways(texts)

    assert with_shortcuts == without


def test_copies_are_as_deep_and_share_what_the_original_shares() -> None:
    """Also what contains itself."""
    shared: list[Any] = [1, {"two": (3, [4])}]
    original: dict[Any, Any] = {
        "a": shared,
        "b": shared,
        ("k", 1): {None: b"x"},
        "when": datetime(2026, 3, 1, tzinfo=UTC),
    }
    original["self"] = [original]

    with shortcuts.taken():
        copied = copy.deepcopy(original)

    assert copied["a"] == shared
    assert copied["a"] is copied["b"]
    assert copied["a"] is not shared
    assert copied["a"][1]["two"][1] is not shared[1]["two"][1]
    assert copied["self"][0] is copied
    assert list(copied) == list(original)


def test_events_of_the_sdk_keep_their_aliases() -> None:
    """Also where somebody has aliases of his own."""

    def names() -> list[str]:
        usual: Any = EventAliaser(HierarchicalEmitter())
        own: Any = EventAliaser(HierarchicalEmitter(), {"elbv2": "mine"})
        return [
            each._alias_event_name("before-call.elbv2.DescribeListeners") for each in (usual, own, copy.copy(usual))
        ]

    without, with_shortcuts = both_ways(names)

    assert without[1] == "before-call.mine.DescribeListeners"
    assert with_shortcuts == without


def test_clients_are_shared_unless_they_sign_for_somebody() -> None:
    """One per service and region."""
    with shortcuts.taken(), mock_aws():
        one = boto3.client("sqs", region_name=REGION)
        signed = boto3.client("sqs", region_name=REGION, aws_access_key_id="A", aws_secret_access_key="s")

        assert boto3.client("sqs", region_name=REGION) is one
        assert boto3.client("sqs", region_name="eu-central-1") is not one
        assert signed is not one
        assert isinstance(signed._request_signer._credentials, Credentials)


@mock_aws
def test_every_service_answers_and_refuses_as_without() -> None:
    """By whatever protocol, twice, in the region and as the account that was asked."""

    def answers() -> list[Any]:
        made: dict[str, Any] = {
            name: boto3.client(name, region_name=REGION) for name in ("sqs", "sns", "iam", "lambda", "ec2", "dynamodb")
        }
        found: list[Any] = []
        for ask in (
            made["sqs"].list_queues,
            lambda: made["sqs"].get_queue_url(QueueName="none"),
            lambda: made["sns"].publish(TopicArn="arn:aws:sns:eu-west-1:123456789012:none", Message="m"),
            lambda: made["iam"].get_role(RoleName="none"),
            lambda: made["lambda"].get_function(FunctionName="none"),
            lambda: made["ec2"].describe_vpcs()["Vpcs"][0]["State"],
            lambda: made["dynamodb"].get_item(TableName="none", Key={"k": {"S": "v"}}),
        ):
            try:
                answer = ask()
            except Exception as refused:  # noqa: BLE001  whatever it is, it is the same
                answer = str(refused)
            found.append(
                {k: v for k, v in answer.items() if k != "ResponseMetadata"} if isinstance(answer, dict) else answer
            )
        return found

    without, with_shortcuts = both_ways(answers)

    assert with_shortcuts == without


def test_xml_is_written_and_read_for_each_request() -> None:
    """Whoever changes what he was answered changes nobody else's, and each request has an id of its own."""

    def answers() -> list[Any]:
        with mock_aws():
            balancers: Any = boto3.client("elbv2", region_name=REGION)
            network: Any = boto3.client("ec2", region_name=REGION)
            vpc = network.describe_vpcs()["Vpcs"][0]["VpcId"]
            balancers.create_target_group(Name="a", Protocol="HTTP", Port=80, VpcId=vpc)
            found: list[Any] = []
            for _ in range(3):
                answer = balancers.describe_target_groups(Names=["a"])
                assert (
                    answer["ResponseMetadata"]["RequestId"]
                    == answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"]
                )
                group = answer["TargetGroups"][0]
                found.append((group["TargetGroupName"], group["Port"], sorted(group)))
                group["TargetGroupName"] = "changed"
                answer["TargetGroups"].clear()
            balancers.modify_target_group(
                TargetGroupArn=balancers.describe_target_groups(Names=["a"])["TargetGroups"][0]["TargetGroupArn"],
                HealthCheckPath="/other",
            )
            changed = balancers.describe_target_groups(Names=["a"])["TargetGroups"][0]["HealthCheckPath"]
            return [*found, changed]

    without, with_shortcuts = both_ways(answers)

    assert with_shortcuts == without
    assert "/other" == without[-1]


@mock_aws(config={"stepfunctions": {"execute_state_machine": True}})
def test_a_history_is_told_as_it_grows() -> None:
    """To each reader his own."""
    states: Any = boto3.client("stepfunctions", region_name=REGION)
    wait = {"Type": "Wait", "Seconds": 1, "End": True}
    definition = {"StartAt": "Pass", "States": {"Pass": {"Type": "Pass", "Next": "Wait"}, "Wait": wait}}
    machine = states.create_state_machine(
        name="m", definition=json.dumps(definition), roleArn="arn:aws:iam::123456789012:role/r"
    )["stateMachineArn"]
    execution = states.start_execution(stateMachineArn=machine, input='{"a": "\u00fc"}')["executionArn"]

    def history() -> list[Any]:
        return [*states.get_execution_history(executionArn=execution)["events"]]

    with shortcuts.taken():
        first = history()
        copied = copy.deepcopy(first)
        for event in first:
            event.clear()
        eventually(lambda: states.describe_execution(executionArn=execution)["status"] == "SUCCEEDED")
        whole = history()
        again = history()
    assert copied == whole[: len(copied)]
    assert whole == again == history()
    assert "ExecutionSucceeded" == whole[-1]["type"]


@mock_aws
def test_a_table_is_the_same() -> None:
    """Bytes, nothing at all, an update that is repeated with other values, a condition, and what is too heavy."""

    def answers() -> list[Any]:
        table: Any = boto3.client("dynamodb", region_name=REGION)
        key = {"AttributeName": "k", "KeyType": "HASH"}
        definition = {"AttributeName": "k", "AttributeType": "S"}
        table.create_table(
            TableName="t", KeySchema=[key], AttributeDefinitions=[definition], BillingMode="PAY_PER_REQUEST"
        )
        item = {"k": {"S": "a"}, "b": {"B": b"\xff\x00"}, "m": {"M": {"l": {"L": [{"N": "1"}, {"B": b"x"}]}}}}

        def add(number: str, at_most: str) -> Any:
            return table.update_item(
                TableName="t",
                Key={"k": {"S": "a"}},
                UpdateExpression="SET #n = if_not_exists(#n, :no) + :by REMOVE gone",
                ConditionExpression="attribute_not_exists(#n) OR (#n < :most AND k = :a)",
                ExpressionAttributeNames={"#n": "n"},
                ExpressionAttributeValues={
                    ":by": {"N": number}, ":no": {"N": "0"}, ":most": {"N": at_most}, ":a": {"S": "a"}
                },
                ReturnValues="ALL_NEW",
            )  # fmt: skip

        asked: list[Any] = [
            lambda: table.get_item(TableName="t", Key={"k": {"S": "a"}}),
            lambda: table.scan(TableName="t"),
            lambda: table.put_item(TableName="t", Item=item),
            lambda: table.put_item(TableName="t", Item={"k": {"S": "heavy"}, "v": {"S": "x" * 410_000}}),
            lambda: add("1", "5"),
            lambda: add("4", "5"),
            lambda: add("1", "5"),
            lambda: table.get_item(TableName="t", Key={"k": {"S": "a"}}),
            lambda: table.update_item(TableName="t", Key={"k": {"S": "a"}}, UpdateExpression="SET = ="),
        ]
        found = [answered(each) for each in asked]
        regular = dynamodb_backends["123456789012"][REGION].get_table("t").all_items()
        plain = [each.to_regular_json() for each in regular]
        table.delete_table(TableName="t")
        return [*found, plain]

    without, with_shortcuts = both_ways(answers)

    assert with_shortcuts == without


@mock_aws
def test_an_answer_has_as_many_pages() -> None:
    """And each parameter is found where it was put."""

    def names() -> list[str]:
        parameters: Any = boto3.client("ssm", region_name=REGION)
        for number in range(13):
            parameters.put_parameter(Name=f"/p/{number}", Value="=&%20+", Type="String", Overwrite=True)
        pages = list(parameters.get_paginator("get_parameters_by_path").paginate(Path="/p", MaxResults=5))
        return [str([(each["Name"], each["Value"]) for each in page["Parameters"]]) for page in pages]

    without, with_shortcuts = both_ways(names)

    assert 3 == len(without)
    assert with_shortcuts == without


@mock_aws
@pytest.mark.parametrize("refusals", [1, 2])
def test_the_sdk_tries_again_as_often(refusals: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once here, when AWS has not been able to answer."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)

    def tries() -> list[Any]:
        left = [refusals]

        def refuse(_: Call) -> Refusal | None:
            left[0] -= 1
            return Refusal("ThrottlingException", "slowly", 400) if left[0] >= 0 else None

        client: Any = boto3.client("sns", region_name=REGION, config=Config(retries={"total_max_attempts": 2}))
        with Calls(TwoSpeedClock()) as calls:
            calls.add_interceptor(refuse)
            try:
                metadata = client.list_topics()["ResponseMetadata"]
            except ClientError as refused:
                metadata = {**refused.response["ResponseMetadata"], **refused.response["Error"]}
            seen = [(each.service, each.action, each.error, each.access_key) for each in calls.log]
        return [{**metadata, "HTTPHeaders": None, "RequestId": None}, seen]

    without, with_shortcuts = both_ways(tries)

    assert 2 == len(without[1])
    assert with_shortcuts == without


def answered(ask: Any) -> Any:
    """Return an answer, or what was said instead, without what is of one request only."""
    try:
        return {name: value for name, value in ask().items() if name != "ResponseMetadata"}
    except ClientError as refused:
        return refused.response["Error"]
