"""A password that was rotated since a snapshot is given to what was restored from it."""

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from lambdas.database import set_master_password as function
from lambdas.database.instance_rules import ENVIRONMENT_TAG, RESTORE_TAG
from lambdas.database.instances import Instances
from lambdas.errors import LeaseLost, LoginRefused, RestoreFailed
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, Phase, Work
from tests.builders import DEPLOYMENT, ROLLBACK, at

RESTORED = "runback-receipts-test-r1"


class Secret:
    """Secrets Manager, which has the administrator's password of today."""

    def text(self, arn: str) -> str:
        assert arn
        return '{"username": "postgres", "password": "of-today"}'


@pytest.fixture
def lease(record: ReleaseRecord) -> Lease:
    return record.claim(Work(), Work(holder=DEPLOYMENT, phase=Phase.RESTORING, release_id="new"))


@pytest.fixture
def rds(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a stub that knows exactly the requests that it is told of."""
    client = boto3.client("rds")
    monkeypatch.setattr(function, "record", record)
    monkeypatch.setattr(function, "secrets", Secret())
    monkeypatch.setattr(function, "instances", Instances(client))
    with Stubber(client) as stub:
        yield stub
        stub.assert_no_pending_responses()


def finds(stub: Any, restore_id: str = "r-1", master: str = "postgres", **more: Any) -> None:
    tags = [{"Key": RESTORE_TAG, "Value": restore_id}]
    tags += [{"Key": ENVIRONMENT_TAG, "Value": function.settings.environment}]
    found = {"DBInstanceIdentifier": RESTORED, "MasterUsername": master, "TagList": tags, **more}
    stub.add_response("describe_db_instances", {"DBInstances": [found]}, {"DBInstanceIdentifier": RESTORED})


SETS = {"DBInstanceIdentifier": RESTORED, "ApplyImmediately": True, "MasterUserPassword": "of-today"}


def test_rds_is_asked_to_set_the_password_of_today(rds: Any, lease: Lease) -> None:
    finds(rds)
    rds.add_response("modify_db_instance", {}, SETS)

    function.set_master_password(lease, "r-1", RESTORED, at(5))


def test_an_instance_that_sets_one_already_is_left_to_it(rds: Any, lease: Lease) -> None:
    finds(rds)
    rds.add_client_error("modify_db_instance", "InvalidDBInstanceState", expected_params=SETS)

    function.set_master_password(lease, "r-1", RESTORED, at(5))


def test_nobody_elses_instance_is_changed(rds: Any, lease: Lease) -> None:
    finds(rds, restore_id="r-2")

    with pytest.raises(RestoreFailed):
        function.set_master_password(lease, "r-1", RESTORED, at(5))


def test_what_rds_cannot_set_is_said_to_a_human(rds: Any, lease: Lease) -> None:
    finds(rds, master="root")
    with pytest.raises(LoginRefused, match="as its master user root, and give postgres the password of today"):
        function.set_master_password(lease, "r-1", RESTORED, at(5))

    finds(rds, MasterUserSecret={"SecretArn": "arn:aws:secretsmanager:eu-west-1:1:secret:rds!db-1-AbCdEf"})
    with pytest.raises(LoginRefused, match="keeps its password in arn:"):
        function.set_master_password(lease, "r-1", RESTORED, at(5))


def test_a_restore_that_has_lost_the_environment_sets_nothing(rds: Any, lease: Lease, record: ReleaseRecord) -> None:
    finds(rds)
    record.claim(record.read().work, Work(holder=ROLLBACK, phase=Phase.ROLLING_BACK, release_id="new"))

    with pytest.raises(LeaseLost):
        function.set_master_password(lease, "r-1", RESTORED, at(5))
