"""Clients that keep cookies: the reason why a rollback forwards to a single target group."""

import http.client
import time
from collections import Counter
from collections.abc import Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest

from rehearsal.world.data_plane import DataPlane
from rehearsal.world.traffic import Traffic, colors_by_client, read_samples
from tests.waiting import eventually

HOUR = 3600


class Color(ThreadingHTTPServer):
    """A target that says which color it is."""

    request_queue_size = 128

    def __init__(self, name: str) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = b'{"token": "any"}'
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(200)
                self.send_header("X-Color", name)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET  # noqa: N815  http.server's way to name it

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        Thread(target=self.serve_forever, args=(0.02,)).start()


class Routes:
    """One listener in front of both colors."""

    def __init__(self, data_plane: DataPlane, ports: dict[str, int]) -> None:
        self._data_plane = data_plane
        self._groups = {color: [{"instance": color, "port": port, "healthy": True}] for color, port in ports.items()}

    def forward(self, sticky_seconds: int | None = HOUR, **weights: int) -> None:
        action = {"forward": list(weights.items()), "sticky_seconds": sticky_seconds}
        rules = {"sticky": [{"conditions": [], "action": action}]}
        self._data_plane.configure({"listeners": rules, "target_groups": self._groups})

    @property
    def url(self) -> str:
        return self._data_plane.url("sticky")

    def ask(self, cookie: str = "") -> Message:
        """Return the headers of an answer."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=10)
        connection.request("GET", "/", headers={"Cookie": cookie} if cookie else {})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.headers

    def cookie_for(self, color: str) -> str:
        """Return the cookie of a client that stuck to a color."""
        self.forward(**({"blue": 0, "green": 0} | {color: 1}))
        headers = self.ask()
        assert color == headers["X-Color"]
        return str(headers["Set-Cookie"].partition(";")[0])

    def colors(self, cookie: str = "", requests: int = 20) -> Counter[Any]:
        return Counter(self.ask(cookie)["X-Color"] for _ in range(requests))


@pytest.fixture
def routes(data_plane: DataPlane) -> Iterator[Routes]:
    servers = {color: Color(color) for color in ("blue", "green")}
    yield Routes(data_plane, {color: server.server_port for color, server in servers.items()})
    for server in servers.values():
        server.shutdown()
        server.server_close()


def test_a_cookie_wins_over_weights_even_at_weight_zero(routes: Routes) -> None:
    """The trap: "blue 100, green 0" leaves green's clients where they are."""
    cookie = routes.cookie_for("green")
    routes.forward(blue=100, green=0)
    assert {"green": 20} == routes.colors(cookie)
    assert {"blue": 20} == routes.colors()


def test_a_single_target_group_takes_all_clients_back(routes: Routes) -> None:
    cookie = routes.cookie_for("green")
    routes.forward(blue=1)
    assert {"blue": 20} == routes.colors(cookie)
    assert "Set-Cookie" not in routes.ask()


def test_without_stickiness_a_cookie_means_nothing(routes: Routes) -> None:
    cookie = routes.cookie_for("green")
    routes.forward(sticky_seconds=None, blue=100, green=0)
    assert {"blue": 20} == routes.colors(cookie)


def test_a_client_gets_one_cookie_for_as_long_as_it_is_valid(routes: Routes) -> None:
    cookie = routes.cookie_for("green")
    assert "Set-Cookie" not in routes.ask(cookie)
    first = routes.ask()["Set-Cookie"]
    assert first.startswith("AWSALBTG=")
    assert f"Max-Age={HOUR}" in first


@pytest.mark.parametrize("cookie", ["AWSALBTG=made-up", "AWSALBTG=5b5d", "AWSALBTG=6e756c6c", "AWSALBTG="])
def test_a_cookie_that_is_none_of_ours_is_replaced(routes: Routes, cookie: str) -> None:
    """Among them, in hexadecimal, an empty list and null."""
    routes.forward(blue=1, green=0)
    headers = routes.ask(cookie)
    assert "blue" == headers["X-Color"]
    assert "Set-Cookie" in headers


def test_a_cookie_ends_after_its_duration(routes: Routes) -> None:
    routes.forward(sticky_seconds=1, blue=0, green=1)
    cookie = routes.ask()["Set-Cookie"].partition(";")[0]
    routes.forward(sticky_seconds=1, blue=1, green=0)
    assert "green" == routes.ask(cookie)["X-Color"]
    time.sleep(1)
    assert "blue" == routes.ask(cookie)["X-Color"]


def test_users_without_cookies_are_divided_by_weight(routes: Routes) -> None:
    routes.forward(blue=90, green=10)
    assert 10 <= routes.colors(requests=300)["green"] <= 60


@pytest.mark.rehearsed
def test_the_load_generators_sticky_clients_stick(routes: Routes, tmp_path: Path) -> None:
    """They keep their color through a change of weights, and all come back when there is only one group left."""
    routes.forward(blue=50, green=50)
    traffic = Traffic.start(routes.url, 100, tmp_path / "samples.jsonl", sticky_share=0.5)

    def more_requests() -> float:
        so_far = traffic.live().requests
        eventually(lambda: traffic.live().requests > so_far + 150, seconds=20)
        return time.monotonic()

    met = more_requests()
    routes.forward(blue=100, green=0)
    weighted = more_requests()
    routes.forward(blue=1)
    switched = time.monotonic()
    more_requests()
    traffic.stop()
    samples = list(read_samples(traffic.samples_path))

    held = colors_by_client(each for each in samples if each.sent_seconds < weighted)
    back = colors_by_client(each for each in samples if each.sent_seconds > switched)
    assert {("blue",), ("green",)} == {tuple(colors) for colors in held.values()}
    assert [["blue"]] * len(back) == list(back.values())
    anonymous = {each.color for each in samples if not each.client and met + 0.5 < each.sent_seconds < weighted}
    assert {"blue"} == anonymous
    assert 0.3 < sum(bool(each.client) for each in samples) / len(samples) < 0.7
    assert not [each for each in samples if each.failed]
