"""Documents are what the code says: made ones are made anew, and those by hand leave nothing out and invent nothing."""

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from cdk.settings import EnvironmentSettings
from lambdas.database.restore_rules import read_restore_request
from lambdas.errors import RunbackError
from lambdas.github.push_rules import PushSettings, Starts, read_push_request
from lambdas.notices.rules import Kind
from lambdas.operate.rules import read_order
from lambdas.release.rules import read_clean_up_request, read_request
from lambdas.rollback.rules import read_rollback_request
from statemachines.documents import GUIDE, PAGES, ROOT, documents
from tests.statemachines.definitions import MACHINES, SHIPPED, golden, golden_file

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
DECISIONS = ROOT / "docs" / "decisions"
PUSHES = PushSettings(Starts.PUSH, "refs/heads/main", "", "", 1)
WORDS_OF_AWS = {
    "AlarmNotification",
    "ExecutionAlreadyExistsException",
    "PutEvents",
    "ScheduledActions",
    "UnprocessedKeys",
    "WebhookUrl",
}
"""Words that look like errors: of AWS, and the name of an output of a stack."""


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(path: Path) -> str:
    """Return a document without its blocks of code."""
    return re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def section(path: Path, title: str) -> str:
    """Return what stands below a heading of the second level."""
    (found,) = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", prose(path), re.DOTALL | re.MULTILINE)
    return str(found)


def pictures(path: Path) -> list[str]:
    """Return the Mermaid diagrams of a document."""
    return re.findall(r"^```mermaid\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def rows(text: str) -> Iterator[str]:
    """Yield the first cell of every row of every table."""
    for cell in re.findall(r"^\| (.+?) \|", text, re.MULTILINE):
        if cell.strip("- "):
            yield cell


@pytest.mark.parametrize("path", documents(), ids=name_of)
def test_a_made_document_is_up_to_date(path: Path) -> None:
    """After a change that is meant: make docs."""
    assert documents()[path] == path.read_text(encoding="utf-8")


def test_no_page_is_left_of_a_machine_that_is_gone() -> None:
    assert {f"{machine}.md" for machine in MACHINES} == {path.name for path in PAGES.iterdir()}


@pytest.mark.parametrize(("environment", "machine"), SHIPPED)
def test_every_state_is_explained_and_drawn(environment: str, machine: str) -> None:
    page = PAGES / f"{machine}.md"
    drawn = set(re.findall(r'"(.+?)(?:<br>.*?)?"', "\n".join(pictures(page))))

    states = set(json.loads(golden_file(environment, machine).read_text(encoding="utf-8"))["States"])

    assert states <= set(rows(section(page, "The states")))
    assert states <= drawn


@pytest.mark.parametrize("machine", MACHINES)
def test_every_arrow_begins_and_ends_at_something_drawn(machine: str) -> None:
    """Mermaid would draw a box with an id in it."""
    for picture in pictures(PAGES / f"{machine}.md"):
        drawn = set(re.findall(r"^ +(?:subgraph )?(\w+) ?[\[({]", picture, re.MULTILINE))
        arrows = re.findall(r"^ +(\w+) (?:-->|-\.).* (\w+)$", picture, re.MULTILINE)
        assert arrows
        assert {end for arrow in arrows for end in arrow} <= drawn


def failures() -> set[str]:
    """Return the error of every Fail state."""
    states = [state for machine in MACHINES for state in golden(machine)["States"].values()]
    return {state["Error"] for state in states if state["Type"] == "Fail"}


def test_the_guide_has_a_way_out_of_every_end() -> None:
    assert failures() == set(re.findall(r"^### `(\w+)`", section(GUIDE, "Ends"), re.MULTILINE))


def test_the_guide_says_what_to_do_about_every_message() -> None:
    """Each is there twice: as it is sent, and what to do then."""
    explained = [cell for cell in rows(section(GUIDE, "Messages")) if cell.startswith("`")]
    assert sorted([f"`{kind.value}`" for kind in Kind] * 2) == sorted(explained)


@pytest.mark.parametrize(
    ("path", "title"), [(GUIDE, "What settings decide"), (ROOT / "README.md", "Configure")], ids=["guide", "README"]
)
def test_every_table_of_the_settings_is_explained(path: Path, title: str) -> None:
    tables = {name for name, field in EnvironmentSettings.model_fields.items() if is_table(field.annotation)}
    named = re.findall(r"`\[+(\w+)[\w.]*\]+`", "\n".join(rows(section(path, title))))
    assert tables == set(named)


def is_table(annotation: Any) -> bool:
    kinds = [kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type)]
    return any(issubclass(kind, BaseModel) for kind in kinds)


