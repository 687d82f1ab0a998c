"""What is in the bucket, and in the record, after an execution has ended."""

from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from lambdas.errors import AwsCallFailed
from lambdas.release.record import ReleaseRecord
from lambdas.reports import write_report as function
from lambdas.reports.archive import Archive
from lambdas.reports.histories import Histories
from lambdas.reports.metrics import Metrics
from lambdas.reports.traffic_rules import Query, Span, Values
from tests.builders import BLUE, DEPLOYMENT, OPERATE, OTHER_ROLLBACK, REPORTS, ROLLBACK
from tests.statemachines.definitions import golden, payload_of, tasks
from tests.unit.reports.histories import (
    RECORD,
    RELEASE,
    FakeStepFunctions,
    Played,
    after,
    clean_up,
    lease_of,
    rollback,
    shifted,
)

KEY = f"releases/{RELEASE}.html"
CONTEXT: Any = SimpleNamespace(
    function_name="it", memory_limit_in_mb=512, invoked_function_arn="arn:of:it", aws_request_id="1"
)


class FakeMetrics(Metrics):
    """Every metric has one value in every minute; or CloudWatch does not answer."""

    answers = True

    def read(self, queries: Any, span: Span) -> Values:
        if not self.answers:
            raise ClientError({"Error": {"Code": "InternalServiceFault", "Message": ""}}, "GetMetricData")
        return {query.id: {span.since: _value(query)} for query in queries}


def _value(query: Query) -> float:
    return {"RequestCount": 1234.0, "TargetResponseTime": 0.02}.get(query.metric, 0.0)


@pytest.fixture
def step_functions(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> FakeStepFunctions:
    """Return the histories of a release that was rolled back, of which nothing is reported yet."""
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=REPORTS["bucket"], CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    failed = shifted().failing("Validate live version", "run-smoke-checks", "SmokeCheckFailed", "upload answered 500.")
    back = rollback(reason="checkout is broken").switch_back().end("Succeeded", state="Rolled back")
    fake = FakeStepFunctions([failed.end("Failed", "ReleaseRolledBack"), back])
    monkeypatch.setattr(function, "record", record)
    monkeypatch.setattr(function, "histories", Histories(fake))
    monkeypatch.setattr(function, "metrics", FakeMetrics(None))
    monkeypatch.setattr(function, "archive", Archive(s3, REPORTS["bucket"]))
    monkeypatch.setattr(FakeMetrics, "answers", True)
    record.note_release(RELEASE, {name: value for name, value in RECORD.items() if name != "item"})
    return fake


def write(arn: Any = DEPLOYMENT, now: str = after(900).isoformat()) -> dict[str, Any]:
    answer: dict[str, Any] = function.lambda_handler({"execution_arn": arn, "now": now}, CONTEXT)
    return answer


def page() -> str:
    body: bytes = boto3.client("s3").get_object(Bucket=REPORTS["bucket"], Key=KEY)["Body"].read()
    return body.decode()


def keys() -> list[str]:
    found = boto3.client("s3").list_objects_v2(Bucket=REPORTS["bucket"])
    return [each["Key"] for each in found.get("Contents", [])]


@pytest.mark.usefixtures("step_functions")
def test_report_is_a_page_that_browsers_show_and_ask_for_anew() -> None:
    answer = write()
    assert (answer["written"], answer["report"]) == (True, f"{REPORTS['url']}releases%2F{RELEASE}.html")
    assert "upload answered 500." in answer["reason"]
    found = boto3.client("s3").get_object(Bucket=REPORTS["bucket"], Key=KEY)
    assert (found["ContentType"], found["CacheControl"]) == ("text/html; charset=utf-8", "no-cache")
    assert f"Release {RELEASE}" in page()


@pytest.mark.usefixtures("step_functions")
def test_report_tells_all_that_is_known_by_now(record: ReleaseRecord) -> None:
    write()
    assert "checkout is broken" not in page()
    write(ROLLBACK)
    assert "upload answered 500." in page()
    assert "checkout is broken" in page()
    assert set(record.release(RELEASE)["executions"]) == {DEPLOYMENT, ROLLBACK}


@pytest.mark.usefixtures("step_functions")
def test_deployment_is_told_although_only_its_rollback_was_reported() -> None:
    write(ROLLBACK)
    assert "upload answered 500." in page()


def test_no_execution_is_told_twice(step_functions: FakeStepFunctions) -> None:
    """It is in the record already when a report is written anew."""
    write()
    step_functions.asked.clear()
    write()
    assert [request["executionArn"] for request in step_functions.asked] == [DEPLOYMENT]
    assert page().count("Version 2222222 was asked for.") == 1


@pytest.mark.usefixtures("step_functions")
def test_writing_twice_is_writing_once(record: ReleaseRecord) -> None:
    first = write(), page(), record.release(RELEASE)
    assert (write(), page(), record.release(RELEASE)) == first
    assert keys() == [KEY]


@pytest.mark.usefixtures("step_functions")
def test_traffic_is_what_the_load_balancer_has_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    stories: list[Any] = []
    monkeypatch.setattr(function, "render", lambda story: stories.append(story) or "page")
    write()
    assert {color: [each.requests for each in samples] for color, samples in stories[0].traffic.items()} == {
        "blue": [1234],
        "green": [1234],
    }


@pytest.mark.usefixtures("step_functions")
def test_metrics_that_cannot_be_read_do_not_cost_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeMetrics, "answers", False)
    assert write()["written"]
    assert "CloudWatch could not be read" in page()


