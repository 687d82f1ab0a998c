"""
Lambda's function URLs: a signed request becomes an invocation, if the signature and the function's policy let it in.

https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
"""

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
from rehearsal.engine.functions import FunctionService
from rehearsal.engine.people import SECRET, Person
from rehearsal.engine.template import Resource, Stack, UnsupportedTemplate

_BOTH = {"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"}
"""What a URL needs that was made since October 2025."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: Any
    """Parsed, for it is always JSON here."""


class FunctionUrls:
    """All function URLs of a stack. Of policies, those of the function alone let anybody in."""

    def __init__(self, clock: Clock, functions: FunctionService, stack: Stack, people: Mapping[str, Person]) -> None:
        self._clock = clock
        self._functions = functions
        self._stack = stack
        self._people = people
        self._urls = {each.attributes["FunctionUrl"]: each for each in _of_type(stack, "AWS::Lambda::Url")}
        for each in self._urls.values():
            if each.properties["AuthType"] != "AWS_IAM":
                raise UnsupportedTemplate(f"{each.logical_id}: the rehearsal knows no URL that is open to everybody")

    def url_of(self, function: str) -> str:
        """Return the URL of a function whose name ends so. Raises LookupError."""
        for url, each in self._urls.items():
            if each.physical_id.endswith(f"-{function}"):
                return str(url)
        raise LookupError(f"function {function} has no URL")

    def post(self, person: Person, url: str, body: Any) -> Answer:
        """Sign a request as somebody does, and send it."""
        headers = {"Content-Type": "application/json", "X-Amz-Date": self._clock.now().strftime("%Y%m%dT%H%M%SZ")}
        request = AWSRequest("POST", url, headers=headers, data=json.dumps(body))
        request.headers["Authorization"] = _authorization(request, person.access_key)
        return self.receive(request)

    def receive(self, request: AWSRequest) -> Answer:
        """Answer as Lambda does."""
        person = self._signed_by(request)
        function = self._urls[request.url].physical_id.rpartition(":")[2]
        if person is None or not self._may_enter(person, self._urls[request.url].properties["TargetFunctionArn"]):
            return Answer(HTTPStatus.FORBIDDEN, {"Message": "Forbidden"})
        payload, error = self._functions.invoke(function, json.dumps(self._event(request, person)).encode())
        if error:
            return Answer(HTTPStatus.BAD_GATEWAY, {"Message": "Internal Server Error"})
        reply = json.loads(payload)
        return Answer(reply["statusCode"], json.loads(reply["body"]))

    def _signed_by(self, request: AWSRequest) -> Person | None:
        """Return whose signature it is, by making it again with that one's secret; None if that gives another."""
        given = str(request.headers.get("Authorization", ""))
        key = given.partition("Credential=")[2].partition("/")[0]
        if key not in self._people or given != _authorization(request, key):
            return None
        return self._people[key]

    def _may_enter(self, person: Person, function_arn: str) -> bool:
        allowed = {
            each["Action"]
            for each in self._permissions(function_arn)
            if each["Principal"] == person.role
            and each.get("FunctionUrlAuthType", "AWS_IAM") == "AWS_IAM"
            and each.get("InvokedViaFunctionUrl", True)
        }
        return allowed >= _BOTH

    def _permissions(self, function_arn: str) -> Iterator[Mapping[str, Any]]:
        for each in _of_type(self._stack, "AWS::Lambda::Permission"):
            if each.properties["FunctionName"] == function_arn:
                yield each.properties

    def _event(self, request: AWSRequest, person: Person) -> dict[str, Any]:
        now = self._clock.now()
        host, account = urlsplit(str(request.url)).hostname or "", person.arn.split(":")[4]
        identity = {
            "accessKey": person.access_key,
            "accountId": account,
            "callerId": f"AROAREHEARSAL:{person.name}",
            "cognitoIdentity": None,
            "principalOrgId": None,
            "userArn": person.arn,
            "userId": f"AROAREHEARSAL:{person.name}",
        }
        return {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": "/",
            "rawQueryString": "",
            "headers": {name.lower(): value for name, value in request.headers.items() if name != "Authorization"},
            "requestContext": {
                "accountId": account,
                "apiId": host.partition(".")[0],
                "authentication": None,
                "authorizer": {"iam": identity},
                "domainName": host,
                "http": {"method": request.method, "path": "/", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"},
                "requestId": "rehearsal",
                "routeKey": "$default",
                "stage": "$default",
                "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
                "timeEpoch": int(now.timestamp() * 1000),
            },
            "body": request.data,
            "isBase64Encoded": False,
        }


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


def _of_type(stack: Stack, kind: str) -> list[Resource]:
    return [each for each in stack.resources.values() if each.type == kind]
