"""
Whether AWS would have taken the requests of a rehearsal: by its model of the services, and by our own policies.

moto enforces neither, so every logged request is judged afterwards. See `policies` for what this does not prove.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.elbv2.models import elbv2_backends

from rehearsal.account import Account
from rehearsal.engine import needs
from rehearsal.engine.calls import ROLE_KEY, Call
from rehearsal.engine.needs import Need, UnknownNeeds, needs_of
from rehearsal.engine.policies import Principal, principals
from rehearsal.engine.shapes import violations

_ENDPOINT = "aws:SourceVpce"


@dataclass(frozen=True)
class Judgement:
    """
    What was found in the requests of one rehearsal.

    `judged` counts the requests of our functions, machines and rules; `used_actions` are the IAM actions that these
    needed, by their name without service and environment. Each finding stands once, with the first call that it is of.
    """

    judged: int
    denied: list[str]
    malformed: list[str]
    used_actions: dict[str, list[str]]


def judge_for(account: Account) -> "Judge":
    """Read the policies of the account's stack. Raises UnsupportedTemplate where they cannot be understood."""
    settings = account.settings
    prefix = f"{settings.prefix}-"
    others = {f"{each.settings.prefix}-": each.settings.endpoints for each in account.beside.values()}
    return Judge(principals(account.whole), _Described(account), settings.endpoints, prefix, others)


@dataclass(frozen=True)
class Judge:
    """
    Knows who may do what. `endpoints` are the VPC's, id by service: a function in the VPC comes through them.

    `prefix` is what all names in the environment begin with; `others` are the endpoints of other environments, by
    theirs.
    """

    principals: Mapping[str, Principal]
    account: needs.Account
    endpoints: Mapping[str, str]
    prefix: str = ""
    others: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    _refusals: dict[tuple[Any, ...], str] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What was asked before, because most requests of a rehearsal repeat an earlier one."""

    def of(self, calls: Iterable[Call]) -> Judgement:
        """Judge these calls."""
        made = list(calls)
        ours = [(call, self._needs(call)) for call in made if call.access_key.startswith(ROLE_KEY)]
        return Judgement(
            judged=len(ours),
            denied=_once((call, finding) for call, needed in ours for finding in self._denied(call, needed)),
            malformed=_once((call, finding) for call in made for finding in self._malformed(call)),
            used_actions=self._used(ours),
        )

    def _denied(self, call: Call, needed: list[Need] | UnknownNeeds) -> Iterator[str]:
        principal = self.principals.get(call.access_key)
        if principal is None:
            yield f"{_named(call)} was signed by nobody in the stack"
            return
        if isinstance(needed, UnknownNeeds):
            yield f"{self._who(call)}: {needed}"
            return
        for need in needed:
            if refusal := self._refusal(principal, need, self._context(call, principal)):
                yield f"{self._who(call)}: {_named(call)} needs {_shown(need)}, {refusal}"

    def _refusal(self, principal: Principal, need: Need, context: Mapping[str, str]) -> str:
        about = (*sorted(need.context.items()), *sorted(context.items()))
        asked = (principal.name, need.action, need.resource, about)
        if asked not in self._refusals:
            self._refusals[asked] = principal.refusal(need, context)
        return self._refusals[asked]

    def _malformed(self, call: Call) -> Iterator[str]:
        for violation in violations(call.service, call.action, call.parameters):
            yield f"{self._who(call)}: {_named(call)}: {violation}"

    def _used(self, ours: Iterable[tuple[Call, list[Need] | UnknownNeeds]]) -> dict[str, list[str]]:
        used: dict[str, set[str]] = defaultdict(set)
        for call, needed in ours:
            if not isinstance(needed, UnknownNeeds):  # which is a finding of its own
                used[self._who(call)] |= {need.action for need in needed}
        return {name: sorted(actions) for name, actions in sorted(used.items())}

    def _needs(self, call: Call) -> list[Need] | UnknownNeeds:
        try:
            return needs_of(call.service, call.action, call.parameters, self.account)
        except UnknownNeeds as unknown:
            return unknown

    def _context(self, call: Call, principal: Principal) -> dict[str, str]:
        others = (endpoints for prefix, endpoints in self.others.items() if principal.name.startswith(prefix))
        endpoint = next(others, self.endpoints).get(call.service) if principal.in_vpc else None
        return {_ENDPOINT: endpoint} if endpoint else {}

    def _who(self, call: Call) -> str:
        principal = self.principals.get(call.access_key)
        return principal.name.removeprefix(self.prefix) if principal else "the rehearsal itself"


class _Described:
    """The account, as it describes itself to who asks."""

    def __init__(self, account: Account) -> None:
        self.region, self.account = account.settings.region, account.settings.account
        self._ec2, self._iam = account.client("ec2"), account.client("iam")
        self._known: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._tags: dict[str, Mapping[str, str]] = {}
        account.calls.add_interceptor(self._note_tags)

    def launch_template_data(self, template_id: str, version: str) -> Mapping[str, Any]:
        if (template_id, version) not in self._known:
            found = self._ec2.describe_launch_template_versions(LaunchTemplateId=template_id, Versions=[version])
            self._known[template_id, version] = found["LaunchTemplateVersions"][0]["LaunchTemplateData"]
        return self._known[template_id, version]

    def role_of_profile(self, profile: Mapping[str, str]) -> str:
        name = profile.get("Name") or profile["Arn"].rpartition("/")[2]
        found = self._iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Roles"]
        return str(found[0]["Arn"])

    def tags_of_rule(self, arn: str) -> Mapping[str, str]:
        return self._tags.get(arn, {})

    def _note_tags(self, call: Call) -> None:
        """Remember how a rule is tagged that is about to be deleted: afterwards nobody knows."""
        if (call.service, call.action) == ("elbv2", "DeleteRule"):
            tagging = elbv2_backends[self.account][self.region].tagging_service
            arn = call.parameters["RuleArn"]
            self._tags[arn] = tagging.get_tag_dict_for_resource(arn)


def _named(call: Call) -> str:
    return f"{call.service}:{call.action}"


def _shown(need: Need) -> str:
    return need.action if need.resource == needs.NO_RESOURCE else f"{need.action} on {need.resource}"


def _once(found: Iterable[tuple[Call, str]]) -> list[str]:
    first: dict[str, int] = {}
    for call, text in found:
        first.setdefault(text, call.number)
    return [f"{text} (call {number})" for text, number in first.items()]
