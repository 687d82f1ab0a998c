"""
Makes the documents that follow from the code: a page for each machine, and the tables in the operator guide.

`make docs` writes them, and a test compares. What a machine is comes from its reviewed definition, as production ships
it, so that nothing has to be synthesized.
"""

import ast
import inspect
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lambdas.errors import LeaseLost, RunbackError
from lambdas.notices.rules import Kind, Notice, compose

State = dict[str, Any]
States = dict[str, State]

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "docs" / "operating.md"
PAGES = ROOT / "docs" / "machines"
MACHINES = ("deploy", "rollback", "clean-up", "operate", "report", "push", "restore-database")

_LEASE_LOST = LeaseLost.__name__
_ANY_ERROR = "States.ALL"
_ANYBODY_UNDER_THE_LEASE = "any step that finds<br>the lease taken"
_FEW = 2
_MINUTE, _HOUR = 60, 3600
_CLASSES = (
    "classDef good fill:#d8f3dc,stroke:#2d6a4f,color:#1b4332",
    "classDef bad fill:#ffe3e3,stroke:#c92a2a,color:#5c0011",
    "classDef other fill:#f1f3f5,stroke:#868e96,color:#343a40,stroke-dasharray:4 3",
)


def documents() -> dict[Path, str]:
    """Return what every made document should say; of the guide only its tables are made."""
    pages = {PAGES / f"{machine}.md": _page(machine) for machine in MACHINES}
    return pages | {GUIDE: _with_tables(GUIDE.read_text(encoding="utf-8"))}


def main() -> None:
    """Write all of them."""
    for path, text in documents().items():
        path.write_text(text, encoding="utf-8")


def _with_tables(guide: str) -> str:
    for name, table in (("errors", _errors_table()), ("notices", _notices_table())):
        between = re.compile(rf"(<!-- {name}: made by `make docs` -->\n).*?(\n<!-- end of {name} -->)", re.DOTALL)
        guide, places = between.subn(lambda found, table=table: f"{found[1]}\n{table}\n{found[2]}", guide)
        if places != 1:
            raise ValueError(f"{GUIDE} has {places} places for the table of {name}")
    return guide


def _errors_table() -> str:
    """Return every error in the words of its docstring."""
    rows = ((f"`{each.__name__}`", inspect.getdoc(each) or "") for each in RunbackError.__subclasses__())
    return _table(("error", "what it means, and the way out"), rows)


def _notices_table() -> str:
    """Return every message as `compose` writes it."""
    return _table(("kind", "its subject", "its advice"), (_notice_row(kind) for kind in Kind))


def _notice_row(kind: Kind) -> tuple[str, str, str]:
    notice = Notice(kind, "<release>", reason="", execution="", commands="<commands>")
    service, environment = "<service>", "<environment>"
    message = compose(notice, service, environment)
    _, *advice, _ = message.body.split("\n\n")
    return f"`{kind.value}`", message.subject.removeprefix(f"[{service} {environment}] "), " ".join(advice)


def _page(machine: str) -> str:
    definition = json.loads(
        (ROOT / "tests/statemachines/golden" / f"production-{machine}.asl.json").read_text(encoding="utf-8")
    )
    states: States = definition["States"]
    road = _road(states, definition["StartAt"])
    aside = [name for name in states if name not in road]
    return f"""\
<!-- Made by `make docs` from tests/statemachines/golden/production-{machine}.asl.json: changes here are lost. -->

# The {machine} machine

{_promise(machine)}

The [operator guide](../operating.md) says how to start it, and what to do about each of its ends. This is the machine
as the shipped settings of production make it. An execution that takes longer than
{_duration(definition["TimeoutSeconds"])} is ended by Step Functions.

## The road

Dotted arrows are failures, of a step that has been tried as often as it may: one from a box is for every step in it.
What is dashed goes on in the other picture.

```mermaid
{_diagram(states, road)}
```

## When a step fails

```mermaid
{_diagram(states, aside)}
```

A failure that is not drawn changes nothing: the machine goes on as if the step had worked.

## The states

{_states_table(states)}
"""


def _promise(machine: str) -> str:
    """Return what module and definition of a machine say about it."""
    name = machine.replace("-", "_")
    module = ast.parse((ROOT / "statemachines" / f"{name}.py").read_text(encoding="utf-8"))
    (definition,) = [
        each for each in module.body if isinstance(each, ast.FunctionDef) and each.name == f"{name}_definition"
    ]
    title = (ast.get_docstring(module) or "").partition(": ")[2]
    return f"{title[:1].upper()}{title[1:]}\n\n{ast.get_docstring(definition)}"


