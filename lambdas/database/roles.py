"""
Roles of a PostgreSQL server, and who is logged in as them.

All of it works for the master user of RDS, who is no superuser: CREATEROLE with ADMIN OPTION on the roles (given to
whoever created them; before PostgreSQL 16 CREATEROLE is enough), pg_signal_backend and pg_monitor, which rds_superuser
has. https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Appendix.PostgreSQL.CommonDBATasks.Roles.rds_superuser.html
"""

from collections.abc import Sequence
from dataclasses import dataclass
from secrets import token_bytes

from lambdas.database.fence_rules import MARKER, Prepared, Reading, Writer, missing_roles
from lambdas.database.login_rules import Credentials
from lambdas.database.postgres import Session, quoted, quoted_value
from lambdas.database.restored_rules import scram_verifier
from lambdas.errors import QueryFailed, WritersNotFenced

_RIGHTS = """
    SELECT session_user::text, pg_has_role('pg_read_all_stats', 'USAGE') AND pg_has_role('pg_signal_backend', 'USAGE')
"""

# Since PostgreSQL 16 whoever creates a role is a member of it, with ADMIN OPTION
_MARKED = """
    SELECT role.rolname FROM pg_auth_members member
    JOIN pg_roles marker ON marker.oid = member.roleid AND marker.rolname = :marker
    JOIN pg_roles role ON role.oid = member.member AND NOT member.admin_option
"""

# Superusers, on RDS rdsadmin alone, are RDS itself, and so is what has no database.
_WRITERS = """
    SELECT activity.pid, coalesce(activity.usename, ''), coalesce(activity.datname, ''),
        coalesce(activity.application_name, ''), coalesce(host(activity.client_addr), ''), activity.backend_type,
        coalesce(activity.state = 'active', activity.state IS NULL),
        activity.backend_xid IS NOT NULL,
        coalesce(extract(epoch FROM clock_timestamp() - activity.state_change), 0)::float8
    FROM pg_stat_activity activity LEFT JOIN pg_roles role ON role.oid = activity.usesysid
    WHERE activity.pid <> pg_backend_pid() AND activity.datname IS NOT NULL
        AND activity.backend_type NOT IN ('autovacuum worker', 'parallel worker', 'walsender')
        AND NOT coalesce(role.rolsuper AND activity.backend_type = 'client backend', false)
    ORDER BY activity.pid
"""

_WAIT_SECONDS, _MOST_WAITS = 0.1, 20


