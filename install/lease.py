"""Who works on an environment at this moment, read from the record that Runback keeps in the account."""

from botocore.exceptions import BotoCoreError, ClientError

from cdk.names import Names
from cdk.settings import EnvironmentSettings
from install.account import Account, NotThere, explained
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Work


class RecordUnreadable(Exception):
    """The record's table is there, or may be, and could not be read; the message says why."""


def read_work(settings: EnvironmentSettings, account: Account) -> Work | None:
    """
    Read who holds the environment, afresh and consistently; None where Runback was never deployed.

    Raises RecordUnreadable.
    """
    record = ReleaseRecord(account.client("dynamodb"), Names(settings).record_table, settings.environment)
    try:
        return record.read().work
    except ClientError as error:
        what = explained(error, "dynamodb:BatchGetItem", record.table)
        if isinstance(what, NotThere):
            return None
        raise RecordUnreadable(f"{record.table}: {what}") from error
    except (BotoCoreError, KeyError, TypeError, ValueError) as error:
        raise RecordUnreadable(f"{record.table}: {type(error).__name__}: {error}") from error


def describe(work: Work) -> str:
    """Say who holds an environment, in one line; a work that nobody holds is not to be described."""
    phase = work.phase.value if work.phase else "unknown"
    return f"{work.holder} (release {work.release_id}, phase {phase}, claimed at {work.claimed_at})"
