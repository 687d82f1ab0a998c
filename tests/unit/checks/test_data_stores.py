"""Database and cache are asked as the application asks them, and what goes wrong is said without their secrets."""

import socket
import ssl
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from lambdas.checks import cache as cache_module
from lambdas.checks import postgres as check_module
from lambdas.checks.cache import Cache
from lambdas.checks.postgres import Postgres
from lambdas.checks.rules import CacheAddress, DatabaseAddress
from lambdas.database import postgres as postgres_module
from lambdas.database.login_rules import Credentials
from lambdas.errors import DataStoreUnreachable
from rehearsal.world.certificates import Certificate, issue

USER = Credentials("checker", "canary-password")
AUTH = "canary-token"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return issue(["localhost"], tmp_path_factory.mktemp("certificate"))


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_module, "_CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(cache_module, "_TIMEOUT_SECONDS", 0.2)


@pytest.fixture
def nobody() -> int:
    """Return a port where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@contextmanager
def answering(*answers: bytes, received: list[bytes] | None = None) -> Iterator[int]:
    """Answer whatever arrives on one connection with these, one after the other; then wait until the client is gone."""
    kept = [] if received is None else received

    def serve() -> None:
        with suppress(OSError):
            connection, _ = listening.accept()
            connection.settimeout(5)
            with connection:
                for answer in answers:
                    connection.recv(65536)
                    connection.sendall(answer)
                while more := connection.recv(65536):
                    kept.append(more)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = Thread(target=serve)
        thread.start()
        try:
            yield int(listening.getsockname()[1])
        finally:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def database(port: int, certificate: Certificate) -> Postgres:
    address = DatabaseAddress("localhost", port, "receipts", "arn", certificate.authority_file.name)
    return Postgres(address, certificate.authority_file.parent)


def problem_of_database(asked: Postgres) -> str:
    with pytest.raises(DataStoreUnreachable) as raised:
        asked.answer(USER)
    assert "canary" not in "".join(traceback.format_exception(raised.value))
    assert "canary" not in f"{raised.value.__context__!r}"
    return str(raised.value)


def problem_of_cache(port: int, *, tls: bool) -> str:
    with pytest.raises(DataStoreUnreachable) as raised:
        Cache(CacheAddress("localhost", port, tls=tls)).answer(AUTH)
    assert "canary" not in "".join(traceback.format_exception(raised.value))
    assert "canary" not in f"{raised.value.__context__!r}"
    return str(raised.value)


def test_database_that_is_not_there_is_named(nobody: int, certificate: Certificate) -> None:
    expected = f"The database localhost:{nobody} does not answer SELECT 1: ConnectionRefusedError."
    assert expected == problem_of_database(database(nobody, certificate))


def test_database_without_tls_gets_no_password(certificate: Certificate) -> None:
    with answering(b"N") as port:
        expected = f"The database localhost:{port} does not answer SELECT 1: Server refuses SSL."
        assert expected == problem_of_database(database(port, certificate))


def test_database_that_says_nothing_is_not_waited_for(certificate: Certificate) -> None:
    with answering() as port:
        expected = f"The database localhost:{port} does not answer SELECT 1: TimeoutError."
        assert expected == problem_of_database(database(port, certificate))


def test_database_is_trusted_by_the_certificates_of_the_settings(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RDS has authorities of its own, which no system knows."""
    contexts: list[ssl.SSLContext] = []

    class Watched:
        def __init__(self, *_: object, ssl_context: ssl.SSLContext, **__: object) -> None:
            contexts.append(ssl_context)
            raise ConnectionRefusedError

    monkeypatch.setattr(postgres_module, "Connection", Watched)
    with answering() as port:
        problem_of_database(database(port, certificate))
    (context,) = contexts
    subjects = [dict(pair for part in each["subject"] for pair in part) for each in context.get_ca_certs()]
    assert "A rehearsal's certificate authority" in [each.get("commonName") for each in subjects]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_certificates_that_cannot_be_read_are_no_fault_of_the_database(
    nobody: int, tmp_path: Path, certificate: Certificate, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "rds.pem").write_text(content, encoding="utf-8")
    asked = database(nobody, certificate)
    asked = Postgres(replace(asked.address, ca_file="rds.pem"), tmp_path)
    assert problem_of_database(asked).startswith("The certificates in environments/files/rds.pem cannot be read: ")


@pytest.mark.parametrize("tls", [True, False])
def test_cache_that_is_not_there_is_named(nobody: int, *, tls: bool) -> None:
    expected = f"The cache localhost:{nobody} does not answer PING: ConnectionError."
    assert expected == problem_of_cache(nobody, tls=tls)


@pytest.mark.parametrize("tls", [True, False])
def test_cache_that_says_nothing_is_not_waited_for(*, tls: bool) -> None:
    with answering() as port:
        expected = f"The cache localhost:{port} does not answer PING: TimeoutError."
        assert expected == problem_of_cache(port, tls=tls)


@pytest.mark.parametrize(("tls", "beginning"), [(True, b"\x16\x03"), (False, b"*")])
def test_cache_with_tls_gets_no_word_without_it(beginning: bytes, *, tls: bool) -> None:
    """The first word is the token."""
    received: list[bytes] = []
    with answering(received=received) as port:
        problem_of_cache(port, tls=tls)
    assert received[0].startswith(beginning)
    assert (AUTH.encode() in b"".join(received)) is not tls


def test_cache_that_refuses_is_not_quoted() -> None:
    """A server may repeat what it did not understand."""
    with answering(b"-ERR unknown command canary-token\r\n") as port:
        with pytest.raises(DataStoreUnreachable) as raised:
            Cache(CacheAddress("localhost", port, tls=False)).answer(AUTH)
        assert str(raised.value) == f"The cache localhost:{port} does not answer PING: ResponseError."
    assert "canary" not in "".join(traceback.format_exception(raised.value))


def test_time_of_the_query_is_without_that_of_connecting(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection with TLS takes longer than most queries, and the alarm is on slow queries."""
    seconds = [0.0]

    class Slow:
        def __init__(self, *_: object, **__: object) -> None:
            seconds[0] += 10

        def close(self) -> None:
            seconds[0] += 100

        def run(self, _: str) -> None:
            seconds[0] += 0.25

    monkeypatch.setattr(postgres_module, "Connection", Slow)
    monkeypatch.setattr(check_module, "monotonic", lambda: seconds[0])
    with answering() as port:
        assert database(port, certificate).answer(USER) == 0.25
