"""One synthesized stack made real in the pretend account, resource by resource, through boto3."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import boto3

from rehearsal.engine.functions import FunctionService
from rehearsal.engine.intrinsics import Intrinsics, references, unknown_intrinsics
from rehearsal.engine.resources import RESOURCE_TYPES, Assets, Created, Maker, Wanted

SECTIONS = {"Resources", "Outputs", "Parameters", "Conditions", "Metadata", "Description", "AWSTemplateFormatVersion"}
IGNORED_SECTIONS = {"Rules": "checks the version of the CDK bootstrap stack, which the pretend account does not have"}
RESOURCE_KEYS = {"Type", "Properties", "DependsOn", "Condition"}
IGNORED_RESOURCE_KEYS = {
    "Metadata": "for people and tools",
    "DeletionPolicy": "a rehearsal deletes nothing",
    "UpdateReplacePolicy": "a rehearsal replaces nothing",
}
NO_VALUE = object()


class UnsupportedTemplate(Exception):
    """The template holds what the rehearsal cannot make real; leaving it out would rehearse something else."""


@dataclass(frozen=True)
class Resource:
    """What CloudFormation would list: `physical_id` is what Ref gives, `attributes` what GetAtt gives."""

    logical_id: str
    type: str
    physical_id: str
    attributes: Mapping[str, Any]
    properties: Mapping[str, Any]
    """As the template says them, with every intrinsic function resolved."""


@dataclass(frozen=True)
class Stack:
    """A stack as it was created, and the proof of which template it came from."""

    name: str
    sha256: str
    """Of the template file's bytes: what was rehearsed is what ships."""
    resources: Mapping[str, Resource]
    outputs: Mapping[str, Any]

    def find(self, resource_type: str, suffix: str = "") -> Resource:
        """
        The one resource of a type whose physical id ends so, with or without a leading hyphen.

        Raises LookupError if there is none, or more than one.
        """
        found = [r for r in self.resources.values() if r.type == resource_type and _ends(r.physical_id, suffix)]
        if len(found) != 1:
            names = [resource.physical_id for resource in found]
            raise LookupError(f"{self.name} has {len(found)} resources {resource_type} named …{suffix}: {names}")
        return found[0]

    def state_machine(self, suffix: str) -> str:
        """ARN of the machine whose name ends so: `deploy`, `rollback`."""
        return self.find("AWS::StepFunctions::StateMachine", suffix).physical_id

    def function(self, suffix: str) -> str:
        """Name of the function whose name ends so: `claim-environment`."""
        return self.find("AWS::Lambda::Function", suffix).physical_id

    def topic(self, suffix: str = "") -> str:
        """ARN of the topic."""
        return self.find("AWS::SNS::Topic", suffix).physical_id

    def table(self, suffix: str = "") -> str:
        """Name of the table, whichever of its two types CDK gave it."""
        types = {resource.type for resource in self.resources.values()}
        kind = "GlobalTable" if "AWS::DynamoDB::GlobalTable" in types else "Table"
        return self.find(f"AWS::DynamoDB::{kind}", suffix).physical_id


def load(assembly: Path, stack_name: str, functions: FunctionService, *, session: boto3.Session) -> Stack:
    """
    Create everything that `<stack_name>.template.json` in a cdk.out folder describes, in dependency order.

    Raises UnsupportedTemplate, before anything is created, for an unknown type, property, function or section.
    """
    text = (assembly / f"{stack_name}.template.json").read_bytes()
    template = json.loads(text)
    check(template)
    account = session.client("sts").get_caller_identity()["Account"]
    assets = Assets.read(assembly, stack_name)
    maker = Maker(stack_name, session, functions, assets, account, str(session.region_name))
    return _Loading(template, maker).finished(stack_name, hashlib.sha256(text).hexdigest())


def together(stacks: Iterable[Stack]) -> Stack:
    """
    Return several stacks of one account as if they were one, for who asks nothing but what there is.

    A logical id has its stack's name in front there.
    """
    every = tuple(stacks)
    return Stack(
        name=", ".join(each.name for each in every),
        sha256=hashlib.sha256("".join(each.sha256 for each in every).encode()).hexdigest(),
        resources={f"{each.name}/{name}": resource for each in every for name, resource in each.resources.items()},
        outputs={f"{each.name}/{name}": value for each in every for name, value in each.outputs.items()},
    )


