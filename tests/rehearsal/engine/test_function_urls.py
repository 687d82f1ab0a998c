"""A function URL lets in whom the function's policy names, for both actions, and who proves to be that one."""

import base64
import json
from typing import Any

import pytest
from botocore.awsrequest import AWSRequest

from rehearsal.clock import TwoSpeedClock
from rehearsal.engine.function_urls import Answer, FunctionUrls
from rehearsal.engine.functions import TooManyRequests
from rehearsal.engine.people import people_of
from rehearsal.engine.template import Resource, Stack, UnsupportedTemplate

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:receipts-answer-by-url"
URL = "https://0123.lambda-url.eu-west-1.on.aws/"
APPROVER = "arn:aws:iam::123456789012:role/teams/approver"
PEOPLE = people_of("123456789012", APPROVER)
BOTH = (
    {"Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": "AWS_IAM"},
    {"Action": "lambda:InvokeFunction", "InvokedViaFunctionUrl": True},
)


class Echo:
    """The Lambda service, with a function that answers what it was given."""

    def __init__(self) -> None:
        self.error: str | None = None
        self.invoked: list[dict[str, Any]] = []
        self.answered: list[int] = []

    def answered_by_url(self, name: str, status: int) -> None:
        assert name == "receipts-answer-by-url"
        self.answered.append(status)

    def invoke(self, name: str, payload: bytes, *, reserved: int | None) -> tuple[bytes, str | None]:
        assert name == "receipts-answer-by-url"
        if reserved == 0:
            raise TooManyRequests
        self.invoked.append(json.loads(payload))
        return json.dumps({"statusCode": 201, "body": json.dumps(self.invoked[-1]["body"])}).encode(), self.error


def urls(
    echo: Echo, *permissions: dict[str, Any], auth: str = "AWS_IAM", function: str = ARN, reserved: int | None = None
) -> FunctionUrls:
    made: dict[str, Resource] = {
        "Url": _resource("AWS::Lambda::Url", {"AuthType": auth, "TargetFunctionArn": ARN}, FunctionUrl=URL)
    }
    for number, each in enumerate(permissions):
        given = {"FunctionName": function, "Principal": APPROVER, **each}
        made[f"Permission{number}"] = _resource("AWS::Lambda::Permission", given)
    if reserved is not None:
        concurrency = {"ReservedConcurrentExecutions": reserved}
        made["Function"] = Resource("It", "AWS::Lambda::Function", "receipts-answer-by-url", {}, concurrency)
    stack = Stack("Runback-receipts", "", made, {})
    return FunctionUrls(TwoSpeedClock(), echo, stack, PEOPLE.by_access_key)  # type: ignore[arg-type]


def _resource(kind: str, properties: dict[str, Any], **attributes: str) -> Resource:
    return Resource("It", kind, ARN, attributes, properties)


def test_whoever_is_let_in_is_named_to_the_function() -> None:
    echo = Echo()

    answer = urls(echo, *BOTH).post(PEOPLE.approver, URL, {"action": "approve"})

    assert answer == Answer(201, '{"action": "approve"}')
    context = echo.invoked[0]["requestContext"]
    assert context["authorizer"]["iam"]["userArn"] == "arn:aws:sts::123456789012:assumed-role/approver/kim"
    assert context["http"]["method"] == "POST"


@pytest.mark.parametrize(
    "permissions",
    [
        (),
        BOTH[:1],
        BOTH[1:],
        tuple({**each, "Principal": "arn:aws:iam::123456789012:role/teams/other"} for each in BOTH),
        ({**BOTH[0], "FunctionUrlAuthType": "NONE"}, BOTH[1]),
    ],
)
def test_half_a_permission_is_none(permissions: tuple[dict[str, Any], ...]) -> None:
    """Since October 2025 a URL needs both: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html."""
    echo = Echo()

    answer = urls(echo, *permissions).post(PEOPLE.approver, URL, {})

    assert (answer.status, echo.invoked) == (403, [])


def test_a_permission_for_another_function_lets_nobody_in() -> None:
    echo = Echo()
    assert urls(echo, *BOTH, function=f"{ARN}-2").post(PEOPLE.approver, URL, {}).status == 403


