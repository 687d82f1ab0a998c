"""
What a restore loses: how two servers are compared, table by table, and how far that has come. All pure.

A table is read in the order of its key, in stretches of a bounded size. Of each stretch both servers tell count and
hash of every bucket, which is where the hash of a key falls; only keys of buckets that differ leave the servers, and
only rows that differ leave with their content.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from lambdas.database.data_rules import ComparedTable

BUCKETS = 32768
"""Into how many parts a stretch is divided, of a few rows each. A power of two."""

_STRETCH_BYTES = 128 * 1024 * 1024
_MOST_ROWS_OF_STRETCH = 250_000
_FEWEST_ROWS_OF_STRETCH = 500
_ROW_BYTES = 1000
"""Of a table that was never analyzed."""

_SLICE_ROWS = 100_000
"""How many keys of each side are looked at together: they are in memory."""

_PORTION_BYTES = 4 * 1024 * 1024
_PORTION_ROWS = 2000
_TEXTS = frozenset({"text", "character varying"})

Key = tuple[str, ...]
"""The values of a row's key as texts, in the order of settings."""


@dataclass(frozen=True)
class Limits:
    """How much one invocation does before it returns; a stretch that has begun is finished."""

    compared_rows: int = 1_000_000
    exported_rows: int = 200_000


@dataclass(frozen=True)
class Column:
    """`type` is as SQL names it, with its length; `family` without."""

    number: int
    name: str
    type: str
    family: str
    is_required: bool
    is_text: bool

    def compares_with(self, other: Self) -> bool:
        """Say whether equal values have equal texts; a numeric of another scale has not."""
        return self.type == other.type or {self.family, other.family} <= _TEXTS


@dataclass(frozen=True)
class Shape:
    """A table of one server. `unique` has the column numbers of each unique index that covers all rows."""

    columns: tuple[Column, ...]
    unique: frozenset[frozenset[int]]
    rows: int | None
    size_bytes: int

    def named(self, name: str) -> Column | None:
        """Return a column."""
        return next((column for column in self.columns if column.name == name), None)

    def identifies(self, key: Sequence[str]) -> bool:
        """Say whether every row has a key, and each another one."""
        columns = [self.named(name) for name in key]
        numbers = frozenset(column.number for column in columns if column and column.is_required)
        return len(numbers) == len(key) and numbers in self.unique


@dataclass(frozen=True)
class Comparison:
    """How a table is compared, or why not: its `problem`. `key` and `columns` are as the forward server has them."""

    table: str
    key: tuple[Column, ...] = ()
    columns: tuple[str, ...] = ()
    not_compared: tuple[str, ...] = ()
    stretch_rows: int = _MOST_ROWS_OF_STRETCH
    problem: str = ""


def compare_shapes(table: ComparedTable, forward: Shape | None, restored: Shape | None) -> Comparison:
    """
    Work out which columns of a table can be compared; a release may have changed it.

    A table that the restored server does not have has lost all its rows. A key that is not unique, or has another type
    on each side, does not pair rows: then nothing of the table is compared.
    """
    name = table.full_name
    if forward is None:
        there = "only the restored instance has it" if restored else "neither instance has it"
        return Comparison(name, problem=f"is in settings, but {there}")
    if not forward.identifies(table.key) or (restored and not restored.identifies(table.key)):
        return Comparison(name, problem=f"has no unique key of {', '.join(table.key)} without NULL on both instances")
    key = tuple(column for each in table.key if (column := forward.named(each)))
    pairs = [(column, restored.named(column.name) if restored else column) for column in forward.columns]
    same = tuple(column.name for column, other in pairs if other and column.compares_with(other))
    if any(column.name not in same for column in key):
        return Comparison(name, problem=f"has a key of {', '.join(table.key)} with another type on each instance")
    everywhere = {column.name for shape in (forward, restored) if shape for column in shape.columns}
    return Comparison(name, key, same, tuple(sorted(everywhere - set(same))), stretch_rows(forward))


