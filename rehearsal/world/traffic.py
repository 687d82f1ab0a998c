"""
The users: a process that sends requests at a constant rate, answered or not, and never repeats one.

Open loop: a slow answer delays no later request, as with real users. Every request leaves one line in a file of raw
samples, and every figure of a report is computed from that file.
"""

import argparse
import asyncio
import contextlib
import json
import math
import random
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

import aiohttp
import uvloop
from aiohttp.abc import AbstractCookieJar

from rehearsal.world.processes import ChildProcess, end_with_parent

NO_CONNECTION = 0
_SUCCESS = range(HTTPStatus.OK, HTTPStatus.MULTIPLE_CHOICES)
STICKY_CLIENTS = 60
"""So many that some of them send their first request only when the new version already has a part of the traffic."""
EMAIL, PASSWORD = "test@receipts.invalid", "test123"
"""An account that the application must know, where it knows any."""


@dataclass(frozen=True, slots=True)
class Sample:
    """
    One request, as its sender saw it.

    sent_seconds is the clock's `stamp`: for real users time.monotonic() of this machine, the same in every process.
    status is 0 when no response came. color, version and instance are empty when no instance answered. client is empty
    for users without cookies.
    """

    sent_seconds: float
    latency_milliseconds: float
    status: int
    color: str
    version: str
    instance: str
    method: str
    path: str
    client: str = ""

    @property
    def failed(self) -> bool:
        """Every request sent here is one that a healthy version answers with success."""
        return self.status not in _SUCCESS

    @property
    def turned_away(self) -> bool:
        """Answered 503 by the load balancer itself: no instance is there for it, or a freeze keeps users away."""
        return self.status == HTTPStatus.SERVICE_UNAVAILABLE and not self.instance


@dataclass
class Share:
    """Requests of one color or version."""

    requests: int = 0
    failed: int = 0

    def add(self, sample: Sample) -> None:
        """Count one sample of this color or version."""
        self.requests += 1
        self.failed += sample.failed


@dataclass(frozen=True)
class Summary:
    """What a stretch of traffic experienced; the key "" holds requests that no instance answered."""

    requests: int
    failed: int
    by_color: dict[str, Share]
    by_version: dict[str, Share]
    by_status: dict[int, int]
    p50_milliseconds: float
    p99_milliseconds: float
    max_milliseconds: float
    turned_away: int
    """Of those that failed, how many got their 503 from the load balancer itself."""


def read_samples(path: Path) -> Iterator[Sample]:
    """In the order of the answers. Only for a file that is complete, see `Traffic.live` for others."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield Sample(**json.loads(line))


def summarise(samples: Iterable[Sample], after_seconds: float = -math.inf, until_seconds: float = math.inf) -> Summary:
    """Count the samples sent from one moment of the clock's `stamp` up to another; both are included."""
    by_color: dict[str, Share] = {}
    by_version: dict[str, Share] = {}
    by_status: dict[int, int] = {}
    latencies: list[float] = []
    failed = turned_away = 0
    for sample in samples:
        if not after_seconds <= sample.sent_seconds <= until_seconds:
            continue
        by_color.setdefault(sample.color, Share()).add(sample)
        by_version.setdefault(sample.version, Share()).add(sample)
        by_status[sample.status] = by_status.get(sample.status, 0) + 1
        latencies.append(sample.latency_milliseconds)
        failed += sample.failed
        turned_away += sample.turned_away
    latencies.sort()
    return Summary(
        requests=len(latencies),
        failed=failed,
        by_color=by_color,
        by_version=by_version,
        by_status=by_status,
        p50_milliseconds=percentile(latencies, 0.50),
        p99_milliseconds=percentile(latencies, 0.99),
        max_milliseconds=latencies[-1] if latencies else 0.0,
        turned_away=turned_away,
    )


def sticky_clients(samples: Iterable[Sample], color: str, after_seconds: float = -math.inf) -> set[str]:
    """Return the clients with cookies that a color has answered, from one moment of the clock's `stamp` on."""
    return {
        each.client for each in samples if each.client and each.color == color and each.sent_seconds > after_seconds
    }


def colors_by_client(samples: Iterable[Sample]) -> dict[str, list[str]]:
    """
    For each client that keeps cookies: the colors that answered it, in order of sending, each change once.

    One that stuck to a color has one entry; one that was moved back has ["blue", "green", "blue"].
    """
    seen: dict[str, list[str]] = {}
    for sample in sorted(samples, key=lambda sample: sample.sent_seconds):
        if sample.client and sample.color:
            colors = seen.setdefault(sample.client, [])
            if colors[-1:] != [sample.color]:
                colors.append(sample.color)
    return seen


