"""
Whether a release may begin, as the release record keeps it in DynamoDB.

| item | holds |
| --- | --- |
| `request#<id>` | what was asked for; its `approval` is the question and its answer (`ReleaseApproval`) |
| `approval#<execution>` | about which release an execution asks, or has given an answer |

Every write is conditional on the status that it was decided by.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from lambdas.errors import EnvironmentBusy
from lambdas.release.approval_rules import Approval, ApprovalStatus, ReleaseApproval
from lambdas.release.record import ReleaseRecord, from_dynamodb, raise_unless_condition_failed, to_dynamodb
from lambdas.release.request_rules import RequestOutcome

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_WAITS = "#approval.#status = :waiting"
_NAMES = {"#approval": "approval", "#status": "status"}


@dataclass(frozen=True)
class ReleaseApprovals:
    """The releases of the environment that `record` is about, as far as they wait for a human, or did."""

    record: ReleaseRecord

    def of(self, release_id: str) -> ReleaseApproval | None:
        """Read whether a release waits for an answer, or which one it got; None when nobody was asked."""
        item = self._item(f"request#{release_id}")
        return ReleaseApproval.from_item(release_id, item) if "approval" in item else None

    def about(self, execution: str) -> str:
        """Return about which release an execution asks, or has given an answer; "" where there is none."""
        return str(self._item(f"approval#{execution}").get("release_id", ""))

    def ask(self, asked: ReleaseApproval) -> None:
        """
        Keep the question, and what lets the waiting execution go on, in place of one that an earlier attempt has kept.

        Raises EnvironmentBusy when it was answered, or is over.
        """
        update = self._change(
            asked.release_id,
            "SET #approval = :approval, #token = :token",
            "attribute_not_exists(#outcome) AND (attribute_not_exists(#approval) OR #approval.#status = :waiting)",
            {**_NAMES, "#token": "task_token", "#outcome": "outcome"},
            {
                ":approval": asked.as_item(),
                ":token": asked.task_token,
                ":waiting": ApprovalStatus.WAITING.value,
            },
        )
        self._write_or_busy(asked.release_id, [update, self._pointer(asked.requested_by, asked.release_id)])

    def note_told(self, release_id: str, now: str) -> None:
        """Remember that people were asked, so that a repeated step does not ask them again."""
        self._update_if(
            self._change(
                release_id,
                "SET #approval.#told = :now",
                "attribute_exists(#approval)",
                {"#approval": "approval", "#told": "told_at"},
                {":now": now},
            )
        )

    def answer(self, release_id: str, approval: Approval) -> None:
        """
        Write a human's answer down: the first one counts.

        Raises EnvironmentBusy when the release does not wait any more, or not yet. The token is kept until it has been
        used, so that an answer whose step failed after this write is not lost; `forget_token` follows.
        """
        status = ApprovalStatus.APPROVED if approval.approved else ApprovalStatus.REJECTED
        update = self._change(
            release_id,
            "SET #approval.#status = :status, #approval.#answer = :answer",
            f"{_WAITS} AND attribute_exists(#token)",
            {**_NAMES, "#answer": "approval", "#token": "task_token"},
            {":status": status.value, ":answer": asdict(approval), ":waiting": ApprovalStatus.WAITING.value},
        )
        self._write_or_busy(release_id, [update, self._pointer(approval.by, release_id)])

    def name_answerer(self, release_id: str, execution: str, caller: str) -> bool:
        """Write down who gave a release's answer, if this execution did; say whether it was that one."""
        return self._update_if(
            self._change(
                release_id,
                "SET #approval.#answer.#caller = :caller",
                "#approval.#answer.#by = :execution",
                {"#approval": "approval", "#answer": "approval", "#caller": "caller", "#by": "by"},
                {":caller": caller, ":execution": execution},
            )
        )

    def forget_token(self, release_id: str) -> None:
        """Let nobody use a token again. Safe to repeat."""
        self._update_if(
            self._change(release_id, "REMOVE #token", "attribute_exists(#token)", {"#token": "task_token"}, {})
        )

    def end(self, release_id: str, status: ApprovalStatus, reason: str) -> None:
        """
        Write down that a release does not begin, for want of a human's yes. Safe to repeat.

        A status that a human's answer has set stays; how the request ended is written once, and of one of which nothing
        is known, nothing is.
        """
        self._update_if(
            self._change(
                release_id,
                "SET #approval.#status = :status",
                _WAITS,
                _NAMES,
                {":status": status.value, ":waiting": ApprovalStatus.WAITING.value},
            )
        )
        self._update_if(
            self._change(
                release_id,
                "SET #outcome = :outcome, #reason = :reason REMOVE #token",
                "attribute_exists(#version) AND attribute_not_exists(#outcome)",
                {"#outcome": "outcome", "#reason": "reason", "#token": "task_token", "#version": "version"},
                {":outcome": RequestOutcome.ABORTED.value, ":reason": reason},
            )
        )

    def _item(self, item: str) -> dict[str, Any]:
        answer = self.record.dynamodb.get_item(
            TableName=self.record.table, Key=to_dynamodb(self.record.plain_key(item)), ConsistentRead=True
        )
        return from_dynamodb(answer.get("Item", {}))

    def _pointer(self, execution: str, release_id: str) -> "TransactWriteItemTypeDef":
        return {
            "Update": {
                "TableName": self.record.table,
                "Key": to_dynamodb(self.record.plain_key(f"approval#{execution}")),
                "UpdateExpression": "SET #release_id = :release_id",
                "ExpressionAttributeNames": {"#release_id": "release_id"},
                "ExpressionAttributeValues": to_dynamodb({":release_id": release_id}),
            }
        }

    def _change(
        self, release_id: str, expression: str, condition: str, names: Mapping[str, str], values: Mapping[str, Any]
    ) -> "TransactWriteItemTypeDef":
        update: Any = {
            "TableName": self.record.table,
            "Key": to_dynamodb(self.record.plain_key(f"request#{release_id}")),
            "UpdateExpression": expression,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": names,
        }
        if values:
            update["ExpressionAttributeValues"] = to_dynamodb(dict(values))
        return {"Update": update}

    def _write_or_busy(self, release_id: str, writes: "list[TransactWriteItemTypeDef]") -> None:
        try:
            self.record.dynamodb.transact_write_items(TransactItems=writes)
        except ClientError as error:
            raise_unless_condition_failed(error)
            raise EnvironmentBusy(f"Release {release_id} does not wait for this any more, or not yet.") from error

    def _update_if(self, change: "TransactWriteItemTypeDef") -> bool:
        try:
            self.record.dynamodb.update_item(**change["Update"])
        except ClientError as error:
            raise_unless_condition_failed(error)
            return False
        return True
