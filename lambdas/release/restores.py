"""
What the release record knows of restores of the database, in DynamoDB: beside the other items of the environment.

| item | holds |
| --- | --- |
| `restore` | the latest restore: its plan, and whether it is approved (`restore_rules.Restore`) |
| `database` | which instance serves since a restore (`restore_rules.ServingDatabase`) |

Every write is conditional on the restore and the status that it was decided by.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from lambdas.errors import EnvironmentBusy
from lambdas.release.approval_rules import Approval
from lambdas.release.record import ReleaseRecord, from_dynamodb, raise_unless_condition_failed, to_dynamodb
from lambdas.release.restore_rules import Restore, RestoreStatus, ServingDatabase

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_RESTORE, _DATABASE = "restore", "database"


@dataclass(frozen=True)
class Restores:
    """The restores of the environment that `record` is about."""

    record: ReleaseRecord

    def latest(self) -> Restore | None:
        """Read the restore that is planned or under way, or else the last one."""
        item = self._item(_RESTORE)
        return Restore.from_item(item) if item else None

    def serving(self) -> ServingDatabase | None:
        """Read which instance serves since a restore; None when there was none."""
        item = self._item(_DATABASE)
        return ServingDatabase.from_item(item) if item else None

    def plan(self, restore: Restore, observed: Restore | None) -> None:
        """Write a new plan down in place of what was observed. Raises EnvironmentBusy when somebody else was faster."""
        names = {"#id": "restore_id"}
        condition, values = "attribute_not_exists(#id)", {}
        if observed:
            names["#status"] = "status"
            condition = "#id = :id AND #status = :status"
            values = {":id": observed.restore_id, ":status": observed.status.value}
        request: Any = {
            "TableName": self.record.table,
            "Item": to_dynamodb({**self.record.plain_key(_RESTORE), **restore.as_item()}),
            "ConditionExpression": condition,
            "ExpressionAttributeNames": names,
        }
        if values:
            request["ExpressionAttributeValues"] = to_dynamodb(values)
        try:
            self.record.dynamodb.put_item(**request)
        except ClientError as error:
            raise_unless_condition_failed(error)
            message = "Another restore was asked for at the same moment. Look at that one, and start again if needed."
            raise EnvironmentBusy(message) from error

    def keep_token(self, restore_id: str, task_token: str) -> None:
        """
        Keep what lets the waiting execution go on, in place of one that an earlier attempt has kept.

        Raises EnvironmentBusy when the restore does not wait any more.
        """
        self._write(restore_id, (RestoreStatus.WAITING,), {"task_token": task_token})

    def answer(self, restore_id: str, approval: Approval) -> None:
        """
        Write a human's answer down: the first one counts.

        Raises EnvironmentBusy when the restore does not wait any more, or not yet. The token is kept until it has been
        used, so that an answer whose step failed after this write is not lost; `forget_token` follows.
        """
        status = RestoreStatus.APPROVED if approval.approved else RestoreStatus.REJECTED
        self._write(
            restore_id,
            (RestoreStatus.WAITING,),
            {"status": status.value, "approval": asdict(approval)},
            condition="attribute_exists(#token)",
            names={"#token": "task_token"},
        )

    def name_answerer(self, execution: str, caller: str) -> bool:
        """Write down who gave the latest restore's answer, if this execution did; say whether it was that one."""
        try:
            self.record.dynamodb.update_item(
                TableName=self.record.table,
                Key=to_dynamodb(self.record.plain_key(_RESTORE)),
                UpdateExpression="SET #approval.#caller = :caller",
                ConditionExpression="#approval.#by = :execution",
                ExpressionAttributeNames={"#approval": "approval", "#caller": "caller", "#by": "by"},
                ExpressionAttributeValues=to_dynamodb({":caller": caller, ":execution": execution}),
            )
        except ClientError as error:
            raise_unless_condition_failed(error)
            return False
        return True

    def forget_token(self, restore_id: str) -> None:
        """Let nobody use a token again. Safe to repeat."""
        try:
            self.record.dynamodb.update_item(
                TableName=self.record.table,
                Key=to_dynamodb(self.record.plain_key(_RESTORE)),
                UpdateExpression="REMOVE #token",
                ConditionExpression="#id = :id",
                ExpressionAttributeNames={"#token": "task_token", "#id": "restore_id"},
                ExpressionAttributeValues=to_dynamodb({":id": restore_id}),
            )
        except ClientError as error:
            raise_unless_condition_failed(error)

    def end_unchanged(self, restore_id: str, status: RestoreStatus) -> None:
        """Write down that a restore ended before it changed anything. A no-op when it has ended already."""
        try:
            self._write(restore_id, (RestoreStatus.WAITING, RestoreStatus.APPROVED), {"status": status.value})
        except EnvironmentBusy:
            return
        self.forget_token(restore_id)

    def require_approved(self, restore_id: str) -> None:
        """Raise EnvironmentBusy unless this restore is the latest one, and a human has approved it."""
        latest = self.latest()
        if latest is None or latest.restore_id != restore_id or latest.status is not RestoreStatus.APPROVED:
            raise EnvironmentBusy(f"Restore {restore_id} is not approved any more: another one has taken its place.")

    def beginning(self, restore_id: str) -> "TransactWriteItemTypeDef":
        """Return the part of a claim that begins an approved restore, or goes on with one whose execution died."""
        statuses = (RestoreStatus.APPROVED, RestoreStatus.RESTORING)
        return self._change(restore_id, statuses, {"status": RestoreStatus.RESTORING.value})

    def ending(self, restore_id: str, status: RestoreStatus, now: str) -> "TransactWriteItemTypeDef":
        """Return the part of the last write that ends a restore."""
        return self._change(restore_id, (RestoreStatus.RESTORING, status), {"status": status.value, "ended_at": now})

    def replacing(self, serving: ServingDatabase) -> "TransactWriteItemTypeDef":
        """Return the part of the last write that says which instance serves from now on."""
        item = {**self.record.plain_key(_DATABASE), **asdict(serving)}
        return {"Put": {"TableName": self.record.table, "Item": to_dynamodb(item)}}

    def _item(self, item: str) -> dict[str, Any]:
        answer = self.record.dynamodb.get_item(
            TableName=self.record.table, Key=to_dynamodb(self.record.plain_key(item)), ConsistentRead=True
        )
        return from_dynamodb(answer.get("Item", {}))

    def _write(
        self,
        restore_id: str,
        statuses: tuple[RestoreStatus, ...],
        changes: Mapping[str, Any],
        *,
        condition: str = "",
        names: Mapping[str, str] | None = None,
    ) -> None:
        update = self._change(restore_id, statuses, changes)["Update"]
        if condition:
            update["ConditionExpression"] += f" AND {condition}"
            update["ExpressionAttributeNames"] = {**update["ExpressionAttributeNames"], **(names or {})}
        try:
            self.record.dynamodb.update_item(**update)
        except ClientError as error:
            raise_unless_condition_failed(error)
            raise EnvironmentBusy(f"Restore {restore_id} does not wait for this any more, or not yet.") from error

    def _change(
        self, restore_id: str, statuses: tuple[RestoreStatus, ...], changes: Mapping[str, Any]
    ) -> "TransactWriteItemTypeDef":
        allowed = {f":status{n}": status.value for n, status in enumerate(statuses)}
        return {
            "Update": {
                "TableName": self.record.table,
                "Key": to_dynamodb(self.record.plain_key(_RESTORE)),
                "UpdateExpression": "SET " + ", ".join(f"#c{n} = :c{n}" for n in range(len(changes))),
                "ConditionExpression": f"#id = :id AND #status IN ({', '.join(allowed)})",
                "ExpressionAttributeNames": {
                    **{f"#c{n}": name for n, name in enumerate(changes)},
                    "#id": "restore_id",
                    "#status": "status",
                },
                "ExpressionAttributeValues": to_dynamodb(
                    {**{f":c{n}": value for n, value in enumerate(changes.values())}, **allowed, ":id": restore_id}
                ),
            }
        }