def _median_and_p99(ascending: list[float]) -> tuple[float, float]:
    return percentile(ascending, 0.50), percentile(ascending, 0.99)


def percentile(ascending: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed; 0 for none."""
    return ascending[math.ceil(share * len(ascending)) - 1] if ascending else 0.0


@dataclass
class Live:
    """For a screen: totals since the start, failures per color, and what each color did in the last second."""

    requests: int = 0
    failed: int = 0
    failed_by_color: dict[str, int] = field(default_factory=dict)
    last_second: dict[str, int] = field(default_factory=dict)
    """Requests by color."""
    latency: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Milliseconds by color: median, and what 99 % stayed below."""


class Tally:
    """Counts samples as they come, for `Live`."""

    def __init__(self) -> None:
        self._requests = self._failed = 0
        self._failed_by_color: dict[str, int] = {}
        self._recent: list[Sample] = []

    def add(self, new: Iterable[Sample]) -> None:
        """Count samples that were not counted yet."""
        for sample in new:
            self._requests += 1
            self._failed += sample.failed
            self._failed_by_color[sample.color] = self._failed_by_color.get(sample.color, 0) + sample.failed
            self._recent.append(sample)

    def live(self) -> Live:
        """Return the figures so far; the last second is the one before the newest request was sent."""
        horizon = max((sample.sent_seconds for sample in self._recent), default=0.0) - 1.0
        self._recent = [sample for sample in self._recent if sample.sent_seconds > horizon]
        by_color: dict[str, list[float]] = {}
        for sample in self._recent:
            by_color.setdefault(sample.color, []).append(sample.latency_milliseconds)
        return Live(
            self._requests,
            self._failed,
            dict(self._failed_by_color),
            {color: len(latencies) for color, latencies in by_color.items()},
            {color: _median_and_p99(sorted(latencies)) for color, latencies in by_color.items()},
        )


class Traffic:
    """The parent's end of the process."""

    def __init__(self, process: ChildProcess, samples_path: Path, requests_per_second: float) -> None:
        self._process = process
        self.samples_path = samples_path
        self.requests_per_second = requests_per_second
        self._read_to = 0
        self._tally = Tally()

    @classmethod
    def start(cls, url: str, requests_per_second: float, samples_path: Path, sticky_share: float = 0.0) -> Self:
        """
        Send to the listener at `url`; the samples file is begun anew.

        sticky_share (0 to 1) of the requests come from STICKY_CLIENTS clients that keep cookies, as browsers do.
        """
        samples_path.parent.mkdir(parents=True, exist_ok=True)
        samples_path.write_bytes(b"")
        arguments = ["--url", url, "--requests-per-second", str(requests_per_second), "--samples", str(samples_path)]
        arguments += ["--sticky-share", str(sticky_share)]
        process = ChildProcess("rehearsal.world.traffic", arguments, samples_path.with_suffix(".log"))
        return cls(process, samples_path, requests_per_second)

    @property
    def pid(self) -> int:
        """For whoever kills the users on purpose."""
        return self._process.pid

    def is_running(self) -> bool:
        """Unless stopped it should be: users that are gone see no failure."""
        return self._process.is_running()

    def stop(self) -> None:
        """Send no more, wait for the answers still under way, and leave a complete file; safe to repeat."""
        self._process.stop(patience_seconds=15.0)

    def so_far(self) -> list[Sample]:
        """Return every sample that is written by now, while more are under way."""
        content = self.samples_path.read_bytes()
        return [Sample(**json.loads(line)) for line in content.splitlines(keepends=True) if line.endswith(b"\n")]

    def live(self) -> Live:
        """Read on from where the last call stopped."""
        self._tally.add(self._new_samples())
        return self._tally.live()

    def _new_samples(self) -> Iterator[Sample]:
        with self.samples_path.open("rb") as lines:
            lines.seek(self._read_to)
            for line in lines:
                if not line.endswith(b"\n"):  # still being written
                    return
                self._read_to += len(line)
                yield Sample(**json.loads(line))


@dataclass(frozen=True)
class Request:
    """One kind of request that users send."""

    method: str
    path: str
    json: dict[str, str] | None = None
    body: bytes | None = None
    needs_token: bool = False


LOGIN = Request("POST", "/auth/login", json={"email": EMAIL, "password": PASSWORD})
MIX = (
    Request("GET", "/health"),
    Request("GET", "/api/v2/receipts", needs_token=True),
    Request("POST", "/api/v2/receipts", body=b"a pretend receipt" * 50, needs_token=True),
    Request("GET", "/api/v2/receipts", needs_token=True),
    LOGIN,
)


def request_for(number: int, *, has_token: bool) -> Request:
    """Return the mix's next request, or a log-in while there is no token."""
    request = MIX[number % len(MIX)]
    return LOGIN if request.needs_token and not has_token else request


@dataclass(frozen=True)
class Client:
    """Who sends, as samples call it, with its own cookies or none."""

    name: str
    session: aiohttp.ClientSession


class Users:
    """Sends the mix, and writes each sample when its answer is there."""

    def __init__(
        self, url: str, anonymous: Client, sticky: Sequence[Client], sticky_share: float, samples: Any
    ) -> None:
        self._url = url
        self._anonymous, self._idle_sticky, self._sticky_share = anonymous, list(sticky), sticky_share
        self._samples = samples
        self._token: str | None = None
        # Drawn, not dealt in turn: dealt clients fall in step with the mix, and each would only ever ask for one path.
        self._dice = random.Random(0)

    async def send(self, number: int) -> None:
        """Send the request of this number, and write down how it went."""
        request = request_for(number, has_token=self._token is not None)
        with self._client() as client:
            sent = time.monotonic()
            status, headers = await self._answer(request, client.session)
        sample = Sample(
            sent_seconds=sent,
            latency_milliseconds=round((time.monotonic() - sent) * 1000, 3),
            status=status,
            color=headers.get("X-Color", ""),
            version=headers.get("X-Version", ""),
            instance=headers.get("X-Instance", ""),
            method=request.method,
            path=request.path,
            client=client.name,
        )
        self._samples.write(json.dumps(asdict(sample)) + "\n")

    @contextlib.contextmanager
    def _client(self) -> Iterator[Client]:
        """
        Choose who sends. One that keeps cookies waits for its answer before it sends again.

        Else its first two requests could both be without a cookie, and stick it to one color and then to another.
        """
        is_sticky = self._dice.random() < self._sticky_share and bool(self._idle_sticky)
        if not is_sticky:
            yield self._anonymous
            return
        client = self._idle_sticky.pop(self._dice.randrange(len(self._idle_sticky)))
        try:
            yield client
        finally:
            self._idle_sticky.append(client)

    async def _answer(self, request: Request, session: aiohttp.ClientSession) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self._token}"} if request.needs_token else {}
        try:
            async with session.request(
                request.method, self._url + request.path, json=request.json, data=request.body, headers=headers
            ) as response:
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            sys.stderr.write(f"{request.method} {request.path}: {error!r}\n")
            return NO_CONNECTION, {}
        if request is LOGIN and response.status == HTTPStatus.OK:
            self._token = json.loads(content)["token"]
        return response.status, response.headers


