"""
The cache: a server in a process of its own, so that it can be lost.

fakeredis, because the wheels with a real Redis fit one system and Python each; this one fits all that Runback does.
"""

import os
import signal
import time
from pathlib import Path
from typing import Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from rehearsal.world.network import HOST
from rehearsal.world.ports import unused_port
from rehearsal.world.processes import ChildFailed, ChildProcess

_PATIENCE_WALL_SECONDS = 20.0


class Cache:
    """Keeps its port for good, so that it is found again after a `stop` and a `start`; not so its content."""

    def __init__(self, log_directory: Path, environment: str = "") -> None:
        """Begin with a log that an environment beside the one that is rehearsed has for itself."""
        self.port = unused_port()
        self._log = log_directory / (f"cache-{environment}.log" if environment else "cache.log")
        self._process: ChildProcess | None = None

    @property
    def address(self) -> str:
        """What an application on this machine connects to, `host:port`."""
        return f"{HOST}:{self.port}"

    def start(self) -> None:
        """Return when the server answers a PING. Raises ChildFailed when it does not come to that."""
        self._process = ChildProcess("rehearsal.world.cache_server", ["--port", str(self.port)], self._log)
        given_up = time.monotonic() + _PATIENCE_WALL_SECONDS
        while not self._answers():
            if not self._process.is_running() or time.monotonic() > given_up:
                raise ChildFailed(f"The cache did not start; its log is {self._log}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Kill the server, as when a cache node is lost: connections break, new ones are refused. Safe to repeat."""
        if self._process is not None:
            if self._process.is_running():
                os.kill(self._process.pid, signal.SIGKILL)
            self._process.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _answers(self) -> bool:
        try:
            with redis.Redis(HOST, self.port, socket_timeout=1.0, retry=Retry(NoBackoff(), 0)) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False
