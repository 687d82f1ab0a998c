"""The environment that goes before this one, as its record tells: what it has validated. It is only read."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from botocore.exceptions import ClientError

from lambdas.github.commits import Commits
from lambdas.github.push_rules import Push, PushSettings, Validation, pushed_to, validation_of
from lambdas.github.queue import Pushes
from lambdas.release.record import ReleaseRecord

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@dataclass(frozen=True)
class EnvironmentBefore:
    """`record` is that environment's own, in a table of its own."""

    record: ReleaseRecord

    @classmethod
    def of(cls, dynamodb: "DynamoDBClient", settings: PushSettings) -> Self | None:
        """Return the environment that settings name; None if they name none."""
        return cls(ReleaseRecord(dynamodb, settings.after_table, settings.after)) if settings.after else None

    def validated(self) -> Push | str:
        """Return what it has released last, and well; or in words why there is nothing."""
        try:
            found = self.record.read()
            outcome = self.record.release(found.live.release_id).get("outcome", "") if found.live else ""
            sender = Pushes(self.record).sender_of(found.live.version) if found.live else ""
        except ClientError as error:
            if _is_missing(error):
                return f"There is no record of {self.record.environment} yet: deploy Runback there."
            raise
        return pushed_to(found, outcome, sender)

    def validation(self, commit: str) -> Validation:
        """Say whether it has validated a commit."""
        try:
            return validation_of(commit, Commits(self.record).releases(commit))
        except ClientError as error:
            if _is_missing(error):
                return Validation.NOT_YET
            raise

    def sender_of(self, commit: str) -> str:
        """Return who has pushed a commit there; empty where nobody has."""
        try:
            return Pushes(self.record).sender_of(commit)
        except ClientError as error:
            if _is_missing(error):
                return ""
            raise


def _is_missing(error: ClientError) -> bool:
    return error.response["Error"]["Code"] == "ResourceNotFoundException"
