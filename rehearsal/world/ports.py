"""Ports for servers that stay at one address though they are stopped and started again."""

import random
import socket

from rehearsal.world.network import HOST

_FIRST, _LAST = 20_000, 30_000
"""Below what any system gives to outgoing connections: while a server is down nothing takes its port by chance."""


def unused_port() -> int:
    """Return a port on loopback that nothing is bound to now."""
    chance = random.SystemRandom()  # rehearsals side by side must not draw the same ports
    while True:
        port = chance.randrange(_FIRST, _LAST)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        return port
