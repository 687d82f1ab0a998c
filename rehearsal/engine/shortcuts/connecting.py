"""
How functions reach what listens in this process.

The first connection of a kind is a real one, with sockets and TLS. Whether a client trusts a certificate depends on the
certificate, on the authorities that it was told to trust, and on the name that it asks for. So a connection that
differs in none of these from one that came about would come about, too. Of its bytes, those before and within TLS are
said and heard as always.
"""

import os
import socket
import ssl
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import scramp.core
import urllib3.util.connection

from rehearsal.engine import nearby
from rehearsal.engine.in_process import network_here
from rehearsal.engine.shortcuts.shortcut import Shortcut

_PEER = ("127.0.0.1", 0)


def shortcuts() -> Iterator[Shortcut]:
    """Yield what to replace."""
    trust = _Trust()
    yield Shortcut(socket, "create_connection", _connecting(socket.create_connection))
    module: Any = urllib3.util.connection
    yield Shortcut(module, "create_connection", _connecting(module.create_connection))
    yield Shortcut(ssl.SSLContext, "load_default_certs", trust.loading_defaults())
    yield Shortcut(ssl.SSLContext, "load_verify_locations", trust.loading_file())
    yield Shortcut(ssl.SSLContext, "wrap_socket", trust.wrapping())
    yield Shortcut(scramp.core, "hi", _salting_once())
    yield Shortcut(scramp.core.CBindData, "from_der", _reading_certificates_once())


def _salting_once() -> Any:
    """Compute once what is made of a password, which is meant to take long."""
    really_salt: Any = lru_cache(maxsize=64)(vars(scramp.core)["hi"])

    def salt(hash_function: Any, password: bytes, salt: bytes, iterations: Any) -> bytes:
        salted: bytes = really_salt(hash_function, password, salt, int(iterations))
        return salted

    return salt


def _reading_certificates_once() -> Any:
    really_read: Any = scramp.core.CBindData.from_der
    return staticmethod(lru_cache(maxsize=64)(really_read))


def _connecting(really_connect: Callable[..., socket.socket]) -> Callable[..., socket.socket]:
    """Connect a function only in thought to who listens in this process; TLS decides whether that is enough."""

    def connect(address: Any, *given: Any, **named: Any) -> socket.socket:
        network = network_here()
        if network is None:
            return really_connect(address, *given, **named)
        try:
            host, port = network.route(str(address[0]).strip("[]"), address[1])
        except OSError:
            return really_connect(address, *given, **named)  # which raises as sockets do
        listener = nearby.listener_on(port) if host == _PEER[0] else None
        if listener is None:
            return really_connect(address, *given, **named)
        return _Unencrypted(listener, lambda: really_connect(address, *given, **named))

    return connect


class _Nearby(socket.socket):
    """A socket without a descriptor: whatever is not here fails as on a closed one."""

    def __new__(cls, *_: object) -> Any:
        made: Any = socket.socket.__new__(cls)
        made._io_refs, made._closed = 0, False
        return made

    def __init__(self) -> None: ...

    def settimeout(self, value: float | None) -> None:
        """Do nothing: who is near answers at once."""

    def setsockopt(self, *_: object) -> None:
        """Do nothing: there is no network."""

    def getpeername(self) -> Any:
        """Tell what no guard would let pass; one that asks has to be shown a real connection."""
        raise NotImplementedError("a connection within this process has no peer")

    def _real_close(self, *_: object) -> None: ...


class _Unencrypted(_Nearby):
    """What has been said before TLS; there is nothing else that could be said to who speaks TLS only."""

    def __init__(self, listener: nearby.Listener, connect: Callable[[], socket.socket]) -> None:
        self.listener = listener
        self._connect = connect
        self._said, self._heard = b"", b""

    def sendall(self, data: Any, flags: int = 0) -> None:
        del flags
        self._said += bytes(data)

    def recv(self, most: int, flags: int = 0) -> bytes:
        del flags
        asked, granted = self.listener.asked_for_tls
        if self._said != asked:
            raise NotImplementedError("before TLS begins, who listens in this process understands the wish for it only")
        heard = granted[len(self._heard) :][:most]
        self._heard += heard
        return heard

    def connect_really(self) -> socket.socket:
        """Return a real connection on which the same was said."""
        real = self._connect()
        with ExitStack() as unless_said:
            unless_said.callback(real.close)
            real.sendall(self._said)
            _hear_again(real, self._heard)
            unless_said.pop_all()
        return real


def _hear_again(real: socket.socket, expected: bytes) -> None:
    heard = b""
    while len(heard) < len(expected) and (more := real.recv(len(expected) - len(heard))):
        heard += more
    if heard != expected:
        raise ConnectionAbortedError("the listener did not say the same again")


