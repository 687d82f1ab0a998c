"""Every call is seen, one at a time, whoever makes it and in whatever protocol."""

import json
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError
from moto import mock_aws
from moto.awslambda.responses import LambdaResponse
from moto.dynamodb.models import UpdateExpressionExecutor
from moto.server import ThreadedMotoServer

from rehearsal.clock import TwoSpeedClock
from rehearsal.engine.calls import ROLE_KEY, Call, Calls, Refusal, access_key_of

REGION, ACCOUNT = "eu-west-1", "123456789012"
SESSION = boto3.Session(region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test")
"""Of the module: reading the services' models is most of what a client costs."""
LISTENER = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:listener/app/a/b/c"


@pytest.fixture
def calls() -> Iterator[Calls]:
    with mock_aws(), Calls(TwoSpeedClock()) as calls:
        yield calls


def client(service: str, **parameters: Any) -> Any:
    return SESSION.client(service, config=Config(retries={"max_attempts": 0}), **parameters)


def error_of(call: Callable[..., Any], **parameters: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as refused:
        call(**parameters)
    return dict(refused.value.response["Error"])


@pytest.mark.parametrize(
    ("service", "method", "parameters", "expected_error"),
    [
        (
            "elbv2",
            "modify_listener",
            {
                "ListenerArn": LISTENER,
                "DefaultActions": [
                    {"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": "blue", "Weight": 90}]}}
                ],
            },
            "ListenerNotFound",
        ),
        (
            "autoscaling",
            "update_auto_scaling_group",
            {"AutoScalingGroupName": "green", "MinSize": 2},
            "ValidationError",
        ),
        ("ec2", "describe_instances", {"InstanceIds": ["i-1"]}, "InvalidInstanceID.NotFound"),
        ("sns", "publish", {"TopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:x", "Message": "hello"}, "NotFound"),
        ("dynamodb", "get_item", {"TableName": "t", "Key": {"id": {"S": "a"}}}, "ResourceNotFoundException"),
        (
            "stepfunctions",
            "start_execution",
            {"stateMachineArn": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:x", "input": "{}"},
            "StateMachineDoesNotExist",
        ),
        ("events", "describe_rule", {"Name": "r"}, "ResourceNotFoundException"),
        ("ssm", "get_parameter", {"Name": "/p"}, "ParameterNotFound"),
        ("cloudwatch", "describe_alarms", {"AlarmNames": ["a"], "AlarmTypes": ["MetricAlarm"]}, None),
        (
            "lambda",
            "invoke",
            {"FunctionName": "f", "Qualifier": "1", "Payload": '{"a": 1}'},
            "ResourceNotFoundException",
        ),
    ],
)
def test_parameters_are_logged_as_they_were_sent(
    calls: Calls, service: str, method: str, parameters: dict[str, Any], expected_error: str | None
) -> None:
    """Invariants and reports read them without knowing that one service speaks XML and another JSON."""
    with pytest.raises(ClientError, match=rf"\({expected_error}\)") if expected_error else nullcontext():
        getattr(client(service), method)(**parameters)

    [call] = calls.log
    assert (call.service, call.action) == (service, method.title().replace("_", ""))
    assert call.parameters == parameters
    assert call.error == expected_error
    assert json.dumps(call.parameters)


def test_only_calls_that_change_something_are_mutating(calls: Calls) -> None:
    """Invariants are checked after each of them."""
    ssm = client("ssm")
    ssm.put_parameter(Name="/p", Value="blue", Type="String")
    ssm.get_parameter(Name="/p")
    ssm.describe_parameters()
    ssm.delete_parameter(Name="/p")

    assert [(call.action, call.mutating) for call in calls.log] == [
        ("PutParameter", True),
        ("GetParameter", False),
        ("DescribeParameters", False),
        ("DeleteParameter", True),
    ]
    assert [call.number for call in calls.log] == [1, 2, 3, 4]


