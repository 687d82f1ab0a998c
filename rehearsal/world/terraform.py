"""
Terraform without providers: what each commit describes, what there is, and the way from one to the other.

Plans have the form of `terraform show -json`, format 1.2, as Terraform 1.11 writes it; a test compares the two. What it
plans is a whole resource at a time: no expression is evaluated, nothing depends on anything, and nothing is read again.
https://developer.hashicorp.com/terraform/internals/json-format
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

TERRAFORM_VERSION = "1.11.4"

Values = Mapping[str, Any]
Resources = Mapping[str, Values]
"""By address, the arguments of a resource as the configuration gives them, or all of its attributes in a state."""

SENSITIVE = frozenset({"password", "secret_string"})
"""Attributes that Terraform shows to nobody, but writes into plans and states as they are."""
REPLACED_FOR = {
    "aws_db_instance": {"identifier", "engine", "storage_encrypted", "availability_zone"},
    "aws_lb_target_group": {"name", "port", "protocol"},
    "aws_sqs_queue": {"name"},
    "terraform_data": {"triggers_replace"},
}
"""Arguments that no resource of a type can change: another takes its place."""
_PROVIDER, _BUILT_IN = "registry.terraform.io/hashicorp/aws", "terraform.io/builtin/terraform"
_ADDRESS = re.compile(r"(?:(?P<module>.+)\.)?(?P<type>[a-z][a-z0-9_]*)\.(?P<name>[\w-]+)(?:\[(?P<index>.+)\])?")

NO_OP, CREATE, UPDATE, DELETE, REPLACE = ["no-op"], ["create"], ["update"], ["delete"], ["delete", "create"]


class TerraformFailed(Exception):
    """What Terraform says when it cannot go on."""


class StalePlan(TerraformFailed):
    """What it says of a plan that was made for another state."""

    def __init__(self) -> None:
        super().__init__(
            "Error: Saved plan is stale\n\nThe given plan file can no longer be applied because the state was changed"
            " by another operation after the plan was created."
        )


@dataclass(frozen=True)
class Change:
    """What is to become of a resource. `before` is None for a new one, `after` for one that goes."""

    address: str
    actions: list[str]
    before: Values | None
    after: Values | None
    replace_for: tuple[str, ...] = ()

    @property
    def type(self) -> str:
        """What kind of resource it is."""
        return _parts(self.address)["type"]

    @property
    def changes(self) -> bool:
        """Say whether there is anything to do."""
        return self.actions != NO_OP


@dataclass(frozen=True)
class Plan:
    """`file` is what `terraform plan -out` writes, which nobody but Terraform reads; `shown` what `show -json` says."""

    file: bytes
    shown: Values
    changes: tuple[Change, ...]


@dataclass
class Terraform:
    """
    One working directory, with everything there that `base` describes.

    `commits` says what the configuration of a commit has else: arguments of a resource by address, or None where it has
    no such resource. `change_seconds` is what each change takes, simulated; `fails_at` are addresses at which the
    provider refuses whatever is asked of it.
    """

    base: Resources
    commits: Mapping[str, Mapping[str, Values | None]] = field(default_factory=dict)
    variables: Values = field(default_factory=dict)
    fails_at: set[str] = field(default_factory=set)
    change_seconds: float = 10.0
    serial: int = 1
    state: dict[str, Values] = field(init=False)
    applied: list[Change] = field(init=False, default_factory=list)
    """Every change that an apply has made, whichever it was."""

    def __post_init__(self) -> None:
        """Begin with everything there that the base describes."""
        self.state = {address: _known(address, given) for address, given in self.base.items()}

    def configuration(self, commit: str) -> Resources:
        """Return what a commit describes."""
        described = dict(self.base)
        for address, given in self.commits.get(commit, {}).items():
            described.pop(address, None)
            if given is not None:
                described[address] = {**self.base.get(address, {}), **given}
        return described

    def is_at(self, commit: str, *targets: str) -> bool:
        """Say whether all there is, or all in the targets, is as a commit describes it."""
        return not any(each.changes for each in self._changes(commit, targets))

    def change_by_hand(self, address: str, **arguments: Any) -> None:
        """Change a resource as somebody does who runs Terraform on his own machine."""
        self._put(address, {**self.state.get(address, {}), **arguments})

    # -- what its commands do

    def plan(self, commit: str, targets: tuple[str, ...], timestamp: str) -> Plan:
        """Do `terraform plan -out`, with `-target` for each target."""
        changes = tuple(self._changes(commit, targets))
        shown = self._shown(changes, targets, timestamp)
        todo = [[each.address, each.actions, each.before, each.after] for each in changes if each.changes]
        return Plan(json.dumps({"serial": self.serial, "changes": todo, "shown": shown}).encode(), shown, changes)

    @staticmethod
    def show(file: bytes) -> Values:
        """Do `terraform show -json` with a plan's file: always the same of the same."""
        shown: Values = json.loads(file)["shown"]
        return shown

    def apply(self, file: bytes) -> Iterator[Change]:
        """
        Do `terraform apply` with a plan's file: yields each change, which is made once the next one is asked for.

        Raises StalePlan, and TerraformFailed in the midst: what was made until then stays.
        """
        plan = json.loads(file)
        if plan["serial"] != self.serial:
            raise StalePlan
        for address, actions, before, after in plan["changes"]:
            change = Change(address, actions, before, after)
            yield change
            if address in self.fails_at:
                raise TerraformFailed(f"Error: waiting for {address}: unexpected state 'failed', wanted target 'ready'")
            self._put(address, after)
            self.applied.append(change)

    # -- inside

    def _put(self, address: str, after: Values | None) -> None:
        """Every write of the state is another serial."""
        self.serial += 1
        if after is None:
            self.state.pop(address, None)
        else:
            self.state[address] = _known(address, after)

    def _changes(self, commit: str, targets: tuple[str, ...]) -> Iterator[Change]:
        wanted = self.configuration(commit)
        for address in sorted(self.state.keys() | wanted.keys()):
            if targets and not any(_is_in(address, target) for target in targets):
                continue
            yield _change(address, self.state.get(address), wanted.get(address))

    def _shown(self, changes: tuple[Change, ...], targets: tuple[str, ...], timestamp: str) -> Values:
        after = {each.address: each.after for each in changes if each.after is not None}
        return {
            "format_version": "1.2",
            "terraform_version": TERRAFORM_VERSION,
            "variables": {name: {"value": value} for name, value in self.variables.items()},
            "planned_values": {"root_module": _module(after)},
            "resource_changes": [_shown(each) for each in changes],
            "prior_state": {
                "format_version": "1.0",
                "terraform_version": TERRAFORM_VERSION,
                "values": {"root_module": _module(self.state)},
            },
            "configuration": {"root_module": {}},
            "timestamp": timestamp,
            "applyable": any(each.changes for each in changes),
            "complete": not targets,
            "errored": False,
        }


