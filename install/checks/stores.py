"""Database and cache: what a release takes a snapshot of, and asks before and after."""

import re
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cdk.assembly import SETTINGS_FOLDER
from cdk.settings import Database, EnvironmentSettings
from install.account import Account
from install.findings import Finding, attempt, note, ok, wrong


def check_database(settings: EnvironmentSettings, account: Account) -> Iterator[Finding]:
    """Look at the RDS instance and at how checks reach it."""
    yield from attempt(
        "database.instance", _instance(settings.database, account), otherwise="correct the identifier in settings"
    )


def check_cache(settings: EnvironmentSettings, _: Account) -> Iterator[Finding]:
    """Say that nothing can be said: a name may be anything, and only a function inside the VPC can reach it."""
    yield note("cache.host", f"{settings.cache.host} cannot be looked at from here; every release asks it")


def _instance(database: Database, account: Account) -> Iterator[Finding]:
    found = account.read("rds", "describe_db_instances", DBInstanceIdentifier=database.instance)["DBInstances"][0]
    problems = [*_unusable(found), *_unlike_settings(database, found)]
    yield from problems or [ok("database.instance", f"is available, {found['Engine']} {found['EngineVersion']}")]
    if not found.get("BackupRetentionPeriod"):
        yield note(
            "database.instance",
            "has no automatic backups, so that only the snapshots of releases can be restored",
            "set its backup retention to some days",
        )


def _unusable(found: Mapping[str, Any]) -> Iterator[Finding]:
    if found["Engine"] != "postgres":
        yield wrong("database.instance", f"is {found['Engine']}", "Runback knows RDS for PostgreSQL only")
    if found["DBInstanceStatus"] != "available":
        yield wrong(
            "database.instance",
            f"is {found['DBInstanceStatus']}",
            "wait until it is available: no snapshot can be taken before",
        )


def _unlike_settings(database: Database, found: Mapping[str, Any]) -> Iterator[Finding]:
    endpoint = found.get("Endpoint", {})
    if endpoint.get("Address") != database.host:
        yield wrong(
            "database.host",
            f"is {database.host}, but the instance answers as {endpoint.get('Address')}",
            "write that name: its certificate has no other",
        )
    if endpoint.get("Port") != database.port:
        yield wrong(
            "database.port", f"is {database.port}, but the instance listens on {endpoint.get('Port')}", "write that"
        )
    authority = found.get("CACertificateIdentifier")
    if authority and not _trusted(authority, SETTINGS_FOLDER / "files" / database.ca_file):
        yield wrong(
            "database.ca_file",
            f"does not seem to have {authority}, which signed the instance's certificate",
            "take the Region's bundle from truststore.pki.rds.amazonaws.com",
        )


def _trusted(authority: str, bundle: Path) -> bool:
    """Compare names alone: "rds-ca-rsa2048-g1" is "Amazon RDS eu-west-1 Root CA RSA2048 G1"."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(bundle)
    names = {value for cert in context.get_ca_certs() for part in cert["subject"] for _, value in part}
    wanted = set(re.split(r"[^a-z0-9]+", authority.lower())) - {"rds"}
    return any(wanted <= set(re.split(r"[^a-z0-9]+", str(name).lower())) for name in names)
