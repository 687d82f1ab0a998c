"""
IAM's policy simulator, which moto does not have: it judges as `policies` does, by what the roles may do now.

Ours, and as narrow as `policies`: identity policies alone, no boundary and no organization's policy, and a context of
single texts. What is asked beyond that is refused, so that nothing is allowed by being overlooked.
https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Self

from moto.core.responses import ActionResult
from moto.iam.models import IAMBackend, Role
from moto.iam.responses import IamResponse

from rehearsal.engine.calls import parameters
from rehearsal.engine.needs import NO_RESOURCE, Need
from rehearsal.engine.policies import Principal, Statement, read
from rehearsal.world.overlay import Overlay

_KNOWN = {"PolicySourceArn", "ActionNames", "ResourceArns", "ContextEntries", "MaxItems", "Marker"}
_MOST_RESULTS = 100
"""Of a page, where MaxItems does not say otherwise."""

Parameters = Mapping[str, Any]


class PolicySimulator:
    """Answers SimulatePrincipalPolicy while its context is open."""

    def __init__(self) -> None:
        self._overlay = Overlay()

    def install(self) -> None:
        """Answer what moto has no answer for; before anybody uses IAM, because a shortcut remembers what it answers."""
        self._overlay.replace(IamResponse, "simulate_principal_policy", _simulate)

    def uninstall(self) -> None:
        """Give IAM back to moto."""
        self._overlay.uninstall()

    def __enter__(self) -> Self:
        self.install()
        return self

    def __exit__(self, *_: object) -> None:
        self.uninstall()


def _simulate(response: IamResponse) -> ActionResult:
    asked = parameters(response, "iam", "SimulatePrincipalPolicy")
    principal = Principal(asked["PolicySourceArn"], tuple(_statements(response.backend, asked["PolicySourceArn"])))
    return ActionResult(simulate(principal, asked))


def simulate(principal: Principal, asked: Parameters) -> dict[str, Any]:
    """Answer as AWS does: every action on every resource, in pages."""
    if unknown := asked.keys() - _KNOWN:
        raise NotImplementedError(f"the rehearsal's policy simulator does not know {sorted(unknown)}")
    context = dict(map(_entry, asked.get("ContextEntries", [])))
    results = [
        {
            "EvalActionName": action,
            "EvalResourceName": resource,
            "EvalDecision": principal.decision(Need(action, resource), context),
            "MatchedStatements": [],
            "MissingContextValues": [],
        }
        for action in asked["ActionNames"]
        for resource in asked.get("ResourceArns") or [NO_RESOURCE]
    ]
    first = int(asked.get("Marker") or 0)
    beyond = first + int(asked.get("MaxItems") or _MOST_RESULTS)
    more = {"Marker": str(beyond)} if beyond < len(results) else {}
    return {"EvaluationResults": results[first:beyond], "IsTruncated": bool(more), **more}


def _entry(given: Parameters) -> tuple[str, str]:
    (value,) = given["ContextKeyValues"]
    if given["ContextKeyType"] != "string":
        raise NotImplementedError(f"the rehearsal's policy simulator does not know a {given['ContextKeyType']}")
    return given["ContextKeyName"], value


def _statements(iam: IAMBackend, arn: str) -> Iterator[Statement]:
    """Yield what a role may do now. Raises IAM's own error when there is no such role."""
    role: Role = iam.get_role_by_arn(arn)
    managed = (
        version.document
        for policy in role.managed_policies.values()
        for version in policy.versions
        if version.version_id == policy.default_version_id
    )
    for document in (*role.policies.values(), *managed):
        yield from read(role.name, json.loads(document))
