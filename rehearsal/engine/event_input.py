"""
What an EventBridge target receives: the event, a part of it, a constant, or a filled-in template.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
"""

import json
import re
from collections.abc import Mapping
from typing import Any

Event = Mapping[str, Any]

STEP = re.compile(r"\.(?P<name>[A-Za-z0-9_/-]+)|\[(?P<index>\d+)\]")
"""EventBridge knows dot notation and array indices (and wildcards, which we do not use)."""
TOKEN = re.compile(r'(?P<escaped>\\.)|(?P<quote>")|<(?P<variable>[A-Za-z0-9_.-]+)>')
UNESCAPED = ("aws.events.event", "aws.events.event.json")
"""AWS does not escape these, so between quotes they make the input invalid."""


class InvalidInput(Exception):
    """The filled-in template is not JSON: EventBridge gives up on the delivery with INVALID_JSON."""


def target_input(target: Mapping[str, Any], event: Event, *, rule_arn: str, rule_name: str, ingestion_time: str) -> str:
    """The text handed to the target. Raises InvalidInput when a template does not fill in to JSON."""
    if "Input" in target:
        return str(target["Input"])
    if "InputPath" in target:
        return json.dumps(look_up(target["InputPath"], event))
    if "InputTransformer" not in target:
        return json.dumps(event)
    transformer = target["InputTransformer"]
    values = {name: look_up(path, event) for name, path in transformer.get("InputPathsMap", {}).items()}
    values |= {
        "aws.events.rule-arn": rule_arn,
        "aws.events.rule-name": rule_name,
        "aws.events.event.ingestion-time": ingestion_time,
        "aws.events.event": {name: value for name, value in event.items() if name != "detail"},
        "aws.events.event.json": event,
    }
    return fill_in(transformer["InputTemplate"], values)


def paths_of(target: Mapping[str, Any]) -> list[str]:
    """Every path that the target's input is made from."""
    one = [target["InputPath"]] if "InputPath" in target else []
    return one + list(target.get("InputTransformer", {}).get("InputPathsMap", {}).values())


def look_up(path: str, event: Event) -> Any:
    """The value at a path such as `$.detail.targets[0].arn`, None where the event has nothing there."""
    if not path.startswith("$") or STEP.sub("", path[1:]):
        raise NotImplementedError(f"Input path {path} is not one that the rehearsal knows")
    value: Any = event
    for step in STEP.finditer(path):
        try:
            value = value[step["name"]] if step["name"] else value[int(step["index"])]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def fill_in(template: str, values: Mapping[str, Any]) -> str:
    """
    The template with every `<variable>` replaced so that the result is JSON.

    Outside quotes a variable becomes a JSON value, and `null` if the event did not have it; between quotes it becomes
    text, and nothing if the event did not have it. A template of several quoted lines stays text.
    """
    quoted = False

    def replace(token: re.Match[str]) -> str:
        nonlocal quoted
        if token["escaped"]:
            return token[0]
        if token["quote"]:
            quoted = not quoted
            return token[0]
        name = token["variable"]
        if name not in values:
            return token[0]
        return _as_text(name, values[name]) if quoted else json.dumps(values[name])

    filled = TOKEN.sub(replace, template)
    for document in filled.splitlines() if filled.startswith('"') else [filled]:
        try:
            json.loads(document)
        except ValueError as error:
            raise InvalidInput(f"{error}: {document}") from error
    return filled


def _as_text(name: str, value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if name in UNESCAPED else json.dumps(text)[1:-1]
