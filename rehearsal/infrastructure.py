"""What Terraform has made of the customer's infrastructure when a scenario has ended, and by which builds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rehearsal.account import Account
from rehearsal.world.terraform import Change, Terraform, Values


@dataclass(frozen=True)
class Built:
    """One build: `work` is what its project is called without service and environment, times are simulated seconds."""

    work: str
    status: str
    version: str
    began_seconds: float
    ended_seconds: float | None


@dataclass(frozen=True)
class Infrastructure:
    """All builds in the order of their start, everything that an apply has changed, and what there is now."""

    builds: Sequence[Built] = ()
    applied: Sequence[Change] = ()
    resources: Mapping[str, Values] = field(default_factory=dict)
    terraform: Terraform = field(default_factory=lambda: Terraform({}), compare=False)

    def is_of(self, version: str, *targets: str) -> bool:
        """Say whether all there is, or all in the targets, is as a version describes it."""
        return self.terraform.is_at(version, *targets)

    def as_json(self) -> dict[str, Any]:
        """Return the report's form."""
        return {
            "builds": [{"work": each.work, "status": each.status, "version": each.version} for each in self.builds],
            "changes_applied": [f"{'/'.join(each.actions)} {each.address}" for each in self.applied],
        }


def read_infrastructure(account: Account) -> Infrastructure:
    """Look at the account as the scenario left it."""
    began = account.clock.now().timestamp() - account.clock.seconds()
    return Infrastructure(
        builds=[
            Built(
                each.project.removeprefix(f"{account.settings.prefix}-"),
                each.status,
                each.source_version,
                each.started.timestamp() - began,
                each.ended.timestamp() - began if each.ended else None,
            )
            for each in account.builds.all()
        ],
        applied=list(account.terraform.applied),
        resources=dict(account.terraform.state),
        terraform=account.terraform,
    )
