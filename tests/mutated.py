"""Inputs from outside that are almost valid: what a hand mistypes, and what a stranger tries."""

import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

STRANGE = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        10**30,
        float("nan"),
        float("inf"),
        "",
        " ",
        "\x00",
        "ä€😀",
        "\ud800",
        "x" * 5000,
        "9" * 5000,
        "[" * 20_000,
        '{"errorMessage": 5}',
        "2026-03-01T10:00:00",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        [],
        {},
        [None],
        {"action": "approve"},
        [[[[[[]]]]]],
    ]
)
JSON = st.recursive(
    STRANGE | st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def almost(draw: st.DrawFn, valid: Mapping[str, Any]) -> Any:
    """Return a valid input in which one to three fields, however deep, are dropped, replaced or added."""
    given: Any = deepcopy(dict(valid))
    for _ in range(draw(st.integers(1, 3))):
        place = given
        while inner := [each for each in _entries(place) if isinstance(each, dict | list) and each]:
            if draw(st.booleans()):
                break
            place = draw(st.sampled_from(inner))
        _change(draw, place)
    return given


def _entries(place: Any) -> list[Any]:
    return list(place.values()) if isinstance(place, dict) else list(place)


def _change(draw: st.DrawFn, place: Any) -> None:
    if isinstance(place, list):
        place[draw(st.integers(0, len(place) - 1))] = deepcopy(draw(JSON))
        return
    name = draw(st.sampled_from([*place, "unknown", "", "ä"]))
    if name in place and draw(st.booleans()):
        del place[name]
    else:
        place[name] = deepcopy(draw(JSON))


def given_or(*valid: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Return anything: mostly what is almost one of these."""
    return st.one_of([*map(almost, valid)] * 3 + [JSON])


def as_text(given: Any) -> str:
    """Return JSON as a stranger may send it, with what no standard allows."""
    return json.dumps(given)
