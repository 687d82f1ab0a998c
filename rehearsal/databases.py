"""Where the receipts are when a scenario has ended: in which instance's rows, and in which lines of the exports."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from rehearsal.account import Account
from rehearsal.world import customer

_RECEIPTS = "SELECT id, owner, category FROM receipts ORDER BY id"
_SUMMARY = "summary.json"


class Receipt(NamedTuple):
    """What a promise compares of a row."""

    owner: str
    category: str


@dataclass(frozen=True)
class Instance:
    """One RDS instance. `receipts` has its rows by id; None where the server is a model, which has no rows, or down."""

    name: str
    status: str
    receipts: Mapping[int, Receipt] | None = None


class LostRow(NamedTuple):
    """A line of an export: what had happened to the row since the recovery point, and the row."""

    change: str
    id: int
    receipt: Receipt


@dataclass(frozen=True)
class Databases:
    """
    All instances and snapshots, and what restores have exported.

    `in_settings` is the instance that settings name, `serving` the one that the application's secret names. `lost` has
    the lines of each export by the restore's id, oldest restore first, and `summaries` what stands beside.
    """

    in_settings: str
    serving: str
    instances: Mapping[str, Instance]
    snapshots: Mapping[str, str] = field(default_factory=dict)
    """Status by name."""
    lost: Mapping[str, Sequence[LostRow]] = field(default_factory=dict)
    summaries: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def receipts(self, instance: str) -> Mapping[int, Receipt]:
        """Return the rows of an instance; none of a model."""
        return self.instances[instance].receipts or {}

    @property
    def from_before(self) -> int:
        """Count the rows of the instance that serves which it had when it began to: later ones have later numbers."""
        others = [each.receipts or {} for each in self.instances.values() if each.name != self.serving]
        last = max((number for receipts in others for number in receipts), default=0)
        return sum(number <= last for number in self.receipts(self.serving))

    def as_json(self) -> dict[str, Any]:
        """Return the report's form; a number of rows is null where there are none to be counted."""
        return {
            "serving": self.serving,
            "instances": [
                {
                    "name": each.name,
                    "status": each.status,
                    "receipts": None if each.receipts is None else len(each.receipts),
                }
                for each in self.instances.values()
            ],
            "exported_rows": sum(len(rows) for rows in self.lost.values()),
        }


def read_databases(account: Account) -> Databases:
    """Look at the account as the scenario left it."""
    rds = account.client("rds")
    found = rds.describe_db_instances()["DBInstances"]
    instances = [_instance(account, each["DBInstanceIdentifier"], each["DBInstanceStatus"]) for each in found]
    host = urlsplit(customer.application_url(account.settings)).hostname or ""
    snapshots = rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
    exported = _exported(account)
    return Databases(
        in_settings=account.settings.database_instance,
        serving=account.database.instance_at(host) or host,
        instances={each.name: each for each in instances},
        snapshots={each["DBSnapshotIdentifier"]: each["Status"] for each in snapshots},
        lost={name: _lost(parts) for name, parts in exported.items()},
        summaries={name: json.loads(parts[_SUMMARY]) for name, parts in exported.items() if _SUMMARY in parts},
    )


def _instance(account: Account, name: str, status: str) -> Instance:
    rows = account.database.run(name, _RECEIPTS)
    receipts = None if rows is None else {int(number): Receipt(*receipt) for number, *receipt in rows}
    return Instance(name, status, receipts)


def _exported(account: Account) -> dict[str, dict[str, str]]:
    """Read the objects of each export, as those may who may read them: by the restore's id and the object's name."""
    s3 = account.client("s3")
    found: dict[str, dict[str, str]] = {}
    for bucket in (each.physical_id for each in account.stack.resources.values() if each.type == "AWS::S3::Bucket"):
        if "-exports-" not in bucket:
            continue
        listed = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
        for each in sorted(listed, key=lambda each: (each["LastModified"], each["Key"])):
            export, _, name = each["Key"].partition("/")
            text = s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read().decode()
            found.setdefault(export, {})[name] = text
    return found


def _lost(parts: Mapping[str, str]) -> list[LostRow]:
    lines = (json.loads(line) for name in sorted(parts.keys() - {_SUMMARY}) for line in parts[name].splitlines())
    return [_lost_row(line) for line in lines]


def _lost_row(line: Mapping[str, Any]) -> LostRow:
    row = line["row"]
    return LostRow(line["change"], int(row["id"]), Receipt(row["owner"], row["category"]))
