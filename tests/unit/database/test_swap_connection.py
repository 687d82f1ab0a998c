"""The application is led to the restored instance, and back; every version is kept, and nobody sees the password."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from lambdas.database import swap_connection as function
from lambdas.database.connections import Connection, ParameterConnection, SecretConnection, Version
from lambdas.errors import LeaseLost
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, Phase, Work
from rehearsal.world.secrets import moving_labels
from tests.builders import DEPLOYMENT, OTHER_DEPLOYMENT, at

PASSWORD, ROTATED = "pretended-K7v2", "rotated-Zq81"
OLD, NEW = "receipts-test.c9.eu-west-1.rds.amazonaws.com", "restored.c9.eu-west-1.rds.amazonaws.com"
SECRET = {"host": OLD, "port": 5432, "username": "receipts", "password": PASSWORD, "dbname": "receiptvault"}


@pytest.fixture(autouse=True)
def labels_move() -> Iterator[None]:
    with moving_labels():
        yield


@pytest.fixture
def lease(record: ReleaseRecord) -> Lease:
    return record.claim(Work(), Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new"))


@pytest.fixture
def secrets() -> Any:
    return boto3.client("secretsmanager")


@pytest.fixture
def secret(secrets: Any, record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the ARN of the secret that the function is told of."""
    arn: str = secrets.create_secret(Name="receipts/application", SecretString=json.dumps(SECRET))["ARN"]
    monkeypatch.setattr(function, "record", record)
    monkeypatch.setattr(function, "kept", SecretConnection(secrets, arn))
    return arn


def event(lease: Lease, **more: Any) -> dict[str, Any]:
    return {
        "lease": lease.as_event(),
        "restore_id": "r-new-1",
        "release_id": "new",
        "host": NEW,
        "port": 5433,
        "restored_instance": "restored",
        "undo": False,
        "now": at(5),
        **more,
    }


def swap(lease: Lease, **more: Any) -> dict[str, Any]:
    swapped: dict[str, Any] = function.lambda_handler.__wrapped__(event(lease, **more), None)
    return swapped


def read(secrets: Any, arn: str, stage: str = "AWSCURRENT") -> dict[str, Any]:
    text: dict[str, Any] = json.loads(secrets.get_secret_value(SecretId=arn, VersionStage=stage)["SecretString"])
    return text


def versions(secrets: Any, arn: str) -> int:
    return len(secrets.list_secret_version_ids(SecretId=arn)["Versions"])


def test_application_is_led_to_the_restored_instance_and_the_old_version_is_kept(
    secrets: Any, secret: str, lease: Lease
) -> None:
    before = secrets.get_secret_value(SecretId=secret)["VersionId"]
    swapped = swap(lease)
    assert read(secrets, secret) == {**SECRET, "host": NEW, "port": 5433}
    assert read(secrets, secret, "AWSPREVIOUS") == SECRET
    assert swapped["previous_version_id"] == before
    assert swapped["version_id"] == secrets.get_secret_value(SecretId=secret)["VersionId"]


def test_repeated_swap_makes_one_version(secrets: Any, secret: str, lease: Lease) -> None:
    assert swap(lease) == swap(lease)
    assert versions(secrets, secret) == 2


def test_undo_makes_the_old_version_current_again(secrets: Any, secret: str, lease: Lease) -> None:
    """No version is made for it, and it can be repeated, and done anew."""
    first, undone = swap(lease), swap(lease, undo=True)
    assert read(secrets, secret) == SECRET
    assert (undone["version_id"], undone["previous_version_id"]) == (first["previous_version_id"], first["version_id"])
    assert swap(lease, undo=True)["version_id"] == undone["version_id"]
    assert swap(lease)["version_id"] == first["version_id"]
    assert read(secrets, secret)["host"] == NEW
    assert versions(secrets, secret) == 2


def test_undo_of_nothing_changes_nothing(secrets: Any, secret: str, lease: Lease) -> None:
    """The failure may have come before the swap."""
    swap(lease, undo=True)
    assert read(secrets, secret) == SECRET
    assert versions(secrets, secret) == 1


