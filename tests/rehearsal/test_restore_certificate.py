"""What a restore of the database needs beside rights: whatever of it is taken from an account is named."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rehearsal import fate
from rehearsal.account import Account
from rehearsal.engine.calls import Call, Refusal
from rehearsal.scenarios import NEW_VERSION
from tests.rehearsal.conftest import Quiet, quiet_account

pytestmark = pytest.mark.rehearsed


def certify_restore(quiet: Quiet) -> dict[str, Any]:
    """Ask the function, as the machine does."""
    (deployment,) = quiet.stage.of_machine("deploy")
    account, release_id = quiet.stage.account, quiet.stage.record.item("lease")["release_id"]
    event = {
        "lease": {"holder": deployment.arn, "token": 1},
        "release_id": release_id,
        "snapshot_id": of_release(quiet),
        "concern": "",
        "now": account.clock.now().isoformat(),
    }
    name = account.stack.function("certify-restore")
    answer: dict[str, Any] = json.loads(account.functions.invoke(name, json.dumps(event).encode())[0])
    return answer


def of_release(quiet: Quiet) -> str:
    release_id = quiet.stage.record.item("lease")["release_id"]
    return str(quiet.stage.record.release(release_id)["snapshot"]["id"])


def instance_of(account: Account) -> dict[str, Any]:
    name = account.settings.database_instance
    found: dict[str, Any] = account.client("rds").describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]
    return found


def lose(action: str, code: str) -> Callable[[Quiet], None]:
    """Let a group be gone that neither AWS nor moto would let anybody delete while an instance has it."""

    def refuse(call: Call) -> Refusal | None:
        return Refusal(code, "there is none") if call.action == action else None

    return lambda quiet: quiet.stage.account.calls.add_interceptor(refuse)


def delete_snapshot(quiet: Quiet) -> None:
    quiet.stage.account.client("rds").delete_db_snapshot(DBSnapshotIdentifier=of_release(quiet))


def delete_key(quiet: Quiet) -> None:
    key = instance_of(quiet.stage.account)["KmsKeyId"].rpartition("/")[2]
    quiet.stage.account.client("kms").schedule_key_deletion(KeyId=key, PendingWindowInDays=7)


def use_quota_up(quiet: Quiet) -> None:
    quiet.stage.account.database.quotas["DBInstances"] = 1


def delete_secret(name: str) -> Callable[[Quiet], None]:
    def delete(quiet: Quiet) -> None:
        account = quiet.stage.account
        arn = getattr(account.settings.restore, f"{name}_secret_arn")
        account.client("secretsmanager").delete_secret(SecretId=arn, RecoveryWindowInDays=7)

    return delete


def delete_exports(quiet: Quiet) -> None:
    s3 = quiet.stage.account.client("s3")
    (bucket,) = [each["Name"] for each in s3.list_buckets()["Buckets"] if "-exports-" in each["Name"]]
    s3.delete_bucket(Bucket=bucket)


def come_first(quiet: Quiet) -> None:
    account = quiet.stage.account
    account.client("elbv2").create_rule(
        ListenerArn=account.settings.routes[0].arn,
        Priority=1,
        Conditions=[{"Field": "path-pattern", "Values": ["/status"]}],
        Actions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}}],
    )


def take_right_to_swap(quiet: Quiet) -> None:
    fate.take_right(quiet.stage.account, "swap-connection", "secretsmanager:UpdateSecretVersionStage")


def switch_off_fence(quiet: Quiet) -> None:
    quiet.stage.account.client("lambda").put_function_concurrency(
        FunctionName=quiet.stage.account.stack.function("fence-writers"), ReservedConcurrentExecutions=0
    )


def change_restore(quiet: Quiet) -> None:
    account = quiet.stage.account
    states, arn = account.client("stepfunctions"), account.stack.state_machine("restore-database")
    definition = json.loads(states.describe_state_machine(stateMachineArn=arn)["definition"])
    definition["States"]["Thaw traffic"] = {"Type": "Pass", "Next": "Release environment"}
    definition["States"]["Thaw traffic at last"] = {"Type": "Pass", "Next": "Release environment"}
    definition["States"]["Thaw traffic again"] = {"Type": "Pass", "Next": "Release environment"}
    states.update_state_machine(stateMachineArn=arn, definition=json.dumps(definition))


RESTORE_FAULTS: list[tuple[Callable[[Quiet], None], str]] = [
    (
        lose("DescribeDBParameterGroups", "DBParameterGroupNotFound"),
        "group receipts-postgres18 does not exist",
    ),
    (lose("DescribeDBSubnetGroups", "DBSubnetGroupNotFoundFault"), "Subnet group receipts-database does not exist"),
    (delete_key, "is PendingDeletion"),
    (use_quota_up, "has 1 of 1 DBInstances, and a restore takes one more instance"),
    (delete_secret("application"), "application"),
    (delete_secret("administrator"), "administrator"),
    (delete_exports, "does not exist. Deploy Runback again"),
    (come_first, "which is reserved for freezing traffic"),
    (take_right_to_swap, "swap-connection may not secretsmanager:UpdateSecretVersionStage"),
    (switch_off_fence, "fence-writers is switched off"),
    (change_restore, "restore-database does not call receipt-vault-production-thaw-traffic"),
    (delete_snapshot, "of-the-release does not exist"),
]


@pytest.fixture
def restorable(assembly: Path, tmp_path: Path) -> Iterator[Quiet]:
    """Return production with a release that has its snapshot, and goes no further while nobody waits for it."""
    with quiet_account(assembly, tmp_path, "production") as quiet:
        deployment = quiet.stage.start_deployment({"version": NEW_VERSION})
        quiet.stage.until_entered(deployment, "Wait for idle color")
        yield quiet


def test_everything_that_a_restore_needs_is_named_when_it_is_taken_away(restorable: Quiet) -> None:
    """One after the other, and each beside all the others that are gone."""
    assert "" == certify_restore(restorable)["concern"]
    snapshot = of_release(restorable)
    release_id = restorable.stage.record.item("lease")["release_id"]
    for number, (take_away, _) in enumerate(RESTORE_FAULTS, start=1):
        take_away(restorable)
        answer = certify_restore(restorable)
        assert "RestoreNotCertified" == answer["errorType"], answer["errorMessage"]
        noted = restorable.stage.record.release(release_id)["restore_certificate"]
        found = " ".join(f"{each['says']} {each['remedy']}" for each in noted["findings"])
        for said in [each for _, each in RESTORE_FAULTS[:number]]:
            assert said.replace("of-the-release", f"Snapshot {snapshot}") in found
    assert "failed" == noted["outcome"]
    assert noted["unproven"]