def _change(address: str, there: Values | None, wanted: Values | None) -> Change:
    if there is None:
        return Change(address, CREATE, None, wanted)
    if wanted is None:
        return Change(address, DELETE, there, None)
    other = sorted(name for name in wanted if there.get(name) != wanted[name])
    gone = sorted(there.keys() - wanted.keys() - _known(address, {}).keys())
    fixed = tuple(name for name in other if name in REPLACED_FOR.get(_parts(address)["type"], ()))
    after = {name: value for name, value in {**there, **wanted}.items() if name not in gone}
    if fixed:
        return Change(address, REPLACE, there, dict(wanted), fixed)
    return Change(address, UPDATE if other or gone else NO_OP, there, after)


def _known(address: str, given: Values) -> dict[str, Any]:
    """Return the attributes of a resource that is there: AWS has given it an id."""
    return {"id": hashlib.sha256(address.encode()).hexdigest()[:17], **given}


def _shown(change: Change) -> dict[str, Any]:
    details: dict[str, Any] = {
        "actions": change.actions,
        "before": change.before,
        "after": change.after,
        "after_unknown": {"id": True} if "create" in change.actions else False if change.after is None else {},
        "before_sensitive": _marks(change.before),
        "after_sensitive": _marks(change.after),
    }
    shown = {**_head(change.address), "change": details}
    if change.replace_for:
        details["replace_paths"] = [[name] for name in change.replace_for]
        shown["action_reason"] = "replace_because_cannot_update"
    elif change.actions == DELETE:
        shown["action_reason"] = "delete_because_no_resource_config"
    return shown


def _marks(values: Values | None) -> Any:
    return False if values is None else {name: True for name in values if name in SENSITIVE}


def _head(address: str) -> dict[str, Any]:
    parts = _parts(address)
    head: dict[str, Any] = {"address": address}
    if parts["module"]:
        head["module_address"] = parts["module"]
    head |= {"mode": "managed", "type": parts["type"], "name": parts["name"]}
    if parts["index"]:
        head["index"] = json.loads(parts["index"])
    return {**head, "provider_name": _BUILT_IN if parts["type"] == "terraform_data" else _PROVIDER}


def _module(resources: Resources) -> dict[str, Any]:
    """Return the resources as a state has them: each under its module."""
    modules: dict[str, list[dict[str, Any]]] = {}
    for address, values in sorted(resources.items()):
        head = _head(address)
        module = head.pop("module_address", "")
        one = {**head, "schema_version": 0, "values": dict(values), "sensitive_values": _marks(values)}
        modules.setdefault(module, []).append(one)
    root: dict[str, Any] = {"resources": modules.pop("")} if "" in modules else {}
    if modules:
        root["child_modules"] = [{"resources": each, "address": name} for name, each in modules.items()]
    return root


def _parts(address: str) -> Mapping[str, str]:
    found = _ADDRESS.fullmatch(address)
    assert found is not None, f"{address} is no address of a resource"
    return found.groupdict()


def _is_in(address: str, target: str) -> bool:
    return address == target or address.startswith((f"{target}.", f"{target}["))
