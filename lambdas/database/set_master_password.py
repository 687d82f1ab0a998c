"""Give a restored instance the administrator's present password, where it has come back with an older one."""

from dataclasses import dataclass
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.checks.secrets import Secrets
from lambdas.clients import client
from lambdas.database.data_rules import DataSettings
from lambdas.database.instance_rules import require_master, require_ours
from lambdas.database.instances import Instances
from lambdas.database.login_rules import credentials
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    data: DataSettings


settings = Settings(environ["ENVIRONMENT"], environ["RECORD_TABLE"], DataSettings.from_json(environ["RESTORE"]))
instances = Instances(client("rds"))
secrets = Secrets(client("secretsmanager"))
record = ReleaseRecord(client("dynamodb"), settings.table, settings.environment)


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Read {"lease", "restore_id", "release_id", "restored_instance", "now"}; return {"asked": true}."""
    set_master_password(Lease.from_event(event), event["restore_id"], event["restored_instance"], event["now"])
    return {"asked": True}


def set_master_password(lease: Lease, restore_id: str, instance: str, now: str) -> None:
    """
    Ask RDS to set it; that takes a minute or so.

    A snapshot keeps the passwords of its time, so one that was rotated since lets nobody in. Safe to repeat: a busy
    instance is left to the next time. Raises LeaseLost, RestoreFailed for an instance that this restore has not made,
    and LoginRefused where RDS cannot help, because the administrator of settings is not its master user.
    """
    found = instances.describe(instance)
    require_ours(found, restore_id, settings.environment)
    administrator = credentials(secrets.text(settings.data.administrator_secret_arn), "administrator")
    require_master(found, administrator.username)
    record.require_lease(lease, now)
    instances.modify(instance, {"MasterUserPassword": administrator.password})
