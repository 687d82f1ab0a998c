"""What a comparison row by row leaves out: tables that settings do not name, or that have no key, and large objects."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lambdas.database.data_rules import ComparedTable
from lambdas.database.lost_writes_rules import Cursor, Shape, Unaccounted
from lambdas.database.postgres import Session
from lambdas.database.tables import Tables

LARGE_OBJECTS = "large objects"

_SMALL_BYTES = 8 * 1024 * 1024
"""What is compared as a whole, because that takes no time."""
_ALL_BYTES = 256 * 1024 * 1024
"""How much of such tables is read at most."""

_TABLES = """
    SELECT nspname, relname, has_table_privilege(pg_class.oid, 'SELECT')
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind IN ('r', 'p') AND NOT relispartition AND relpersistence <> 't'
        AND nspname <> 'information_schema' AND nspname !~ '^pg_'
    ORDER BY nspname, relname
"""


@dataclass(frozen=True)
class Others:
    """All tables of a server, and what is no table. `session` may read them."""

    session: Session

    def tables(self) -> dict[str, bool]:
        """Return the names of all tables with data of users, and whether they may be read."""
        found = self.session.rows("the tables", _TABLES)
        return {f"{schema}.{name}": bool(may_read) for schema, name, may_read in found}

    def large_objects(self) -> tuple[int, int]:
        """Return how many large objects there are, and a hash of their numbers."""
        count, total = self.session.row(
            "the large objects",
            "SELECT count(*), CAST(coalesce(sum(hashint8extended(CAST(oid AS bigint), 0)), 0) AS text)"
            " FROM pg_largeobject_metadata",
        )
        return int(count), int(total)

    def shape(self, name: str) -> Shape | None:
        """Describe a table."""
        return Tables(self.session).shape(name)

    def whole(self, name: str, shape: Shape) -> tuple[int, int]:
        """Return count and hash of a table."""
        return Tables(self.session).whole(name, [column.name for column in shape.columns])


def unaccounted(
    forward: Others, restored: Others, compared: Sequence[ComparedTable], cursor: Cursor
) -> list[Unaccounted]:
    """Return all that was not compared row by row: first what differs, then what may, then what is equal."""
    known = {table.full_name for table in compared} - set(cursor.problems)
    columns = [
        Unaccounted(table, None, f"has columns that only one instance has, or with another type: {', '.join(names)}")
        for table, names in cursor.not_compared.items()
    ]
    found = [*columns, *_tables(forward, restored, known, cursor.problems), *_large_objects(forward, restored)]
    return sorted(found, key=lambda each: ((True, None, False).index(each.differs), each.table))


def _tables(forward: Others, restored: Others, known: set[str], problems: Mapping[str, str]) -> Iterator[Unaccounted]:
    on_both, left = restored.tables(), _ALL_BYTES
    on_forward = forward.tables()
    for name, may_read in on_forward.items():
        if name in known:
            continue
        why, shape = problems.get(name, "is not in settings"), forward.shape(name)
        if shape is None:
            continue
        if name not in on_both:
            yield Unaccounted(name, shape.rows, why, differs=True)
            continue
        is_cheap = may_read and on_both[name] and shape.size_bytes <= min(_SMALL_BYTES, left)
        rows, differs = shape.rows, None
        if is_cheap:
            left -= shape.size_bytes
            rows, differs = _compared(forward, restored, name, shape)
        yield Unaccounted(name, rows, why, differs)
    for name in sorted(set(problems) - set(on_forward)):
        yield Unaccounted(name, None, problems[name], name in on_both)


def _compared(forward: Others, restored: Others, name: str, shape: Shape) -> tuple[int, bool | None]:
    """Compare a small table as a whole; the other side may have become much larger than it was here."""
    here, before = forward.whole(name, shape), restored.shape(name)
    if before is None or [column.name for column in before.columns] != [column.name for column in shape.columns]:
        return here[0], True
    if before.size_bytes > _SMALL_BYTES:
        return here[0], None
    return here[0], here != restored.whole(name, before)


def _large_objects(forward: Others, restored: Others) -> Iterator[Unaccounted]:
    """Only a superuser may read them all, so that only those that are there or not are told apart."""
    here, before = forward.large_objects(), restored.large_objects()
    if here[0] or before[0]:
        yield Unaccounted(LARGE_OBJECTS, here[0], "are no rows of a table", True if here != before else None)
