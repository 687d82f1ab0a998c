"""
How what ships is changed on purpose: in a function's source, a machine's states, a rule, or a function's variable.

A change is deployed into a copy of an account that was built from a cloud assembly, before anything has happened there.
One that does not find in the assembly what it changes raises NotThere: a mistake that is not built in proves nothing.
"""

import ast
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from rehearsal.account import Account
from rehearsal.engine.sandbox import FunctionVersion
from rehearsal.settings import Settings

States = dict[str, dict[str, Any]]
"""The states of a machine by name, as Amazon States Language has them."""

_FUNCTION, _MACHINE, _RULE = "AWS::Lambda::Function", "AWS::StepFunctions::StateMachine", "AWS::Events::Rule"


class NotThere(Exception):
    """What was to be changed is not in what ships."""


class Change(Protocol):
    """A change of what ships."""

    def require(self, assembly: Path, settings: Settings) -> None:
        """Look whether the assembly has what is to be changed. Raises NotThere."""
        ...

    def deploy(self, account: Account, folder: Path) -> None:
        """Let the account, in which nothing has happened yet, be so; `folder` receives files. Raises NotThere."""
        ...


@dataclass(frozen=True)
class Source:
    """Text in a file of the functions, such as "lambdas/traffic/rules.py", that is there once and becomes another."""

    file: str
    text: str
    becomes: str

    def require(self, assembly: Path, settings: Settings) -> None:
        """Look at the file in every asset that has it: functions share their code, each environment has a copy."""
        del settings
        found = [path for path in (asset / self.file for asset in sorted(assembly.glob("asset.*"))) if path.exists()]
        if not found:
            raise NotThere(f"no asset of {assembly} has {self.file}")
        for path in found:
            self._changed(path)

    def deploy(self, account: Account, folder: Path) -> None:
        """Link the code of the functions elsewhere, but for this file, and deploy it from there."""
        elsewhere: dict[Path, Path] = {}

        def changed(version: FunctionVersion) -> FunctionVersion:
            here = version.code_dir
            if not (here / self.file).exists():
                return version
            if here not in elsewhere:
                elsewhere[here] = self._copied(here, folder / f"code-{len(list(folder.glob('code-*')))}")
            return replace(version, code_dir=elsewhere[here])

        account.functions.redeploy(changed)
        if not elsewhere:
            raise NotThere(f"no function of the account has {self.file}")

    def _copied(self, here: Path, there: Path) -> Path:
        text = self._changed(here / self.file)
        shutil.copytree(here, there, copy_function=os.link)
        changed = there / self.file
        changed.unlink()  # it is a link to what ships
        changed.write_text(text, encoding="utf-8")
        return there

    def _changed(self, path: Path) -> str:
        text = path.read_text(encoding="utf-8")
        if text.count(self.text) != 1:
            raise NotThere(f"{self.file} has this {text.count(self.text)} times, not once:\n{self.text}")
        changed = text.replace(self.text, self.becomes)
        try:
            ast.parse(changed)
        except SyntaxError as error:  # whatever came of it would be taken for the mistake
            raise NotThere(f"{self.file} would be no Python any more: {error}") from error
        return changed


@dataclass(frozen=True)
class Redrawn:
    """A machine, such as "deploy", whose states `redraw` changes in place."""

    machine: str
    redraw: Callable[[States], None]

    def require(self, assembly: Path, settings: Settings) -> None:
        """Draw the machine of the template anew."""
        self._redrawn(json.loads(_definition(_named(assembly, settings, _MACHINE, "StateMachineName", self.machine))))

    def deploy(self, account: Account, folder: Path) -> None:
        """Give the machine in the account its new states."""
        del folder
        states, arn = account.client("stepfunctions"), account.stack.state_machine(self.machine)
        found = states.describe_state_machine(stateMachineArn=arn)["definition"]
        states.update_state_machine(stateMachineArn=arn, definition=json.dumps(self._redrawn(json.loads(found))))

    def _redrawn(self, definition: dict[str, Any]) -> dict[str, Any]:
        before = deepcopy(definition)
        try:
            self.redraw(definition["States"])
        except (KeyError, ValueError) as error:
            raise NotThere(f"machine {self.machine} has no {error}") from error
        if definition == before:
            raise NotThere(f"machine {self.machine} is so already")
        return definition


