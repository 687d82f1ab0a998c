"""A restored database goes on where the one before it is, is asked before anybody uses it, and nothing is forgotten."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pg8000.native import Connection

from lambdas.database.data_rules import CheckQuery
from lambdas.database.login_rules import Credentials
from lambdas.database.postgres import Session
from lambdas.database.queries import Queries
from lambdas.database.restored_rules import SequenceState, advanced, problem_of, require_right
from lambdas.database.roles import Roles
from lambdas.database.unmanaged import Surroundings, unmanaged
from lambdas.database.verify_restored_data import advance_sequences
from lambdas.errors import QueryFailed, RestoredDataWrong
from rehearsal.world.postgres import PostgresServer
from tests.unit.database.sql.conftest import APPLICATION, APPLICATION_PASSWORD, DATABASE, Connect, asking

pytestmark = pytest.mark.rehearsed

Both = tuple[Connection, Connection]

SEQUENCES = """
    CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY, old serial, n int);
    CREATE SEQUENCE loose START 100;
    CREATE SEQUENCE down INCREMENT -5 MAXVALUE -1 START -10;
    CREATE SEQUENCE round MINVALUE 1 MAXVALUE 10 CYCLE;
    CREATE SEQUENCE "Odd.name" CACHE 20;
    CREATE SEQUENCE unused;