def check(template: Mapping[str, Any]) -> None:
    """Raise UnsupportedTemplate naming every part that the rehearsal does not know."""
    unknown = [f"section {section}" for section in template.keys() - SECTIONS - IGNORED_SECTIONS.keys()]
    for logical_id, definition in template.get("Resources", {}).items():
        properties = definition.get("Properties", {})
        keys = definition.keys() - RESOURCE_KEYS - IGNORED_RESOURCE_KEYS.keys()
        unknown.extend(f"{logical_id}: {key}" for key in keys)
        unknown.extend(f"{logical_id}: intrinsic function {name}" for name in unknown_intrinsics(properties))
        resource_type = RESOURCE_TYPES.get(definition["Type"])
        if resource_type is None:
            unknown.append(f"{logical_id}: type {definition['Type']}")
            continue
        lost = properties.keys() - resource_type.known
        unknown.extend(f"{logical_id}: property {name} of {definition['Type']}" for name in lost)
    if unknown:
        raise UnsupportedTemplate("The rehearsal does not know " + "; ".join(sorted(unknown)))


class _Loading:
    """The template while it is being made real: what exists so far, by logical id."""

    def __init__(self, template: Mapping[str, Any], maker: Maker) -> None:
        self._template = template
        self._maker = maker
        self._created: dict[str, Created] = {}
        self._properties: dict[str, Mapping[str, Any]] = {}
        self._pseudo_parameters = {
            "AWS::AccountId": maker.account,
            "AWS::NoValue": NO_VALUE,
            "AWS::Partition": "aws",
            "AWS::Region": maker.region,
            "AWS::StackId": f"arn:aws:cloudformation:{maker.region}:{maker.account}:stack/{maker.stack_name}/rehearsal",
            "AWS::StackName": maker.stack_name,
            "AWS::URLSuffix": "amazonaws.com",
        }
        conditions = template.get("Conditions", {})
        self._intrinsics = Intrinsics(self._ref, self._attribute, conditions, NO_VALUE)

    def finished(self, name: str, sha256: str) -> Stack:
        definitions = self._wanted_definitions()
        for logical_id in self._in_order(definitions):
            self._create(logical_id, definitions[logical_id])
        resources = {
            logical_id: Resource(
                logical_id,
                definitions[logical_id]["Type"],
                made.physical_id,
                made.attributes,
                self._properties[logical_id],
            )
            for logical_id, made in self._created.items()
        }
        outputs = {key: self._intrinsics.resolve(output["Value"]) for key, output in self._wanted_outputs().items()}
        return Stack(name, sha256, resources, outputs)

    def _wanted_definitions(self) -> dict[str, Any]:
        return {
            logical_id: definition
            for logical_id, definition in self._template["Resources"].items()
            if "Condition" not in definition or self._intrinsics.holds(definition["Condition"])
        }

    def _wanted_outputs(self) -> dict[str, Any]:
        outputs: dict[str, Any] = self._template.get("Outputs", {})
        return {k: o for k, o in outputs.items() if "Condition" not in o or self._intrinsics.holds(o["Condition"])}

    @staticmethod
    def _in_order(definitions: Mapping[str, Any]) -> list[str]:
        needs: dict[str, list[str]] = {}
        for logical_id, definition in definitions.items():
            explicit = definition.get("DependsOn", [])
            named = {explicit} if isinstance(explicit, str) else set(explicit)
            named |= references(definition.get("Properties", {}))
            needs[logical_id] = sorted(named & definitions.keys())
        return list(TopologicalSorter(needs).static_order())

    def _create(self, logical_id: str, definition: Mapping[str, Any]) -> None:
        properties = self._properties[logical_id] = self._intrinsics.resolve(definition.get("Properties", {}))
        resource_type = RESOURCE_TYPES[definition["Type"]]
        kept = {name: value for name, value in properties.items() if name in resource_type.handles}
        self._created[logical_id] = resource_type.create(Wanted(logical_id, kept), self._maker)

    def _ref(self, name: str) -> Any:
        if name in self._pseudo_parameters:
            return self._pseudo_parameters[name]
        if name in self._created:
            return self._created[name].physical_id
        return self._parameter(name)

    def _parameter(self, name: str) -> Any:
        """Parameters take their defaults; one of an SSM type is looked up in the account, as on AWS."""
        try:
            parameter = self._template["Parameters"][name]
            default = parameter["Default"]
        except KeyError:
            raise UnsupportedTemplate(f"{name} is neither a resource nor a parameter with a default") from None
        if parameter["Type"].startswith("AWS::SSM::Parameter::Value"):
            return self._maker.client("ssm").get_parameter(Name=default)["Parameter"]["Value"]
        return default

    def _attribute(self, logical_id: str, attribute: str) -> Any:
        try:
            return self._created[logical_id].attributes[attribute]
        except KeyError:
            raise UnsupportedTemplate(f"{logical_id} has no attribute {attribute} that the rehearsal knows") from None


def _ends(physical_id: str, suffix: str) -> bool:
    return physical_id == suffix or physical_id.endswith(("-" + suffix, ":" + suffix)) or not suffix
