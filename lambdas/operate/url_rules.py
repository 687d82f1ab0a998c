"""A human's answer that comes as a signed request to a function URL, and what the request is told. All pure."""

import json
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Self

from lambdas.operate.answer_rules import Answer
from lambdas.operate.rules import ANSWERS, Decision, Verdict, read_order
from lambdas.operate.trail_rules import Requester
from lambdas.operate.waiting_rules import Subject
from lambdas.release.caller_rules import is_same_person, may_approve

_EXAMPLE = '{"action": "approve", "release_id": "4f2c1e9-0a1b2c3d", "reason": "the loss is known and accepted"}'
_LONGEST_BODY = 10_000
_STATUSES = {
    Verdict.CARRIED_OUT: HTTPStatus.OK,
    Verdict.ALREADY_SO: HTTPStatus.OK,
    Verdict.REFUSED: HTTPStatus.CONFLICT,
    Verdict.INVALID: HTTPStatus.BAD_REQUEST,
}

Reply = dict[str, Any]
"""What Lambda makes an HTTP answer of."""


@dataclass(frozen=True)
class UrlRequest:
    """
    A request to the function URL, which Lambda has let in because IAM has. `caller` is the ARN that signed it.

    https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads
    """

    method: str
    body: str
    caller: str
    now: str

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Self:
        """Read what Lambda makes of a request; a body that is no text is as good as none."""
        context = event["requestContext"]
        identity = (context.get("authorizer") or {}).get("iam") or {}
        moment = datetime.fromtimestamp(int(context["timeEpoch"]) / 1000, UTC)
        return cls(
            method=context["http"]["method"],
            body=_text(event.get("body") or "", is_base64=event.get("isBase64Encoded", False)),
            caller=identity.get("userArn") or "",
            now=moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        )


def _text(body: str, *, is_base64: bool) -> str:
    if not is_base64:
        return body
    try:
        return b64decode(body).decode()
    except (NotBase64, UnicodeDecodeError):
        return ""


def read_answer(request: UrlRequest, approvers: tuple[str, ...]) -> Answer | Reply:
    """Return what the caller answers; or what he is told, when it is no answer, or not his to give."""
    if request.method != "POST":
        return reply(HTTPStatus.METHOD_NOT_ALLOWED, f"Send a POST with a body such as {_EXAMPLE}")
    if not may_approve(request.caller, approvers):
        who = request.caller or "Whoever has sent this"
        reason = f"{who} is none of the approvers of this environment: settings name them in approval.approver_arns."
        return reply(HTTPStatus.FORBIDDEN, reason)
    given = _parsed(request.body)
    order = read_order(given, 0, _EXAMPLE)
    if order.problem:
        return reply(HTTPStatus.BAD_REQUEST, order.problem)
    if order.action not in ANSWERS:
        reason = f"Only {' and '.join(sorted(ANSWERS))} come this way, not {order.action}: start the operate machine."
        return reply(HTTPStatus.BAD_REQUEST, reason)
    return Answer(
        order.action,
        order.release_id,
        order.reason,
        by=request.caller,
        accept_unaccounted=order.accept_unaccounted,
        caller=request.caller,
    )


def _parsed(body: str) -> object:
    """Parse a body; of what is no JSON, the text says for itself what is wrong with it."""
    if len(body) > _LONGEST_BODY:
        return f"{body[:20]}…"
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body[:100]


def why_not_approved_by(caller: str, requester: Requester, subject: Subject) -> Reply | None:
    """Say why this caller may not let begin what somebody has asked for; None when he may."""
    if requester.is_machine:
        return None
    if not requester.arn:
        operate = "To approve without that proof, use the operate machine."
        return reply(HTTPStatus.CONFLICT, f"{requester.why_unknown} {operate} Nothing was changed.")
    if is_same_person(caller, requester.arn):
        reason = (
            f"{requester.arn} has asked for this {subject}, and so cannot approve it as {caller}: somebody else has to."
            f" Nothing was changed."
        )
        return reply(HTTPStatus.FORBIDDEN, reason)
    return None


def told(decision: Decision) -> Reply:
    """Return what the caller is told of a decision."""
    return reply(_STATUSES[decision.verdict], decision.reason, decision.verdict)


def reply(status: HTTPStatus, reason: str, verdict: Verdict = Verdict.REFUSED) -> Reply:
    """Return an HTTP answer with the reason in words."""
    text = json.dumps({"verdict": verdict.value, "reason": reason}, ensure_ascii=False)
    allow = {"Allow": "POST"} if status is HTTPStatus.METHOD_NOT_ALLOWED else {}
    return {"statusCode": status.value, "headers": {"Content-Type": "application/json", **allow}, "body": text}
