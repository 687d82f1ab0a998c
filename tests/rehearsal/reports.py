"""Reports of rehearsals that never took place."""

from dataclasses import replace
from typing import Any

from rehearsal.databases import Databases, Instance
from rehearsal.infrastructure import Infrastructure
from rehearsal.packaged import Packaged
from rehearsal.permissions import Judgement
from rehearsal.report import Report
from rehearsal.scenarios import NEW_VERSION, OLD_VERSION
from rehearsal.stage import Execution
from rehearsal.world.customer import CAPACITY
from rehearsal.world.traffic import Sample

_ENDS = "promoted, rolled back, aborted"
_ARN = "arn:aws:states:eu-west-1:111122223333:execution:receipt-vault-production"


def users(
    first: float, last: float, *, per_second: float = 60, color: str = "green", status: int = 200
) -> list[Sample]:
    """Return the samples of users who sent at a constant rate from the first to the last second, both included."""
    count = round((last - first) * per_second) + 1
    version = {"blue": OLD_VERSION, "green": NEW_VERSION}.get(color, "")
    return [
        Sample(
            sent_seconds=first + number / per_second,
            latency_milliseconds=3.0 + number % 10,
            status=status,
            color=color,
            version=version,
            instance=f"i-{color}",
            method="GET",
            path="/health",
        )
        for number in range(count)
    ]


def report(**changes: Any) -> Report:
    """Return the report of a release that went live and was cleaned up after, with these changes."""
    deployment = Execution(f"{_ARN}-deploy:one", "deploy", "SUCCEEDED", states=["Validate request", "Release is live"])
    rollback = Execution(f"{_ARN}-rollback:two", "rollback", "SUCCEEDED", states=["Claim rollback", "Rolled back"])
    went_live = Report(
        scenario="good-release",
        expected="promoted",
        outcome="promoted",
        total_seconds=12.3456,
        simulated_seconds=2700.0,
        clock=Packaged().as_json(),
        requests_per_second=60.0,
        samples=users(0.0, 8.0),
        switch=None,
        weights={"blue": 0, "green": 100},
        phase="committed",
        lease_holder=None,
        versions={"blue": None, "green": NEW_VERSION},
        instances={"blue": 0, "green": CAPACITY},
        executions=[deployment],
        invariants={"checked": 10, "violated": []},
        messages=[],
        pages=[],
        release_reports={"releases/one.html": f"{_ENDS}, Requests per second, 10 % of the traffic goes to green"},
        databases=Databases("receipts", "receipts", {"receipts": Instance("receipts", "available")}),
        infrastructure=Infrastructure(),
        moves=[],
        unsupported=[],
        judgement=Judgement(judged=300, denied=[], malformed=[], used_actions={"notify": ["sns:Publish"]}),
        template_sha256="0" * 64,
    )
    both = {"versions": {"blue": OLD_VERSION, "green": NEW_VERSION}, "instances": {"blue": CAPACITY, "green": CAPACITY}}
    rolled_back = {"executions": [deployment, rollback], **both} if changes.get("outcome") == "rolled_back" else {}
    return replace(went_live, **{**rolled_back, **changes})