def test_the_caller_is_known_by_its_access_key(calls: Calls) -> None:
    """Two functions may make the same call; the report must say which one did."""
    calls.register_caller("ASIA0123456789ABCDEF", "switch-listener")

    client("ssm", aws_access_key_id="ASIA0123456789ABCDEF", aws_secret_access_key="x").describe_parameters()
    client("ssm").describe_parameters()

    assert [call.caller for call in calls.log] == ["switch-listener", None]


def test_whoever_acts_as_a_role_is_known_by_its_access_key(calls: Calls) -> None:
    """An operator's key never looks like one of these, so that nobody's request passes for his."""
    role = access_key_of("arn:aws:iam::123456789012:role/machine")

    client("ssm", aws_access_key_id=role, aws_secret_access_key="x").describe_parameters()
    client("ssm").describe_parameters()

    assert [True, False] == [call.access_key.startswith(ROLE_KEY) for call in calls.log]
    assert role == calls.log[0].access_key


def test_calls_over_http_are_seen_too(calls: Calls) -> None:
    """Functions run in processes of their own."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    try:
        client("sqs", endpoint_url=url).create_queue(QueueName="q")
    finally:
        server.stop()

    assert [(call.service, call.action, call.parameters) for call in calls.log] == [
        ("sqs", "CreateQueue", {"QueueName": "q"})
    ]
    assert "q" in client("sqs").get_queue_url(QueueName="q")["QueueUrl"]


def test_an_observer_sees_the_account_as_the_call_left_it(calls: Calls) -> None:
    """It may look things up: the lock is the same thread's."""
    seen: list[tuple[str, str | None]] = []
    ssm = client("ssm")

    def observe(call: Call) -> None:
        if call.mutating:
            seen.append((ssm.get_parameter(Name="/p")["Parameter"]["Value"], call.error))

    calls.add_observer(observe)
    ssm.put_parameter(Name="/p", Value="blue", Type="String")
    error_of(ssm.put_parameter, Name="/p", Value="green", Type="String")

    assert seen == [("blue", None), ("blue", "ParameterAlreadyExists")]


@pytest.mark.parametrize(
    ("service", "method"),
    [("elbv2", "describe_trust_stores"), ("autoscaling", "start_instance_refresh"), ("dynamodb", "list_exports")],
)
def test_what_moto_cannot_answer_fails_the_rehearsal_and_not_the_caller(
    calls: Calls, service: str, method: str
) -> None:
    """AWS would have answered: such a run proves nothing, and the reason must not look like an AWS error."""
    parameters = {"AutoScalingGroupName": "green"} if service == "autoscaling" else {}

    error = error_of(getattr(client(service), method), **parameters)

    assert error["Code"] == "NotImplemented"
    action = method.title().replace("_", "")
    assert f"{service}:{action}" in error["Message"]
    assert [unsupported.call.action for unsupported in calls.unsupported] == [action]


@pytest.mark.parametrize(
    ("service", "method", "code"),
    [
        ("dynamodb", "list_tables", "ThrottlingException"),
        ("elbv2", "describe_load_balancers", "Throttling"),
        ("ec2", "describe_instances", "RequestLimitExceeded"),
        ("lambda", "list_functions", "TooManyRequestsException"),
        ("stepfunctions", "list_state_machines", "AccessDeniedException"),
        ("cloudwatch", "describe_alarms", "Throttling"),
    ],
)
def test_an_interceptor_refuses_in_every_protocol(calls: Calls, service: str, method: str, code: str) -> None:
    """Faults are injected this way; without a request id moto's interpreter fails on the reply."""
    calls.add_interceptor(lambda _: Refusal(code, "not now"))

    with pytest.raises(ClientError) as refused:
        getattr(client(service), method)()

    assert refused.value.response["Error"]["Code"] == code
    assert "not now" in refused.value.response["Error"]["Message"]
    assert "x-amzn-requestid" in refused.value.response["ResponseMetadata"]["HTTPHeaders"]
    assert calls.log[-1].error == code
    assert not calls.unsupported