def test_the_guide_explains_every_error() -> None:
    assert {f"`{name}`" for name in raised()} <= set(rows(section(GUIDE, "Causes")))


def raised(base: type[Exception] = RunbackError) -> set[str]:
    """Return the names of all errors that a function raises on purpose."""
    return {name for each in base.__subclasses__() for name in (each.__name__, *raised(each))}


def test_every_input_to_paste_is_one_that_a_machine_understands() -> None:
    inputs = [json.loads(text) for text in set(re.findall(r"`(\{.*?\})`", prose(GUIDE)))]

    assert len(inputs) > len(MACHINES)
    for given in inputs:
        readings = (
            read_request(given, "it", skippable=("change_window", "approval")),
            read_rollback_request(given),
            read_clean_up_request(given),
            read_order(given, longest_pause_seconds=3600),
            read_restore_request(given),
            read_push_request(given, PUSHES, "2026-03-01T10:00:00Z"),
        )
        assert names_an_execution(given) or not all(reading.problem for reading in readings), given


def names_an_execution(given: dict[str, Any]) -> bool:
    """Say whether the report machine, which reads its input itself, takes this one."""
    states = golden("report")["States"]
    (understood,) = states["Is an execution named?"]["Choices"]
    (pattern,) = [each["StringMatches"] for each in understood["And"] if "StringMatches" in each]
    return fnmatchcase(given.get("execution_arn", ""), pattern)


def test_the_guide_names_no_state_that_does_not_exist() -> None:
    """What is bold there is a state."""
    states = {name for machine in MACHINES for name in golden(machine)["States"]}
    bold = {" ".join(name.split()) for name in re.findall(r"\*\*(.+?)\*\*", prose(GUIDE), re.DOTALL)}
    assert bold - {"bold"} <= states


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if path.name != "deploying.md"], ids=name_of)
def test_no_error_is_named_that_does_not_exist(path: Path) -> None:
    """How to deploy is about names of AWS."""
    text = "\n".join(golden_file("production", machine).read_text(encoding="utf-8") for machine in MACHINES)
    noted = set(re.findall(r'"Error": "(\w+)"', text))

    named = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)+)`", prose(path)))

    assert named <= raised() | noted | WORDS_OF_AWS


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_no_link_between_documents_is_dead(path: Path) -> None:
    for link in re.findall(r"\]\((?!\w+:)([^)\s]+)\)", prose(path)):
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def anchors(path: Path) -> set[str]:
    """Return what GitHub calls the headings of a document."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_decision_is_in_their_table() -> None:
    listed = re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", (DECISIONS / "README.md").read_text(encoding="utf-8"))
    there = sorted(path.name for path in DECISIONS.glob("0*.md"))

    assert there == listed
    assert len(there) == len({name[:4] for name in there})


def test_github_runs_what_a_submission_must_pass() -> None:
    """In the same words, on every Python that the documents promise."""
    workflow = (ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8")
    wanted = re.findall(r"^make \w+$", (ROOT / ".ci/run").read_text(encoding="utf-8"), re.MULTILINE)

    assert wanted == re.findall(r"- run: (make \w+)$", workflow, re.MULTILINE)
    assert "write" not in workflow
    assert "secrets" not in workflow
