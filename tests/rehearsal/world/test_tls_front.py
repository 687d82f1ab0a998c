"""TLS as RDS and ElastiCache speak it, in front of the real servers of a rehearsal."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
import redis
from pg8000.exceptions import InterfaceError
from pg8000.native import Connection
from redis.backoff import NoBackoff
from redis.retry import Retry

from rehearsal.world import postgres, tls_front
from rehearsal.world.cache import Cache
from rehearsal.world.certificates import Certificate, issue
from rehearsal.world.network import HOST
from rehearsal.world.ports import unused_port
from rehearsal.world.postgres import PostgresServer
from rehearsal.world.tls_front import Front, TlsFronts
from tests.waiting import eventually

pytestmark = pytest.mark.rehearsed

NAME = "localhost"
SSL_REQUEST = struct.pack("!ii", 8, 80877103)
USER, PASSWORD = "visitor", "a visitor's"


@dataclass(frozen=True)
class Stores:
    """Both servers, each with a front, and a third front with nothing behind it."""

    postgres: PostgresServer
    cache: Cache
    certificate: Certificate
    postgres_port: int
    cache_port: int
    nothing_port: int

    @property
    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.certificate.authority_file)

    def connect(self, context: ssl.SSLContext | Literal[False], port: int | None = None) -> Connection:
        """Connect as a function does, but leave no socket open after a failure, as pg8000 would; False: without TLS."""
        plain = socket.create_connection((NAME, port or self.postgres_port), timeout=10)
        try:
            return Connection(USER, host=NAME, sock=plain, database="postgres", password=PASSWORD, ssl_context=context)
        except (InterfaceError, OSError):
            plain.close()
            raise

    def redis(self, authority: Path | None = None) -> redis.Redis:
        trusted = authority or self.certificate.authority_file
        return redis.Redis(
            NAME, self.cache_port, ssl=True, ssl_ca_certs=str(trusted), socket_timeout=10, retry=Retry(NoBackoff(), 0)
        )


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    folder = tmp_path_factory.mktemp("stores")
    certificate = issue([NAME], folder / "tls")
    with ExitStack() as stack:
        fronts = TlsFronts(certificate, folder)
        stack.callback(fronts.stop)
        cache = stack.enter_context(Cache(folder))
        server = PostgresServer(postgres.make_folder(), folder / "postgres.log")
        server.initialise()
        server.start()
        stack.callback(server.kill)
        with closing(server.connect()) as connection:
            connection.run(f"CREATE ROLE {USER} LOGIN PASSWORD 'a visitor''s'")
        ports = fronts.open("postgresql", server.port), fronts.open("redis", cache.port)
        yield Stores(server, cache, certificate, *ports, fronts.open("postgresql", unused_port()))


@pytest.fixture
def other_authority(tmp_path: Path) -> Path:
    """Return one that certifies the same name, but nothing here."""
    return issue([NAME], tmp_path / "other").authority_file


@contextmanager
def encrypted(port: int, context: ssl.SSLContext, begin: bytes = b"") -> Iterator[ssl.SSLSocket]:
    """Connect by hand; nothing is received for longer than a second."""
    with socket.create_connection((NAME, port), timeout=10) as plain:
        if begin:
            plain.sendall(begin)
            assert b"S" == plain.recv(1)
        with context.wrap_socket(plain, server_hostname=NAME) as client:
            client.settimeout(1.0)
            yield client


def everything(client: socket.socket) -> bytes:
    """Receive until the end, whatever it looks like."""
    received = b""
    with suppress(ConnectionResetError):
        while more := client.recv(100):
            received += more
    return received


def test_postgresql_answers_over_tls(stores: Stores) -> None:
    with closing(stores.connect(stores.trust)) as connection:
        assert [[1]] == connection.run("SELECT 1")
        ((large,),) = connection.run("SELECT repeat('receipt', 1000000)")
        assert 7_000_000 == len(large)


def test_redis_answers_over_tls(stores: Stores) -> None:
    with stores.redis() as client:
        assert client.ping()
        client.set("large", b"x" * 1_000_000)
        assert 1_000_000 == len(client.get("large") or b"")


def test_an_authority_that_did_not_certify_it_is_not_trusted(stores: Stores, other_authority: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        stores.connect(ssl.create_default_context(cafile=other_authority))
    with stores.redis(other_authority) as client, pytest.raises(redis.ConnectionError, match="CERTIFICATE_VERIFY"):
        client.ping()


def test_postgresql_without_tls_is_refused(stores: Stores) -> None:
    """As RDS does with `rds.force_ssl`: there is no answer at all to a client that does not ask for TLS first."""
    with pytest.raises(InterfaceError):
        stores.connect(context=False)
    startup = struct.pack("!ii", 22, 196608) + b"user\0visitor\0\0"
    with socket.create_connection((NAME, stores.postgres_port), timeout=10) as client:
        client.sendall(startup)
        assert b"" == everything(client)


def test_redis_without_tls_is_refused(stores: Stores) -> None:
    with socket.create_connection((NAME, stores.cache_port), timeout=10) as client:
        client.sendall(b"*1\r\n$4\r\nPING\r\n")
        assert b"PONG" not in everything(client)


def test_the_end_of_postgresql_is_seen_within_a_second_and_its_return_too(stores: Stores) -> None:
    with encrypted(stores.postgres_port, stores.trust, SSL_REQUEST) as waiting:
        stores.postgres.kill()
        assert b"" == waiting.recv(1)
    with pytest.raises((InterfaceError, ConnectionResetError)):
        stores.connect(stores.trust)
    stores.postgres.start()
    stores.connect(stores.trust).close()


def test_the_end_of_redis_is_seen_within_a_second_and_its_return_too(stores: Stores) -> None:
    with encrypted(stores.cache_port, stores.trust) as waiting:
        waiting.sendall(b"*1\r\n$4\r\nPING\r\n")
        assert b"+PONG\r\n" == waiting.recv(100)
        stores.cache.stop()
        assert b"" == waiting.recv(1)
    with stores.redis() as client:
        with pytest.raises(redis.ConnectionError):
            client.ping()
        stores.cache.start()
        assert client.ping()


def test_where_nothing_is_behind_the_connection_ends(stores: Stores) -> None:
    with pytest.raises((InterfaceError, ConnectionResetError)):
        stores.connect(stores.trust, stores.nothing_port)


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return issue([NAME], tmp_path / "tls")


@asynccontextmanager
async def served(certificate: Certificate, protocol: str) -> AsyncIterator[Front]:
    """Serve a front in this process, before a server that sends back what it gets."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.chain_file, certificate.key_file)
    server = await asyncio.start_server(echo, HOST, 0)
    front = Front(protocol, server.sockets[0].getsockname()[1], context)
    serving = asyncio.create_task(front.serve())
    yield front
    serving.cancel()
    await asyncio.wait([serving])
    server.close()