@dataclass(frozen=True)
class Roles:
    """`session` is one of the administrator, in the database of settings."""

    session: Session

    def close(self, names: Sequence[str]) -> None:
        """
        Let these roles log in no more, and mark those of them that could before. Safe to repeat.

        Raises WritersNotFenced when there is no such role, or the administrator may not change it.
        """
        asked = self.session
        me, has_rights = asked.row("the administrator's rights", _RIGHTS)
        if me in names:
            raise WritersNotFenced(
                f"{me} is the administrator, and one of the application's roles: settings must name two."
            )
        if not has_rights:
            raise WritersNotFenced(
                f"{me} cannot both see and end what others do in {asked.name}:"
                f" GRANT pg_monitor, pg_signal_backend TO {me}."
            )
        found = asked.rows("the roles", "SELECT rolname FROM pg_roles WHERE rolname = ANY(:names)", names=list(names))
        if missing := missing_roles(names, (row[0] for row in found)):
            raise WritersNotFenced(f"Settings name application roles that {asked.name} does not have: {missing}.")
        try:
            with asked.transaction():
                self._close_at_once(names)
        except QueryFailed as error:
            raise WritersNotFenced(
                f"{error} The administrator {me} needs CREATEROLE, and with PostgreSQL 16 or later for each of"
                f" {', '.join(names)}: GRANT role TO {me} WITH ADMIN OPTION."
            ) from None

    def open(self) -> list[str]:
        """Let exactly those log in again whom a fence has closed; return their names. Safe to repeat."""
        asked = self.session
        with asked.transaction():
            marked = [row[0] for row in asked.rows("the closed roles", _MARKED, marker=MARKER)]
            for name in marked:
                asked.rows(f"to open the role {name}", f"ALTER ROLE {quoted(name)} LOGIN")
                asked.rows(f"to unmark the role {name}", f"REVOKE {MARKER} FROM {quoted(name)}")
        return sorted(marked)

    def closed(self) -> list[str]:
        """Return the names of those whom a fence has closed."""
        return sorted(row[0] for row in self.session.rows("the closed roles", _MARKED, marker=MARKER))

    def able_to_log_in(self, names: Sequence[str]) -> list[str]:
        """Return which of these roles could log in now."""
        found = self.session.rows(
            "the open roles",
            "SELECT rolname FROM pg_roles WHERE rolcanlogin AND rolname = ANY(:names) ORDER BY rolname",
            names=list(names),
        )
        return [row[0] for row in found]

    def set_password(self, user: Credentials) -> None:
        """Give a role a password, which itself is not sent. Raises QueryFailed."""
        verifier = scram_verifier(user.password, token_bytes(16))
        self.session.rows(
            f"to set the password of {user.username}",
            f"ALTER ROLE {quoted(user.username)} PASSWORD {quoted_value(verifier)}",
        )

    def end_sessions(self, names: Sequence[str]) -> int:
        """
        End all sessions of these roles, in all databases, and say how many there were.

        A session is only told to end, and reports the rows that it has written when it goes. So it is waited for, up to
        two seconds; otherwise who counts rows now would take what was written before for a writer that nobody can find.
        """
        ended = self.session.rows(
            "to end the application's sessions",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = ANY(:names)",
            names=list(names),
        )
        for _ in range(_MOST_WAITS):
            if not self._sessions(names):
                break
            self.session.rows("to wait", "SELECT pg_sleep(:seconds)", seconds=_WAIT_SECONDS)
        return len(ended)

    def _sessions(self, names: Sequence[str]) -> int:
        self.session.rows("fresh statistics", "SELECT pg_stat_clear_snapshot()")
        (count,) = self.session.row(
            "the application's sessions",
            "SELECT count(*) FROM pg_stat_activity WHERE usename = ANY(:names)",
            names=list(names),
        )
        return int(count)

    def read_twice(self, seconds: int) -> tuple[Reading, Reading]:
        """Read what is written, let `seconds` go by on the server, and read it again."""
        before = self._reading()
        self.session.rows("to wait", "SELECT pg_sleep(:seconds)", seconds=seconds)
        return before, self._reading()

    def _close_at_once(self, names: Sequence[str]) -> None:
        asked = self.session
        if not asked.rows("the marker", "SELECT 1 FROM pg_roles WHERE rolname = :marker", marker=MARKER):
            asked.rows(f"to create the role {MARKER}", f"CREATE ROLE {MARKER} NOLOGIN")
        can = asked.rows(
            "the open roles",
            "SELECT rolname FROM pg_roles WHERE rolcanlogin AND rolname = ANY(:names)",
            names=list(names),
        )
        for (name,) in can:
            asked.rows(f"to mark the role {name}", f"GRANT {MARKER} TO {quoted(name)}")
            asked.rows(f"to close the role {name}", f"ALTER ROLE {quoted(name)} NOLOGIN")

    def _reading(self) -> Reading:
        asked = self.session
        (at,) = asked.row("the time", "SELECT extract(epoch FROM clock_timestamp())::float8")
        asked.rows("fresh statistics", "SELECT pg_stat_clear_snapshot()")
        (transaction,) = asked.row("the transaction id", "SELECT txid_snapshot_xmax(txid_current_snapshot())::int8")
        (written,) = asked.row(
            "the rows written",
            "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::int8 FROM pg_stat_user_tables",
        )
        prepared = asked.rows("prepared transactions", "SELECT gid, owner::text, database::text FROM pg_prepared_xacts")
        return Reading(
            at=at,
            next_transaction=transaction,
            written_rows=written,
            writers=tuple(Writer(*row) for row in asked.rows("the sessions", _WRITERS)),
            prepared=tuple(Prepared(*row) for row in prepared),
        )
