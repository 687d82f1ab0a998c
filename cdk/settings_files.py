"""A file of settings as a table, and each of its mistakes in words that fit the file."""

import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeGuard, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cdk.setting_types import Problem, Table

INGRESS = "ingress"
"""The one file beside environments that describes none: it says where GitHub's webhooks arrive."""

Kind = TypeVar("Kind", bound=Table)


def read_table(path: Path, kind: type[Kind]) -> Kind | list[Problem]:
    """Read a file as a table of this kind, or return all that is wrong with its fields one by one."""
    try:
        return kind.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except tomllib.TOMLDecodeError as error:
        return [Problem("TOML syntax", str(error))]
    except ValidationError as error:
        return [_explain(details, kind) for details in error.errors()]


def _explain(details: ErrorDetails, kind: type[BaseModel]) -> Problem:
    """Put a pydantic error into words that fit the file that it is about."""
    location = details["loc"]
    match details["type"]:
        case "missing":
            fix = "is missing: add it"
        case "extra_forbidden":
            fix = "is not a setting of Runback: remove it" + _suggestion(location, kind)
        case "value_error":
            fix = str(details["ctx"]["error"])
        case "string_type":
            fix = f"must be text in quotes, not {details['input']!r}"
        case "tuple_type":
            fix = f"must be a list: [ … ], or a table [[{_field(location)}]] for each entry"
        case "too_short":
            fix = "must have at least one entry"
        case _:
            fix = f"{details['msg'].replace('Input should be', 'must be')}, not {details['input']!r}"
    return Problem(_field(location), fix)


def _field(location: tuple[int | str, ...]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location if part != "[key]")
    return "".join(parts).removeprefix(".")


def _suggestion(location: tuple[int | str, ...], kind: type[BaseModel]) -> str:
    close = get_close_matches(str(location[-1]), _fields_beside(location, kind), n=1)
    return f", or did you mean {close[0]!r}?" if close else ""


def _fields_beside(location: tuple[int | str, ...], kind: type[BaseModel]) -> list[str]:
    """Return the names that the table of a misspelt field knows."""
    table = kind
    for part in location[:-1]:
        if isinstance(part, str):
            annotation = table.model_fields[part].annotation
            table = next((each for each in (annotation, *get_args(annotation)) if _is_table(each)), table)
    return list(table.model_fields)


def _is_table(annotation: Any) -> TypeGuard[type[BaseModel]]:  # noqa: ANN401  an annotation can be any object
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
