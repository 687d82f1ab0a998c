"""The application is led to another place, and nothing else that it is told changes."""

import json

import pytest

from lambdas.database.connection_rules import Address, address_in, is_parameter, moved, token
from lambdas.errors import RestoreFailed

TO = Address("restored.c9.eu-west-1.rds.amazonaws.com", 5432, "restored")
PASSWORD = "p@ss/w'ö?rd"  # noqa: S105  of this test
SECRET = {
    "engine": "postgres",
    "host": "old.c9.eu-west-1.rds.amazonaws.com",
    "port": 5432,
    "username": "receipts",
    "password": PASSWORD,
    "dbname": "receiptvault",
}


def moved_secret(**changes: object) -> dict[str, object]:
    result: dict[str, object] = json.loads(moved(json.dumps({**SECRET, **changes}), TO, "the secret"))
    return result


def test_only_the_host_changes() -> None:
    assert moved_secret() == {**SECRET, "host": TO.host}
    assert list(moved_secret()) == list(SECRET)


def test_the_instance_is_renamed_where_it_is_named_and_a_port_stays_what_it_was() -> None:
    """Rotation functions of AWS read it; some applications want the port as text."""
    assert moved_secret(dbInstanceIdentifier="old", port="5433") == {
        **SECRET,
        "host": TO.host,
        "port": "5432",
        "dbInstanceIdentifier": "restored",
    }


def test_a_port_that_nobody_told_is_told_only_when_it_is_unusual() -> None:
    plain = {name: value for name, value in SECRET.items() if name != "port"}
    assert "port" not in json.loads(moved(json.dumps(plain), TO, "the secret"))
    assert json.loads(moved(json.dumps(plain), Address("new", 5433), "the secret"))["port"] == 5433


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://user:p%40ss@old:5432/db", "postgresql://user:p%40ss@{}/db"),
        ("postgres://user@old/db?sslmode=verify-full", "postgres://user@{}/db?sslmode=verify-full"),
        ("postgresql://old", "postgresql://{}"),
        ("postgresql://u:p@old:5432/db?options=a@b:1", "postgresql://u:p@{}/db?options=a@b:1"),
    ],
)
def test_a_url_keeps_everything_but_the_place(url: str, expected: str) -> None:
    """The runbook's parameter is one."""
    assert moved(url, TO, "the parameter") == expected.format(f"{TO.host}:5432")
    assert address_in(moved(url, TO, "the parameter"), "the parameter").is_same_place(TO)


@pytest.mark.parametrize("text", ["", "secret", "[]", '{"username": "a"}', '{"host": 5}', '{"host": ""}'])
def test_a_text_that_tells_no_place_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(RestoreFailed) as refused:
        moved(text + PASSWORD if text == "secret" else text, TO, "The secret arn:x")
    assert "The secret arn:x does not say where the database is" in str(refused.value)
    assert PASSWORD not in str(refused.value)


def test_a_proxy_is_not_bypassed() -> None:
    """Behind it the application would not find out, and connections would be pooled nowhere."""
    with pytest.raises(RestoreFailed, match="Register restored as the proxy's target"):
        moved_secret(host="receipts.proxy-c9akciq32rgd.eu-west-1.rds.amazonaws.com")


def test_the_same_place_is_the_same_in_any_case() -> None:
    assert Address("A.example", 5432).is_same_place(Address("a.example", 5432, "named"))
    assert not Address("a.example", 5432).is_same_place(Address("a.example", 5433))
    assert Address.from_item(TO.as_item()) == TO


def test_an_attempt_names_the_version_as_the_one_before_did() -> None:
    assert token("r-1", "v1") == token("r-1", "v1")
    assert len({token("r-1", "v1"), token("r-2", "v1"), token("r-1", "v2")}) == 3
    assert 32 <= len(token("r-1", "v1")) <= 64


def test_parameters_are_told_from_secrets_by_their_arn() -> None:
    assert is_parameter("arn:aws:ssm:eu-west-1:111122223333:parameter/receipts/database-url")
    assert not is_parameter("arn:aws:secretsmanager:eu-west-1:111122223333:secret:receipts/database-a1B2c3")
