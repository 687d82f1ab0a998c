"""Database and cache are each asked once, with what their secrets say now."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from lambdas.checks import check_data_stores as function
from lambdas.database.login_rules import Credentials
from lambdas.errors import DataStoreUnreachable
from tests.unit.checks.conftest import Vault


@dataclass
class FakeStores:
    """Database and cache, as the function asks them. `asked` is with what, in order."""

    asked: list[Any] = field(default_factory=list)
    broken: bool = False

    def answer(self, shown: Credentials | str | None) -> None:
        self.asked.append(shown)
        if self.broken:
            raise DataStoreUnreachable("broken")


@pytest.fixture
def stores(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> FakeStores:
    database = vault.keep("database", json.dumps({"username": "checker", "password": "p4ss"}))
    told = replace(
        function.settings,
        database=replace(function.settings.database, secret_arn=database),
        cache=replace(function.settings.cache, secret_arn=vault.keep("cache", "auth-token\n")),
    )
    fake = FakeStores()
    monkeypatch.setattr(function, "settings", told)
    monkeypatch.setattr(function, "secrets", vault.secrets)
    monkeypatch.setattr(function, "postgres", fake)
    monkeypatch.setattr(function, "cache", fake)
    return fake


def check() -> dict[str, Any]:
    answer: dict[str, Any] = function.lambda_handler.__wrapped__({"release_id": "new"}, None)
    return answer


def test_both_are_asked_and_the_database_first(stores: FakeStores) -> None:
    assert check() == {"answered": ["database", "cache"]}
    assert stores.asked == [Credentials("checker", "p4ss"), "auth-token"]


def test_cache_without_a_secret_is_asked_without_password(stores: FakeStores, monkeypatch: pytest.MonkeyPatch) -> None:
    told = function.settings
    monkeypatch.setattr(function, "settings", replace(told, cache=replace(told.cache, secret_arn=None)))
    check()
    assert stores.asked == [Credentials("checker", "p4ss"), None]


def test_rotated_secret_is_used_at_once(vault: Vault, stores: FakeStores) -> None:
    """A warm function outlives a rotation."""
    check()
    rotated = json.dumps({"username": "checker", "password": "n3w"})
    vault.client.put_secret_value(SecretId=function.settings.database.secret_arn, SecretString=rotated)
    check()
    assert stores.asked[2] == Credentials("checker", "n3w")


def test_database_that_does_not_answer_is_the_error(stores: FakeStores) -> None:
    stores.broken = True
    with pytest.raises(DataStoreUnreachable):
        check()
    assert len(stores.asked) == 1


def test_secret_without_a_user_is_explained(vault: Vault, stores: FakeStores) -> None:
    arn = function.settings.database.secret_arn
    vault.client.put_secret_value(SecretId=arn, SecretString='{"password": "canary"}')
    with pytest.raises(DataStoreUnreachable, match='must be JSON with "username" and "password"') as raised:
        check()
    assert "canary" not in repr(raised.value)
    assert stores.asked == []