async def nobody_attended(front: Front) -> None:
    """Return when the front and the server behind it have no work, and nothing of theirs is left but to accept."""
    loop = asyncio.get_running_loop()
    await asyncio.to_thread(eventually, lambda: not front._under_way and len(asyncio.all_tasks(loop)) == 2)


def _half_closed(client: ssl.SSLSocket) -> None:
    client.sendall(b"hello")
    assert b"hello" == client.recv(100)
    client.shutdown(socket.SHUT_WR)
    assert b"" == client.recv(100)


def _idle(_: ssl.SSLSocket) -> None:
    pass


@pytest.mark.parametrize("leave", [_half_closed, _idle, ssl.SSLSocket.close, ssl.SSLSocket.unwrap])
def test_a_client_that_leaves_leaves_nothing_behind(
    certificate: Certificate, leave: Callable[[ssl.SSLSocket], object]
) -> None:
    """In whatever way; one that only stops sending is not waited for either, and gets no answer any more."""
    trust = ssl.create_default_context(cafile=certificate.authority_file)

    def come_and_go(port: int) -> None:
        with encrypted(port, trust) as client:
            leave(client)

    async def visit() -> None:
        async with served(certificate, "redis") as front:
            await asyncio.to_thread(come_and_go, front.port)
            await nobody_attended(front)

    asyncio.run(visit())


def test_a_client_that_says_nothing_is_not_waited_for(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_front, "_HANDSHAKE_WITHIN_SECONDS", 0.1)

    async def visit(protocol: str, said: bytes) -> None:
        async with served(certificate, protocol) as front:
            with socket.create_connection((HOST, front.port), timeout=10) as silent:
                silent.sendall(said)
                ended = await asyncio.to_thread(silent.recv, 1)
                assert ended == b""
                await nobody_attended(front)

    for protocol, said in (("redis", b""), ("postgresql", b""), ("postgresql", SSL_REQUEST[:5])):
        asyncio.run(visit(protocol, said))
