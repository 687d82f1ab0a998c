"""How moto answers."""

import string
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any, NamedTuple

import moto.core.serialize
from moto.core.responses import BaseResponse
from moto.core.serialize import (
    MISSING,
    AttributePicker,
    AttributePickerContext,
    BaseJSONSerializer,
    BaseXMLSerializer,
    ResponseSerializer,
    TimestampSerializer,
)
from moto.moto_api._internal.moto_random import MotoRandom
from moto.stepfunctions.parser.asl.component.common.path import result_path

from rehearsal.engine.shortcuts.shortcut import Shortcut, is_same_in_json, reading

_MOST_ANSWERS = 1024
_MOST_TIMES = 4096


def shortcuts() -> Iterator[Shortcut]:
    """Yield what to replace."""
    yield Shortcut(moto.core.serialize, "parse_to_aware_datetime", reading(moto.core.serialize.parse_to_aware_datetime))
    yield Shortcut(BaseJSONSerializer, "_serialize_type_structure", _serializing_what_is_there())
    yield Shortcut(BaseJSONSerializer, "_serialize_type_list", _serializing_times_alike())
    yield Shortcut(AttributePicker, "__call__", _picking())
    yield Shortcut(BaseResponse, "_enrich_response", _naming_requests())
    yield Shortcut(BaseXMLSerializer, "_serialize_body", _writing_xml_once())
    yield Shortcut(MotoRandom, "get_random_string", _random_string)
    yield Shortcut(result_path, "parse", cache(vars(result_path)["parse"]))


def _picking() -> Any:
    """
    Remember under which names moto's objects and dictionaries may hold an attribute.

    moto derives them from the picker, the attribute, its shape and the object's class alone.
    """

    def pick(picker: AttributePicker, context: AttributePickerContext) -> Any:
        found = None
        for name in _names(picker, context):
            value = moto.core.serialize.get_value(context.obj, name, MISSING)
            if value is not MISSING:
                found = value
                break
        if picker.response_transformers:
            path = f"{context.key_path}.{context.key}"
            transforms = (each for end, each in picker.response_transformers.items() if path.endswith(end))
            return next(transforms, _unchanged)(found)
        return found

    names_of: dict[tuple[Any, ...], tuple[Any, tuple[str, ...]]] = {}

    def _names(picker: AttributePicker, context: AttributePickerContext) -> tuple[str, ...]:
        known = (type(picker), *picker.alias_providers, type(context.obj), id(context.shape), context.key)
        if known not in names_of:
            names = tuple(dict.fromkeys(picker.get_possible_keys(context)))
            names_of[known] = (context.shape, names)  # which keeps the shape, and so its id
        return names_of[known][1]

    return pick


def _unchanged(value: Any) -> Any:
    return value


def _naming_requests() -> Any:
    """Look for the place of the request's id as for any text: moto tries a pattern at each character of each answer."""
    really_name = BaseResponse._enrich_response

    def name(headers: dict[str, str], body: Any) -> tuple[dict[str, str], Any]:
        if not isinstance(body, str):
            return really_name(headers, body)
        before, marker, rest = body.partition("<RequestId>")
        if not marker:
            return really_name(headers, "")[0], body
        headers, rest = really_name(headers, marker + rest)
        return headers, before + rest

    return staticmethod(name)


class _Members(NamedTuple):
    """Of a structure: its members in their order, and which of them a dictionary may hold under which name."""

    shape: Any
    all: list[tuple[str, Any, tuple[str, ...]]]
    named: dict[str, list[int]]
    """Name, numbers of members."""


