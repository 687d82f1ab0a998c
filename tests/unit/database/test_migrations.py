"""The customer's migrations run once for a release, and whoever gives a release up knows what they may have left."""

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.response import StreamingBody
from botocore.stub import Stubber

from lambdas.database import check_migrations as checking
from lambdas.database import look_at_migrations as looking
from lambdas.database import start_migrations as starting
from lambdas.database.migration_function import MigrationFunction
from lambdas.database.migration_rules import Aftermath, Answer, MigrationSettings
from lambdas.errors import AwsCallFailed, LeaseLost, MigrationsFailed
from lambdas.infrastructure.builds import Builds
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, Migrations, Phase, Work
from tests.builders import DEPLOYMENT, MIGRATIONS, OTHER_DEPLOYMENT, at

ASKED = {
    "service": "receipts",
    "environment": "test",
    "release_id": "new",
    "version": "2222222",
    "migrations": "breaking",
}
PROJECT = "receipts-test-migrate"
BUILD = f"{PROJECT}:0a1b2c3d"
CONSENT = "the old version knows no currencies"


@pytest.fixture
def lease(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> Lease:
    for module in (starting, checking, looking):
        monkeypatch.setattr(module, "record", record)
    record.note_release("new", {"rollback_point": {"version": "1111111"}})
    return record.claim(Work(), Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new"))


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    client = boto3.client("lambda")
    monkeypatch.setattr(starting, "function", MigrationFunction(client, MIGRATIONS["function_arn"]))
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def codebuild(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    client = boto3.client("codebuild")
    project = MigrationSettings("", PROJECT, timeout_seconds=600)
    monkeypatch.setattr(starting, "settings", starting.Settings("receipts", "test", "table", project))
    monkeypatch.setattr(looking, "settings", looking.Settings("test", "table", PROJECT))
    for module in (starting, checking, looking):
        monkeypatch.setattr(module, "builds", Builds(client))
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def migrating(lease: Lease, migrations: Migrations = Migrations.BREAKING) -> starting.Migrating:
    consent = CONSENT if migrations is Migrations.BREAKING else ""
    return starting.Migrating(lease, "new", "2222222", migrations, consent, at(10))


def answers(function: Stubber, payload: Any, **more: str) -> None:
    content = json.dumps(payload).encode()
    answer = {"StatusCode": 200, "Payload": StreamingBody(io.BytesIO(content), len(content)), **more}
    asked = {"FunctionName": MIGRATIONS["function_arn"], "Payload": json.dumps(ASKED).encode()}
    function.add_response("invoke", answer, asked)


def build(status: str, **more: Any) -> dict[str, Any]:
    return {"id": BUILD, "buildStatus": status, "currentPhase": "COMPLETED", **more}


def reads(codebuild: Stubber, *statuses: str) -> None:
    for status in statuses:
        codebuild.add_response("batch_get_builds", {"builds": [build(status)]}, {"ids": [BUILD]})


def test_a_function_is_told_what_it_migrates_and_called_once(
    record: ReleaseRecord, lease: Lease, function: Stubber
) -> None:
    """A repeated step does not migrate again what has ended well."""
    answers(function, {})

    run = starting.start_migrations(migrating(lease))

    assert starting.start_migrations(migrating(lease)) == run
    assert (run.build_id, run.ends_by) == ("", "2026-03-01T10:20:00+00:00")
    assert record.release("new")["migrations"]["status"] == "done"
    assert checking.check_migrations(lease, "new", "", run.ends_by, at(11))


def test_that_breaking_migrations_hold_the_release_is_recorded_before_they_begin(
    record: ReleaseRecord, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From then on nothing may send traffic back by itself, whatever becomes of this step."""
    found: list[dict[str, Any]] = []

    class Dies:
        def call(self, payload: object) -> None:
            assert payload == ASKED
            found.append(record.release("new"))
            raise RuntimeError("the machine died")

    monkeypatch.setattr(starting, "function", Dies())
    with pytest.raises(RuntimeError):
        starting.start_migrations(migrating(lease))

    (noted,) = found
    assert (noted["automatic_rollback"], noted["no_automatic_rollback"]) == (False, CONSENT)
    assert noted["migrations"]["status"] == "running"


def test_backward_compatible_migrations_leave_the_automatic_rollback(
    record: ReleaseRecord, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Function:
        def call(self, payload: dict[str, str]) -> Answer:
            assert payload["migrations"] == "backward-compatible"
            return Answer(failed=False)

    monkeypatch.setattr(starting, "function", Function())
    starting.start_migrations(migrating(lease, Migrations.BACKWARD_COMPATIBLE))

    assert not {"automatic_rollback", "no_automatic_rollback"} & record.release("new").keys()


def test_what_a_function_fails_with_is_told(record: ReleaseRecord, lease: Lease, function: Stubber) -> None:
    answers(function, {"errorType": "Refused", "errorMessage": "no table invoices"}, FunctionError="Unhandled")

    with pytest.raises(MigrationsFailed, match="Function receipts-test-migrate has failed: Refused: no table invoices"):
        starting.start_migrations(migrating(lease))

    assert record.release("new")["migrations"]["status"] == "failed"


def test_a_function_that_does_not_answer_in_time_may_still_run(lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hangs:
        def invoke(self, **_: object) -> None:
            raise ReadTimeoutError(endpoint_url="https://lambda.example")

    monkeypatch.setattr(starting, "function", MigrationFunction(Hangs(), MIGRATIONS["function_arn"]))
    with pytest.raises(MigrationsFailed, match="did not answer within 10 minutes, and may still run"):
        starting.start_migrations(migrating(lease))

    left = looking.look_at_migrations(lease, "new", at(19))
    assert left.running
    left = looking.look_at_migrations(lease, "new", at(20))
    assert (left.running, left.pages) == (False, True)
    assert "may still change the database. Version 1111111, which serves, may not work with it." in left.concern


def test_a_function_that_lambda_refuses_to_call_has_changed_nothing(lease: Lease, function: Stubber) -> None:
    """The step is tried again; and when that does not help either, nobody waits for what never began."""
    function.add_client_error("invoke", "TooManyRequestsException", "Rate exceeded", http_status_code=429)

    with pytest.raises(AwsCallFailed, match="Rate exceeded"):
        starting.start_migrations(migrating(lease))

    assert looking.look_at_migrations(lease, "new", at(11)) == Aftermath()


def test_nothing_is_migrated_for_who_has_lost_the_environment(
    record: ReleaseRecord, lease: Lease, function: Stubber
) -> None:
    record.claim(record.read().work, Work(holder=OTHER_DEPLOYMENT, phase=Phase.ROLLING_BACK, release_id="new"))
    with pytest.raises(LeaseLost):
        starting.start_migrations(migrating(lease))
    assert "migrations" not in record.release("new")
    function.assert_no_pending_responses()


def begins(codebuild: Stubber) -> None:
    variables = [
        {"name": f"RUNBACK_{name.upper()}", "value": ASKED[name], "type": "PLAINTEXT"} for name in sorted(ASKED)
    ]
    asked = {
        "projectName": PROJECT,
        "idempotencyToken": "migrations-new",
        "environmentVariablesOverride": variables,
        "sourceVersion": "2222222",
    }
    codebuild.add_response("start_build", {"build": build("IN_PROGRESS")}, asked)


def test_a_build_is_begun_once_at_the_releases_commit_and_awaited(
    record: ReleaseRecord, lease: Lease, codebuild: Stubber
) -> None:
    begins(codebuild)
    reads(codebuild, "IN_PROGRESS", "SUCCEEDED")

    run = starting.start_migrations(migrating(lease))

    assert starting.start_migrations(migrating(lease)).build_id == run.build_id == BUILD
    assert not checking.check_migrations(lease, "new", BUILD, run.ends_by, at(11))
    assert checking.check_migrations(lease, "new", BUILD, run.ends_by, at(12))
    assert record.release("new")["migrations"]["status"] == "done"


def test_a_build_that_failed_says_where(lease: Lease, codebuild: Stubber) -> None:
    begins(codebuild)
    phases = [{"phaseType": "BUILD", "phaseStatus": "FAILED", "contexts": [{"message": "exit status 3"}]}]
    codebuild.add_response("batch_get_builds", {"builds": [build("FAILED", phases=phases)]}, {"ids": [BUILD]})
    run = starting.start_migrations(migrating(lease))

    with pytest.raises(MigrationsFailed, match=rf"Build {BUILD} ended FAILED in phase BUILD: exit status 3"):
        checking.check_migrations(lease, "new", BUILD, run.ends_by, at(11))


def test_a_build_that_takes_too_long_is_not_stopped(lease: Lease, codebuild: Stubber) -> None:
    begins(codebuild)
    reads(codebuild, "IN_PROGRESS")
    run = starting.start_migrations(migrating(lease))

    with pytest.raises(MigrationsFailed, match=r"has not come to its end until .* and may still run"):
        checking.check_migrations(lease, "new", BUILD, run.ends_by, at(20))


def test_an_abort_waits_for_a_build_and_tells_how_it_ended(lease: Lease, codebuild: Stubber) -> None:
    begins(codebuild)
    reads(codebuild, "IN_PROGRESS", "STOPPED")
    starting.start_migrations(migrating(lease))

    assert looking.look_at_migrations(lease, "new", at(11)).running
    left = looking.look_at_migrations(lease, "new", at(12))
    assert (left.running, left.pages) == (False, True)
    assert f"Build {BUILD} ended STOPPED" in left.concern


@pytest.mark.parametrize(("release_id", "running"), [("new", True), ("older", False)])
def test_a_build_whose_id_was_lost_is_found_by_its_release(
    lease: Lease, codebuild: Stubber, release_id: str, *, running: bool
) -> None:
    """Whoever began it was stopped before it could write the id down."""
    codebuild.add_client_error("start_build", "InternalError", "the answer was lost", http_status_code=500)
    variables = [{"name": "RUNBACK_RELEASE_ID", "value": release_id}]
    codebuild.add_response("list_builds_for_project", {"ids": [BUILD]})
    found = build("IN_PROGRESS", environment={"environmentVariables": variables} | ENVIRONMENT_OF_A_BUILD)
    codebuild.add_response("batch_get_builds", {"builds": [found]}, {"ids": [BUILD]})
    with pytest.raises(Exception, match="the answer was lost"):
        starting.start_migrations(migrating(lease))

    assert looking.look_at_migrations(lease, "new", at(11)).running is running


ENVIRONMENT_OF_A_BUILD = {
    "type": "LINUX_CONTAINER",
    "image": "aws/codebuild/standard",
    "computeType": "BUILD_LAMBDA_1GB",
}


@pytest.mark.parametrize(
    ("migrations", "pages"), [(Migrations.BREAKING, True), (Migrations.BACKWARD_COMPATIBLE, False)]
)
def test_a_human_looks_at_the_schema_after_breaking_migrations_only(
    lease: Lease, monkeypatch: pytest.MonkeyPatch, migrations: Migrations, *, pages: bool
) -> None:
    called: Callable[[object, object], Answer] = lambda *_: Answer(failed=False)  # noqa: E731
    monkeypatch.setattr(starting, "function", type("Function", (), {"call": called})())
    starting.start_migrations(migrating(lease, migrations))

    left = looking.look_at_migrations(lease, "new", at(11))

    assert (left.running, left.pages) == (False, pages)
    assert ("have changed the schema" in left.concern) is pages


def test_a_release_without_migrations_leaves_nothing(lease: Lease) -> None:
    assert looking.look_at_migrations(lease, "new", at(11)) == Aftermath()
