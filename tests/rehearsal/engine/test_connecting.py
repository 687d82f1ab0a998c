"""Who connects again to what listens in this process finds what he found with sockets, and is refused as with them."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pg8000.exceptions import DatabaseError
from pg8000.native import Connection
from urllib3 import PoolManager
from urllib3.exceptions import SSLError

from rehearsal.engine import in_process, nearby, shortcuts
from rehearsal.engine.in_process import Surroundings
from rehearsal.engine.sandbox_process import PretendNetwork
from rehearsal.model.postgres import ModelPostgres
from rehearsal.model.tls_listener import TlsListener
from rehearsal.world.certificates import Certificate, issue
from rehearsal.world.routing import Front, Request

NAME, USER, PASSWORD, DATABASE = "localhost", "visitor", "a visitor's", "receipts"


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return issue([NAME], tmp_path / "tls")


@pytest.fixture(autouse=True)
def _trusted(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.authority_file))
    with shortcuts.taken():
        yield


def in_function() -> AbstractContextManager[None]:
    return vars(in_process)["_HERE"].are(Surroundings(PretendNetwork(""), print))


class Conversations(list[int]):
    """Counts those that needed no socket."""

    def __init__(self, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        listener: Any = nearby.listener_on(port)
        really_converse: Callable[[], Any] = listener.converse

        def converse() -> Any:
            self.append(port)
            return really_converse()

        monkeypatch.setattr(listener, "converse", converse)


# -- the database


@pytest.fixture
def database(certificate: Certificate) -> Iterator[ModelPostgres]:
    server = ModelPostgres()
    server.create(USER, PASSWORD, DATABASE)
    server.listen(certificate)
    yield server
    server.remove()


def ask(port: int, *, password: str = PASSWORD, name: str = NAME, authority: Path | None = None) -> Any:
    trust = ssl.create_default_context()
    if authority is not None:
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trust.load_verify_locations(authority)
    with (
        socket.create_connection((NAME, port), 5) as plain,
        Connection(USER, host=name, password=password, database=DATABASE, sock=plain, ssl_context=trust) as connection,
    ):
        return connection.run("SELECT 1")


def test_only_the_first_connection_of_a_kind_needs_sockets(
    database: ModelPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversations = Conversations(database.port, monkeypatch)

    with in_function():
        answers = [ask(database.port) for _ in range(3)]

    assert [[[1]]] * 3 == answers
    assert 2 == len(conversations)


def test_others_than_functions_have_sockets(database: ModelPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    conversations = Conversations(database.port, monkeypatch)

    assert [[[1]]] * 2 == [ask(database.port) for _ in range(2)]
    assert [] == conversations


def test_a_password_is_proved_each_time(database: ModelPostgres) -> None:
    with in_function():
        ask(database.port)
        with pytest.raises(DatabaseError) as refused:
            ask(database.port, password="another")

    assert "28P01" == refused.value.args[0]["C"]


def test_trust_in_others_is_not_enough(database: ModelPostgres, certificate: Certificate, tmp_path: Path) -> None:
    """Neither the first time nor later, and what others were shown is no help."""
    stranger = issue([NAME], tmp_path / "stranger").authority_file

    with in_function():
        for _ in range(2):
            ask(database.port)
            ask(database.port, authority=certificate.authority_file)
            with pytest.raises(ssl.SSLCertVerificationError):
                ask(database.port, authority=stranger)


def test_a_file_that_changes_is_another_authority(
    database: ModelPostgres, certificate: Certificate, tmp_path: Path
) -> None:
    stranger, trusted = issue([NAME], tmp_path / "stranger").authority_file, tmp_path / "trusted.pem"
    trusted.write_bytes(certificate.authority_file.read_bytes())

    with in_function():
        ask(database.port, authority=trusted)
        ask(database.port, authority=trusted)
        trusted.unlink()
        trusted.write_bytes(stranger.read_bytes())
        with pytest.raises(ssl.SSLCertVerificationError):
            ask(database.port, authority=trusted)


def test_the_certificate_is_of_one_name(database: ModelPostgres) -> None:
    with in_function():
        ask(database.port)
        with pytest.raises(ssl.SSLCertVerificationError):
            ask(database.port, name="elsewhere.example")


def test_nobody_answers_for_a_database_that_is_down(database: ModelPostgres) -> None:
    with in_function():
        ask(database.port)
        ask(database.port)
        database.kill()
        with pytest.raises(ConnectionRefusedError):
            ask(database.port)
        database.start()

        assert [[1]] == ask(database.port)


# -- the listener


class Answer(NamedTuple):
    """What is sent."""

    status: int
    headers: dict[str, str]
    body: bytes


@pytest.fixture
def seen() -> list[Request]:
    return []


@pytest.fixture
def listener(certificate: Certificate, seen: list[Request]) -> Iterator[TlsListener]:
    def answer(request: Request) -> Answer:
        seen.append(request)
        return Answer(201, {"X-Color": "blue", "Set-Cookie": "a=b"}, f"you are at {request.path}".encode())

    front = Front(443, "https", str(certificate.chain_file), str(certificate.key_file))
    made = TlsListener(front, answer)
    yield made
    made.close()


def post(pool: PoolManager, port: int) -> tuple[int, dict[str, str], bytes]:
    headers = {"Connection": "close", "Authorization": "Bearer x", "Content-Type": "text/plain"}
    answer = pool.request("POST", f"https://{NAME}:{port}/a?b=%20", headers=headers, body=b"text", retries=False)
    return answer.status, dict(answer.headers), answer.data


def test_requests_and_answers_are_the_same_without_sockets(
    listener: TlsListener, seen: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    conversations, pool = Conversations(listener.port, monkeypatch), PoolManager(cert_reqs="CERT_REQUIRED")

    with in_function():
        answers = [post(pool, listener.port) for _ in range(3)]

    assert 201 == answers[0][0]
    assert [answers[0]] * 3 == answers
    assert [seen[0]] * 3 == seen
    assert 2 == len(conversations)


def test_requests_are_refused_as_with_sockets(
    listener: TlsListener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with in_function():
        post(PoolManager(cert_reqs="CERT_REQUIRED"), listener.port)
        monkeypatch.setenv("SSL_CERT_FILE", str(issue([NAME], tmp_path / "stranger").authority_file))
        with pytest.raises(SSLError):
            post(PoolManager(cert_reqs="CERT_REQUIRED"), listener.port)