def _states_table(states: States) -> str:
    rows = (
        (name, _kind(state), state["Comment"], _and_then(state), _when_it_fails(state))
        for name, state in _with_branches(states)
    )
    return _table(("state", "is", "what it does", "then", "if it fails"), rows)


def _with_branches(states: States) -> Iterator[tuple[str, State]]:
    """Yield every state by its name, and behind one that does several things at once what these are."""
    for name, state in states.items():
        yield name, state
        for branch in state.get("Branches", []):
            yield from _with_branches(branch["States"])


def _kind(state: State) -> str:
    """Say what a state is, in words that the console does not need but a reader does."""
    match state["Type"]:
        case "Task":
            parameters = state["Parameters"]
            return f"function `{parameters['FunctionName']}`" if "FunctionName" in parameters else "start of a machine"
        case "Wait":
            return f"wait, {_duration(state['Seconds'])}" if "Seconds" in state else "wait until a moment"
        case "Fail":
            return f"end, `{state['Error']}`"
        case kind:
            return {
                "Choice": "question",
                "Parallel": "several at once",
                "Pass": "note",
                "Succeed": "end, succeeded",
            }[kind]


def _and_then(state: State) -> str:
    return "; ".join(f"{label}: {then}" if label else then for label, then in _ways(state))


def _when_it_fails(state: State) -> str:
    handlers = {_error_names(catch): catch["Next"] for catch in state.get("Catch", [])}
    return "; ".join(f"{names}: {then}" for names, then in handlers.items())


def _error_names(catch: State, separator: str = ", ", quote: str = "`") -> str:
    if catch["ErrorEquals"] == [_ANY_ERROR]:
        return "any error"
    return separator.join(f"{quote}{name.rpartition('.')[2]}{quote}" for name in catch["ErrorEquals"])


def _ways(state: State) -> list[tuple[str, str]]:
    """Return where a state may lead without an error, each with its label; only a question's ways have one."""
    if state["Type"] != "Choice":
        return [("", state["Next"])] if "Next" in state else []
    rules = state["Choices"]
    if len(rules) == 1:
        return [("yes", rules[0]["Next"]), ("no", state["Default"])]
    return [(_case(rule), rule["Next"]) for rule in rules] + [("otherwise", state["Default"])]


def _case(rule: State) -> str:
    """Name a case by the text that is asked for, or by what is true, or there at all."""
    rule = rule.get("Not", rule)
    return str(rule.get("StringEquals") or rule["Variable"].rpartition(".")[2])


def _road(states: States, start: str) -> list[str]:
    """Return the states that are reached without an error, each behind one from which it is reached."""
    found: list[str] = []
    left = [start]
    while left:
        name = left.pop()
        if name not in found:
            found.append(name)
            left += [then for _, then in reversed(_ways(states[name]))]
    return found


def _failures(state: State) -> Iterator[State]:
    """Yield the Catches worth an arrow: not those that change nothing, nor the one that all have who need a lease."""
    for catch in state.get("Catch", []):
        if catch["ErrorEquals"] != [_LEASE_LOST] and catch["Next"] != state.get("Next"):
            yield catch


def _last_resort(state: State) -> str:
    """Return where any error leads that no earlier Catch takes; "" where that changes nothing."""
    return next((catch["Next"] for catch in _failures(state) if catch["ErrorEquals"] == [_ANY_ERROR]), "")


def _diagram(states: States, names: list[str]) -> str:
    """Draw some of a machine's states, what leads into them, and the next state outside of them."""
    lines = ["flowchart TD"]
    boxes = list(_boxes(states, names))
    boxed = {name for box in boxes for name in box}
    sources = list(_sources(states, names))
    lines += [f'    from{n}(["{text}"]):::other' for n, (text, _, _) in enumerate(sources)]
    for name in names:
        for n, box in enumerate(boxes):
            if name == box[0]:
                lines += [f'    subgraph box{n} [" "]', *(f"        {_node(states, each)}" for each in box), "    end"]
        if name not in boxed:
            lines.append(f"    {_node(states, name)}")
    arrows = [f"    from{n} -. {label} .-> {_id(then)}" for n, (_, label, then) in enumerate(sources)]
    arrows += _arrows(states, names, boxes)
    outside = [name for name in states if name not in names and any(each.endswith(f" {_id(name)}") for each in arrows)]
    lines += [f'    {_id(name)}(["{name}"]):::other' for name in outside]
    return "\n".join([*lines, *arrows, *(f"    {each}" for each in _CLASSES)])


