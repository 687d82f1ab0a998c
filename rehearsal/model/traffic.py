"""The users without sockets: the same mix of requests, sent through the model data plane as simulated time passes."""

import itertools
import json
import random
from collections.abc import Callable, Generator, Iterable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Self

from rehearsal.clock import Clock
from rehearsal.model.data_plane import Answer, ModelDataPlane
from rehearsal.world import routing, traffic
from rehearsal.world.network import HOST
from rehearsal.world.traffic import LOGIN, STICKY_CLIENTS, Live, Sample, Tally

REQUESTS_PER_SECOND = 5.0
"""Of simulated time: enough for every version to be met by users in every bake."""

_SHARED = ("status", "color", "version", "instance", "method", "path", "client")

Ask = Callable[[routing.Request], Answer]


class ModelTraffic:
    """
    Has the interface of Traffic. The raw samples are kept here, and written when the users stop.

    Whatever the clock, all requests of a simulated second are sent at one moment of it. The seed says at which: calls
    are made at round seconds, and what was sent before one of them must not seem to be sent at the same time.
    """

    def __init__(
        self,
        clock: Clock,
        ask: Ask,
        samples_path: Path,
        *,
        requests_per_second: float,
        sticky_share: float,
        seed: int,
    ) -> None:
        self.samples_path = samples_path
        self._clock = clock
        self.requests_per_second = requests_per_second
        self._first_seconds = random.Random(seed).uniform(0.0, 1.0)
        self._users = ModelUsers(ask, clock.stamp, sticky_share, seed)
        self._tally, self._tallied = Tally(), 0
        self._stopped = clock.event()
        self._thread = clock.rounds(self._run, self._stopped, name="users")

    @classmethod
    def start(
        cls,
        clock: Clock,
        data_plane: ModelDataPlane,
        listener_arn: str,
        samples_path: Path,
        *,
        requests_per_second: float = REQUESTS_PER_SECOND,
        sticky_share: float = 0.0,
        seed: int = 0,
    ) -> Self:
        """
        Send to a listener, in a thread of the clock's; the samples file is begun anew.

        sticky_share (0 to 1) of the requests come from STICKY_CLIENTS clients that keep cookies, as browsers do.
        """
        samples_path.parent.mkdir(parents=True, exist_ok=True)
        samples_path.write_bytes(b"")
        started = cls(
            clock,
            lambda request: data_plane.answer(listener_arn, request),
            samples_path,
            requests_per_second=requests_per_second,
            sticky_share=sticky_share,
            seed=seed,
        )
        started._thread.start()
        return started

    def is_running(self) -> bool:
        """Unless stopped they should be: users that are gone see no failure."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Send no more, and leave a complete file; safe to repeat."""
        self._stopped.set()
        self._thread.join()
        with self.samples_path.open("w", encoding="utf-8") as file:
            file.writelines(_lines(self._users.samples))

    def so_far(self) -> list[Sample]:
        """Return every sample up to now."""
        return list(self._users.samples)

    def live(self) -> Live:
        """Go on from where the last call stopped."""
        samples = self._users.samples
        known = len(samples)
        self._tally.add(itertools.islice(samples, self._tallied, known))
        self._tallied = known
        return self._tally.live()

    def _run(self) -> Generator[float]:
        """Count seconds from the start, so that a late one does not delay those after it."""
        first = self._clock.seconds() + self._first_seconds
        for second in itertools.count():
            yield max(0.0, first + second - self._clock.seconds())
            if self._stopped.is_set():
                return
            due = int((second + 1) * self.requests_per_second)
            while self._users.sent < due:
                self._users.send()


class ModelUsers:
    """Sends the mix, and keeps a sample of each answer."""

    def __init__(self, ask: Ask, stamp: Callable[[], float], sticky_share: float, seed: int) -> None:
        self.sent = 0
        self.samples: list[Sample] = []
        self._ask = ask
        self._stamp = stamp
        self._sticky_share = sticky_share
        self._cookies = [""] * STICKY_CLIENTS
        # Drawn, not dealt in turn: dealt clients fall in step with the mix, and each would only ever ask for one path.
        self._dice = random.Random(seed)
        self._token: str | None = None
        self._requests: dict[tuple[int, str | None, str], routing.Request] = {}

    def send(self) -> None:
        """Send the next request. A client that keeps cookies has its answer at once, and need not wait for it."""
        kind = traffic.request_for(self.sent, has_token=self._token is not None)
        self.sent += 1
        number = self._dice.randrange(STICKY_CLIENTS) if self._dice.random() < self._sticky_share else None
        sent_seconds = self._stamp()
        answer = self._ask(self._request(kind, "" if number is None else self._cookies[number]))
        headers = answer.headers
        if number is not None and "Set-Cookie" in headers:
            self._cookies[number] = headers["Set-Cookie"].partition(";")[0]
        if kind is LOGIN and answer.status == HTTPStatus.OK:
            self._token = json.loads(answer.body)["token"]
        self.samples.append(
            Sample(
                sent_seconds,
                round(answer.seconds * 1000, 3),
                answer.status,
                headers.get("X-Color", ""),
                headers.get("X-Version", ""),
                headers.get("X-Instance", ""),
                kind.method,
                kind.path,
                "" if number is None else f"client-{number + 1}",
            )
        )

    def _request(self, kind: traffic.Request, cookie: str) -> routing.Request:
        """Make the same request once. There are few kinds, each of which is one object."""
        known = (id(kind), self._token if kind.needs_token else None, cookie)
        if known not in self._requests:
            self._requests[known] = self._written(kind, cookie)
        return self._requests[known]

    def _written(self, kind: traffic.Request, cookie: str) -> routing.Request:
        headers, body = {}, kind.body or b""
        if kind.needs_token:
            headers["Authorization"] = f"Bearer {self._token}"
        if kind.json is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(kind.json).encode()
        if cookie:
            headers["Cookie"] = cookie
        return routing.Request(kind.method, kind.path, headers, body, host=HOST)


def _lines(samples: Iterable[Sample]) -> Iterator[str]:
    """Write samples as real users do; what most of them share is made JSON once."""
    ends: dict[tuple[object, ...], str] = {}
    for each in samples:
        shared = (each.status, each.color, each.version, each.instance, each.method, each.path, each.client)
        end = ends.get(shared)
        if end is None:
            end = ends[shared] = json.dumps(dict(zip(_SHARED, shared, strict=True)))[1:] + "\n"
        yield f'{{"sent_seconds": {each.sent_seconds!r}, "latency_milliseconds": {each.latency_milliseconds!r}, {end}'
