"""Cloud assemblies with a safeguard taken out: what nobody would miss without it proves nothing with it."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

Template = dict[str, Any]
Change = Callable[[Template], None]

_RULE, _MACHINE = "AWS::Events::Rule", "AWS::StepFunctions::StateMachine"


def changed_assembly(assembly: Path, folder: Path, stack_name: str, *changes: Change) -> Path:
    """
    Return a copy of a cloud assembly in which one stack's template is changed; everything else is linked.

    A safeguard of the rollback that is missing is found by the release's certificate. What else would find it, is
    shown by a change that comes with `certificate_only_warns`.
    """
    folder.mkdir()
    changed = f"{stack_name}.template.json"
    for entry in assembly.iterdir():
        if entry.name != changed:
            (folder / entry.name).symlink_to(entry.resolve())
    template = json.loads((assembly / changed).read_text(encoding="utf-8"))
    for change in changes:
        change(template)
    (folder / changed).write_text(json.dumps(template), encoding="utf-8")
    return folder


def without_status_rule(template: Template) -> None:
    """Take out the rule that answers to the end of an execution with a rollback."""
    _remove_rule(template, "unfinished-execution")


def without_alarm_rule(template: Template) -> None:
    """Take out the rule that answers to a critical alarm with a rollback."""
    _remove_rule(template, "critical-alarm")


def without_watchdog(template: Template) -> None:
    """Take out the schedule that lets the watchdog look."""
    _remove_rule(template, "watchdog")


def without_push_rule(template: Template) -> None:
    """Take out the rule that hears of pushes on their bus."""
    _remove_rule(template, "pushed")


def without_reconciler(template: Template) -> None:
    """Take out the schedule that lets the branch be looked at."""
    _remove_rule(template, "reconcile")


def without_right_to_put_events(template: Template) -> None:
    """Let whoever takes webhooks put nothing on the bus."""
    for name, each in template["Resources"].items():
        if each["Type"] == "AWS::IAM::Policy" and name.startswith("WebhookRole"):
            document = each["Properties"]["PolicyDocument"]
            document["Statement"] = [one for one in document["Statement"] if one["Action"] != "events:PutEvents"]


def certificate_only_warns(template: Template) -> None:
    """Let a release begin, whatever its certificate finds."""
    (function,) = [
        each["Properties"]
        for each in template["Resources"].values()
        if each["Type"] == "AWS::Lambda::Function" and "certify-rollback" in each["Properties"]["FunctionName"]
    ]
    variables = function["Environment"]["Variables"]
    variables["CERTIFICATE"] = json.dumps({**json.loads(variables["CERTIFICATE"]), "enforce": False})


def without_settling(template: Template) -> None:
    """Let the rollback wait as long as it does, but look at nothing and correct nothing."""
    _let_pass(template, "rollback", "Settle listener", {"settled": True})


def without_waiting_for_applies(template: Template) -> None:
    """Let an abort undo what there is, whatever Terraform does meanwhile."""
    over = {"over": True, "changed": True, "reason": "Nobody has looked."}
    _let_pass(template, "rollback", "Look at applies after abort", over)


def _let_pass(template: Template, machine: str, state: str, result: dict[str, Any]) -> None:
    """Let a Task do nothing, and say this."""
    properties = _machine(template, machine)
    parts = properties["DefinitionString"]["Fn::Join"][1]
    marked = "".join(part if isinstance(part, str) else f"<part {n}>" for n, part in enumerate(parts))
    definition = json.loads(marked)
    task = definition["States"][state]
    definition["States"][state] = {
        "Type": "Pass",
        "Result": result,
        "ResultPath": task["ResultPath"],
        "Next": task["Next"],
    }
    pieces = re.split(r"<part (\d+)>", json.dumps(definition))
    properties["DefinitionString"] = {
        "Fn::Join": ["", [parts[int(piece)] if n % 2 else piece for n, piece in enumerate(pieces)]]
    }


def _remove_rule(template: Template, name: str) -> None:
    """Remove the rule whose name ends so, and the permission that refers to it."""
    resources = template["Resources"]
    rules = {rule: each["Properties"]["Name"] for rule, each in resources.items() if each["Type"] == _RULE}
    (removed,) = [rule for rule, rule_name in rules.items() if rule_name.endswith(f"-{name}")]
    del resources[removed]
    for referring in [each for each, content in resources.items() if f'"{removed}"' in json.dumps(content)]:
        del resources[referring]


def _machine(template: Template, name: str) -> dict[str, Any]:
    machines = [each["Properties"] for each in template["Resources"].values() if each["Type"] == _MACHINE]
    (properties,) = [each for each in machines if each["StateMachineName"].endswith(f"-{name}")]
    found: dict[str, Any] = properties
    return found


def policies_of(template: Template, function: str) -> list[dict[str, Any]]:
    """Return the policy statements of a function's role, actions always as a list; a function is `ClaimEnvironment`."""
    (policy,) = [
        each["Properties"]["Policies"][0]["PolicyDocument"]
        for name, each in template["Resources"].items()
        if each["Type"] == "AWS::IAM::Role" and re.fullmatch(rf"Functions{function}Role[0-9A-F]{{8}}", name)
    ]
    for statement in policy["Statement"]:
        statement["Action"] = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
    found: list[dict[str, Any]] = policy["Statement"]
    return found