def _node(states: States, name: str) -> str:
    state = states[name]
    match state["Type"]:
        case "Choice":
            return f'{_id(name)}{{"{name}"}}'
        case "Wait":
            seconds = f"<br>{_duration(state['Seconds'])}" if "Seconds" in state else ""
            return f'{_id(name)}[/"{name}{seconds}"/]'
        case "Succeed":
            return f'{_id(name)}(["{name}"]):::good'
        case "Fail":
            error = f"<br>{state['Error']}" if state["Error"] != name else ""
            return f'{_id(name)}(["{name}{error}"]):::bad'
        case _:
            return f'{_id(name)}["{name}"]'


def _boxes(states: States, names: list[str]) -> Iterator[list[str]]:
    """Yield each part of the way whose steps, two or more, all lead to the same state when they fail."""
    box: list[str] = []
    between: list[str] = []
    for name in names:
        follows = any(then == name for each in box + between for _, then in _ways(states[each]))
        resort = _last_resort(states[name])
        if box and follows and resort == _last_resort(states[box[0]]):
            box += [*between, name]
            between = []
        elif box and follows and states[name]["Type"] in {"Choice", "Wait"}:
            between.append(name)
        else:
            yield from _closed(states, box, between)
            box, between = ([name] if resort else []), []
    yield from _closed(states, box, between)


def _closed(states: States, box: list[str], behind: list[str]) -> list[list[str]]:
    """Return the box if it is worth drawing, with the questions behind it that may lead back into it."""
    if len(box) < _FEW:
        return []
    return [[*box, *(name for name in behind if any(then in box for _, then in _ways(states[name])))]]


def _arrows(states: States, names: list[str], boxes: list[list[str]]) -> list[str]:
    """Return the arrows that begin at some states; failures that a whole box shares begin at the box."""
    drawn: list[str] = []
    box_of = {name: f"box{n}" for n, box in enumerate(boxes) for name in box}
    for name in names:
        for label, then in _ways(states[name]):
            drawn.append(f"    {_id(name)} -->{f'|{label}|' if label else ''} {_id(then)}")
        for catch in _failures(states[name]):
            shared = catch["ErrorEquals"] == [_ANY_ERROR]
            begin = box_of.get(name, _id(name)) if shared else _id(name)
            drawn.append(f'    {begin} -. "{_error_names(catch, "<br>", "")}" .-> {_id(catch["Next"])}')
    return list(dict.fromkeys(drawn))


def _sources(states: States, names: list[str]) -> Iterator[tuple[str, str, str]]:
    """Yield what leads into some states from outside of them, by an error: from where, which error, and where to."""
    found: dict[tuple[str, str], list[str]] = {}
    for name in (each for each in states if each not in names):
        for catch in _failures(states[name]):
            if catch["Next"] in names:
                found.setdefault((_error_names(catch, "<br>", ""), catch["Next"]), []).append(name)
    if any(_LEASE_LOST in catch["ErrorEquals"] for state in states.values() for catch in state.get("Catch", [])):
        for name in (each for each in names if states[each].get("Error") == _LEASE_LOST):
            yield _ANYBODY_UNDER_THE_LEASE, f'"{_LEASE_LOST}"', name
    for (label, then), begins in found.items():
        yield _shortened(begins), f'"{label}"', then


def _shortened(names: list[str]) -> str:
    return "<br>".join(names if len(names) <= _FEW else [names[0], "…", names[-1]])


def _id(name: str) -> str:
    return re.sub(r"\W+", "_", name.lower()).strip("_")


def _duration(seconds: int) -> str:
    """Write a duration as a human says it: 15 s, 30 min, 2 h 25 min."""
    if seconds < _HOUR:
        return f"{seconds // _MINUTE} min" if seconds >= _MINUTE and seconds % _MINUTE == 0 else f"{seconds} s"
    hours, minutes = divmod(seconds // _MINUTE, _MINUTE)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *(tuple(map(_cell, row)) for row in rows)]
    return "\n".join("".join(["|", *(f" {text} |" if text else " |" for text in line)]) for line in lines)


def _cell(text: str) -> str:
    return text.replace("<", "&lt;").replace("|", "\\|")


if __name__ == "__main__":
    main()
