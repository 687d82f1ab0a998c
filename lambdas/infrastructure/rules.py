"""
What a plan of Terraform would do, and what of it no release may. All pure.

A plan is read in the form of `terraform show -json`, which promises not to change within format 1:
https://developer.hashicorp.com/terraform/internals/json-format. That form holds secrets in plain text, so nothing of
it leaves this module but addresses and counts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from json import JSONDecodeError, loads
from re import fullmatch
from typing import Any, Self

from lambdas.errors import PlanFailed, PlanRefused
from lambdas.release.rules import VERSION_FORM

_FORMAT = "1."
_MOST_NAMED = 12
"""So many resources a summary names; the build's log has the rest."""
_LONGEST_ADDRESS = 160

QUEUED_SECONDS = 300
_SPARE_SECONDS = 300


class Purpose(StrEnum):
    """What a plan is made for."""

    RELEASE = "release"
    """A release brings its own infrastructure."""
    ROLLBACK = "rollback"
    """The infrastructure goes back to the version that serves again, as far as settings say."""


# What divides the traffic and runs the versions is Runback's own work while it serves users
_TRAFFIC = frozenset(
    {
        "aws_alb_listener",
        "aws_alb_listener_rule",
        "aws_alb_target_group",
        "aws_alb_target_group_attachment",
        "aws_autoscaling_attachment",
        "aws_autoscaling_group",
        "aws_autoscaling_lifecycle_hook",
        "aws_autoscaling_policy",
        "aws_autoscaling_schedule",
        "aws_autoscaling_traffic_source_attachment",
        "aws_launch_configuration",
        "aws_launch_template",
        "aws_lb_listener",
        "aws_lb_listener_rule",
        "aws_lb_target_group",
        "aws_lb_target_group_attachment",
    }
)
_DATABASES = frozenset(
    {"aws_db_cluster", "aws_db_instance", "aws_rds_cluster", "aws_rds_cluster_instance", "aws_rds_global_cluster"}
)
_IDENTIFIERS = ("identifier", "cluster_identifier")
_SECRETS = ("aws_secretsmanager_secret", "aws_ssm_parameter")
_NAMES_A_SECRET = ("arn", "id", "name", "secret_id")
_IDLE = frozenset({"no-op", "read"})
_KNOWN = _IDLE | {"create", "update", "delete", "forget"}


@dataclass(frozen=True)
class InfrastructureSettings:
    """
    What the functions of this room are told.

    The projects are those of CodeBuild that plan and apply. `protected` are ARNs and names of secrets and parameters
    that nobody but Runback may change while it works: what the application and the checks connect with. `may_destroy`
    are addresses that a plan may destroy.
    """

    plan_project: str
    apply_project: str
    bucket: str
    timeout_seconds: int
    may_destroy: tuple[str, ...]
    rollback_targets: tuple[str, ...]
    protected: frozenset[str]

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the environment variable INFRASTRUCTURE."""
        given = loads(text)
        return cls(
            given["plan_project"],
            given["apply_project"],
            given["bucket"],
            int(given["timeout_seconds"]),
            tuple(given["may_destroy"]),
            tuple(given["rollback_targets"]),
            frozenset(given["protected"]),
        )

    @property
    def longest_build_seconds(self) -> int:
        """Return when a build has ended at the latest: CodeBuild stops one that waits, or works, for too long."""
        return longest_build_seconds(self.timeout_seconds)

    def targets(self, purpose: Purpose) -> str:
        """Return what a plan is limited to, as the build takes it; empty for everything."""
        return " ".join(self.rollback_targets) if purpose is Purpose.ROLLBACK else ""


def longest_build_seconds(timeout_seconds: int) -> int:
    """Return how long it takes at most until a build has ended that may work for so long."""
    return QUEUED_SECONDS + timeout_seconds + _SPARE_SECONDS


def plan_key(release_id: str, purpose: Purpose) -> str:
    """Return where in the bucket a plan is: what its file, its JSON and its digest begin with."""
    return f"plans/{release_id}/{purpose.value}/"


def apply_field(purpose: Purpose) -> str:
    """Return what a release's history calls an apply: what was planned, when it began and ended, and how."""
    return "infrastructure" if purpose is Purpose.RELEASE else "infrastructure_rollback"


def what_was_changed(history: Mapping[str, Any]) -> str:
    """Say in words what a release has left changed; empty when the infrastructure is as it was."""
    if not history.get("infrastructure_changed"):
        return ""
    applied = history.get(apply_field(Purpose.RELEASE), {})
    ended = {"SUCCEEDED": "was applied whole", "IN_PROGRESS": "may be applied still"}
    how = ended.get(applied.get("status", "IN_PROGRESS"), f"ended {applied.get('status')}, perhaps after a part of it")
    return f"The infrastructure of version {applied.get('version')} {how}. {applied.get('summary')}"


def require_commit(version: str) -> str:
    """Return the version if Terraform's configuration can be checked out there. Raises PlanFailed."""
    if not fullmatch(VERSION_FORM, version):
        raise PlanFailed(
            f"The version {version!r} is not a commit of 7 to 40 hexadecimal digits, so its infrastructure is not"
            f" known. Apply the right one with Terraform by hand."
        )
    return version


