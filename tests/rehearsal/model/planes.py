"""A data plane with applications behind it, as processes or as models, and one way to ask either."""

import http.client
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rehearsal.clock import TwoSpeedClock
from rehearsal.model.applications import ModelApplications, ModelNetwork
from rehearsal.model.data_plane import ModelDataPlane
from rehearsal.model.stores import ReceiptsInModel, SessionsInModel
from rehearsal.world.application import Behaviour, Identity, Services
from rehearsal.world.application_process import RunningApplication, StartApplication, start_process
from rehearsal.world.data_plane import DataPlane
from rehearsal.world.network import Addresses, Network
from rehearsal.world.routing import Request
from tests.waiting import eventually

LISTENER = "listener"
HOUR = 3600
SERVICE_TOKEN = "a service token"  # noqa: S105  of these tests
TARGET_TIMEOUT_SECONDS = 0.5


@dataclass(frozen=True)
class Response:
    """What a client got; `headers` by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Ask = Callable[[str, str, str, Mapping[str, str]], Response]
"""Sends to a listener: its name, method, path and headers."""


class NoLog:
    """A request log that nobody reads."""

    def write(self, method: str, path: str, status: int, seconds: float) -> None:
        pass


def model_applications(**stores: Any) -> ModelApplications:
    """Make applications whose database and cache are up."""
    made: dict[str, Any] = {
        "receipts": ReceiptsInModel(lambda: True),
        "sessions": SessionsInModel(lambda: True),
    } | stores
    return ModelApplications(lambda _: made["receipts"], lambda _: made["sessions"], log_of=lambda _: NoLog())


@dataclass
class Plane:
    """Instances that are called as their color is, or as a test wants; one listener, unless a test wants more."""

    data_plane: Any
    network: Addresses
    start_application: StartApplication
    send: Ask
    folder: Path
    running: dict[str, RunningApplication] = field(default_factory=dict)

    def start(self, instance: str, color: str = "", **behaviour: Any) -> None:
        port = self.network.reserve(instance)
        identity = Identity(f"{color or instance}-sha", color or instance, instance)
        services = Services(service_token=SERVICE_TOKEN)
        self.running[instance] = self.start_application(port, identity, Behaviour(**behaviour), services, self.folder)
        eventually(lambda: self.network.answers(instance))

    def configure(self, listeners: Mapping[str, Any], groups: Mapping[str, Any], **more: Any) -> None:
        """Let each target group have the instances that are named, healthy or not."""
        targets = {
            group: [{"instance": each, "port": self.network.port_of(each), "healthy": ok} for each, ok in members]
            for group, members in groups.items()
        }
        self.data_plane.configure({"listeners": listeners, "target_groups": targets, **more})

    def forward(self, sticky_seconds: int | None = None, **weights: int) -> None:
        """Forward to colors, each of which is one instance."""
        action = {"forward": list(weights.items()), "sticky_seconds": sticky_seconds}
        groups = {color: [(color, True)] for color in weights}
        self.configure({LISTENER: [{"conditions": [], "action": action}]}, groups)

    def ask(self, path: str = "/health", method: str = "GET", listener: str = LISTENER, **headers: str) -> Response:
        return self.send(listener, method, path, {name.replace("_", "-"): value for name, value in headers.items()})

    def colors(self, requests: int = 20, **headers: str) -> Counter[str]:
        answers = [self.ask(**headers) for _ in range(requests)]
        return Counter(each.headers.get("x-color", str(each.status)) for each in answers)

    def cookie_for(self, color: str) -> str:
        """Return the cookie of a client that stuck to a color."""
        self.forward(HOUR, **({"blue": 0, "green": 0} | {color: 1}))
        answer = self.ask()
        assert color == answer.headers["x-color"]
        return answer.headers["set-cookie"].partition(";")[0]

    def stop(self) -> None:
        for instance, application in self.running.items():
            application.stop()
            self.network.release(instance)


@contextmanager
def packaged(folder: Path) -> Iterator[Plane]:
    """Start a process for everything."""
    data_plane = DataPlane(folder, target_timeout_seconds=TARGET_TIMEOUT_SECONDS)

    def send(listener: str, method: str, path: str, headers: Mapping[str, str]) -> Response:
        connection = http.client.HTTPConnection(urlsplit(data_plane.url(listener)).netloc, timeout=10)
        connection.request(method, path, headers=dict(headers))
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return Response(answer.status, {name.lower(): value for name, value in answer.getheaders()}, body)

    plane = Plane(data_plane, Network(), start_process, send, folder)
    try:
        yield plane
    finally:
        plane.stop()
        data_plane.stop()


def modelled(folder: Path, clock: Any = None, seed: int = 0) -> Plane:
    """Make a model of everything."""
    applications = model_applications()
    data_plane = ModelDataPlane(
        clock or TwoSpeedClock(), applications, seed=seed, target_timeout_seconds=TARGET_TIMEOUT_SECONDS
    )

    def send(listener: str, method: str, path: str, headers: Mapping[str, str]) -> Response:
        bare, _, query = path.partition("?")
        answer = data_plane.answer(listener, Request(method, bare, headers, query=query, host=headers.get("Host", "")))
        return Response(answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.body)

    return Plane(data_plane, ModelNetwork(applications), applications.start, send, folder)
