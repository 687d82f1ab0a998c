"""What both copy."""

import copy
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

ATOMS = frozenset({str, int, float, bool, bytes, type(None)})
"""Types of what needs no copy."""


def quicker() -> AbstractContextManager[Any]:
    """Copy dictionaries and lists, also those within others, without asking for each text and number what it is."""
    return mock.patch.dict(vars(copy)["_deepcopy_dispatch"], {dict: _copy_dict, list: _copy_list})


def _copy_dict(original: dict[Any, Any], memo: dict[int, Any]) -> dict[Any, Any]:
    """Copy as `copy.deepcopy` does, memo included, but without asking for each text and number whether it is one."""
    made: dict[Any, Any] = {}
    memo[id(original)] = made
    for key, value in original.items():
        copied = value if type(value) in ATOMS else copy.deepcopy(value, memo)
        made[key if type(key) in ATOMS else copy.deepcopy(key, memo)] = copied
    return made


def _copy_list(original: list[Any], memo: dict[int, Any]) -> list[Any]:
    """Do the same for a list."""
    made: list[Any] = []
    memo[id(original)] = made
    made.extend(each if type(each) in ATOMS else copy.deepcopy(each, memo) for each in original)
    return made
