import socket
from pathlib import Path

import pytest

from rehearsal.world.cache import Cache
from rehearsal.world.network import HOST


def say(port: int, command: bytes) -> bytes:
    """Speak the protocol itself, as a smoke check does."""
    with socket.create_connection((HOST, port), timeout=5) as connection:
        connection.sendall(command)
        return connection.recv(1024)


def test_it_speaks_the_protocol_and_refuses_once_stopped(tmp_path: Path) -> None:
    with Cache(tmp_path) as cache:
        assert say(cache.port, b"*1\r\n$4\r\nPING\r\n") == b"+PONG\r\n"
        cache.stop()
        with pytest.raises(ConnectionRefusedError):
            say(cache.port, b"*1\r\n$4\r\nPING\r\n")
        cache.start()
        assert say(cache.port, b"*1\r\n$4\r\nPING\r\n") == b"+PONG\r\n"
    with pytest.raises(ConnectionRefusedError):
        say(cache.port, b"*1\r\n$4\r\nPING\r\n")
