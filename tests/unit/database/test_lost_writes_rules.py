"""What is compared, how it is divided, and how far it is: as values."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lambdas.database import lost_writes_rules as rules
from lambdas.database.data_rules import ComparedTable, DataSettings
from lambdas.database.lost_writes_rules import (
    Column,
    Cursor,
    Lost,
    Shape,
    classify,
    compare_shapes,
    differing,
    portions,
    stretch_rows,
)
from tests.builders import RESTORE

SIDE = st.dictionaries(st.tuples(st.text(max_size=2)), st.tuples(st.integers(0, 3), st.integers(0, 9)))


@given(SIDE, SIDE)
def test_every_row_is_lost_at_most_once_and_none_is_forgotten(
    forward: dict[Any, Any], restored: dict[Any, Any]
) -> None:
    changes = classify(forward, restored)
    found = [key for key, _ in (*changes.inserted, *changes.changed, *changes.deleted)]
    expected = {key for key in forward.keys() | restored.keys() if _hash(forward, key) != _hash(restored, key)}
    assert sorted(found) == sorted(expected)
    assert changes.lost.rows == len(found)


def _hash(side: dict[Any, Any], key: tuple[str, ...]) -> Any:
    return side[key][0] if key in side else None


@given(st.lists(st.integers(0, 3 * rules._PORTION_BYTES), max_size=30))
def test_portion_is_no_larger_than_memory_allows(sizes: list[int]) -> None:
    """But for a single row that is."""
    rows: list[rules.Sized] = [((str(at),), size) for at, size in enumerate(sizes)]
    found = list(portions(rows))
    assert [key for portion in found for key in portion] == [key for key, _ in rows]
    known = dict(rows)
    assert all(len(each) == 1 or sum(known[key] for key in each) <= rules._PORTION_BYTES for each in found)


SUMS = st.dictionaries(st.integers(0, 20), st.tuples(st.integers(1, 80_000), st.integers(0, 1)))


@given(SUMS, SUMS)
def test_buckets_that_differ_are_looked_at_once_and_few_rows_at_a_time(
    forward: dict[int, tuple[int, int]], restored: dict[int, tuple[int, int]]
) -> None:
    slices = list(differing(forward, restored))
    expected = [each for each in range(21) if forward.get(each) != restored.get(each)]
    assert [bucket for piece in slices for bucket in piece] == expected
    for piece in slices:
        rows = sum(max(forward.get(each, (0, 0))[0], restored.get(each, (0, 0))[0]) for each in piece)
        assert len(piece) == 1 or rows <= rules._SLICE_ROWS


def column(number: int, name: str, kind: str, *, required: bool = True) -> Column:
    return Column(number, name, kind, kind.partition("(")[0], required, kind in {"text", "character varying"})


def shape(*columns: Column, rows: int | None = 10, size: int = 10_000) -> Shape:
    return Shape(columns, frozenset({frozenset({1})}), rows, size)


def test_key_of_another_type_pairs_no_rows() -> None:
    """Its order is another one on each side."""
    sides = shape(column(1, "id", "bigint")), shape(column(1, "id", "text"))
    assert "another type on each instance" in compare_shapes(ComparedTable("t", ("id",)), *sides).problem


def test_text_of_any_length_is_text() -> None:
    sides = shape(column(1, "id", "character varying(9)")), shape(column(1, "id", "character varying(20)"))
    assert compare_shapes(ComparedTable("t", ("id",)), *sides).problem == ""


def test_large_rows_are_compared_fewer_at_a_time() -> None:
    sizes = [stretch_rows(shape(rows=rows, size=size)) for rows, size in ((1_000_000, 10**8), (1000, 10**9), (None, 1))]
    assert sizes == [250_000, 500, 134_217]


def test_cursor_survives_its_way_through_json() -> None:
    cursor = Cursor(1, 5, 2, 3, 4, {"t": Lost(1, 2, 3)}, {"t": ("a",)}, {"u": "why"})
    assert Cursor.from_event(cursor.as_event()) == cursor
    assert Cursor.from_event({}) == Cursor()


def test_settings_of_a_restore_are_read() -> None:
    data = DataSettings.from_json(json.dumps({**RESTORE, "tables": [{"name": "a.b", "key": ["x", "y"]}]}))
    assert data.tables == (ComparedTable("a.b", ("x", "y")),)
    assert data.server("other").host == "other"
    assert data.check_queries[0].name == "check query 1"
