# ruff: noqa: S608  names are quoted, and every value is a parameter
"""Sequences of one PostgreSQL server: those of identity columns, those that columns own, and all others."""

from dataclasses import dataclass

from lambdas.database.postgres import Session, quoted
from lambdas.database.restored_rules import SequenceState

_SEQUENCES = """
    SELECT nspname, relname, seqincrement, seqcycle
    FROM pg_sequence JOIN pg_class ON pg_class.oid = seqrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relpersistence <> 't' AND nspname !~ '^pg_' ORDER BY nspname, relname
"""


@dataclass(frozen=True)
class Sequences:
    """`session` may read them, and update those that it sets."""

    session: Session

    def read(self) -> dict[str, SequenceState]:
        """Return how far each is, by its name with its schema."""
        found: dict[str, SequenceState] = {}
        for schema, name, increment, cycles in self.session.rows("the sequences", _SEQUENCES):
            full_name = f"{schema}.{name}"
            last, is_called = self.session.row(
                f"the last value of the sequence {full_name}", f"SELECT last_value, is_called FROM {quoted(full_name)}"
            )
            found[full_name] = SequenceState(last, is_called, increment, cycles)
        return found

    def may_set(self, name: str) -> bool:
        """Say whether this user may."""
        sql = "SELECT has_sequence_privilege(to_regclass(:name), 'UPDATE')"
        return bool(self.session.row(f"the rights on the sequence {name}", sql, name=quoted(name))[0])

    def set(self, name: str, last: int, *, is_called: bool) -> None:
        """Let a sequence go on elsewhere. Raises QueryFailed when that is out of its bounds."""
        self.session.rows(
            f"to advance the sequence {name}",
            "SELECT setval(to_regclass(:name), CAST(:last AS bigint), CAST(:called AS boolean))",
            name=quoted(name),
            last=last,
            called=is_called,
        )
