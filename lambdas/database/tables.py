# ruff: noqa: S608  names are quoted, and every value is a parameter
"""Tables of one PostgreSQL server, by their hashes; rows only where somebody asks for them by their keys."""

from collections.abc import Sequence
from dataclasses import dataclass

from lambdas.database.lost_writes_rules import BUCKETS, Column, Comparison, Hashes, Key, Shape, Sums
from lambdas.database.postgres import Session, quoted, quoted_value
from lambdas.errors import LossNotCounted

_COLUMNS = """
    SELECT attnum, attname, format_type(atttypid, atttypmod), format_type(atttypid, NULL), attnotnull, attcollation <> 0
    FROM pg_attribute WHERE attrelid = to_regclass(:name) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
_UNIQUE = """
    SELECT CAST(indkey AS text), indnkeyatts FROM pg_index WHERE indrelid = to_regclass(:name)
    AND indisunique AND indisvalid AND indimmediate AND indpred IS NULL AND indexprs IS NULL
"""
# A partitioned table holds nothing itself; its partitions do
_SIZE = """
    WITH parts AS (
        SELECT to_regclass(:name) AS relid
        UNION SELECT relid FROM pg_partition_tree(to_regclass(:name))
    )
    SELECT CAST(sum(CASE WHEN relkind = 'p' THEN 0 ELSE reltuples END) AS bigint),
        coalesce(bool_or(reltuples < 0 AND relkind <> 'p'), true), CAST(sum(pg_table_size(relid)) AS bigint)
    FROM parts JOIN pg_class ON pg_class.oid = relid
