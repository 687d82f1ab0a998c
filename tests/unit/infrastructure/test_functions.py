"""A plan is inspected before it is applied, and applied once, however often a step runs or dies in between."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import boto3
import pytest

from lambdas.errors import InfrastructureFailed, LeaseLost, PlanFailed, PlanRefused
from lambdas.infrastructure import check_apply, check_plan, check_unfinished_apply, start_apply, start_plan
from lambdas.infrastructure.builds import Build
from lambdas.infrastructure.plans import Plans
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, Phase, Work
from tests.builders import DEPLOYMENT, INFRASTRUCTURE, OTHER_DEPLOYMENT, ROLLBACK, at
from tests.unit.infrastructure.plans import A_VALUE, change, plan_of

PLANNED = {"release_id": "new", "version": "4f2c1e9", "purpose": "release"}
FILE_DIGEST = "a" * 64


@dataclass
class FakeBuilds:
    """Builds that stay as the test says: `started` by id, and their states."""

    started: dict[str, tuple[str, str, str, Mapping[str, str]]] = field(default_factory=dict)
    states: dict[str, Build] = field(default_factory=dict)

    def start(self, project: str, token: str, source_version: str, variables: Mapping[str, str]) -> str:
        for build_id, (_, known, _, _) in self.started.items():
            if known == token:
                return build_id
        build_id = f"{project}:{len(self.started) + 1}"
        self.started[build_id] = (project, token, source_version, variables)
        self.states[build_id] = Build(build_id, "IN_PROGRESS", "BUILD", variables=variables)
        return build_id

    def read(self, build_id: str) -> Build:
        return self.states[build_id]

    def latest(self, project: str) -> Build | None:
        ids = [each for each, (of, _, _, _) in self.started.items() if of == project]
        return self.states[ids[-1]] if ids else None

    def end(self, build_id: str, status: str = "SUCCEEDED") -> None:
        self.states[build_id] = replace(self.states[build_id], status=status)


@pytest.fixture
def builds(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> FakeBuilds:
    fake = FakeBuilds()
    for module in (start_plan, check_plan, start_apply, check_apply, check_unfinished_apply):
        monkeypatch.setattr(module, "builds", fake)
        if module is not start_plan:
            monkeypatch.setattr(module, "record", record)
    return fake


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=INFRASTRUCTURE["bucket"], CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    monkeypatch.setattr(check_plan, "plans", Plans(s3, INFRASTRUCTURE["bucket"]))
    return s3


@pytest.fixture
def lease(record: ReleaseRecord) -> Lease:
    return record.claim(Work(), Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new"))


def keep(bucket: Any, text: str, key: str = "plans/new/release/") -> None:
    for name, body in (("plan.json", text), ("digest", f"{FILE_DIGEST}\n")):
        bucket.put_object(Bucket=INFRASTRUCTURE["bucket"], Key=f"{key}{name}", Body=body.encode())


def checked(build_id: str, now: str = at(3), **more: Any) -> dict[str, Any]:
    event = {"release_id": "new", "purpose": "release", "build_id": build_id, "ready_by": at(40), "now": now, **more}
    found: dict[str, Any] = check_plan.lambda_handler.__wrapped__(event, None)
    return found


def applying(lease: Lease, now: str = at(5), digest: str = FILE_DIGEST) -> dict[str, Any]:
    event = {
        **PLANNED,
        "lease": lease.as_event(),
        "digest": digest,
        "inspected": "b" * 64,
        "summary": "Terraform adds aws_sqs_queue.thumbnails.",
        "now": now,
    }
    started: dict[str, Any] = start_apply.lambda_handler.__wrapped__(event, None)
    return started


def applied(lease: Lease, build_id: str, now: str = at(6)) -> bool:
    event = {
        "lease": lease.as_event(),
        "release_id": "new",
        "purpose": "release",
        "build_id": build_id,
        "ready_by": at(50),
        "now": now,
    }
    return bool(check_apply.lambda_handler.__wrapped__(event, None)["ready"])


def test_plan_is_made_of_the_releases_commit(builds: FakeBuilds) -> None:
    started = start_plan.lambda_handler.__wrapped__({**PLANNED, "now": at(1)}, None)
    again = start_plan.lambda_handler.__wrapped__({**PLANNED, "now": at(1)}, None)

    assert again == started
    project, _, commit, variables = builds.started[started["build_id"]]
    assert (project, commit) == ("receipts-test-plan", "4f2c1e9")
    assert variables == {"RUNBACK_PLAN_KEY": "plans/new/release/", "RUNBACK_TARGETS": ""}


def test_rollback_plans_its_targets_alone(builds: FakeBuilds) -> None:
    started = start_plan.lambda_handler.__wrapped__({**PLANNED, "purpose": "rollback", "now": at(1)}, None)

    variables = builds.started[started["build_id"]][3]
    assert variables == {"RUNBACK_PLAN_KEY": "plans/new/rollback/", "RUNBACK_TARGETS": "module.compute"}


def test_harmless_plan_is_told_with_both_digests(builds: FakeBuilds, bucket: Any) -> None:
    """The one of the file is what is applied, and that of its JSON what was inspected: the build compares both."""
    build_id = start_plan.start_plan("new", "4f2c1e9", start_plan.Purpose.RELEASE, at(1))
    assert not checked(build_id)["ready"]
    keep(bucket, plan_of(change("aws_sqs_queue.thumbnails", "create")))
    builds.end(build_id)

    found = checked(build_id)

    assert found["ready"]
    assert (found["digest"], found["changes"]) == (FILE_DIGEST, 1)
    assert found["inspected"] not in ("", FILE_DIGEST)
    assert found["summary"] == "Terraform adds aws_sqs_queue.thumbnails."
    assert A_VALUE not in str(found)


def test_plan_that_touches_the_listener_is_refused(builds: FakeBuilds, bucket: Any) -> None:
    build_id = start_plan.start_plan("new", "4f2c1e9", start_plan.Purpose.RELEASE, at(1))
    keep(bucket, plan_of(change("aws_lb_listener.https", "update")))
    builds.end(build_id)

    with pytest.raises(PlanRefused, match=r"aws_lb_listener\.https"):
        checked(build_id)


def test_build_that_made_no_plan_says_so(builds: FakeBuilds) -> None:
    build_id = start_plan.start_plan("new", "4f2c1e9", start_plan.Purpose.RELEASE, at(1))
    with pytest.raises(PlanFailed, match="made no plan until"):
        checked(build_id, now=at(41))
    builds.end(build_id, "FAILED")
    with pytest.raises(PlanFailed, match="ended FAILED"):
        checked(build_id)


def test_rollback_that_waits_for_a_plan_is_seen_to_be_alive(builds: FakeBuilds, record: ReleaseRecord) -> None:
    """Or the watchdog would take a stuck rollback over."""
    lease = record.claim(Work(), Work(holder=ROLLBACK, phase=Phase.ROLLING_BACK, release_id="new"))
    build_id = start_plan.start_plan("new", "4f2c1e9", start_plan.Purpose.ROLLBACK, at(1))
    assert builds.started

    checked(build_id, now=at(9), lease=lease.as_event(), purpose="rollback")

    assert record.read().work.progress_at == at(9)


def test_repeated_step_applies_once(builds: FakeBuilds, lease: Lease, record: ReleaseRecord) -> None:
    first = applying(lease)
    assert applying(lease, at(30)) | {"ready_by": ""} == first | {"ready_by": ""}
    assert len(builds.started) == 1
    project, _, commit, variables = builds.started[first["build_id"]]
    assert (project, commit) == ("receipts-test-apply", "4f2c1e9")
    assert variables["RUNBACK_PLAN_DIGEST"] == FILE_DIGEST
    assert variables["RUNBACK_INSPECTED_DIGEST"] == "b" * 64
    history = record.release("new")
    assert history["infrastructure"]["build_id"] == first["build_id"]
    assert history["infrastructure_changed"] is True


def test_step_that_died_after_its_request_finds_the_build_again(
    builds: FakeBuilds, lease: Lease, record: ReleaseRecord
) -> None:
    """CodeBuild forgets a token after five minutes."""
    first = applying(lease)
    noted = record.release("new")["infrastructure"]
    record.note_release("new", {"infrastructure": {k: v for k, v in noted.items() if k != "build_id"}})
    forgotten = builds.started[first["build_id"]]
    builds.started[first["build_id"]] = (forgotten[0], "forgotten", *forgotten[2:])

    assert applying(lease, at(20))["build_id"] == first["build_id"]
    assert len(builds.started) == 1


def test_loser_applies_nothing(builds: FakeBuilds, lease: Lease, record: ReleaseRecord) -> None:
    record.claim(record.read().work, Work(holder=OTHER_DEPLOYMENT, phase=Phase.ROLLING_BACK))

    with pytest.raises(LeaseLost):
        applying(lease)
    assert builds.started == {}


def test_apply_is_awaited_and_written_down(builds: FakeBuilds, lease: Lease, record: ReleaseRecord) -> None:
    build_id = applying(lease)["build_id"]
    assert not applied(lease, build_id)
    builds.end(build_id)

    assert applied(lease, build_id)
    assert record.release("new")["infrastructure"]["status"] == "SUCCEEDED"
    assert record.release("new")["infrastructure"]["ended_at"] == at(6)


def test_failed_apply_may_have_changed_a_part(builds: FakeBuilds, lease: Lease, record: ReleaseRecord) -> None:
    build_id = applying(lease)["build_id"]
    builds.end(build_id, "FAILED")

    with pytest.raises(InfrastructureFailed, match="only a part of it"):
        applied(lease, build_id)
    assert record.release("new")["infrastructure_changed"] is True


def test_apply_that_never_ends_is_not_awaited_forever(builds: FakeBuilds, lease: Lease) -> None:
    build_id = applying(lease)["build_id"]
    assert builds.started
    with pytest.raises(InfrastructureFailed, match="did not end until"):
        applied(lease, build_id, now=at(51))


def rolling_back(record: ReleaseRecord, release_id: str = "new") -> Lease:
    found = record.read().work
    loser = {"holder": DEPLOYMENT, "release_id": "new"} if release_id != "new" else {}
    return record.claim(found, Work(holder=ROLLBACK, phase=Phase.ROLLING_BACK, release_id=release_id, loser=loser))


def unfinished(lease: Lease, now: str, release_id: str = "new") -> dict[str, Any]:
    event = {"lease": lease.as_event(), "release_id": release_id, "now": now}
    found: dict[str, Any] = check_unfinished_apply.lambda_handler.__wrapped__(event, None)
    return found


def test_nothing_is_awaited_where_nothing_was_applied(builds: FakeBuilds, record: ReleaseRecord) -> None:
    assert unfinished(rolling_back(record), at(7)) == {"over": True, "changed": False, "reason": ""}
    assert builds.started == {}


def test_abort_waits_for_the_apply_of_the_execution_that_died(
    builds: FakeBuilds, lease: Lease, record: ReleaseRecord
) -> None:
    build_id = applying(lease)["build_id"]
    winner = rolling_back(record)

    assert not unfinished(winner, at(7))["over"]
    builds.end(build_id)
    found = unfinished(winner, at(8))

    assert found["over"]
    assert found["changed"]
    assert "was applied whole" in found["reason"]
    assert "aws_sqs_queue.thumbnails" in found["reason"]
    assert unfinished(winner, at(9)) == found


def test_abort_finds_the_build_whose_id_nobody_wrote_down(
    builds: FakeBuilds, lease: Lease, record: ReleaseRecord
) -> None:
    build_id = applying(lease)["build_id"]
    noted = record.release("new")["infrastructure"]
    record.note_release("new", {"infrastructure": {k: v for k, v in noted.items() if k != "build_id"}})
    winner = rolling_back(record)

    assert not unfinished(winner, at(7))["over"]
    builds.end(build_id, "FAILED")

    assert "ended FAILED, perhaps after a part of it" in unfinished(winner, at(8))["reason"]


def test_intent_that_came_to_nothing_has_changed_nothing(
    builds: FakeBuilds, lease: Lease, record: ReleaseRecord
) -> None:
    intent = {"version": "4f2c1e9", "digest": FILE_DIGEST, "summary": "…", "began_at": at(5), "ends_by": at(45)}
    record.note_release("new", {"infrastructure": intent})
    assert lease

    assert unfinished(rolling_back(record), at(7)) == {"over": True, "changed": False, "reason": ""}
    assert record.release("new")["infrastructure"]["status"] == "NOT_STARTED"
    assert builds.started == {}


def test_build_that_nobody_hears_of_is_awaited_until_it_must_have_ended(
    builds: FakeBuilds, lease: Lease, record: ReleaseRecord
) -> None:
    build_id = applying(lease)["build_id"]
    builds.end(build_id, "NOT_FOUND")
    winner = rolling_back(record)

    assert not unfinished(winner, at(44))["over"]
    found = unfinished(winner, at(46))

    assert (found["over"], found["changed"]) == (True, True)


def test_rollback_of_the_live_release_waits_for_the_one_that_it_took_over_from(
    builds: FakeBuilds, lease: Lease, record: ReleaseRecord
) -> None:
    """An alarm about what is live ends the preparation of the next release, which may be applying."""
    build_id = applying(lease)["build_id"]
    winner = rolling_back(record, "live")

    assert not unfinished(winner, at(7), "live")["over"]
    builds.end(build_id)

    assert "4f2c1e9" in unfinished(winner, at(8), "live")["reason"]


def test_infrastructure_that_was_taken_back_is_not_changed_any_more(
    builds: FakeBuilds, lease: Lease, record: ReleaseRecord
) -> None:
    build_id = applying(lease)["build_id"]
    builds.end(build_id)
    winner = rolling_back(record)
    event = {
        **PLANNED,
        "purpose": "rollback",
        "lease": winner.as_event(),
        "digest": "c" * 64,
        "inspected": "b" * 64,
        "summary": "Terraform destroys aws_sqs_queue.thumbnails.",
        "now": at(10),
    }
    back = start_apply.lambda_handler.__wrapped__(event, None)["build_id"]
    builds.end(back)
    looked = {"lease": winner.as_event(), "release_id": "new", "purpose": "rollback", "build_id": back}
    check_apply.lambda_handler.__wrapped__({**looked, "ready_by": at(50), "now": at(12)}, None)

    assert record.release("new")["infrastructure_changed"] is False
    assert unfinished(winner, at(13)) == {"over": True, "changed": False, "reason": ""}
