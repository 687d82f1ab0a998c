"""What a shortcut is."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple


class Shortcut(NamedTuple):
    """What to put in whose place."""

    owner: Any
    name: str
    replacement: Any


def own(read: Any) -> Any:
    """Copy what can be changed of something that was read: dictionaries and lists. Texts, numbers and times cannot."""
    if type(read) is dict:
        return {name: own(value) if type(value) in (dict, list) else value for name, value in read.items()}
    return [own(each) for each in read] if type(read) is list else read


def is_same_in_json(shape: Any, value: Any) -> bool:
    """
    Say whether a value is one of DynamoDB's that JSON, moto and the SDK write alike: `{"M": {"a": {"S": "b"}}}`.

    All but binary values and sets are, so that whoever translates one gets what he had.
    """
    return shape.name == "AttributeValue" and _is_attribute(value)


def _is_attribute(value: Any) -> bool:
    if type(value) is not dict or len(value) != 1:
        return False
    ((kind, content),) = value.items()
    match kind:
        case "S" | "N":
            return type(content) is str
        case "M":
            return type(content) is dict and all(map(_is_attribute, content.values()))
        case "L":
            return type(content) is list and all(map(_is_attribute, content))
        case "BOOL" | "NULL":
            return type(content) is bool
    return False


def reading(really_read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Read the same text or number once: the time that it tells never changes, and depends on nothing else."""
    read_before = lru_cache(maxsize=4096, typed=True)(really_read)

    def read(value: Any) -> Any:
        return (read_before if type(value) in (str, int, float) else really_read)(value)

    return read