def test_password_that_was_rotated_since_survives_the_undo(secrets: Any, secret: str, lease: Lease) -> None:
    """Making the old version current again would bring the old password back."""
    swap(lease)
    rotated = {**SECRET, "host": NEW, "port": 5433, "password": ROTATED}
    secrets.put_secret_value(SecretId=secret, SecretString=json.dumps(rotated))
    swap(lease, undo=True)
    assert read(secrets, secret) == {**SECRET, "password": ROTATED}
    swap(lease, undo=True)
    assert versions(secrets, secret) == 4


def test_rotation_in_the_middle_of_a_swap_is_not_overwritten(secrets: Any, secret: str) -> None:
    kept = SecretConnection(secrets, secret)
    seen = kept.current()
    secrets.put_secret_value(SecretId=secret, SecretString=json.dumps({**SECRET, "password": ROTATED}))
    with pytest.raises(secrets.exceptions.InvalidParameterException):
        kept.replace(seen, json.dumps({**SECRET, "host": NEW}), "5f0c1c3a-0000-4000-8000-000000000002")
    assert read(secrets, secret)["password"] == ROTATED


def test_restore_that_follows_another_goes_back_to_where_that_one_led(secrets: Any, secret: str, lease: Lease) -> None:
    swap(lease)
    swap(lease, restore_id="r-new-2", host="second.example", restored_instance="second")
    swap(lease, restore_id="r-new-2", undo=True)
    assert read(secrets, secret)["host"] == NEW


def test_password_is_in_no_answer_and_not_in_the_record(
    secret: str, record: ReleaseRecord, lease: Lease, capsys: pytest.CaptureFixture[str]
) -> None:
    del secret
    answers = [swap(lease), swap(lease, undo=True)]
    assert PASSWORD not in json.dumps(answers)
    assert PASSWORD not in str(record.release("new"))
    assert PASSWORD not in repr(Version("1", PASSWORD)) + "".join(capsys.readouterr())


def test_loser_leads_nobody_anywhere(secrets: Any, secret: str, record: ReleaseRecord, lease: Lease) -> None:
    record.claim(record.read().work, Work(holder=OTHER_DEPLOYMENT, phase=Phase.ROLLING_BACK))
    for undo in (False, True):
        with pytest.raises(LeaseLost):
            swap(lease, undo=undo)
    assert read(secrets, secret) == SECRET


# -- parameters

URL = f"postgresql://receipts:{PASSWORD}@{OLD}:5432/receiptvault?sslmode=verify-full"
NAME = "/receipts/test/database-url"


def parameter(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch, kind: Any) -> Any:
    """Create the parameter that the function is told of, and return a client."""
    ssm = boto3.client("ssm")
    key: Any = {"KeyId": "alias/receipts"} if kind == "SecureString" else {}
    ssm.put_parameter(Name=NAME, Value=URL, Type=kind, **key)
    kept: Connection = ParameterConnection(ssm, f"arn:aws:ssm:eu-west-1:123456789012:parameter{NAME}")
    monkeypatch.setattr(function, "record", record)
    monkeypatch.setattr(function, "kept", kept)
    return ssm


def value(ssm: Any) -> str:
    return str(ssm.get_parameter(Name=NAME, WithDecryption=True)["Parameter"]["Value"])


def test_parameter_is_written_as_what_it_was(
    record: ReleaseRecord, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the default key instead of its own the application might not be able to read it any more."""
    ssm = parameter(record, monkeypatch, "SecureString")
    assert swap(lease) == {"version_id": "2", "previous_version_id": "1", "finding": ""}
    swap(lease)
    assert value(ssm) == URL.replace(f"{OLD}:5432", f"{NEW}:5433")
    history = ssm.get_parameter_history(Name=NAME)["Parameters"]
    assert [("SecureString", "alias/receipts")] * 2 == [(each["Type"], each["KeyId"]) for each in history]
    swap(lease, undo=True)
    swap(lease, undo=True)
    assert value(ssm) == URL
    assert len(ssm.get_parameter_history(Name=NAME)["Parameters"]) == 3


def test_plain_parameter_is_a_finding(record: ReleaseRecord, lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    """The application reads it there, so it is changed; but whoever may list parameters reads the password, too."""
    ssm = parameter(record, monkeypatch, "String")
    swapped = swap(lease)
    assert "as a plain String. Make it a SecureString or a secret" in swapped["finding"]
    assert PASSWORD not in swapped["finding"]
    assert value(ssm) == URL.replace(f"{OLD}:5432", f"{NEW}:5433")