@dataclass(frozen=True)
class WithoutRule:
    """A rule of EventBridge, such as "watchdog", that is left out."""

    rule: str

    def require(self, assembly: Path, settings: Settings) -> None:
        """Look for it in the template."""
        _named(assembly, settings, _RULE, "Name", self.rule)

    def deploy(self, account: Account, folder: Path) -> None:
        """Delete it."""
        del folder
        events, name = account.client("events"), f"{account.settings.prefix}-{self.rule}"
        if name not in {rule["Name"] for rule in events.list_rules()["Rules"]}:
            raise NotThere(f"there is no rule {name}")
        targets = [target["Id"] for target in events.list_targets_by_rule(Rule=name)["Targets"]]
        events.remove_targets(Rule=name, Ids=targets)
        events.delete_rule(Name=name)


@dataclass(frozen=True)
class Variable:
    """A field of a variable of a function, which is JSON, that gets another value."""

    function: str
    variable: str
    field: str
    value: Any

    def require(self, assembly: Path, settings: Settings) -> None:
        """Look for it in the template."""
        found = _named(assembly, settings, _FUNCTION, "FunctionName", self.function)
        self._changed(found["Environment"]["Variables"])

    def deploy(self, account: Account, folder: Path) -> None:
        """Deploy the function with it."""
        del folder
        name = account.stack.function(self.function)

        def changed(version: FunctionVersion) -> FunctionVersion:
            if version.name != name:
                return version
            return replace(version, environment=self._changed(version.environment))

        account.functions.redeploy(changed)

    def _changed(self, variables: Mapping[str, str]) -> dict[str, str]:
        before = json.loads(variables.get(self.variable, "{}"))
        if before.get(self.field, self.value) == self.value:
            raise NotThere(f"{self.function} has no other {self.field} in {self.variable}")
        return {**variables, self.variable: json.dumps({**before, self.field: self.value})}


# -- what machines are redrawn by


def left_out(state: str, result: Any = None) -> Callable[[States], None]:
    """Let a state do nothing, and say this; whatever it caught, nothing fails any more."""

    def redraw(states: States) -> None:
        was = states[state]
        kept = {name: was[name] for name in ("Next", "End", "ResultPath") if name in was}
        states[state] = {"Type": "Pass", **({"Result": result} if result is not None else {}), **kept}

    return redraw


def uncaught(state: str) -> Callable[[States], None]:
    """Let what fails in a state end the execution."""

    def redraw(states: States) -> None:
        del states[state]["Catch"]

    return redraw


# -- what an assembly has


def _named(assembly: Path, settings: Settings, kind: str, key: str, name: str) -> dict[str, Any]:
    """Return the properties of the resource of a kind that has this name, after those of service and environment."""
    whole = f"{settings.prefix}-{name}"
    for stack in _stacks(settings):
        template = json.loads((assembly / f"{stack}.template.json").read_text(encoding="utf-8"))
        for resource in template["Resources"].values():
            if resource["Type"] == kind and resource["Properties"].get(key) == whole:
                found: dict[str, Any] = resource["Properties"]
                return found
    raise NotThere(f"the template of {settings.environment} has no {kind} {whole}")


def _stacks(settings: Settings) -> Iterator[str]:
    yield settings.stack_name
    if settings.ingress:
        yield settings.ingress.stack_name


def _definition(machine: Mapping[str, Any]) -> str:
    """Return a machine's definition with "…" for what CloudFormation fills in."""
    parts = machine["DefinitionString"]["Fn::Join"][1]
    return "".join(part if isinstance(part, str) else "…" for part in parts)