def test_an_answer_is_lost_after_the_call_was_made(calls: Calls) -> None:
    """The function cannot know; to botocore the connection was closed, which is no answer of AWS."""
    key = access_key_of("function")
    calls.register_caller(key, "function")
    calls.add_loser(lambda call: call.action == "PutParameter")
    ssm = client("ssm", aws_access_key_id=key, aws_secret_access_key="test")

    with pytest.raises(ConnectionClosedError):
        ssm.put_parameter(Name="/p", Value="x", Type="String")

    assert ssm.get_parameter(Name="/p")["Parameter"]["Value"] == "x"
    assert calls.log[0].error is None


def test_no_answer_is_lost_but_to_a_function(calls: Calls) -> None:
    """The rehearsal itself must not lose any."""
    calls.add_loser(lambda _: True)

    client("ssm").put_parameter(Name="/p", Value="x", Type="String")


def test_a_waiting_invocation_does_not_stop_the_account(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """The invoked function makes calls itself: with the lock held neither would ever end."""
    ssm = client("ssm")

    def invoke(_: LambdaResponse) -> tuple[int, dict[str, str], str]:
        with ThreadPoolExecutor(1) as function:
            function.submit(ssm.put_parameter, Name="/p", Value="x", Type="String").result(timeout=5)
        return 200, {"status": "200"}, "{}"

    monkeypatch.setattr(LambdaResponse, "invoke", invoke)

    assert client("lambda").invoke(FunctionName="f")["StatusCode"] == 200
    assert [call.action for call in calls.log] == ["Invoke", "PutParameter"]


def test_one_of_four_threads_wins_a_conditional_write() -> None:
    """The lease is such a write: two winners would be two machines at work on one environment."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(0.0002)
    try:
        with mock_aws(), Calls(TwoSpeedClock()):
            claim = claims()
            for token in range(20):
                assert winners(claim, token) == 1
    finally:
        sys.setswitchinterval(interval)


@pytest.mark.parametrize(("locked", "expected_winners"), [(True, 1), (False, 2)])
def test_without_the_lock_two_threads_win(
    monkeypatch: pytest.MonkeyPatch, *, locked: bool, expected_winners: int
) -> None:
    """Moto checks the condition, then writes; when this fails unlocked, an upgrade has made the lock unnecessary."""
    between_check_and_write = threading.Barrier(2)
    write = UpdateExpressionExecutor.execute

    def wait_for_the_other(executor: UpdateExpressionExecutor, node: Any = None) -> None:
        try:
            if node is None:
                between_check_and_write.wait(timeout=0.5)
        except threading.BrokenBarrierError:
            assert locked
        write(executor, node)

    calls = Calls(TwoSpeedClock())
    with mock_aws(), calls if locked else nullcontext():
        claim = claims()
        monkeypatch.setattr(UpdateExpressionExecutor, "execute", wait_for_the_other)
        assert winners(claim, 0, threads=2) == expected_winners


def claims() -> Callable[[int], bool]:
    """A function that claims the lease with the next token and says whether it got it."""
    dynamodb = client("dynamodb")
    dynamodb.create_table(
        TableName="record",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.put_item(TableName="record", Item={"id": {"S": "lease"}, "token": {"N": "0"}})
    lost = dynamodb.exceptions.ConditionalCheckFailedException  # botocore makes it at first use, and not thread-safely

    def claim(token: int) -> bool:
        try:
            dynamodb.update_item(
                TableName="record",
                Key={"id": {"S": "lease"}},
                UpdateExpression="SET #t = :next",
                ConditionExpression="#t = :now",
                ExpressionAttributeNames={"#t": "token"},
                ExpressionAttributeValues={":now": {"N": str(token)}, ":next": {"N": str(token + 1)}},
            )
        except lost:
            return False
        return True

    return claim


def winners(claim: Callable[[int], bool], token: int, threads: int = 4) -> int:
    start = threading.Barrier(threads)

    def race(_: int) -> bool:
        start.wait()
        return claim(token)

    with ThreadPoolExecutor(threads) as racers:
        return sum(racers.map(race, range(threads)))