"""


def advance(both: Both) -> int:
    forward, restored = (asking(connection) for connection in both)
    return advance_sequences(forward, restored, restored)


def next_values(connection: Connection) -> dict[str, int]:
    names = ("t_id_seq", "t_old_seq", "loose", "down", "round", '"Odd.name"')
    return {name: connection.run(f"SELECT nextval('public.{name}')")[0][0] for name in names}


def test_no_number_is_given_out_twice(both: Both) -> None:
    for connection in both:
        connection.run(SEQUENCES)
        connection.run("INSERT INTO t (n) SELECT generate_series(1, 3); SELECT nextval('loose')")
    both[0].run("INSERT INTO t (n) SELECT generate_series(1, 50); SELECT nextval('loose'), nextval('down')")
    both[0].run("SELECT nextval('round') FROM generate_series(1, 13); SELECT nextval('\"Odd.name\"')")
    assert advance(both) == 6
    assert advance(both) == 0
    found = next_values(both[1])
    assert found == {"t_id_seq": 54, "t_old_seq": 54, "loose": 102, "down": -15, "round": 4, '"Odd.name"': 21}


def test_sequence_never_goes_backwards(both: Both) -> None:
    """Restored data that was used already, or had been ahead, stays ahead."""
    for connection in both:
        connection.run(SEQUENCES)
    both[1].run("INSERT INTO t (n) SELECT generate_series(1, 9); SELECT nextval('down') FROM generate_series(1, 3)")
    both[0].run("SELECT nextval('down')")
    assert advance(both) == 0
    assert next_values(both[1])["down"] == -25


def test_sequence_that_a_release_made_is_not_missed(both: Both) -> None:
    both[0].run("CREATE SEQUENCE made")
    both[1].run("CREATE SEQUENCE kept")
    assert advance(both) == 0


def test_sequence_that_is_too_small_now_is_named(both: Both) -> None:
    both[0].run("CREATE SEQUENCE s; SELECT setval('s', 5000000000)")
    both[1].run("CREATE SEQUENCE s AS int")
    with pytest.raises(QueryFailed, match=r"to advance the sequence public\.s: SQLSTATE 22003"):
        advance(both)


@given(st.integers(-50, 50), st.integers(-50, 50), st.booleans(), st.booleans(), st.sampled_from([-3, -1, 1, 7]))
def test_next_number_is_behind_both(forward: int, restored: int, one: bool, other: bool, increment: int) -> None:  # noqa: FBT001
    """Whatever was given out on either side."""
    states = SequenceState(forward, one, increment), SequenceState(restored, other, increment)
    last, is_called = advanced(*states) or (restored, other)
    coming = last + increment if is_called else last
    given_out = [state.last for state in states if state.is_called]
    assert all((coming - each) * increment > 0 for each in given_out)


@pytest.mark.parametrize(
    ("sql", "expected", "at_least", "problem"),
    [
        ("SELECT count(*) = 3 FROM t", True, None, ""),
        ("SELECT count(*) FROM t", 3, None, ""),
        ("SELECT count(*) FROM t", None, 3, ""),
        ("SELECT count(*) FROM t", None, 4, "rows answered less than 4"),
        ("SELECT max(name) FROM t", "canary", None, ""),
        ("SELECT max(name) FROM t", "other", None, "rows did not answer 'other'"),
        ("SELECT count(*) FROM t", True, None, "rows did not answer True"),
        ("SELECT avg(n) FROM t", None, 2, ""),
        ("SELECT max(n) FROM t WHERE n > 9", None, 2, "rows did not answer a number"),
        ("SELECT name FROM t", "canary", None, "rows must answer one value"),
        ("SELECT n, n FROM t LIMIT 1", 1, None, "rows must answer one value"),
        ("SELECT n / 0 FROM t", 1, None, "rows failed with SQLSTATE 22012"),
        ("SELECT nextval('s')", 1, None, "rows failed with SQLSTATE 25006"),
    ],
)
def test_check_query_is_judged_without_being_quoted(
    both: Both, sql: str, expected: Any, at_least: int | None, problem: str
) -> None:
    both[1].run("CREATE TABLE t (n int, name text); CREATE SEQUENCE s")
    both[1].run("INSERT INTO t SELECT i, 'canary' FROM generate_series(1, 3) i")
    queries = Queries(Session(both[1], "the database"))
    found = queries.problem(CheckQuery("rows", sql, expected, at_least))
    assert found == problem
    assert "canary" not in found


def test_all_that_is_wrong_is_named_at_once() -> None:
    wrong = [problem_of(CheckQuery(name, "", 1), [[2]]) for name in ("one", "two")]
    with pytest.raises(RestoredDataWrong, match="one did not answer 1; two did not answer 1"):
        require_right(["", *wrong])


def test_warm_query_is_run_to_its_end_and_sends_nothing(both: Both) -> None:
    both[1].run("CREATE TABLE t AS SELECT generate_series(1, 1000) n")
    queries = Queries(Session(both[1], "the database"))
    assert queries.warm("SELECT * FROM t")
    both[1].run("SET statement_timeout = '50ms'")
    assert not queries.warm("SELECT pg_sleep(5)")
    assert queries.warm("SELECT 1")


@pytest.mark.parametrize("password", ["canary-rotated", "canary-pässwört-\ufb01"])
def test_application_gets_its_present_password(
    administrator: Session, connect: Connect, server: PostgresServer, password: str
) -> None:
    """A snapshot has the password of its time. The new one is in no statement: a server may log those."""
    with server.connect() as superuser:
        superuser.run("ALTER SYSTEM SET log_statement = 'all'")
        superuser.run("SELECT pg_reload_conf()")
        Roles(administrator).set_password(Credentials(APPLICATION, password))
        assert connect(APPLICATION, password).run("SELECT 1") == [[1]]
        superuser.run("ALTER SYSTEM RESET log_statement")
        superuser.run("SELECT pg_reload_conf()")
    assert password not in server._log.read_text(encoding="utf-8")
    Roles(administrator).set_password(Credentials(APPLICATION, APPLICATION_PASSWORD))


def test_what_no_restore_brings_back_is_named(both: Both, administrator: Session, server: PostgresServer) -> None:
    both[0].run("CREATE TABLE t (id int PRIMARY KEY)")
    forward, restored = (asking(connection) for connection in both)
    name = forward.row("name", "SELECT current_database()::text")[0]
    with server.connect(name) as superuser:
        superuser.run("SELECT pg_create_physical_replication_slot('standby')")
        superuser.run("CREATE PUBLICATION changes FOR ALL TABLES")
        superuser.run(
            "CREATE SUBSCRIPTION orders CONNECTION 'host=127.0.0.1 password=canary' PUBLICATION p"
            " WITH (connect = false)"
        )
        found = unmanaged(Surroundings(forward), Surroundings(restored))
        superuser.run("ALTER SUBSCRIPTION orders SET (slot_name = NONE)")
        superuser.run("DROP SUBSCRIPTION orders; SELECT pg_drop_replication_slot('standby')")
    text = "\n".join(found)
    assert "Replication slot standby (physical) is not on the restored instance" in text
    assert "Publication changes is published by the old instance" in text
    assert "Subscription orders is on both instances now" in text
    assert f"their writes are not counted: {DATABASE}" in text.replace(", ", " ")
    assert "canary" not in text
    assert administrator.name


def test_role_that_is_new_is_named() -> None:
    class Known:
        def __init__(self, *names: str) -> None:
            self.names = set(names)

        def roles(self) -> set[str]:
            return self.names

        def findings(self) -> list[str]:
            return []

    forward: Any = Known("a", "b")
    restored: Any = Known("a")
    found = unmanaged(forward, restored)
    assert found == ["Role b is not on the restored instance: create it there if somebody needs it."]
