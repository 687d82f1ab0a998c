"""
Whether a request is one that AWS's own model of the service accepts.

botocore checks types and required members before it sends; ranges, lengths, patterns and enumerations it leaves to the
service, and moto checks few of them. A pattern has to match the whole text, as it does in the services that are
modelled so, whatever anchors it has.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from botocore.model import ListShape, MapShape, OperationNotFoundError, Shape, StringShape, StructureShape

from rehearsal.engine.calls import service_model

_IN_PYTHON = {
    r"\p{ASCII}": r"[\x00-\x7F]",
    r"\p{L}\p{Z}\p{N}_": r"\w \u00A0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000",
    r"\uD800\uDC00-\uDBFF\uDFFF": r"\U00010000-\U0010FFFF",
}
"""What Java, for which the models' patterns are written, spells otherwise."""

_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "blob": str,
    "boolean": bool,
    "double": (int, float),
    "float": (int, float),
    "integer": int,
    "list": list,
    "long": int,
    "map": dict,
    "string": str,
    "structure": dict,
    "timestamp": (str, int, float),
}
"""As the call log holds them: times and binary data are text there."""


_MOST_KNOWN = 8192
_known: dict[tuple[str, str, str], tuple[str, ...]] = {}


def violations(service: str, operation: str, parameters: Mapping[str, Any]) -> Iterable[str]:
    """
    Say what in a request the model does not accept, each as "field: what is wrong", without the value.

    `parameters` are as the call log holds them. Most requests repeat an earlier one: those are looked at once.
    """
    asked = (service, operation, repr(parameters))
    if asked not in _known:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[asked] = tuple(_of_request(service, operation, parameters))
    return _known[asked]


def _of_request(service: str, operation: str, parameters: Mapping[str, Any]) -> Iterator[str]:
    try:
        shape = service_model(service).operation_model(operation).input_shape
    except OperationNotFoundError:
        yield "AWS's model has no such operation"
        return
    if shape is not None:
        yield from _violations("", shape, parameters)


def _violations(path: str, shape: Shape, value: Any) -> Iterator[str]:
    wanted = _TYPES.get(shape.type_name)
    is_number_for_flag = isinstance(value, bool) and shape.type_name != "boolean"
    if wanted is None or not isinstance(value, wanted) or is_number_for_flag:
        yield f"{path or 'request'}: {type(value).__name__} is no {shape.type_name}"
        return
    yield from (f"{path}: {found}" for found in _outside_bounds(shape, value))
    inner = _INSIDE.get(shape.type_name)
    if inner is not None:
        yield from inner(path, shape, value)


def _outside_bounds(shape: Shape, value: Any) -> Iterator[str]:
    """For text and collections the bounds are of their length; of binary data, of the text that stands for it."""
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    is_number = shape.type_name in ("double", "float", "integer", "long")
    measured, noun = (value, "") if is_number else (len(value) if hasattr(value, "__len__") else None, "length ")
    if measured is None:
        return
    if least is not None and measured < least:
        yield f"{noun}{measured} is less than {least}"
    if most is not None and measured > most:
        yield f"{noun}{measured} is more than {most}"


def _in_structure(path: str, shape: Any, value: Mapping[str, Any]) -> Iterator[str]:
    structure: StructureShape = shape
    for name in structure.required_members:
        if name not in value:
            yield f"{_below(path, name)}: is missing"
    if getattr(structure, "is_tagged_union", False) and len(value) != 1:
        yield f"{path}: has {len(value)} of a union's members, not one"
    for name, inner in value.items():
        if name not in structure.members:
            yield f"{_below(path, name)}: is not in the model"
        else:
            yield from _violations(_below(path, name), structure.members[name], inner)


def _in_list(path: str, shape: Any, value: list[Any]) -> Iterator[str]:
    listed: ListShape = shape
    for number, inner in enumerate(value):
        yield from _violations(f"{path}[{number}]", listed.member, inner)


def _in_map(path: str, shape: Any, value: Mapping[str, Any]) -> Iterator[str]:
    mapped: MapShape = shape
    for name, inner in value.items():
        yield from _violations(f"{path}, key {name}", mapped.key, name)
        yield from _violations(_below(path, name), mapped.value, inner)


def _in_string(path: str, shape: Any, value: str) -> Iterator[str]:
    text: StringShape = shape
    if text.enum and value not in text.enum:
        yield f"{path}: is none of {', '.join(text.enum)}"
    pattern = text.metadata.get("pattern")
    if pattern is None:
        return
    try:
        if not in_python(pattern).fullmatch(value):
            yield f"{path}: does not match {pattern}"
    except re.error as error:
        yield f"{path}: the rehearsal cannot read its pattern {pattern}: {error}"


_INSIDE: Mapping[str, Callable[[str, Any, Any], Iterator[str]]] = {
    "list": _in_list,
    "map": _in_map,
    "string": _in_string,
    "structure": _in_structure,
}


@lru_cache(maxsize=512)
def in_python(pattern: str) -> re.Pattern[str]:
    """Compile a model's pattern. Raises re.error for what Python spells otherwise and nobody has translated."""
    for theirs, ours in _IN_PYTHON.items():
        pattern = pattern.replace(theirs, ours)
    return re.compile(pattern)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
