"""
The customer's function that migrates the database, as settings name it: it runs SQL in the database that serves.

As a careful one does, it does everything in one transaction, and for each release only once.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3
from pg8000.exceptions import DatabaseError

from rehearsal.clock import Clock
from rehearsal.engine.functions import FunctionService
from rehearsal.engine.resources import empty_zip
from rehearsal.settings import Settings

_ASKED = {"service", "environment", "release_id", "version", "migrations"}


@dataclass(frozen=True)
class MigrationPlan:
    """
    What the function does to the database, as SQL, and how many seconds it takes.

    They are the clock's own: of a function at work nothing hurries.
    """

    sql: str = ""
    seconds: float = 2.0


class MigrationRefused(Exception):
    """What the function raises; Lambda tells its name and message."""


def install(
    session: boto3.Session,
    settings: Settings,
    functions: FunctionService,
    clock: Clock,
    plan: MigrationPlan,
    run: Callable[[str], Any],
) -> None:
    """Make the function, if settings name one. `run` runs SQL in the application's database, in one transaction."""
    if not settings.migration_function:
        return
    iam, name = session.client("iam"), settings.migration_function
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    session.client("lambda").create_function(
        FunctionName=name, Role=role, Runtime="python3.13", Handler="app.migrate", Code={"ZipFile": empty_zip()}
    )
    done: set[str] = set()

    def migrate(asked: Any) -> dict[str, str]:
        if asked.keys() != _ASKED:
            raise MigrationRefused(f"asked for {sorted(asked)}, not for {sorted(_ASKED)}")
        if asked["release_id"] in done:
            return {"migrated": "before"}
        clock.sleep(plan.seconds)
        if plan.sql:
            _run_or_refuse(run, plan.sql)
        done.add(asked["release_id"])
        return {"migrated": "now"}

    functions.stand_in(name, migrate)


def _run_or_refuse(run: Callable[[str], Any], sql: str) -> None:
    try:
        run(sql)
    except DatabaseError as error:
        told = error.args[0]["M"] if isinstance(error.args[0], dict) else str(error)
        raise MigrationRefused(told) from error
