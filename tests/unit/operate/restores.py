"""A restore that waits for an answer, and what Lambda and EventBridge make of who has done what."""

import json
from typing import Any

from lambdas.release.restore_rules import Restore
from lambdas.release.restores import Restores
from tests.builders import RESTORING, at

TOKEN = "a-canary-that-nobody-may-see"  # noqa: S105
SESSIONS = "arn:aws:sts::123456789012:assumed-role"
JO, JO_AS_APPROVER, KIM = f"{SESSIONS}/operator/jo", f"{SESSIONS}/approver/jo", f"{SESSIONS}/approver/kim"
MACHINE = f"{SESSIONS}/Runback-receipts-test-RollbackMachineRole0A1B/AbCdEf"


class FakeTokens:
    """Step Functions, as far as it takes answers: each token is good for one."""

    def __init__(self) -> None:
        self.waiting = {TOKEN}
        self.answers: list[dict[str, Any]] = []

    def succeed(self, task_token: str, output: dict[str, Any]) -> bool:
        if task_token not in self.waiting:
            return False
        self.waiting.remove(task_token)
        self.answers.append(output)
        return True


def asked(restores: Restores, asked_by: str = "") -> Restore:
    """Let a restore of release "new" wait for an answer."""
    restore = Restore(
        restore_id="r-new-0a1b2c3d",
        release_id="new",
        requested_by=RESTORING,
        reason="receipts are garbled",
        source={"kind": "snapshot", "snapshot_id": "runback-receipts-test-new"},
        forward_instance="receipts-test",
        forward_host="receipts-test.example",
        forward_port=5432,
        restored_instance="runback-receipts-test-r0a1b2c3d",
        safety_snapshot="runback-receipts-test-safety-r-new-0a1b2c3d",
        recovery_point=at(1),
        loss_seconds=1740,
        planned_at=at(30),
        expires_at=at(59),
        asked_by=asked_by,
        summary="The database goes back.",
    )
    restores.plan(restore, None)
    restores.keep_token(restore.restore_id, TOKEN)
    return restore


def request(caller: str = KIM, method: str = "POST", **body: Any) -> dict[str, Any]:
    """Return what Lambda makes of a signed request: https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html."""
    order = {"action": "approve", "release_id": "new", "reason": "the loss is known", **body}
    return {
        "version": "2.0",
        "rawPath": "/",
        "headers": {"content-type": "application/json"},
        "requestContext": {
            "accountId": "123456789012",
            "authorizer": {"iam": {"accountId": "123456789012", "userArn": caller, "userId": "AROAEXAMPLE:kim"}},
            "http": {"method": method, "path": "/", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"},
            "timeEpoch": 1772361060000,  # at(31)
        },
        "body": json.dumps(order),
        "isBase64Encoded": False,
    }


def started(execution: str = RESTORING, caller: str = JO, **identity: Any) -> dict[str, Any]:
    """
    Return the event of a StartExecution.

    https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cloud-trail.html
    """
    return {
        "source": "aws.states",
        "detail-type": "AWS API Call via CloudTrail",
        "detail": {
            "eventVersion": "1.08",
            "userIdentity": {"type": "AssumedRole", "arn": caller, **identity},
            "eventTime": "2026-03-01T10:30:00Z",
            "eventSource": "states.amazonaws.com",
            "eventName": "StartExecution",
            "requestParameters": {"stateMachineArn": "arn:of:it", "input": "{}", "name": "one"},
            "responseElements": {"startDate": "Mar 1, 2026 10:30:00 AM", "executionArn": execution},
        },
    }


def by_machine(execution: str = RESTORING) -> dict[str, Any]:
    """Return the event of an execution that another machine has started."""
    return started(execution, MACHINE, invokedBy="states.amazonaws.com")
