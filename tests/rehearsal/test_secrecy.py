"""A secret that is told is found wherever people can read it."""

from pathlib import Path

import pytest

from rehearsal.secrecy import SECRETS, told
from tests.rehearsal.conftest import quiet_account

pytestmark = pytest.mark.rehearsed


def test_a_secret_is_found_in_histories_logs_the_record_messages_and_reports(assembly: Path, tmp_path: Path) -> None:
    """One of each is planted: without that, finding nothing in a rehearsal would prove nothing."""
    database, application, administrator, rotated, login, upload, cache, token, webhook, state = SECRETS.values()
    with quiet_account(assembly, tmp_path) as quiet:
        account = quiet.stage.account
        quiet.stage.until_ended(quiet.stage.start_rollback({}))
        assert told(account) == []

        quiet.until_dealt_with(quiet.stage.start_deployment({"version": database}))
        (tmp_path / "logs" / "planted.log").write_text(
            f"token {upload}, {administrator}, {rotated}, {token}\n", encoding="utf-8"
        )
        item = {"environment": {"S": "staging"}, "item": {"S": "planted"}, "note": {"S": login}}
        account.client("dynamodb").put_item(TableName=account.stack.table(), Item=item)
        assert account.ingress is not None
        item = {"delivery": {"S": "planted"}, "note": {"S": webhook}}
        account.client("dynamodb").put_item(TableName=account.ingress.table(), Item=item)
        topic = account.client("sns").list_topics()["Topics"][0]["TopicArn"]
        account.client("sns").publish(TopicArn=topic, Subject="planted", Message=cache)

        bucket = account.client("s3").list_buckets()["Buckets"][0]["Name"]
        account.client("s3").put_object(
            Bucket=bucket, Key="releases/planted.html", Body=f"<p>{login}, {application}</p>".encode()
        )

        account.client("s3").put_object(Bucket=bucket, Key="plans/one/release/plan.json", Body=state.encode())

        assert not any(state in each or "plans/" in each for each in told(account))  # nobody else may read a plan
        places = {each.partition(" stands in ")[2].partition(" arn:")[0] for each in told(account)}
        assert places >= {
            "the history of",
            "planted.log",
            "the record of staging",
            "what is remembered of webhooks",
            "a message",
            "the report releases/planted.html",
        }
