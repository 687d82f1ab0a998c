"""The instances' applications without processes: objects by port, and ports that are only numbers."""

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from rehearsal.world.application import Answer, Behaviour, Identity, ReceiptApplication, RequestLog, Services
from rehearsal.world.application_process import RunningApplication
from rehearsal.world.stores import Receipts, ReceiptsInMemory, Sessions, SignedSessions

_FIRST_PORT = 1_000_001
"""No port of any machine, so that one that is taken for real is found out."""


class Reply(NamedTuple):
    """An answer with its headers, and after how many simulated seconds it is there."""

    answer: Answer
    headers: Mapping[str, str]
    seconds: float


class ModelApplications:
    """
    All applications that run.

    receipts, sessions: what those stand on whose services name a database or a cache; the others have their own.
    Both are asked for by what the services name: the database's URL, and the cache's address.
    log_of: where an instance's request log goes.
    """

    def __init__(
        self,
        receipts: Callable[[str], Receipts],
        sessions: Callable[[str], Sessions],
        log_of: Callable[[Identity], RequestLog],
    ) -> None:
        self._receipts = receipts
        self._sessions = sessions
        self._log_of = log_of
        self._running: dict[int, ReceiptApplication] = {}

    def start(
        self, port: int, identity: Identity, behaviour: Behaviour, services: Services, log_directory: Path
    ) -> RunningApplication:
        """Start an application, see StartApplication. It answers at once, and complains where its process would."""
        self._running[port] = application = ReceiptApplication(
            identity,
            behaviour,
            services,
            self._receipts(services.database) if services.database else ReceiptsInMemory(),
            self._sessions(services.cache) if services.cache else SignedSessions(),
            self._log_of(identity),
            complain=_appending_to(log_directory / f"{identity.instance}.log"),
        )
        return ModelApplication(self._running, port, application)

    def answers(self, port: int) -> bool:
        """Say whether an application runs on the port."""
        return port in self._running

    def ask(self, port: int, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply | None:
        """Let the application on the port answer; None when there is none. `path` is without the query."""
        application = self._running.get(port)
        if application is None:
            return None
        answer = application.answer(method, path, headers, body)
        seconds = application.delay_seconds(path)
        application.finished(method, path, answer.status, seconds)
        return Reply(answer, application.headers_of(answer), seconds)


class ModelApplication:
    """One that was started. Whatever ends it, it has nothing in hand: it answers as soon as it is asked."""

    def __init__(self, running: dict[int, ReceiptApplication], port: int, application: ReceiptApplication) -> None:
        self._running = running
        self._port = port
        self._application = application

    def is_running(self) -> bool:
        """Say whether nothing has ended it."""
        return self._running.get(self._port) is self._application

    def behave(self, behaviour: Behaviour) -> None:
        """Do so from the next request on."""
        self._application.behave(behaviour)

    def kill(self) -> None:
        """Let its port refuse connections from now on; safe to repeat."""
        if self.is_running():
            del self._running[self._port]

    begin_to_stop = stop = kill


class ModelNetwork:
    """Every instance has a port of its own, which no other instance ever gets."""

    def __init__(self, applications: ModelApplications) -> None:
        self._applications = applications
        self._numbers = itertools.count(_FIRST_PORT)
        self._ports: dict[str, int] = {}

    def reserve(self, instance_id: str) -> int:
        """Return the new instance's port."""
        self._ports[instance_id] = port = next(self._numbers)
        return port

    def port_of(self, instance_id: str) -> int | None:
        """None for an instance that does not exist (any more)."""
        return self._ports.get(instance_id)

    def release(self, instance_id: str) -> None:
        """Forget the instance; safe to repeat."""
        self._ports.pop(instance_id, None)

    def answers(self, instance_id: str) -> bool:
        """Say whether an application runs on the instance's port."""
        port = self.port_of(instance_id)
        return port is not None and self._applications.answers(port)


def _appending_to(log: Path) -> Callable[[str], object]:
    def complain(text: str) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as lines:
            lines.write(text)

    return complain
