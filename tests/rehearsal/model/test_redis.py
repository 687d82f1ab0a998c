"""The real cache and its model: whoever asks them as the shipped function does cannot tell which one it is."""

import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from lambdas.checks.cache import Cache as CacheCheck
from lambdas.checks.rules import CacheAddress
from lambdas.errors import DataStoreUnreachable
from rehearsal.model.redis import ModelCache
from rehearsal.world.cache import Cache
from rehearsal.world.certificates import Certificate, issue
from rehearsal.world.tls_front import TlsFronts

NAME = "localhost"
TOKEN = "a pretend token"  # noqa: S105  of this test


@dataclass(frozen=True)
class Reached:
    """A cache, the port on which it speaks TLS, and the certificate that it presents there."""

    cache: Cache | ModelCache
    port: int
    certificate: Certificate

    def ask(self, token: str | None = None) -> None:
        """Ask as the shipped function does."""
        CacheCheck(CacheAddress(NAME, self.port, tls=True)).answer(token)

    def client(self, token: str | None = None, protocol: int = 3) -> redis.Redis:
        return redis.Redis(
            NAME,
            self.port,
            password=token,
            protocol=protocol,
            ssl=True,
            ssl_ca_certs=str(self.certificate.authority_file),
            socket_timeout=10,
            retry=Retry(NoBackoff(), 0),
        )


def modelled(stack: ExitStack, folder: Path, certificate: Certificate) -> Reached:
    del folder
    cache = stack.enter_context(ModelCache())
    return Reached(cache, cache.listen(certificate), certificate)


def real(stack: ExitStack, folder: Path, certificate: Certificate) -> Reached:
    cache = stack.enter_context(Cache(folder))
    fronts = TlsFronts(certificate, folder)
    stack.callback(fronts.stop)
    return Reached(cache, fronts.open("redis", cache.port), certificate)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Certificate]:
    """Return one that this process trusts as a function trusts ElastiCache's."""
    issued = issue([NAME], tmp_path_factory.mktemp("tls"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "SSL_CERT_FILE", str(issued.authority_file))
        yield issued


@pytest.fixture(scope="module", params=[modelled, pytest.param(real, marks=pytest.mark.rehearsed)])
def reached(
    request: pytest.FixtureRequest, certificate: Certificate, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Reached]:
    with ExitStack() as stack:
        yield request.param(stack, tmp_path_factory.mktemp("cache"), certificate)


@pytest.fixture
def guarded(certificate: Certificate) -> Iterator[Reached]:
    """Return a model that wants a token; the real one in rehearsals knows none."""
    with ModelCache(TOKEN) as cache:
        yield Reached(cache, cache.listen(certificate), certificate)


# What both do


@pytest.mark.parametrize("token", [None, TOKEN])
def test_a_ping_is_answered(reached: Reached, token: str | None) -> None:
    """Also after a token that nobody wants: Redis's default user takes any."""
    reached.ask(token)


@pytest.mark.parametrize("protocol", [2, 3])
def test_both_versions_of_the_protocol_are_spoken(reached: Reached, protocol: int) -> None:
    with reached.client(protocol=protocol) as client:
        assert client.ping()
        assert client.ping()


def test_a_stopped_cache_is_down_until_it_is_started_at_the_same_port(reached: Reached) -> None:
    with reached.client() as client:
        assert client.ping()
        reached.cache.stop()
        reached.cache.stop()
        with pytest.raises(redis.ConnectionError):
            client.ping()
        with pytest.raises(DataStoreUnreachable):
            reached.ask()
        reached.cache.start()
        assert client.ping()


def test_another_authority_is_not_trusted(reached: Reached, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(issue([NAME], tmp_path).authority_file))
    with pytest.raises(DataStoreUnreachable):
        reached.ask()


def test_without_tls_there_is_no_answer(reached: Reached) -> None:
    with pytest.raises(DataStoreUnreachable):
        CacheCheck(CacheAddress(NAME, reached.port, tls=False)).answer(None)


# What only the model does


@pytest.mark.parametrize("token", [None, "guessed"])
def test_only_the_token_lets_in(guarded: Reached, token: str | None) -> None:
    guarded.ask(TOKEN)
    with pytest.raises(DataStoreUnreachable, match="AuthenticationError"):
        guarded.ask(token)


@pytest.mark.parametrize("protocol", [2, 3])
def test_the_token_lets_in_by_both_versions_of_the_protocol(guarded: Reached, protocol: int) -> None:
    with guarded.client(TOKEN, protocol) as client:
        assert client.ping()
    for wrong in ("guessed", None):
        with guarded.client(wrong, protocol) as client, pytest.raises(redis.AuthenticationError):
            client.ping()


def test_another_user_is_nobody(guarded: Reached) -> None:
    with guarded.client() as client, pytest.raises(redis.AuthenticationError):
        client.auth(TOKEN, "somebody")


def test_an_unknown_command_ends_nothing_and_is_not_repeated(guarded: Reached) -> None:
    with guarded.client(TOKEN) as client:
        with pytest.raises(redis.ResponseError, match=r"^unknown command$"):
            client.execute_command("NONSENSE", "a secret by mistake")
        assert client.ping()


def test_what_is_no_command_ends_the_connection(guarded: Reached) -> None:
    trust = ssl.create_default_context(cafile=guarded.certificate.authority_file)
    with (
        socket.create_connection((NAME, guarded.port), timeout=10) as plain,
        trust.wrap_socket(plain, server_hostname=NAME, suppress_ragged_eofs=True) as client,
    ):
        client.sendall(b"PING\r\n")
        assert b"-ERR Protocol error\r\n" == client.recv(100)
        assert b"" == client.recv(100)


def test_nothing_is_encrypted_without_a_certificate() -> None:
    with ModelCache() as cache:
        port = cache.listen(None)
        assert f"127.0.0.1:{port}" == cache.address
        CacheCheck(CacheAddress(NAME, port, tls=False)).answer(None)


def test_nothing_is_opened_before_the_model_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made in one process and used in others that are forked from it."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("opened too early")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with ModelCache() as cache:
        assert cache.is_up()
        cache.stop()
        assert not cache.is_up()
        cache.start()
    assert not cache.is_up()


def test_nothing_is_left_of_it(certificate: Certificate) -> None:
    """Not even of a client that is in the middle of something."""
    before = threading.active_count()
    with ModelCache() as cache, socket.create_connection((NAME, cache.listen(certificate)), timeout=10) as client:
        trust = ssl.create_default_context(cafile=certificate.authority_file)
        with trust.wrap_socket(client, server_hostname=NAME) as half_heard:
            half_heard.sendall(b"*1\r\n$4\r\nPI")
            cache.stop()
            assert b"" == half_heard.recv(1)
    assert threading.active_count() == before