class _Encrypted(_Nearby, ssl.SSLSocket):
    """What is said within TLS. Drivers ask whether it is an SSLSocket, and bind passwords to the certificate."""

    def __init__(self, conversation: nearby.Conversation, certificate: bytes | None) -> None:
        self._conversation = conversation
        self._certificate = certificate
        self._answer = b""

    def send(self, data: Any, flags: int = 0) -> int:
        del flags
        said = bytes(data)
        self._conversation.hear(said)
        return len(said)

    def sendall(self, data: Any, flags: int = 0) -> None:
        self.send(data, flags)

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        room = memoryview(buffer).cast("B")
        read = self.recv(min(nbytes or len(room), len(room)), flags)
        room[: len(read)] = read
        return len(read)

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        del flags
        self._answer = self._answer or self._conversation.answer()
        read, self._answer = self._answer[:buflen], self._answer[buflen:]
        return read

    def fileno(self) -> int:
        """Return what can always be read: who waits for us need not, and who looks later finds that we have left."""
        return _always_ready()

    def getpeercert(self, binary_form: bool = False) -> Any:  # noqa: FBT001, FBT002  as the base class has it
        if not binary_form:
            raise NotImplementedError("a connection within this process has its certificate in binary form only")
        return self._certificate

    def selected_alpn_protocol(self) -> None:
        """Nobody who listens in this process chooses one."""

    def _real_close(self, *_: object) -> None:
        self._conversation.end()


@cache
def _always_ready() -> int:
    return os.open(os.devnull, os.O_RDONLY)


class _Step(NamedTuple):
    """Authorities that a client was told to trust: a file as it was at that moment."""

    file: str
    version: tuple[int, int, int]


class _Trust:
    """
    Remembers what came of handshakes, and of loading authorities, of which hundreds would be parsed each time.

    A context of a function loads them for good when it is needed for a real handshake.
    """

    def __init__(self) -> None:
        self._steps: weakref.WeakKeyDictionary[ssl.SSLContext, list[_Step]] = weakref.WeakKeyDictionary()
        self._put_off: weakref.WeakKeyDictionary[ssl.SSLContext, list[Callable[[], object]]] = (
            weakref.WeakKeyDictionary()
        )
        self._loaded_before: set[_Step] = set()
        self._shown: weakref.WeakKeyDictionary[Any, dict[tuple[Any, ...], bytes | None]] = weakref.WeakKeyDictionary()

    def loading_defaults(self) -> Any:
        """The default authorities are those of a file that the environment names."""
        really_load = ssl.SSLContext.load_default_certs

        def load(context: ssl.SSLContext, *purpose: Any) -> None:
            self._load(context, os.environ.get("SSL_CERT_FILE"), lambda: really_load(context, *purpose))

        return load

    def loading_file(self) -> Any:
        """Other authorities than those of a file are loaded at once, and end all shortcuts."""
        really_load = ssl.SSLContext.load_verify_locations

        def load(context: ssl.SSLContext, cafile: Any = None, capath: Any = None, cadata: Any = None) -> None:
            file = None if capath is not None or cadata is not None else cafile
            self._load(context, file, lambda: really_load(context, cafile, capath, cadata))

        return load

    def wrapping(self) -> Any:
        """Shake hands for the first time, and leave that out the next time."""
        really_wrap = ssl.SSLContext.wrap_socket

        def wrap(context: ssl.SSLContext, sock: socket.socket, *given: Any, **named: Any) -> ssl.SSLSocket:
            if not isinstance(sock, _Unencrypted):
                self._catch_up(context)
                return really_wrap(context, sock, *given, **named)
            shown = self._shown.setdefault(sock.listener, {})
            kind = None if given else self._kind_of(context, named)
            if kind is not None and kind in shown:
                return cast(ssl.SSLSocket, _Encrypted(sock.listener.converse(), shown[kind]))
            self._catch_up(context)
            real = really_wrap(context, sock.connect_really(), *given, **named)
            if kind is not None:
                shown[kind] = real.getpeercert(binary_form=True)
            return real

        return wrap

    def _load(self, context: ssl.SSLContext, file: Any, load: Callable[[], object]) -> None:
        if network_here() is None:
            load()
            return
        step = _step(file)
        if step is None or step not in self._loaded_before:
            self._catch_up(context)
            load()
        else:
            self._put_off.setdefault(context, []).append(load)
        if step is None:
            self._steps[context] = [_UNKNOWN]
        else:
            self._loaded_before.add(step)
            self._steps.setdefault(context, []).append(step)

    def _catch_up(self, context: ssl.SSLContext) -> None:
        for load in self._put_off.pop(context, ()):
            load()

    def _kind_of(self, context: ssl.SSLContext, named: dict[str, Any]) -> tuple[Any, ...] | None:
        """Return all by which clients of a listener differ; None where they may differ in more."""
        steps = self._steps.get(context)
        if not steps or _UNKNOWN in steps or named.keys() != {"server_hostname"}:
            return None
        return (
            named["server_hostname"],
            *steps,
            context.check_hostname,
            context.verify_mode,
            context.verify_flags,
            context.options,
            context.minimum_version,
            context.maximum_version,
        )


_UNKNOWN = _Step("", (0, 0, 0))


def _step(file: Any) -> _Step | None:
    if not file:
        return None
    try:
        found = Path(file).stat()
    except OSError:
        return None
    return _Step(str(file), (found.st_ino, found.st_mtime_ns, found.st_size))