def stretch_rows(shape: Shape) -> int:
    """Return how many rows to compare at a time, so that a stretch is of about the same size in any table."""
    row_bytes = max(1, shape.size_bytes // shape.rows) if shape.rows else _ROW_BYTES
    return max(_FEWEST_ROWS_OF_STRETCH, min(_MOST_ROWS_OF_STRETCH, _STRETCH_BYTES // row_bytes))


Sums = Mapping[int, tuple[int, int]]
"""Bucket → how many rows it has, and the sum of their hashes."""
Hashes = Mapping[Key, tuple[int, int]]
"""Key → hash of the row, and its size in bytes."""
Sized = tuple[Key, int]


def differing(forward: Sums, restored: Sums) -> Iterator[list[int]]:
    """Return the buckets that are not the same on both sides, in slices that fit into memory."""
    piece: list[int] = []
    rows = 0
    for bucket in sorted(forward.keys() | restored.keys()):
        here, before = forward.get(bucket, (0, 0)), restored.get(bucket, (0, 0))
        if here == before:
            continue
        larger = max(here[0], before[0])
        if piece and rows + larger > _SLICE_ROWS:
            yield piece
            piece, rows = [], 0
        piece.append(bucket)
        rows += larger
    if piece:
        yield piece


@dataclass(frozen=True)
class Changes:
    """What became of rows since the recovery point, by their keys and sizes."""

    inserted: list[Sized]
    changed: list[Sized]
    deleted: list[Sized]

    @property
    def lost(self) -> "Lost":
        """Return how many there are."""
        return Lost(len(self.inserted), len(self.changed), len(self.deleted))


def classify(forward: Hashes, restored: Hashes) -> Changes:
    """Pair rows by their keys."""
    return Changes(
        inserted=[(key, size) for key, (_, size) in forward.items() if key not in restored],
        changed=[(key, size) for key, (hashed, size) in forward.items() if restored.get(key, (hashed,))[0] != hashed],
        deleted=[(key, size) for key, (_, size) in restored.items() if key not in forward],
    )


def portions(rows: Sequence[Sized]) -> Iterator[list[Key]]:
    """Divide rows into portions that fit into memory; a row that is larger than that comes alone."""
    portion: list[Key] = []
    size_bytes = 0
    for key, row_bytes in rows:
        if portion and (size_bytes + row_bytes > _PORTION_BYTES or len(portion) == _PORTION_ROWS):
            yield portion
            portion, size_bytes = [], 0
        portion.append(key)
        size_bytes += row_bytes
    if portion:
        yield portion


@dataclass(frozen=True)
class Lost:
    """How many rows of a table a restore loses, by what happened to them since the recovery point."""

    inserted: int = 0
    changed: int = 0
    deleted: int = 0

    @property
    def rows(self) -> int:
        """Return how many there are."""
        return self.inserted + self.changed + self.deleted

    def plus(self, other: Self) -> Self:
        """Add them up."""
        return type(self)(self.inserted + other.inserted, self.changed + other.changed, self.deleted + other.deleted)


@dataclass(frozen=True)
class Unaccounted:
    """Something that is not compared row by row. `rows` is an estimate, `differs` is None where nobody knows."""

    table: str
    rows: int | None
    why: str
    differs: bool | None = None


@dataclass(frozen=True)
class Cursor:
    """
    How far the comparison is: it goes through histories, so it holds no key, but how many rows of each side are behind.

    `table` is an index into those of settings, `compared_rows` counts all tables together, of the side that has more,
    and `part` is the number of the next part of the export.
    """

    table: int = 0
    compared_rows: int = 0
    forward_rows: int = 0
    restored_rows: int = 0
    part: int = 1
    lost: Mapping[str, Lost] = field(default_factory=dict)
    not_compared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Self:
        """Read what `as_event` wrote; nothing at all is the beginning."""
        if not event:
            return cls()
        lost = {table: Lost(**counts) for table, counts in event["lost"].items()}
        not_compared = {table: tuple(columns) for table, columns in event["not_compared"].items()}
        return cls(**{**event, "lost": lost, "not_compared": not_compared})

    def as_event(self) -> dict[str, Any]:
        """Return the form in which a state machine hands it on."""
        return {**asdict(self), "not_compared": {table: list(each) for table, each in self.not_compared.items()}}

    def past(self, table: str, forward_rows: int, restored_rows: int, lost: Lost) -> Self:
        """Return it after a stretch of which so much is lost."""
        return replace(
            self,
            compared_rows=self.compared_rows + max(forward_rows, restored_rows),
            forward_rows=self.forward_rows + forward_rows,
            restored_rows=self.restored_rows + restored_rows,
            lost={**self.lost, table: self.lost.get(table, Lost()).plus(lost)},
        )

    def is_enough_since(self, begin: Self, limits: Limits) -> bool:
        """Say whether an invocation that began there has done its share."""
        exported = sum(each.rows for each in self.lost.values()) - sum(each.rows for each in begin.lost.values())
        compared = self.compared_rows - begin.compared_rows
        return exported >= limits.exported_rows or compared >= limits.compared_rows

    def next_table(self, comparison: Comparison) -> Self:
        """Return it after a table, whether that could be compared or not."""
        name, found = comparison.table, replace(self, table=self.table + 1, forward_rows=0, restored_rows=0)
        if comparison.problem:
            return replace(found, problems={**self.problems, name: comparison.problem})
        if comparison.not_compared:
            return replace(found, not_compared={**self.not_compared, name: comparison.not_compared})
        return found
