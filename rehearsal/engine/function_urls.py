"""
Lambda's function URLs: a request becomes an invocation, if the function's policy lets it in, with or without signature.

https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
"""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from rehearsal.clock import Clock
from rehearsal.engine.functions import FunctionService, TooManyRequests
from rehearsal.engine.people import SECRET, Person
from rehearsal.engine.template import Resource, Stack, UnsupportedTemplate

_BOTH = {"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"}
"""What a URL needs that was made since October 2025."""

_OPEN, _SIGNED = "NONE", "AWS_IAM"
_EVERYBODY = "*"

_LONGEST_EVENT_BYTES = 6 * 1024 * 1024
"""https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

_SENT_AS_TEXT = ("text/", "application/json", "application/javascript", "application/xml")
"""What the types of bodies begin with that a function is given as they are; it gets any other in base64."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: Any
    """Parsed where it is JSON, as text where it is not."""


class FunctionUrls:
    """All function URLs of a stack. Of policies, those of the function alone let anybody in."""

    def __init__(self, clock: Clock, functions: FunctionService, stack: Stack, people: Mapping[str, Person]) -> None:
        self._clock = clock
        self._functions = functions
        self._stack = stack
        self._people = people
        self._urls = {each.attributes["FunctionUrl"]: each for each in self._of_type("AWS::Lambda::Url")}
        for each in self._urls.values():
            if each.properties["AuthType"] not in (_OPEN, _SIGNED):
                kind = each.properties["AuthType"]
                raise UnsupportedTemplate(f"{each.logical_id}: the rehearsal knows no URL of the type {kind}")

    def url_of(self, function: str) -> str:
        """Return the URL of a function that has this name, or whose name ends so. Raises LookupError."""
        for url, each in self._urls.items():
            if each.physical_id.endswith((f"-{function}", f":{function}")):
                return str(url)
        raise LookupError(f"function {function} has no URL")

    def post(self, person: Person, url: str, body: Any) -> Answer:
        """Sign a request as somebody does, and send it."""
        headers = {"Content-Type": "application/json", "X-Amz-Date": self._clock.now().strftime("%Y%m%dT%H%M%SZ")}
        request = AWSRequest("POST", url, headers=headers, data=json.dumps(body))
        request.headers["Authorization"] = _authorization(request, person.access_key)
        return self.receive(request)

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send a request that nobody has signed, as anybody on the internet can."""
        return self.receive(AWSRequest("POST", url, headers=dict(headers), data=body))

    def receive(self, request: AWSRequest) -> Answer:
        """Answer as Lambda does."""
        url = self._urls[request.url]
        function = url.physical_id.rpartition(":")[2]
        answer = self._answer(url, function, request)
        self._functions.answered_by_url(function, answer.status)
        return answer

    def _answer(self, url: Resource, function: str, request: AWSRequest) -> Answer:
        person = self._signed_by(request) if url.properties["AuthType"] == _SIGNED else None
        if not self._may_enter(url, person):
            return Answer(HTTPStatus.FORBIDDEN, {"Message": "Forbidden"})
        event = json.dumps(self._event(request, person)).encode()
        if len(event) > _LONGEST_EVENT_BYTES:
            return Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"Message": "Request Entity Too Large"})
        try:
            payload, error = self._functions.invoke(function, event, reserved=self._reserved(function))
        except TooManyRequests:
            return Answer(HTTPStatus.TOO_MANY_REQUESTS, {"Message": "Rate Exceeded."})
        if error:
            return Answer(HTTPStatus.BAD_GATEWAY, {"Message": "Internal Server Error"})
        reply = json.loads(payload)
        return Answer(reply["statusCode"], _parsed(reply.get("body", "")))

    def _signed_by(self, request: AWSRequest) -> Person | None:
        """Return whose signature it is, by making it again with that one's secret; None if that gives another."""
        given = str(request.headers.get("Authorization", ""))
        key = given.partition("Credential=")[2].partition("/")[0]
        if key not in self._people or given != _authorization(request, key):
            return None
        return self._people[key]

    def _may_enter(self, url: Resource, person: Person | None) -> bool:
        """Say whether somebody is let in, or anybody, by what the function's own policy says of its URL."""
        auth, function_arn = url.properties["AuthType"], url.properties["TargetFunctionArn"]
        principal = _EVERYBODY if auth == _OPEN else person.role if person else ""
        allowed = {
            each["Action"]
            for each in self._permissions(function_arn)
            if each["Principal"] == principal
            and each.get("FunctionUrlAuthType", auth) == auth
            and each.get("InvokedViaFunctionUrl", True)
        }
        return allowed >= _BOTH

    def _permissions(self, function_arn: str) -> Iterator[Mapping[str, Any]]:
        for each in self._of_type("AWS::Lambda::Permission"):
            if each.properties["FunctionName"] == function_arn:
                yield each.properties

    def _reserved(self, function: str) -> int | None:
        for each in self._of_type("AWS::Lambda::Function"):
            if each.physical_id == function and "ReservedConcurrentExecutions" in each.properties:
                return int(each.properties["ReservedConcurrentExecutions"])
        return None

    def _of_type(self, kind: str) -> list[Resource]:
        return [each for each in self._stack.resources.values() if each.type == kind]

    def _event(self, request: AWSRequest, person: Person | None) -> dict[str, Any]:
        now = self._clock.now()
        host = urlsplit(str(request.url)).hostname or ""
        body, is_encoded = _body(request)
        caller: dict[str, Any] = {"accountId": "anonymous"}
        if person is not None:
            account = person.arn.split(":")[4]
            identity = {
                "accessKey": person.access_key,
                "accountId": account,
                "callerId": f"AROAREHEARSAL:{person.name}",
                "cognitoIdentity": None,
                "principalOrgId": None,
                "userArn": person.arn,
                "userId": f"AROAREHEARSAL:{person.name}",
            }
            caller = {"accountId": account, "authentication": None, "authorizer": {"iam": identity}}
        return {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": "/",
            "rawQueryString": "",
            "headers": {name.lower(): value for name, value in request.headers.items() if name != "Authorization"},
            "requestContext": {
                **caller,
                "apiId": host.partition(".")[0],
                "domainName": host,
                "http": {"method": request.method, "path": "/", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"},
                "requestId": "rehearsal",
                "routeKey": "$default",
                "stage": "$default",
                "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
                "timeEpoch": int(now.timestamp() * 1000),
            },
            "body": body,
            "isBase64Encoded": is_encoded,
        }


def _body(request: AWSRequest) -> tuple[str, bool]:
    """Return what a function is given of the body, and whether that is base64: whatever is no text is."""
    given = request.data
    if isinstance(given, str):
        return given, False
    sent = bytes(given or b"")
    if str(request.headers.get("Content-Type", "")).lower().startswith(_SENT_AS_TEXT):
        try:
            return sent.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(sent).decode(), True


def _parsed(body: str) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body


def _authorization(request: AWSRequest, access_key: str) -> str:
    """
    Return the header that proves who has sent a request: with botocore's own signature, but at the rehearsal's time.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
    """
    headers = {name: value for name, value in request.headers.items() if name != "Authorization"}
    bare = AWSRequest(request.method, request.url, headers, request.data)
    bare.context["timestamp"] = headers["X-Amz-Date"]
    region = (urlsplit(str(request.url)).hostname or "").split(".")[2]
    signer = SigV4Auth(Credentials(access_key, SECRET), "lambda", region)
    signed = signer.signed_headers(signer.headers_to_sign(bare))
    signature = signer.signature(signer.string_to_sign(bare, signer.canonical_request(bare)), bare)
    return f"AWS4-HMAC-SHA256 Credential={signer.scope(bare)}, SignedHeaders={signed}, Signature={signature}"
