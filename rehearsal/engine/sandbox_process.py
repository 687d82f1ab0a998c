"""
What a function's process runs before AWS's runtime client: it ends with the rehearsal, and its network ends here.

Given a file `{"host:port": port on this machine}`, a function resolves and reaches exactly those hosts, and loopback;
so it runs unchanged against the names of the settings, and can't leave the machine. A host resolves to an address in
192.88.99.0/24: global by definition, so that a function's own guard against private addresses is put to the test, and
routed nowhere (RFC 7526).

Patched is Python's own `socket` module: code that goes past it, or starts a program, is not held back.

This file is a script that must find neither our packages nor our environment: standard library only, and of that only
what every function imports anyway, because a process's start is part of the time that a rollback takes.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
import threading

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

_LOOPBACK = "127.0.0.1"
_PREFIX = "192.88.99."
_MOST_HOSTS = 254
_LOOPBACK_NAMES = ("", "localhost")


class PretendNetwork:
    """Names, addresses and routes as the file has them at that moment."""

    def __init__(self, names_file: str) -> None:
        """`names_file` may be "": then there is nothing but loopback. Raises OSError when it is needed and absent."""
        self._file = names_file
        self._read_as: tuple[int, int, int] | None = None
        self._routes: dict[tuple[str, int], int] = {}
        self._addresses: dict[str, str] = {}  # by host; a process keeps those that it was told
        self._hosts: dict[str, str] = {}  # by address
        self._lock = threading.Lock()

    def address(self, host: str) -> str:
        """Resolve a host or an address. Raises gaierror for a host that is not in the file."""
        name = host.lower().rstrip(".")
        if _is_address(host):
            return host
        if name in _LOOPBACK_NAMES:
            return _LOOPBACK
        if name not in {listed for listed, _ in self._current_routes()}:
            raise socket.gaierror(socket.EAI_NONAME, f"{host} has no address in the pretend account")
        with self._lock:
            if name not in self._addresses:
                if len(self._addresses) == _MOST_HOSTS:
                    raise socket.gaierror(socket.EAI_FAIL, f"more than {_MOST_HOSTS} hosts in one process")
                self._addresses[name] = f"{_PREFIX}{len(self._addresses) + 1}"
                self._hosts[self._addresses[name]] = name
            return self._addresses[name]

    def route(self, host: str, port: int) -> tuple[str, int]:
        """Where on this machine a destination is. Raises ConnectionRefusedError for one that is not."""
        address = self.address(host)
        if address.startswith("127.") or address == "::1":
            return address, port
        local_port = self._current_routes().get((self._hosts.get(address, ""), port))
        if local_port is None:
            name = self._hosts.get(host, host)
            raise ConnectionRefusedError(
                errno.ECONNREFUSED,
                f"{name}:{port} is not in the pretend account, and a rehearsal never leaves the machine",
            )
        return _LOOPBACK, local_port

    def destination(self, local: tuple[str, int]) -> tuple[str, int]:
        """The pretended address of a connection that `route` led to this machine; any other is its own."""
        for (name, port), local_port in self._current_routes().items():
            if local == (_LOOPBACK, local_port) and name in self._addresses:
                return self._addresses[name], port
        return local

    def _current_routes(self) -> dict[tuple[str, int], int]:
        if not self._file:
            return self._routes
        found = os.stat(self._file)  # noqa: PTH116  pathlib takes longer to import than the rest of this file
        version = (found.st_ino, found.st_mtime_ns, found.st_size)
        if version != self._read_as:
            with open(self._file, encoding="utf-8") as file:  # noqa: PTH123  as above
                listed = json.load(file)
            self._routes = {_host_and_port(name): int(port) for name, port in listed.items()}
            self._read_as = version
        return self._routes


def install(network: PretendNetwork) -> None:
    """Let everything in this process that uses `socket` see the pretend network, and nothing else."""
    _replace_resolving(network)
    _replace_connecting(network)


def _replace_resolving(network: PretendNetwork) -> None:
    really_resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        return really_resolve(None if host is None else network.address(_text(host)), *args, **kwargs)

    def gethostbyname_ex(hostname: Any) -> tuple[str, list[str], list[str]]:
        return _text(hostname), [], [network.address(_text(hostname))]

    def gethostbyaddr(ip_address: Any) -> Any:
        raise socket.herror(1, f"{ip_address}: there are no names of addresses in the pretend account")

    socket.getaddrinfo = getaddrinfo
    socket.gethostbyname = lambda hostname: network.address(_text(hostname))
    socket.gethostbyname_ex = gethostbyname_ex
    socket.gethostbyaddr = gethostbyaddr


def _replace_connecting(network: PretendNetwork) -> None:
    """Replace the methods of `socket.socket` itself, because `ssl.SSLSocket` and drivers call them."""
    patched: Any = socket.socket
    really_connect, really_try_to_connect = patched.connect, patched.connect_ex
    really_send_to, really_send_message, real_peer = patched.sendto, patched.sendmsg, patched.getpeername

    def routed(connection: socket.socket, address: Any) -> Any:
        if connection.family not in (socket.AF_INET, socket.AF_INET6):
            return address
        return (*network.route(_text(address[0]), address[1]), *address[2:])

    def connect(connection: socket.socket, address: Any) -> None:
        really_connect(connection, routed(connection, address))

    def connect_ex(connection: socket.socket, address: Any) -> Any:
        try:
            return really_try_to_connect(connection, routed(connection, address))
        except ConnectionRefusedError as refused:
            sys.stderr.write(f"{refused}\n")  # all that the caller gets is a number
            return errno.ECONNREFUSED

    def sendto(connection: socket.socket, data: Any, *flags_and_address: Any) -> Any:
        *flags, address = flags_and_address
        return really_send_to(connection, data, *flags, routed(connection, address))

    def sendmsg(
        connection: socket.socket, buffers: Any, ancillary: Any = (), flags: int = 0, address: Any = None
    ) -> Any:
        to = () if address is None else (routed(connection, address),)
        return really_send_message(connection, buffers, ancillary, flags, *to)

    def getpeername(connection: socket.socket) -> Any:
        """What a guard sees that looks at the connection instead of the name."""
        address = real_peer(connection)
        return network.destination(address) if connection.family == socket.AF_INET else address

    patched.connect, patched.connect_ex, patched.getpeername = connect, connect_ex, getpeername
    patched.sendto, patched.sendmsg = sendto, sendmsg


def _is_address(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return True
    return False


def _host_and_port(name: str) -> tuple[str, int]:
    host, _, port = name.rpartition(":")
    return host.lower(), int(port)


def _text(host: Any) -> str:
    return host.decode("ascii") if isinstance(host, bytes | bytearray) else str(host)


def _end_with_the_rehearsal() -> None:
    """Standard input is a pipe that nobody writes to: it ends when the rehearsal's process does, whatever the way."""

    def wait_for_end_of_input() -> None:
        os.read(0, 1)
        os._exit(0)

    threading.Thread(target=wait_for_end_of_input, daemon=True).start()


def main(handler: str, names_file: str) -> None:
    """Take invocations for the handler until the process is killed."""
    _end_with_the_rehearsal()
    install(PretendNetwork(names_file))
    from awslambdaric.__main__ import main as run  # noqa: PLC0415  whatever it imports must find a patched socket

    run(["bootstrap", handler])


if __name__ == "__main__":
    main(*sys.argv[1:])
