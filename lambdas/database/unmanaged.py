"""What hangs on a PostgreSQL server without being data of the application: a restored one lacks it, or has it twice."""

from dataclasses import dataclass

from lambdas.database.fence_rules import MARKER
from lambdas.database.postgres import Session

_SLOTS = """
    SELECT slot_name, slot_type, coalesce(plugin, '') FROM pg_replication_slots
    WHERE NOT temporary ORDER BY slot_name
"""
_STANDBYS = """
    SELECT application_name, coalesce(host(client_addr), '') FROM pg_stat_replication ORDER BY application_name
"""
_SUBSCRIPTIONS = """
    SELECT subname FROM pg_subscription JOIN pg_database ON pg_database.oid = subdbid
    WHERE datname = current_database() ORDER BY subname
"""
_DATABASES = """
    SELECT datname FROM pg_database
    WHERE NOT datistemplate AND datname NOT IN (current_database(), 'postgres', 'rdsadmin') ORDER BY datname
"""
_ROLES = "SELECT rolname FROM pg_roles WHERE rolname !~ '^(pg_|rds)' ORDER BY rolname"
_SHOWN = 10


@dataclass(frozen=True)
class Surroundings:
    """All around the data. `session` is one of the administrator."""

    session: Session

    def roles(self) -> set[str]:
        """Return the names of users' roles."""
        return set(self._names("the roles", _ROLES)) - {MARKER}

    def findings(self) -> list[str]:
        """Say in sentences what has to be made anew for a server that is restored in place of this one."""
        asked = self.session
        slots = [
            f"Replication slot {name} ({' '.join(filter(None, [kind, plugin]))}) is not on the restored instance: make"
            " it there, and let its consumer begin anew."
            for name, kind, plugin in asked.rows("the replication slots", _SLOTS)
        ]
        standbys = [
            f"{name or 'A standby'}{f' at {address}' if address else ''} replicates the old instance: it does not"
            " follow the restored one."
            for name, address in asked.rows("the standbys", _STANDBYS)
        ]
        publications = [
            f"Publication {name} is published by the old instance: point its subscribers at the restored one."
            for name in self._names("the publications", "SELECT pubname FROM pg_publication ORDER BY pubname")
        ]
        subscriptions = [
            f"Subscription {name} is on both instances now, and both use one slot of its publisher: disable one."
            for name in self._names("the subscriptions", _SUBSCRIPTIONS)
        ]
        return [*slots, *standbys, *publications, *subscriptions, *self._databases(), *self._jobs()]

    def _databases(self) -> list[str]:
        others = self._names("the databases", _DATABASES)
        shown = ", ".join(others[:_SHOWN]) + (" and more" if len(others) > _SHOWN else "")
        if not others:
            return []
        return [f"Other databases of the old instance were restored, too, and their writes are not counted: {shown}."]

    def _jobs(self) -> list[str]:
        if not self._names("the extensions", "SELECT extname FROM pg_extension WHERE extname = 'pg_cron'"):
            return []
        return ["Jobs of pg_cron run on both instances now: unschedule them on the old one."]

    def _names(self, what: str, sql: str) -> list[str]:
        return [row[0] for row in self.session.rows(what, sql)]


def unmanaged(forward: Surroundings, restored: Surroundings) -> list[str]:
    """Return what a human has to see to, as sentences."""
    made = sorted(forward.roles() - restored.roles())
    gone = [f"Role {name} is not on the restored instance: create it there if somebody needs it." for name in made]
    return [*forward.findings(), *gone]