async def send_until_stopped(url: str, requests_per_second: float, samples_path: Path, sticky_share: float) -> None:
    """Send until SIGTERM, then wait for the answers that are still under way."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    # force_close: on a connection kept open aiohttp repeats a request that met its end, and users here never retry
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    timeout = aiohttp.ClientTimeout(total=10)

    async with connector, contextlib.AsyncExitStack() as sessions:

        async def client(name: str, cookies: AbstractCookieJar) -> Client:
            session = aiohttp.ClientSession(
                connector=connector, connector_owner=False, timeout=timeout, cookie_jar=cookies
            )
            return Client(name, await sessions.enter_async_context(session))

        anonymous = await client("", aiohttp.DummyCookieJar())
        # unsafe: the listener has no name here, and a jar would refuse the cookies of an address
        sticky = [await client(f"client-{n}", aiohttp.CookieJar(unsafe=True)) for n in range(1, STICKY_CLIENTS + 1)]
        with samples_path.open("a", encoding="utf-8", buffering=1) as samples:
            users = Users(url, anonymous, sticky, sticky_share, samples)
            async with asyncio.TaskGroup() as under_way:
                await _at_constant_rate(requests_per_second, stopped, lambda n: under_way.create_task(users.send(n)))


async def _at_constant_rate(requests_per_second: float, stopped: asyncio.Event, send: Any) -> None:
    """Each request has its moment, counted from the start, so that a late one does not delay those after it."""
    start = time.monotonic()
    number = 0
    while not stopped.is_set():
        send(number)
        number += 1
        wait = start + number / requests_per_second - time.monotonic()
        try:
            await asyncio.wait_for(stopped.wait(), max(wait, 0.001))  # late ones, too, let the answers come in
        except TimeoutError:
            continue


def main() -> None:
    """Send until SIGTERM or the parent's end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--requests-per-second", type=float, required=True)
    parser.add_argument("--samples", type=Path, required=True)
    parser.add_argument("--sticky-share", type=float, required=True)
    options = parser.parse_args()
    end_with_parent()
    uvloop.run(
        send_until_stopped(options.url, options.requests_per_second, options.samples, options.sticky_share),
    )


if __name__ == "__main__":
    main()
