"""What the record of an environment has of the releases of a commit, and of the requests for them."""

from dataclasses import dataclass

from lambdas.release.record import Item, ReleaseRecord, from_dynamodb, to_dynamodb

_SHORTEST = 7
"""A human may have released a commit under so many of its digits."""


@dataclass(frozen=True)
class Commits:
    """The commits of the environment that `record` is about, which may be another one than the caller's."""

    record: ReleaseRecord

    def releases(self, commit: str) -> list[Item]:
        """Return the histories of releases whose version begins like the commit; the caller compares all of it."""
        return self._all_of(f"release#{commit[:_SHORTEST]}")

    def requests(self, commit: str) -> list[Item]:
        """Return the requests for releases of such versions, and how those ended that a push has started."""
        return [*self._all_of(f"request#{commit[:_SHORTEST]}"), *self._all_of(f"pushed#{commit}")]

    def _all_of(self, beginning: str) -> list[Item]:
        pages = self.record.dynamodb.get_paginator("query").paginate(
            TableName=self.record.table,
            ConsistentRead=True,
            KeyConditionExpression="#environment = :environment AND begins_with(#item, :beginning)",
            ExpressionAttributeNames={"#environment": "environment", "#item": "item"},
            ExpressionAttributeValues=to_dynamodb({":environment": self.record.environment, ":beginning": beginning}),
        )
        return [from_dynamodb(item) for page in pages for item in page["Items"]]