"""


@dataclass(frozen=True)
class Tables:
    """All tables of a server. `session` may read them."""

    session: Session

    def shape(self, name: str) -> Shape | None:
        """Describe a table, whose name has a schema; None where there is no such table."""
        asked, name = self.session, quoted(name)
        columns = asked.rows("the columns of a table", _COLUMNS, name=name)
        if not columns:
            return None
        rows, is_unknown, size_bytes = asked.row("the size of a table", _SIZE, name=name)
        indexes = asked.rows("the indexes of a table", _UNIQUE, name=name)
        return Shape(
            columns=tuple(Column(*each) for each in columns),
            unique=frozenset(frozenset(map(int, keys.split()[:count])) for keys, count in indexes),
            rows=None if is_unknown else rows,
            size_bytes=size_bytes,
        )

    def of(self, comparison: Comparison) -> "Rows":
        """Return the rows of a table."""
        return Rows(self.session, comparison)

    def whole(self, name: str, columns: Sequence[str]) -> tuple[int, int]:
        """Return count and hash of all rows of a small table, in any order."""
        count, total = self.session.row(
            f"to compare {name}",
            f"SELECT count(*), CAST(coalesce(sum({_hash(_row(columns), 0)}), 0) AS text) FROM {quoted(name)} AS x",
        )
        return int(count), int(total)


@dataclass(frozen=True)
class Rows:
    """
    The rows of a table in the order of its key, which is the same on every server: texts are compared byte by byte.

    A stretch is what lies behind `after`, up to and with `until`; None stands for the beginning and the end.
    """

    session: Session
    comparison: Comparison

    def key_at(self, after: Key | None, rows: int) -> Key | None:
        """Return the key that is so many rows behind another one; None when there are fewer."""
        if rows < 1:
            return None
        found = self.session.rows(
            self._what,
            f"SELECT {self._key_texts} FROM {self._table}{self._where(after, None)}"
            f" ORDER BY {self._order} OFFSET {rows - 1} LIMIT 1",
            **_values("after", after),
        )
        return tuple(found[0]) if found else None

    def is_before(self, one: Key, other: Key) -> bool:
        """Say which of two keys comes first."""
        sql = f"SELECT ({self._given('one')}) < ({self._given('other')})"
        return bool(self.session.row(self._what, sql, **_values("one", one), **_values("other", other))[0])

    def sums(self, after: Key | None, until: Key | None) -> Sums:
        """Return count and hash of each bucket of a stretch."""
        found = self.session.rows(
            self._what,
            f"SELECT {self._bucket}, count(*), CAST(sum({_hash(_row(self.comparison.columns), 0)}) AS text)"
            f" FROM {self._table}{self._where(after, until)} GROUP BY 1",
            **_values("after", after),
            **_values("until", until),
        )
        return {int(bucket): (int(count), int(total)) for bucket, count, total in found}

    def hashes(self, after: Key | None, until: Key | None, buckets: Sequence[int]) -> Hashes:
        """Return the hash of each row of some buckets of a stretch."""
        row = _row(self.comparison.columns)
        condition = f"{self._bucket} IN ({', '.join(map(str, buckets))})"
        found = self.session.rows(
            self._what,
            f"SELECT {self._key_texts}, {_hash(row, 0)}, octet_length(CAST({row} AS text))"
            f" FROM {self._table}{self._where(after, until, condition)} ORDER BY {self._order}",
            **_values("after", after),
            **_values("until", until),
        )
        return {tuple(key): (hashed, size) for *key, hashed, size in found}

    def contents(self, keys: Sequence[Key]) -> list[tuple[str, str]]:
        """
        Return key and whole row of each of these, as JSON texts that PostgreSQL wrote, in the order of the keys.

        Raises LossNotCounted when one of them is gone: then somebody still writes.
        """
        columns = self.comparison.key
        wanted = [f"k{at}" for at in range(len(columns))]
        arrays = [f"CAST(:{name} AS {column.type}[])" for name, column in zip(wanted, columns, strict=True)]
        equal = [f"x.{quoted(c.name)} = wanted.{name}" for name, c in zip(wanted, columns, strict=True)]
        named = ", ".join(f"{quoted_value(column.name)}, x.{quoted(column.name)}" for column in columns)
        found = self.session.rows(
            self._what,
            f"SELECT CAST(json_build_object({named}) AS text), CAST(row_to_json(x) AS text)"
            f" FROM unnest({', '.join(arrays)}) WITH ORDINALITY AS wanted({', '.join(wanted)}, place)"
            f" JOIN {self._table} ON {' AND '.join(equal)} ORDER BY wanted.place",
            **{name: [key[at] for key in keys] for at, name in enumerate(wanted)},
        )
        if len(found) != len(keys):
            raise LossNotCounted(f"Rows of {self.comparison.table} went away while they were counted: somebody writes.")
        return [(key, row) for key, row in found]

    @property
    def _what(self) -> str:
        return f"to compare {self.comparison.table}"

    @property
    def _table(self) -> str:
        return f"{quoted(self.comparison.table)} AS x"

    @property
    def _key_texts(self) -> str:
        return ", ".join(f"CAST(x.{quoted(column.name)} AS text)" for column in self.comparison.key)

    @property
    def _order(self) -> str:
        return ", ".join(f"x.{quoted(column.name)}{_collation(column)}" for column in self.comparison.key)

    @property
    def _bucket(self) -> str:
        return f"({_hash(_row([column.name for column in self.comparison.key]), 1)} & {BUCKETS - 1})"

    def _given(self, name: str) -> str:
        columns = enumerate(self.comparison.key)
        return ", ".join(f"CAST(:{name}{at} AS {column.type}){_collation(column)}" for at, column in columns)

    def _where(self, after: Key | None, until: Key | None, *conditions: str) -> str:
        found = [f"({self._order}) > ({self._given('after')})"] if after else []
        found += [f"({self._order}) <= ({self._given('until')})"] if until else []
        found += conditions
        return f" WHERE {' AND '.join(found)}" if found else ""


def _collation(column: Column) -> str:
    return ' COLLATE "C"' if column.is_text else ""


def _row(columns: Sequence[str]) -> str:
    return f"ROW({', '.join(f'x.{quoted(column)}' for column in columns)})"


def _hash(row: str, seed: int) -> str:
    """Hash the text of a row, which tells NULL from an empty text, and has no type that could not be hashed."""
    return f'hashtextextended(CAST({row} AS text) COLLATE "C", {seed})'


def _values(name: str, key: Key | None) -> dict[str, str]:
    return {f"{name}{at}": value for at, value in enumerate(key or ())}
