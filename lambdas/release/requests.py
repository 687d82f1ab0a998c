"""
What the release record knows of releases that were asked for, in DynamoDB: beside the other items of the environment.

| item | holds |
| --- | --- |
| `request#<id>` | who asked, what the gates said, and how a human answered (`request_rules.ReleaseAsked`) |

A request has no lease yet, so no token guards these writes: each is about one execution's own item, and what is written
once, such as how it ended, is written on condition that it is not there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from lambdas.release.record import ReleaseRecord, from_dynamodb, raise_unless_condition_failed, to_dynamodb
from lambdas.release.request_rules import ReleaseAsked, RequestOutcome

_KEPT = frozenset({"release_id", "version", "execution", "asked_at", "pushed_by", "emergency", "skipped"})
"""What an execution asks for does not change while it runs: the first write of it stays."""


@dataclass(frozen=True)
class Requests:
    """The requests for releases of the environment that `record` is about."""

    record: ReleaseRecord

    def of(self, release_id: str) -> ReleaseAsked | None:
        """Read one request; None when there is none, as with a release from before there were requests."""
        answer = self.record.dynamodb.get_item(
            TableName=self.record.table, Key=self._key(release_id), ConsistentRead=True
        )
        item = from_dynamodb(answer.get("Item", {}))
        return ReleaseAsked.from_item(item) if item else None

    def note(self, asked: ReleaseAsked) -> None:
        """
        Write down what is asked for and what was found; who asked, and for what, only where it is not there yet.

        Safe to repeat. What is unset is left as it is: results that were written, an answer, or an end.
        """
        facts = asked.as_item()
        sets = [f"#k{n} = if_not_exists(#k{n}, :k{n})" for n, name in enumerate(facts) if name in _KEPT]
        sets += [f"#k{n} = :k{n}" for n, name in enumerate(facts) if name not in _KEPT]
        self._update(
            asked.release_id,
            "SET " + ", ".join(sets),
            {f"#k{n}": name for n, name in enumerate(facts)},
            {f":k{n}": value for n, value in enumerate(facts.values())},
        )

    def end(self, release_id: str, outcome: RequestOutcome, reason: str) -> bool:
        """
        Write down how a request ended that never got the environment, unless it has ended already.

        Return whether it ended like that, now or before.
        """
        try:
            self._update(
                release_id,
                "SET #outcome = :outcome, #reason = :reason",
                {"#outcome": "outcome", "#reason": "reason"},
                {":outcome": outcome.value, ":reason": reason},
                condition="attribute_not_exists(#outcome)",
            )
        except ClientError as error:
            raise_unless_condition_failed(error)
            found = self.of(release_id)
            return found is not None and found.outcome is outcome
        return True

    def _update(
        self,
        release_id: str,
        expression: str,
        names: Mapping[str, str],
        values: Mapping[str, Any],
        *,
        condition: str = "",
    ) -> None:
        request: Any = {
            "TableName": self.record.table,
            "Key": self._key(release_id),
            "UpdateExpression": expression,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": to_dynamodb(values),
        }
        if condition:
            request["ConditionExpression"] = condition
        self.record.dynamodb.update_item(**request)

    def _key(self, release_id: str) -> dict[str, Any]:
        return to_dynamodb(self.record.plain_key(f"request#{release_id}"))
