"""Look whether the plan is there, and refuse one that would do what no release may."""

from dataclasses import dataclass
from os import environ
from typing import Any, Self

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.errors import PlanFailed
from lambdas.infrastructure.builds import Builds
from lambdas.infrastructure.plans import Plans
from lambdas.infrastructure.rules import InfrastructureSettings, Purpose, plan_key, read_plan, require_harmless
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, seconds_since

settings = InfrastructureSettings.from_json(environ["INFRASTRUCTURE"])
builds = Builds(client("codebuild"))
plans = Plans(client("s3"), settings.bucket)
record = ReleaseRecord(client("dynamodb"), environ["RECORD_TABLE"], environ["ENVIRONMENT"])


@dataclass(frozen=True)
class Planning:
    """Which build plans what, and until when it has to be done."""

    release_id: str
    purpose: Purpose
    build_id: str
    ready_by: str
    now: str

    @classmethod
    def from_event(cls, event: dict[str, Any]) -> Self:
        """Read {"release_id", "purpose", "build_id", "ready_by", "now"}."""
        return cls(event["release_id"], Purpose(event["purpose"]), event["build_id"], event["ready_by"], event["now"])


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Return {"ready": bool, "digest", "inspected", "summary", "changes": how many}.

    A rollback, which holds the environment meanwhile, gives its "lease", and thereby shows that it is alive.
    """
    if "lease" in event:
        record.require_lease(Lease.from_event(event), event["now"])
    return check_plan(Planning.from_event(event))


def check_plan(planning: Planning) -> dict[str, Any]:
    """
    Return the plan's summary and digests once its build has ended.

    Raises PlanFailed when there is no plan, and PlanRefused, with every reason, when it must not be applied.
    """
    build = builds.read(planning.build_id)
    if build.is_running:
        if seconds_since(planning.ready_by, planning.now) > 0:
            raise PlanFailed(f"Build {planning.build_id} made no plan until {planning.ready_by}. Look at it.")
        return {"ready": False, "digest": "", "inspected": "", "summary": "", "changes": 0}
    if not build.succeeded:
        raise PlanFailed(f"The infrastructure could not be planned. {build.describe()}")
    kept = plans.read(plan_key(planning.release_id, planning.purpose))
    plan = read_plan(kept.text)
    require_harmless(plan, settings)
    return {
        "ready": True,
        "digest": kept.digest,
        "inspected": kept.inspected,
        "summary": plan.summary,
        "changes": plan.size,
    }
