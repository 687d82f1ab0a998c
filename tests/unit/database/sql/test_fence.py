"""The fence, on a real server: who is closed, who is accused, and who can log in afterwards."""

from collections.abc import Iterator

import pytest
from pg8000.exceptions import DatabaseError, InterfaceError

from lambdas.database.fence_rules import Prepared, Reading, still_writing
from lambdas.database.postgres import Session, sqlstate
from lambdas.database.roles import Roles
from lambdas.errors import WritersNotFenced
from rehearsal.world.postgres import PostgresServer
from tests.unit.database.sql.conftest import APPLICATION, DATABASE, MASTER, Connect

pytestmark = pytest.mark.rehearsed


@pytest.fixture
def roles(administrator: Session) -> Iterator[Roles]:
    adapter = Roles(administrator)
    yield adapter
    adapter.open()


@pytest.fixture(autouse=True)
def reporter(server: PostgresServer) -> Iterator[None]:
    """Let there be somebody else who may write, and whom settings forgot."""
    with server.connect(DATABASE) as superuser:
        superuser.run("CREATE ROLE reporter LOGIN PASSWORD 'r'; CREATE TABLE written (id int)")
        superuser.run(f"GRANT ALL ON written TO reporter, {APPLICATION}")
        yield
        superuser.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'reporter'")
        superuser.run("DROP TABLE written; DROP ROLE reporter")


def can_log_in(connect: Connect) -> bool:
    try:
        connect().run("SELECT 1")
    except DatabaseError as error:
        return sqlstate(error) != "28000"
    return True


def writing(roles: Roles, seconds: int = 1) -> str:
    before, after = roles.read_twice(seconds)
    return still_writing(before, after, [APPLICATION], DATABASE)


def test_application_is_out_and_nobody_writes(roles: Roles, connect: Connect) -> None:
    user = connect()
    user.run("BEGIN; INSERT INTO written VALUES (1)")
    roles.close([APPLICATION])
    assert roles.end_sessions([APPLICATION]) == 1
    assert writing(roles) == ""
    with pytest.raises((DatabaseError, InterfaceError)):
        user.run("COMMIT")
    assert not can_log_in(connect)


def test_lift_opens_exactly_whom_the_fence_closed(roles: Roles, administrator: Session, connect: Connect) -> None:
    """A role that could not log in before shall not be able to afterwards."""
    administrator.rows("another role", "CREATE ROLE retired NOLOGIN")
    roles.close([APPLICATION, "retired"])
    assert roles.closed() == [APPLICATION]
    assert roles.open() == [APPLICATION]
    assert can_log_in(connect)
    found = administrator.rows("roles", "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'retired'")
    administrator.rows("dropping", "DROP ROLE retired")
    assert found == [[False]]


def test_fence_and_lift_can_be_repeated(roles: Roles, connect: Connect) -> None:
    """The second fence finds roles closed, and must remember that it was a fence that closed them."""
    assert roles.open() == []
    roles.close([APPLICATION])
    roles.close([APPLICATION])
    assert roles.open() == [APPLICATION]
    assert roles.open() == []
    assert can_log_in(connect)


def test_fence_that_cannot_be_finished_closes_nobody(roles: Roles, connect: Connect, server: PostgresServer) -> None:
    """Marker and NOLOGIN are one transaction."""
    with server.connect() as superuser:
        superuser.run("CREATE ROLE foreign_role LOGIN")
        with pytest.raises(WritersNotFenced, match="WITH ADMIN OPTION"):
            roles.close([APPLICATION, "foreign_role"])
        superuser.run("DROP ROLE foreign_role")
    assert roles.closed() == []
    assert can_log_in(connect)


def test_role_that_does_not_exist_is_named(roles: Roles) -> None:
    with pytest.raises(WritersNotFenced, match="does not have: renamed"):
        roles.close([APPLICATION, "renamed"])


def test_administrator_does_not_close_himself(roles: Roles) -> None:
    with pytest.raises(WritersNotFenced, match="settings must name two"):
        roles.close([MASTER])


def test_administrator_who_sees_nothing_proves_nothing(roles: Roles, server: PostgresServer) -> None:
    """Without pg_monitor, the columns that accuse others are empty; without pg_signal_backend nobody is ended."""
    for right in ("pg_monitor", "pg_signal_backend"):
        with server.connect() as superuser:
            superuser.run(f"REVOKE {right} FROM {MASTER}")
            with pytest.raises(WritersNotFenced, match="GRANT pg_monitor, pg_signal_backend"):
                roles.close([APPLICATION])
            superuser.run(f"GRANT {right} TO {MASTER}")
    assert roles.closed() == []


def test_writer_who_was_forgotten_is_named_without_what_he_does(roles: Roles, connect: Connect) -> None:
    roles.close([APPLICATION])
    forgotten = connect("reporter", "r")
    forgotten.run("SET application_name = 'nightly'; BEGIN")
    forgotten.run("INSERT INTO written VALUES (4711)")
    found = writing(roles)
    assert "of 'nightly' as reporter from 127.0.0.1 in receipts" in found
    assert "4711" not in found
    assert "INSERT" not in found
    forgotten.run("COMMIT")


def test_writer_who_came_and_went_is_noticed(roles: Roles, connect: Connect) -> None:
    roles.close([APPLICATION])
    before = roles._reading()
    gone = connect("reporter", "r")
    gone.run("INSERT INTO written VALUES (1), (2)")
    gone.close()
    roles.session.rows("to wait", "SELECT pg_sleep(1)")
    after = roles._reading()
    assert "wrote 2 rows" in still_writing(before, after, [APPLICATION], DATABASE)


def test_those_who_only_read_are_not_accused(roles: Roles, connect: Connect) -> None:
    roles.close([APPLICATION])
    reader = connect("reporter", "r")
    before = roles._reading()
    reader.run("SELECT * FROM written")
    assert still_writing(before, roles._reading(), [APPLICATION], DATABASE) == ""


def test_what_rds_writes_elsewhere_accuses_nobody(roles: Roles, connect: Connect, server: PostgresServer) -> None:
    """RDS writes heartbeats to a database of its own, and analyzes tables: both move the transaction id."""
    roles.close([APPLICATION])
    idle = connect("reporter", "r")
    idle.run("SELECT 1")
    roles.session.rows("to wait", "SELECT pg_sleep(0.1)")
    before = roles._reading()
    with server.connect("postgres") as rds:
        rds.run("CREATE TABLE heartbeat (at timestamptz); INSERT INTO heartbeat VALUES (now()); DROP TABLE heartbeat")
    with server.connect(DATABASE) as rds:
        rds.run("ANALYZE written")
    after = roles._reading()
    assert after.next_transaction > before.next_transaction
    assert still_writing(before, after, [APPLICATION], DATABASE) == ""


def test_session_that_slips_in_is_not_overlooked(roles: Roles, connect: Connect) -> None:
    """Who is let in while the role is closed is there after the sessions were ended."""
    late = connect()
    late.run("SELECT 1")
    roles.close([APPLICATION])
    assert f"as {APPLICATION}" in writing(roles)


def test_prepared_transaction_is_named() -> None:
    """It outlives its session; RDS has none unless max_prepared_transactions is set."""
    prepared = Prepared("order-17", APPLICATION, DATABASE)
    reading = Reading(0.0, 1, 1, (), (prepared,))
    assert "prepared transaction 'order-17' of receipts in receipts" == still_writing(reading, reading, [], DATABASE)