def _serializing_what_is_there() -> Any:
    """
    Look only for those members of a structure that a dictionary can hold, because it has one of their names as a key.

    The others are not there for moto either. An event of an execution's history has 5 of 60.
    """
    really_serialize = BaseJSONSerializer._serialize_type_structure
    members_of: dict[tuple[Any, ...], _Members | None] = {}

    def serialize(serializer: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
        picker = serializer._value_picker
        if type(value) is not dict or not isinstance(picker, AttributePicker) or picker.response_transformers:
            really_serialize(serializer, serialized, value, shape, key)
            return
        if key and is_same_in_json(shape, value):
            serializer._default_serialize(serialized, value, shape, key)
            return
        known = (type(picker), *picker.alias_providers, id(shape))
        if known not in members_of:
            members_of[known] = None if shape.is_document_type else _members(serializer, picker, shape)
        members = members_of[known]
        if members is None:
            really_serialize(serializer, serialized, value, shape, key)
            return
        wrapper = serializer.MAP_TYPE() if key else serialized
        named = members.named
        for number in sorted({number for name in value if name in named for number in named[name]}):
            member_key, member_shape, names = members.all[number]
            member = next(value[name] for name in names if name in value)
            if member is not None:
                serializer._serialize(wrapper, member, member_shape, member_key)
        if key:
            serializer._default_serialize(serialized, wrapper, shape, key)

    return serialize


def _serializing_times_alike() -> Any:
    """Write down the times, and the figures, of a list one like the other; metrics are lists of hundreds."""
    really_serialize = vars(BaseJSONSerializer)["_serialize_type_list"]
    written_of: dict[str, Callable[[datetime], Any]] = {}

    def serialize(serializer: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
        member = shape.member
        if type(value) is not list or "name" in member.serialization:
            really_serialize(serializer, serialized, value, shape, key)
        elif member.type_name == "double" and all(type(each) is float for each in value):
            serializer._default_serialize(serialized, list(value), shape, key)
        elif member.type_name == "timestamp" and all(type(each) is datetime and each.tzinfo is UTC for each in value):
            written = serializer._timestamp_serializer
            kind = member.serialization.get("timestampFormat", written.default_format)
            if kind not in written_of:
                written_of[kind] = _writing_times_once(kind)
            write = written_of[kind]
            serializer._default_serialize(serialized, [write(each) for each in value], shape, key)
        else:
            really_serialize(serializer, serialized, value, shape, key)

    return serialize


def _writing_times_once(kind: str) -> Callable[[datetime], Any]:
    write = TimestampSerializer(kind)._convert_timestamp_to_str

    @lru_cache(maxsize=_MOST_TIMES)
    def written(time: datetime) -> Any:
        return write(time, kind)

    return written


def _members(serializer: ResponseSerializer, picker: AttributePicker, shape: Any) -> _Members | None:
    """Ask the picker for the names; None if one is a path, which means something else than a key."""
    every: list[tuple[str, Any, tuple[str, ...]]] = []
    named: dict[str, list[int]] = {}
    for number, (member_key, member_shape) in enumerate(shape.members.items()):
        member_shape.parent = shape  # as moto does: the picker looks at it
        context = AttributePickerContext({}, member_key, member_shape, serializer.operation_model)
        names = tuple(dict.fromkeys(picker.get_possible_keys(context)))
        if any("." in name for name in names):
            return None
        every.append((member_key, member_shape, names))
        for name in names:
            named.setdefault(name, []).append(number)
    return _Members(shape, every, named)


def _writing_xml_once() -> Any:
    """Write the same XML once. It is made of texts and numbers by now, which look alike if and only if they are."""
    really_write = BaseXMLSerializer._serialize_body
    written: dict[tuple[bool, str], str] = {}

    def write(serializer: Any, body: Any) -> str:
        known = (serializer.pretty_print, repr(body))
        if known not in written:
            if len(written) >= _MOST_ANSWERS:
                written.clear()
            written[known] = really_write(serializer, body)
        return written[known]

    return write


def _random_string(chance: MotoRandom, length: int = 20, include_digits: bool = True, lower_case: bool = False) -> str:  # noqa: FBT001, FBT002  moto's own signature
    """
    Draw as `random.choice` does, so that the same state of chance gives the same text, but many characters at a time.

    For each character chance gives 32 bits, of which the highest six count; what is beyond the last character is drawn
    anew. Who asks for as many bits as the missing characters need takes no more than one by one.
    """
    characters, none = _DRAWN[include_digits]
    text = b""
    while missing := length - len(text):
        drawn = chance.getrandbits(32 * missing).to_bytes(4 * missing, "little")
        text += drawn[3::4].translate(characters, none)
    made = text.decode()
    return made.lower() if lower_case else made


def _by_highest_byte(pool: str) -> tuple[bytes, bytes]:
    """Return which character each byte stands for, and which bytes stand for none."""
    numbers = [byte >> 2 for byte in range(256)]
    characters = bytes(ord(pool[number]) if number < len(pool) else 0 for number in numbers)
    return characters, bytes(byte for byte, number in enumerate(numbers) if number >= len(pool))


_DRAWN = {True: _by_highest_byte(string.ascii_letters + string.digits), False: _by_highest_byte(string.ascii_letters)}
"""With digits and without. Both pools need six bits."""