def test_who_has_another_role_is_not_let_in() -> None:
    echo = Echo()
    assert urls(echo, *BOTH).post(PEOPLE.operator, URL, {}).status == 403


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Authorization", "AWS4-HMAC-SHA256 Credential=APPROVER000000000000/x, SignedHeaders=host, Signature=none"),
        ("Authorization", "AWS4-HMAC-SHA256 Credential=STRANGER000000000000/x, SignedHeaders=host, Signature=none"),
        ("X-Amz-Date", "20200101T000000Z"),
        ("Content-Type", "text/plain"),
    ],
)
def test_a_changed_request_is_nobody_s(header: str, value: str) -> None:
    echo = Echo()
    url = urls(echo, *BOTH)
    signed: list[AWSRequest] = []
    real = url.receive
    url.receive = lambda request: signed.append(request) or real(request)  # type: ignore[method-assign,func-returns-value]
    assert url.post(PEOPLE.approver, URL, {}).status == 201

    request = signed[0]
    del request.headers[header]
    request.headers[header] = value

    assert real(request).status == 403


def test_a_function_that_fails_gives_no_answer_of_its_own() -> None:
    echo = Echo()
    echo.error = "Unhandled"

    assert urls(echo, *BOTH).post(PEOPLE.approver, URL, {}) == Answer(502, {"Message": "Internal Server Error"})


def test_a_url_is_found_by_its_function() -> None:
    url = urls(Echo(), *BOTH)
    assert url.url_of("answer-by-url") == URL
    with pytest.raises(LookupError, match="by-url-2"):
        url.url_of("by-url-2")


OPEN = tuple({**each, "Principal": "*"} for each in ({**BOTH[0], "FunctionUrlAuthType": "NONE"}, BOTH[1]))


def test_an_open_url_lets_everybody_in_and_hands_on_the_bytes_as_they_came() -> None:
    """Of a signature over the body nothing must be lost on the way."""
    echo = Echo()
    url = urls(echo, *OPEN, auth="NONE")

    answer = url.send(
        URL, {"X-Hub-Signature-256": "sha256=1", "Content-Type": "application/json"}, b'{"a":  "\xc3\xa9"}'
    )
    url.send(URL, {"Content-Type": "application/json"}, b"\xff")
    url.send(URL, {"Content-Type": "application/x-www-form-urlencoded"}, b"payload=x")

    assert answer.status == 201
    as_text, no_text, form = echo.invoked
    assert (as_text["body"], as_text["isBase64Encoded"]) == ('{"a":  "é"}', False)
    assert as_text["headers"]["x-hub-signature-256"] == "sha256=1"
    assert "authorizer" not in as_text["requestContext"]
    assert (base64.b64decode(no_text["body"]), no_text["isBase64Encoded"]) == (b"\xff", True)
    assert base64.b64decode(form["body"]) == b"payload=x"


@pytest.mark.parametrize("permissions", [(), OPEN[:1], OPEN[1:], BOTH])
def test_an_open_url_needs_both_permissions_for_everybody(permissions: tuple[dict[str, Any], ...]) -> None:
    echo = Echo()
    assert (urls(echo, *permissions, auth="NONE").send(URL, {}, b"{}").status, echo.invoked) == (403, [])


def test_an_unsigned_request_does_not_enter_a_url_that_wants_a_signature() -> None:
    echo = Echo()
    assert (urls(echo, *BOTH).send(URL, {}, b"{}").status, echo.invoked) == (403, [])


def test_more_than_lambda_takes_does_not_reach_the_function() -> None:
    echo = Echo()
    headers = {"Content-Type": "application/json"}

    answer = urls(echo, *OPEN, auth="NONE").send(URL, headers, b" " * 6 * 1024 * 1024)

    assert (answer.status, echo.invoked) == (413, [])


def test_no_more_are_let_in_than_are_reserved() -> None:
    echo = Echo()
    assert urls(echo, *OPEN, auth="NONE", reserved=0).send(URL, {}, b"{}").status == 429
    assert urls(echo, *OPEN, auth="NONE", reserved=5).send(URL, {}, b"{}").status == 201
    assert (len(echo.invoked), echo.answered) == (1, [429, 201])


def test_a_url_of_another_kind_is_not_rehearsed() -> None:
    with pytest.raises(UnsupportedTemplate, match="CUSTOM"):
        urls(Echo(), auth="CUSTOM")
