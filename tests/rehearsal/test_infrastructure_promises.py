"""A promise about infrastructure that could not be broken would prove nothing."""

from dataclasses import replace
from typing import Any

import pytest

from rehearsal.infrastructure import Built, Infrastructure
from rehearsal.report import Report
from rehearsal.scenarios import NEW_VERSION, OLD_VERSION
from rehearsal.stage import Execution
from rehearsal.world.customer_infrastructure import BUCKET, QUEUE, SECURITY_GROUP
from rehearsal.world.terraform import Change, Terraform
from tests.rehearsal.conftest import scenario
from tests.rehearsal.reports import report

PLANNED, APPLIED = (Built(work, "SUCCEEDED", NEW_VERSION, 0.0, 60.0) for work in ("plan", "apply"))
WAITED = Execution("rollback:one", "rollback", "SUCCEEDED", states=["Wait for its end after abort", "Aborted"])
STOPPED = Execution("deploy:one", "deploy", "ABORTED", states=["Validate request", "Claim environment"])
CAUSE = "PlanRefused: module.compute.aws_lb_listener.https"


def terraform(version: str) -> Terraform:
    """Return one that has come as far as a version."""
    base = {SECURITY_GROUP: {"name": "a"}, BUCKET: {"name": "a"}}
    made = Terraform(base, {NEW_VERSION: {SECURITY_GROUP: {"name": "b"}, QUEUE: {"name": "b"}, BUCKET: {"name": "b"}}})
    list(made.apply(made.plan(version, (), "now").file))
    return made


def built(*builds: Built, version: str = NEW_VERSION) -> Infrastructure:
    at = terraform(version)
    return Infrastructure(builds, tuple(at.applied), dict(at.state), at)


def broken(name: str, **changes: Any) -> list[str]:
    """Return the broken promises of a scenario that are about infrastructure, for a release that went live."""
    told: Report = report(**changes)
    about = ("the infrastructure", "module.", "the builds", "applied were", "the release went on", "the rollback did")
    found = scenario(name).broken_promises(told)
    return [each for each in found if each.startswith((*about, "no page says"))]


def test_a_release_with_its_infrastructure_keeps_them() -> None:
    assert [] == broken("infrastructure-release", infrastructure=built(PLANNED, APPLIED))


@pytest.mark.parametrize(
    ("infrastructure", "said"),
    [
        (built(PLANNED, APPLIED, version=OLD_VERSION), f"the infrastructure is not that of {NEW_VERSION}"),
        (built(PLANNED), "the builds were ('plan SUCCEEDED',)"),
        (built(PLANNED, replace(APPLIED, status="FAILED")), "the builds were ('plan SUCCEEDED', 'apply FAILED')"),
        (
            replace(built(PLANNED, APPLIED), applied=(Change(QUEUE, ["create"], None, {}),)),
            f"applied were ('{QUEUE}',)",
        ),
    ],
    ids=["not applied", "no apply", "failed", "a part"],
)
def test_a_release_without_all_of_it_breaks_one(infrastructure: Infrastructure, said: str) -> None:
    assert said in broken("infrastructure-release", infrastructure=infrastructure)


def test_a_plan_that_was_refused_too_late_breaks_one() -> None:
    refused = built(PLANNED, version=OLD_VERSION)
    assert "the release went on" in broken("plan-touches-listener", infrastructure=refused, executions=[STOPPED])
    assert [] == broken("plan-touches-listener", infrastructure=refused, pages=[CAUSE])
    assert ["no page says ('module.compute.aws_lb_listener.https',)"] == broken(
        "plan-touches-listener", infrastructure=refused
    )


@pytest.mark.parametrize(
    ("rollback", "apply"),
    [(replace(WAITED, states=["Aborted"]), APPLIED), (WAITED, replace(APPLIED, status="STOPPED"))],
)
def test_an_abort_that_does_not_wait_breaks_one(rollback: Execution, apply: Built) -> None:
    page = ['{"infrastructure": true}']
    kept = broken("abort-during-apply", infrastructure=built(PLANNED, APPLIED), executions=[WAITED], pages=page)
    assert [] == kept
    found = broken("abort-during-apply", infrastructure=built(PLANNED, apply), executions=[rollback], pages=page)
    assert "the rollback did not wait for the apply" in found


def test_a_complete_rollback_leaves_only_what_settings_leave_out() -> None:
    back = terraform(NEW_VERSION)
    list(back.apply(back.plan(OLD_VERSION, ("module.compute",), "now").file))
    taken = Infrastructure((PLANNED, APPLIED, PLANNED, APPLIED), tuple(back.applied), dict(back.state), back)
    assert [] == broken("complete-rollback", infrastructure=taken)
    assert f"module.compute is not that of {OLD_VERSION}" in broken(
        "complete-rollback", infrastructure=built(PLANNED, APPLIED)
    )
