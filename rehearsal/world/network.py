"""The network of the pretend account: each instance has a port of its own on loopback."""

import socket
import threading
from typing import Protocol

HOST = "127.0.0.1"


class Addresses(Protocol):
    """Where instances are reached, be it on loopback or in this process."""

    def reserve(self, instance_id: str) -> int:
        """Return the new instance's port, which nothing answers on yet."""
        ...

    def port_of(self, instance_id: str) -> int | None:
        """None for an instance that does not exist (any more)."""
        ...

    def release(self, instance_id: str) -> None:
        """Forget the instance; safe to repeat."""
        ...

    def answers(self, instance_id: str) -> bool:
        """Say whether an application answers on the instance's port."""
        ...


class Network:
    """
    Hands out ports, and holds on to them.

    A port is kept bound (never listening) here while its instance exists, so that no other process of this machine
    gets it between "free" and "in use", or after the application was killed: its port then refuses connections, as a
    dead instance's does. The application binds it a second time through SO_REUSEPORT.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reserved: dict[str, socket.socket] = {}

    def reserve(self, instance_id: str) -> int:
        """Bind a free port for the instance, and return it."""
        reservation = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reservation.bind((HOST, 0))
        with self._lock:
            self._reserved[instance_id] = reservation
        return int(reservation.getsockname()[1])

    def port_of(self, instance_id: str) -> int | None:
        """None for an instance that does not exist (any more)."""
        with self._lock:
            reservation = self._reserved.get(instance_id)
            return None if reservation is None else int(reservation.getsockname()[1])

    def release(self, instance_id: str) -> None:
        """Let others have the instance's port; safe to repeat."""
        with self._lock:
            reservation = self._reserved.pop(instance_id, None)
        if reservation is not None:
            reservation.close()

    def answers(self, instance_id: str) -> bool:
        """Whether something listens on the instance's port."""
        port = self.port_of(instance_id)
        if port is None:
            return False
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.settimeout(1.0)
            return probe.connect_ex((HOST, port)) == 0
