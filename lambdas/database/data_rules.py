"""What settings say of the data of a database that is restored. All pure."""

from dataclasses import dataclass
from json import loads
from typing import Any, Self

from lambdas.database.login_rules import Server


@dataclass(frozen=True)
class CheckQuery:
    """A query with one value as its answer, which must be `expected`, or `at_least` so much."""

    name: str
    sql: str
    expected: str | float | bool | None = None
    at_least: float | None = None


@dataclass(frozen=True)
class ComparedTable:
    """A table of which lost writes are counted; `name` may have a schema, and `key` names the columns of its key."""

    name: str
    key: tuple[str, ...]

    @property
    def schema(self) -> str:
        """Return the schema, which is "public" unless the name has one."""
        return self.name.rpartition(".")[0] or "public"

    @property
    def full_name(self) -> str:
        """Return the name with its schema."""
        return f"{self.schema}.{self.name.rpartition('.')[2]}"


@dataclass(frozen=True)
class DataSettings:
    """The RESTORE variable of a function, as far as it is about SQL."""

    database: dict[str, Any]
    application_secret_arn: str
    administrator_secret_arn: str
    application_roles: tuple[str, ...]
    tables: tuple[ComparedTable, ...]
    check_queries: tuple[CheckQuery, ...]
    warm_queries: tuple[str, ...]
    bucket: str

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the variable."""
        given = loads(text)
        return cls(
            database=given["database"],
            application_secret_arn=given["application_secret_arn"],
            administrator_secret_arn=given["administrator_secret_arn"],
            application_roles=tuple(given["application_roles"]),
            tables=tuple(_table(each) for each in given["tables"]),
            check_queries=tuple(_query(each, at) for at, each in enumerate(given.get("check_queries", ()), 1)),
            warm_queries=tuple(given.get("warm_queries", ())),
            bucket=given["bucket"],
        )

    def server(self, host: str) -> Server:
        """Return the database on a host that is not, or no longer, the one of settings."""
        return Server.at(host, self.database)


def _table(given: dict[str, Any]) -> ComparedTable:
    key = given["key"]
    return ComparedTable(given["name"], (key,) if isinstance(key, str) else tuple(key))


def _query(given: dict[str, Any], at: int) -> CheckQuery:
    return CheckQuery(
        given.get("name", f"check query {at}"), given["sql"], given.get("expected"), given.get("at_least")
    )