def test_execution_that_aws_has_forgotten_is_named(step_functions: FakeStepFunctions, record: ReleaseRecord) -> None:
    record.note_execution(RELEASE, OTHER_ROLLBACK, after(100).isoformat())
    assert write()["written"]
    assert f"does not know execution {OTHER_ROLLBACK} any more" in page()
    assert OTHER_ROLLBACK in [request["executionArn"] for request in step_functions.asked]


def test_history_that_cannot_be_read_leaves_the_former_report(
    step_functions: FakeStepFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of a release would look like all of it."""
    write(ROLLBACK)
    before = page()
    real = step_functions.get_execution_history

    def throttled(**request: Any) -> Any:
        if request["executionArn"] == DEPLOYMENT:
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": ""}}, "GetExecutionHistory")
        return real(**request)

    monkeypatch.setattr(step_functions, "get_execution_history", throttled)
    with pytest.raises(AwsCallFailed, match="ThrottlingException"):
        write(ROLLBACK, now=after(2000).isoformat())
    assert page() == before


def test_clean_up_adds_to_the_report(step_functions: FakeStepFunctions) -> None:
    ended = clean_up(at=2000)
    step_functions.played.append(ended)
    assert write(ended.arn, now=after(9000).isoformat())["written"]
    assert "Blue was scaled in to 0 instances." in page()


def test_refused_release_that_was_never_recorded_is_not_reported(
    step_functions: FakeStepFunctions, record: ReleaseRecord
) -> None:
    arn = DEPLOYMENT.replace(":one", ":refused")
    refused = Played(arn, {"version": "3333333"})
    given = {"release_id": "3333333-00000000", "version": "3333333"}
    refused.task("Claim environment", "claim-environment", given, {"lease": lease_of("")})
    step_functions.played.append(refused.end("Failed", "ReleaseRefused"))
    answer = write(arn)
    assert (answer["written"], answer["report"]) == (False, "")
    assert arn in answer["reason"]
    assert keys() == []
    assert record.release("3333333-00000000") == {}


def test_record_is_not_asked_about_an_execution_that_worked_on_no_release(
    step_functions: FakeStepFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    rejected = Played(OTHER_ROLLBACK, {"reason": 7}).ask("Is the request valid?").end("Failed", "InvalidRequest")
    step_functions.played.append(rejected)
    monkeypatch.setattr(function, "record", None)
    assert not write(OTHER_ROLLBACK)["written"]


def test_rollback_that_found_nothing_is_not_reported(step_functions: FakeStepFunctions, record: ReleaseRecord) -> None:
    nothing = {"action": "nothing", "reason": "Late.", "lease": lease_of(""), "release_id": RELEASE}
    played = Played(OTHER_ROLLBACK, {}).task("Claim rollback", "claim-rollback", {}, nothing)
    step_functions.played.append(played.end("Succeeded"))
    assert not write(OTHER_ROLLBACK)["written"]
    assert "executions" not in record.release(RELEASE)
    assert keys() == []


@pytest.mark.usefixtures("step_functions")
@pytest.mark.parametrize("arn", [None, {}, "", BLUE, OPERATE, OTHER_ROLLBACK], ids=str)
def test_what_is_no_known_execution_is_refused_by_field_and_changes_nothing(record: ReleaseRecord, arn: Any) -> None:
    with pytest.raises(ValueError, match="Field 'execution_arn' "):
        write(arn)
    assert "executions" not in record.release(RELEASE)
    assert keys() == []


def test_missing_field_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="Field 'execution_arn' "):
        function.lambda_handler({"now": after(0).isoformat()}, CONTEXT)


@pytest.mark.usefixtures("step_functions")
@pytest.mark.parametrize("state", ["Write report", "Write report again"])
def test_what_the_machine_gives_is_read_and_what_it_reads_is_answered(state: str) -> None:
    task = tasks(golden("report"))[state]
    values = {"execution_arn": DEPLOYMENT, "now": after(900).isoformat()}
    given = {name.removesuffix(".$"): values[name.removesuffix(".$")] for name in payload_of(task)}
    answer = function.lambda_handler(given, CONTEXT)
    assert set(answer) == {name.removesuffix(".$") for name in task["ResultSelector"]}


@pytest.mark.usefixtures("step_functions")
def test_product_is_named_as_humans_call_it() -> None:
    write()
    assert "receipts, test" in page()
