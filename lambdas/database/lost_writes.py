"""The comparison of two servers, stretch by stretch; each is asked at the same time as the other."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TypeVar

from lambdas.database.data_rules import ComparedTable
from lambdas.database.exports import Export
from lambdas.database.lost_writes_rules import (
    Changes,
    Comparison,
    Cursor,
    Key,
    Limits,
    Lost,
    Sized,
    Sums,
    classify,
    compare_shapes,
    differing,
    portions,
)
from lambdas.database.tables import Rows, Tables

_T = TypeVar("_T")


@dataclass(frozen=True)
class LostWrites:
    """The `forward` server has what was written since the recovery point, and nobody writes it any more."""

    forward: Tables
    restored: Tables
    export: Export
    limits: Limits = field(default_factory=Limits)

    def count(self, tables: Sequence[ComparedTable], cursor: Cursor) -> Cursor:
        """
        Compare from the cursor on, export what differs, and return how far that came: after a bounded piece of work.

        It is finished when the cursor is behind the last table.
        """
        begin = cursor
        while cursor.table < len(tables) and not cursor.is_enough_since(begin, self.limits):
            cursor = self._count_table(self._compare(tables[cursor.table]), begin, cursor)
        self.export.flush()
        return replace(cursor, part=self.export.part)

    def _compare(self, table: ComparedTable) -> Comparison:
        name = table.full_name
        return compare_shapes(table, self.forward.shape(name), self.restored.shape(name))

    def _count_table(self, comparison: Comparison, begin: Cursor, cursor: Cursor) -> Cursor:
        if comparison.problem:
            return cursor.next_table(comparison)
        is_there = self.restored.shape(comparison.table) is not None
        pair = _Pair(self.forward.of(comparison), self.restored.of(comparison) if is_there else None)
        after = pair.position(cursor)
        while not cursor.is_enough_since(begin, self.limits):
            until = pair.end_of_stretch(after, comparison.stretch_rows)
            forward, restored = pair.sums(after, until)
            lost = Lost()
            for buckets in differing(forward, restored):
                changes = pair.changes(after, until, buckets)
                self._export(pair, comparison.table, changes)
                lost = lost.plus(changes.lost)
            cursor = cursor.past(comparison.table, _rows(forward), _rows(restored), lost)
            if until is None:
                return cursor.next_table(comparison)
            after = until
        return cursor

    def _export(self, pair: "_Pair", table: str, changes: Changes) -> None:
        """Write what the forward server has now, and of what is gone there what it had before."""
        self._export_rows(pair.forward, table, "inserted", changes.inserted)
        self._export_rows(pair.forward, table, "changed", changes.changed)
        if pair.restored:
            self._export_rows(pair.restored, table, "deleted", changes.deleted)

    def _export_rows(self, rows: Rows, table: str, change: str, wanted: Sequence[Sized]) -> None:
        for keys in portions(wanted):
            for key, row in rows.contents(keys):
                self.export.add(table, change, key, row)


@dataclass(frozen=True)
class _Pair:
    """The same table on both servers; `restored` is None where a release has made it since."""

    forward: Rows
    restored: Rows | None

    def position(self, cursor: Cursor) -> Key | None:
        """Find the key up to which all was compared: the last one that is behind, on whichever side that is."""
        keys = self._ask(
            lambda rows: rows.key_at(None, cursor.forward_rows if rows is self.forward else cursor.restored_rows)
        )
        return self._choose(keys, last=True)

    def end_of_stretch(self, after: Key | None, rows: int) -> Key | None:
        """Find the key that ends a stretch, in which no side has more than so many rows; None: the rest has not."""
        return self._choose(self._ask(lambda side: side.key_at(after, rows)), last=False)

    def sums(self, after: Key | None, until: Key | None) -> tuple[Sums, Sums]:
        """Return count and hash of each bucket of a stretch, on both sides."""
        forward, restored = self._ask(lambda side: side.sums(after, until))
        return forward or {}, restored or {}

    def changes(self, after: Key | None, until: Key | None, buckets: Sequence[int]) -> Changes:
        """Return what became of the rows in some buckets of a stretch."""
        forward, restored = self._ask(lambda side: side.hashes(after, until, buckets))
        return classify(forward or {}, restored or {})

    def _choose(self, keys: "tuple[Key | None, Key | None]", *, last: bool) -> Key | None:
        one, other = keys
        if one is None or other is None:
            return one or other
        return one if self.forward.is_before(one, other) is not last else other

    def _ask(self, question: Callable[[Rows], _T]) -> tuple[_T | None, _T | None]:
        """Ask both servers at once."""
        if self.restored is None:
            return question(self.forward), None
        with ThreadPoolExecutor(max_workers=1) as other:
            answer = other.submit(question, self.restored)
            return question(self.forward), answer.result()


def _rows(sums: Sums) -> int:
    return sum(count for count, _ in sums.values())
