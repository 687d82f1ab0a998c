"""
The load balancer's data plane in this process: requests are objects, and answered as soon as they are asked.

It routes as the real one does, with the same rules, stickiness and counters, to applications that are models, too.
What takes time is told, not waited for.
"""

import threading
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from rehearsal.clock import Clock
from rehearsal.model.applications import ModelApplications
from rehearsal.model.tls_listener import TlsListener
from rehearsal.world.application import Answer as Content
from rehearsal.world.routing import Choice, Dispatcher, Front, Request, Respond, Routing


class Answer(NamedTuple):
    """What a client gets, after so many simulated seconds. The body is only made when somebody reads it."""

    status: int
    headers: Mapping[str, str]
    content: Content
    seconds: float = 0.0

    @property
    def body(self) -> bytes:
        """As it is sent."""
        return self.content.body


class ModelDataPlane:
    """
    Has the interface of DataPlane; until `listen` it needs neither sockets nor threads, so that it survives a fork.

    target_timeout_seconds is simulated time. Cookies end by it, too.
    """

    def __init__(
        self, clock: Clock, applications: ModelApplications, *, seed: int = 0, target_timeout_seconds: float = 5.0
    ) -> None:
        self._clock = clock
        self._applications = applications
        self._target_timeout_seconds = target_timeout_seconds
        self._dispatcher = Dispatcher(seed)
        self._owed: list[tuple[float, Choice]] = []
        self._lock = threading.Lock()  # for the dispatcher; nobody waits while he holds it
        self._is_listening = False
        self._entrances: dict[tuple[str, Front], TlsListener] = {}

    def configure(self, configuration: Mapping[str, Any]) -> None:
        """Put a configuration, see Routing, in force."""
        routing = Routing.from_configuration(configuration)
        with self._lock:
            self._dispatcher.routing = routing
        if self._is_listening:
            self._open_as_configured()

    def reseed(self, seed: int) -> None:
        """Let chance begin anew, and all counters; to be called before anybody asks."""
        dispatcher = Dispatcher(seed)
        dispatcher.routing = self._dispatcher.routing
        self._dispatcher = dispatcher

    def answer(self, listener_arn: str, request: Request) -> Answer:
        """Route one request, and let its target answer."""
        with self._lock:
            decision = self._dispatcher.decide(listener_arn, request, self._clock.seconds())
        if isinstance(decision, Respond):
            return _own(decision)
        before = request.headers.get("X-Forwarded-For")
        came_through = (before, request.remote) if before else (request.remote,)
        headers = {**request.headers, **decision.front.forwarded(came_through)}
        reply = self._applications.ask(decision.target.port, request.method, request.path, headers, request.body)
        with self._lock:
            if reply is None:
                self._dispatcher.release(decision)
                return _own(self._dispatcher.failed(listener_arn, decision, 502, connected=False))
            seconds = min(reply.seconds, self._target_timeout_seconds)
            if seconds:
                self._owed.append((self._clock.seconds() + seconds, decision))
            else:
                self._dispatcher.release(decision)
            if reply.seconds >= self._target_timeout_seconds:
                return _own(self._dispatcher.failed(listener_arn, decision, 504), seconds)
            status = int(reply.answer.status)
            self._dispatcher.answered(listener_arn, decision, status, seconds * 1000)
        cookie = {} if decision.set_cookie is None else {"Set-Cookie": decision.set_cookie}
        return Answer(status, {**reply.headers, **cookie} if cookie else reply.headers, reply.answer, seconds)

    def listen(self) -> None:
        """Let real clients in: open a port for every listener that has a certificate, now and from now on."""
        self._is_listening = True
        self._open_as_configured()

    def url(self, listener_arn: str) -> str:
        """Nobody listens without TLS. Raises KeyError."""
        raise KeyError(listener_arn)

    def tls_port(self, listener_arn: str) -> int:
        """Where the listener speaks TLS on this machine. Raises KeyError for one that does not, or not yet."""
        ports = {listener: entrance.port for (listener, _), entrance in self._entrances.items()}
        return ports[listener_arn]

    def report(self) -> dict[str, Any]:
        """All counters since the start, as in Report."""
        with self._lock:
            self._release_what_is_due()
            return self._dispatcher.report.as_json()

    def in_flight(self, instance_id: str) -> int:
        """Requests that a target was chosen for and whose answers are not due yet."""
        with self._lock:
            self._release_what_is_due()
            return self._dispatcher.report.in_flight[instance_id]

    def stop(self) -> None:
        """Close all entrances; safe to repeat."""
        self._is_listening = False
        while self._entrances:
            self._entrances.popitem()[1].close()

    def _release_what_is_due(self) -> None:
        now = self._clock.seconds()
        for until, choice in self._owed:
            if until <= now:
                self._dispatcher.release(choice)
        self._owed = [(until, choice) for until, choice in self._owed if until > now]

    def _open_as_configured(self) -> None:
        routing = self._dispatcher.routing
        fronts = {arn: routing.front(arn) for arn in routing.listeners}
        wanted = {(arn, front) for arn, front in fronts.items() if front.certificate}
        for gone in self._entrances.keys() - wanted:
            self._entrances.pop(gone).close()
        for arn, front in wanted - self._entrances.keys():
            self._entrances[arn, front] = TlsListener(front, partial(self.answer, arn))


def _own(answer: Respond, seconds: float = 0.0) -> Answer:
    return Answer(answer.status, answer.headers, Content(answer.status, answer.body), seconds)