@dataclass(frozen=True)
class Change:
    """What a plan does to one resource. `actions` are Terraform's words, such as ("delete", "create")."""

    address: str
    type: str
    actions: tuple[str, ...]
    before: Mapping[str, Any]
    after: Mapping[str, Any]

    @property
    def destroys(self) -> bool:
        """Say whether what is there now will not be there any more."""
        return "delete" in self.actions

    @property
    def word(self) -> str:
        """Name it, for humans."""
        if self.destroys:
            return "replaces" if "create" in self.actions else "destroys"
        return {"create": "adds", "update": "changes", "forget": "forgets"}.get(self.actions[0], "moves")


@dataclass(frozen=True)
class Plan:
    """All that a plan would change. `outputs` are how many outputs of Terraform's state it sets."""

    changes: tuple[Change, ...]
    outputs: int = 0

    @property
    def size(self) -> int:
        """How many things there are to apply; 0 when everything is as it should be."""
        return len(self.changes) + self.outputs

    @property
    def summary(self) -> str:
        """Say in words what it would do, without any value."""
        if not self.size:
            return "Terraform changes nothing."
        named = [f"{each.word} {each.address[:_LONGEST_ADDRESS]}" for each in self.changes[:_MOST_NAMED]]
        if len(self.changes) > _MOST_NAMED:
            named.append(f"and does something to {len(self.changes) - _MOST_NAMED} more")
        if self.outputs:
            named.append(f"sets {self.outputs} output{'s' * (self.outputs > 1)}")
        return f"Terraform {', '.join(named)}."


def read_plan(text: str) -> Plan:
    """Read what `terraform show -json` says of a plan. Raises PlanFailed for what is not understood, or no plan."""
    try:
        given = loads(text)
    except JSONDecodeError as error:
        raise PlanFailed("The plan's JSON cannot be read. Look into the log of the plan's build.") from error
    form = given.get("format_version", "") if isinstance(given, dict) else ""
    if not str(form).startswith(_FORMAT):
        raise PlanFailed(
            f"The plan's JSON has the format {form!r}, and Runback knows {_FORMAT}x. Set an older terraform_version."
        )
    if given.get("errored"):
        raise PlanFailed("Terraform found errors while it planned. Look into the log of the plan's build.")
    changes = tuple(_changes(given.get("resource_changes", ())))
    outputs = [each for each in given.get("output_changes", {}).values() if set(each["actions"]) - _IDLE]
    return Plan(changes, len(outputs))


def _changes(given: Any) -> Iterator[Change]:  # noqa: ANN401  a part of Terraform's JSON
    for each in given:
        change = each["change"]
        moved = "previous_address" in each or "importing" in change
        if set(change["actions"]) <= _IDLE and not (moved and each["mode"] == "managed"):
            continue
        yield Change(
            each["address"],
            each["type"],
            tuple(change["actions"]),
            change.get("before") or {},
            change.get("after") or {},
        )


def require_harmless(plan: Plan, settings: InfrastructureSettings) -> None:
    """Let a plan pass that touches nothing of Runback's, and destroys nothing that is not named. Raises PlanRefused."""
    reasons = [reason for each in plan.changes for reason in _reasons(each, settings)]
    if reasons:
        raise PlanRefused(" ".join(reasons))


def _reasons(change: Change, settings: InfrastructureSettings) -> Iterator[str]:
    """Say what speaks against a change, in whole sentences, each with its remedy."""
    named = change.address[:_LONGEST_ADDRESS]
    if unknown := sorted(set(change.actions) - _KNOWN):
        yield (
            f"The plan does {', '.join(unknown)} to {named}, which Runback does not know: set an older"
            f" terraform_version."
        )
    if set(change.actions) <= _IDLE:
        return
    if change.type in _TRAFFIC:
        yield (
            f"The plan {change.word} {named}, which divides traffic or runs the versions: apply that by hand, in a"
            f" maintenance window, or let Terraform ignore what Runback changes (lifecycle.ignore_changes)."
        )
    elif change.type.startswith(_SECRETS) and _names(change) & settings.protected:
        yield (
            f"The plan {change.word} {named}, which the application or a check connects with: apply that by hand, in a"
            f" maintenance window."
        )
    if change.type in _DATABASES and (change.destroys or _is_renamed(change)):
        what = change.word if change.destroys else "renames"
        yield f"The plan {what} {named}, a database: no release may. Change the configuration so that it stays."
    elif change.destroys and not _is_listed(change.address, settings.may_destroy):
        yield (
            f"The plan {change.word} {named}, which may_destroy in the table [infrastructure] does not name: add it"
            f" there if it may go, or keep it in the configuration."
        )


def _names(change: Change) -> set[str]:
    """Return all that says which secret or parameter is meant, before or after."""
    return {
        value
        for state in (change.before, change.after)
        for value in (state.get(name) for name in _NAMES_A_SECRET)
        if isinstance(value, str)
    }


def _is_renamed(change: Change) -> bool:
    """Another identifier is another host name, and whoever knows the old one finds nobody."""
    before, after = ([state.get(name) for name in _IDENTIFIERS] for state in (change.before, change.after))
    return "update" in change.actions and before != after


def _is_listed(address: str, listed: tuple[str, ...]) -> bool:
    """Say whether an address is named, or the module or the resource that it belongs to, as `-target` takes them."""
    return any(address == each or address.startswith((f"{each}.", f"{each}[")) for each in listed)
