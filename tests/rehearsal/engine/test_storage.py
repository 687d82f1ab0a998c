"""A request to S3 is one like any other: seen, refused and delayed, whatever addresses it and whatever carries it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket, s3_backends
from moto.s3.responses import S3Response
from moto.server import ThreadedMotoServer

from rehearsal.clock import TwoSpeedClock
from rehearsal.engine import shortcuts
from rehearsal.engine.calls import Calls, Refusal, access_key_of
from rehearsal.engine.shapes import violations

REGION, BUCKET, KEY = "eu-west-1", "receipt-vault-production-reports-111122223333-eu-west-1", "releases/5d6e7f8 é.html"
WRITER = access_key_of("write-report")
PAGE = "<p>50 € of traffic</p>\r\n"
OBJECT = {"Bucket": BUCKET, "Key": KEY, "ContentType": "text/html; charset=utf-8", "ServerSideEncryption": "AES256"}
SESSION = boto3.Session(region_name=REGION, aws_access_key_id=WRITER, aws_secret_access_key="test")
"""Of the module: reading the services' models is most of what a client costs."""


@contextmanager
def over_http() -> Iterator[dict[str, Any]]:
    """Reach moto as a function in a process of its own does."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield {"endpoint_url": "http://{}:{}".format(*server.get_host_and_port())}
    finally:
        server.stop()


@contextmanager
def by_shortcuts() -> Iterator[dict[str, Any]]:
    """Reach moto as a function does in virtual time."""
    with shortcuts.taken():
        yield {}


WAYS: dict[str, Any] = {
    "in this process": lambda: nullcontext({}),
    "over HTTP": over_http,
    "by shortcuts": by_shortcuts,
}


@pytest.fixture
def calls() -> Iterator[Calls]:
    with mock_aws(), Calls(TwoSpeedClock()) as calls:
        calls.register_caller(WRITER, "write-report")
        yield calls


def client(**parameters: Any) -> Any:
    return SESSION.client("s3", config=Config(retries={"max_attempts": 0}), **parameters)


@pytest.fixture(params=WAYS)
def s3(calls: Calls, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Return a client whose bucket is there, by each way that leads to it."""
    with WAYS[request.param]() as parameters:
        s3 = client(**parameters)
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        calls.log.clear()
        yield s3


def test_an_object_is_what_was_sent_and_its_request_is_in_the_log(calls: Calls, s3: Any) -> None:
    for text in ("first", PAGE):
        s3.put_object(**OBJECT, Body=text.encode())

    kept = s3.get_object(Bucket=BUCKET, Key=KEY)
    assert PAGE.encode() == kept["Body"].read()
    assert (OBJECT["ContentType"], "AES256") == (kept["ContentType"], kept["ServerSideEncryption"])
    _, put, got = calls.log
    assert ("s3", "PutObject", "write-report", WRITER) == (put.service, put.action, put.caller, put.access_key)
    assert {**OBJECT, "Body": PAGE}.items() <= put.parameters.items()
    assert [] == list(violations(put.service, put.action, put.parameters))
    assert ("GetObject", False, True) == (got.action, got.mutating, put.mutating)
    assert [None, None] == [put.error, got.error]


@pytest.mark.parametrize("refusal", [Refusal("ThrottlingException", "Rate exceeded"), Refusal("SlowDown", "Slow", 503)])
def test_a_refused_request_is_not_made(calls: Calls, s3: Any, refusal: Refusal) -> None:
    calls.add_interceptor(lambda call: refusal if call.action == "PutObject" else None)
    with pytest.raises(ClientError) as refused:
        s3.put_object(**OBJECT, Body=PAGE.encode())
    assert 0 == s3.list_objects_v2(Bucket=BUCKET)["KeyCount"]

    found = refused.value.response
    assert refusal.code == found["Error"]["Code"] == calls.log[0].error
    assert (refusal.status or 400) == found["ResponseMetadata"]["HTTPStatusCode"]


def test_what_moto_refuses_is_in_the_log_with_its_error(calls: Calls, s3: Any) -> None:
    with pytest.raises(ClientError, match="NoSuchBucket"):
        s3.put_object(Bucket="nobody-has-this", Key="top-level", Body=b"")
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket=BUCKET, Key="nothing")

    assert [("PutObject", "NoSuchBucket"), ("GetObject", "NoSuchKey")] == [(e.action, e.error) for e in calls.log]
    assert ("nobody-has-this", "top-level") == (calls.log[0].parameters["Bucket"], calls.log[0].parameters["Key"])
    assert [] == calls.unsupported


def test_a_request_takes_its_way_and_is_seen_when_it_is_done(calls: Calls, s3: Any) -> None:
    journeys: list[tuple[str | None, str, str]] = []
    seen: list[list[str]] = []
    calls.add_journey(lambda *journey: journeys.append(journey))
    calls.add_observer(lambda _: seen.append(list(s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[BUCKET].keys)))
    s3.put_object(**OBJECT, Body=PAGE.encode())

    assert ("write-report", "s3", "PutObject") == journeys[0]
    assert [[KEY]] == seen


def test_a_bucket_policy_is_kept_and_judges_nobody(s3: Any) -> None:
    """To moto "nobody without TLS" means "nobody"."""
    policy = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Deny",
                    "Principal": {"AWS": "*"},
                    "Action": "s3:*",
                    "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                }
            ],
        }
    )
    s3.put_bucket_policy(Bucket=BUCKET, Policy=policy)
    for text in ("first", PAGE):
        s3.put_object(**OBJECT, Body=text.encode())

    assert policy == s3.get_bucket_policy(Bucket=BUCKET)["Policy"]
    assert PAGE.encode() == s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read()


def test_afterwards_moto_is_as_it_was() -> None:
    before = (S3Response.bucket_response, S3Response.key_response, FakeBucket.get_permission)
    calls = Calls(TwoSpeedClock())
    with calls:
        assert before[:2] != (S3Response.bucket_response, S3Response.key_response)
        assert PermissionResult.NEUTRAL == FakeBucket.get_permission(FakeBucket("b", "1", REGION), "s3:GetObject", "*")
    assert before == (S3Response.bucket_response, S3Response.key_response, FakeBucket.get_permission)
