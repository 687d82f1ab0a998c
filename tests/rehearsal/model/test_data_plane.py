"""What a load balancer's data plane does, be it the process or the model; and what only the model has to do."""

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rehearsal.engine.virtual import VirtualTime
from rehearsal.world.certificates import Certificate, issue
from rehearsal.world.routing import Request
from tests.rehearsal.model.planes import HOUR, LISTENER, SERVICE_TOKEN, Plane, modelled, packaged
from tests.waiting import eventually

SERVER_NAME = "api.receipts.test"
RECEIPTS = "/api/v2/receipts"


@pytest.fixture(scope="module", params=[pytest.param("packaged", marks=pytest.mark.rehearsed), "modelled"])
def plane(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """Return blue and green, each of one instance, for all tests; each configures the plane anew."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "modelled":
        made = modelled(folder)
        made.start("blue")
        made.start("green")
        yield made
        return
    with packaged(folder) as made:
        made.start("blue")
        made.start("green")
        yield made


def respond(status: int, **headers: str) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"respond": {"status": status, "body": "frozen", "headers": named}}


def rule(action: dict[str, Any], *conditions: tuple[str, str]) -> dict[str, Any]:
    return {"conditions": [{"field": field, "values": [value]} for field, value in conditions], "action": action}


def to(*weights: tuple[str, int]) -> dict[str, Any]:
    return {"forward": list(weights), "sticky_seconds": None}


# -- weights and stickiness


def test_an_answer_says_whose_it_is(plane: Plane) -> None:
    plane.forward(green=1)
    answer = plane.ask("/health?verbose")
    identity = ("x-color", "x-version", "x-instance", "content-type")
    assert ["green", "green-sha", "green", "application/json"] == [answer.headers[name] for name in identity]
    assert (200, {"status": "ok", "version": "green-sha"}) == (answer.status, json.loads(answer.body))


def test_requests_are_divided_by_weight(plane: Plane) -> None:
    plane.forward(blue=90, green=10)
    assert 10 <= plane.colors(requests=300)["green"] <= 60
    plane.forward(blue=0, green=5)
    assert {"green": 20} == plane.colors()


def test_new_weights_are_in_force_at_once(plane: Plane) -> None:
    for _ in range(5):
        plane.forward(green=1)
        assert {"green": 3} == plane.colors(3)
        plane.forward(blue=100, green=0)
        assert {"blue": 3} == plane.colors(3)


def test_a_cookie_wins_over_weights_even_at_weight_zero(plane: Plane) -> None:
    """The trap: "blue 100, green 0" leaves green's clients where they are."""
    cookie = plane.cookie_for("green")
    plane.forward(HOUR, blue=100, green=0)
    assert {"green": 20} == plane.colors(Cookie=f"other=1; {cookie}")
    assert {"blue": 20} == plane.colors()


def test_a_single_target_group_takes_all_clients_back(plane: Plane) -> None:
    cookie = plane.cookie_for("green")
    plane.forward(HOUR, blue=1)
    assert {"blue": 20} == plane.colors(Cookie=cookie)
    assert "set-cookie" not in plane.ask().headers


def test_without_stickiness_a_cookie_means_nothing(plane: Plane) -> None:
    cookie = plane.cookie_for("green")
    plane.forward(blue=100, green=0)
    assert {"blue": 20} == plane.colors(Cookie=cookie)


def test_a_client_gets_one_cookie_for_as_long_as_it_is_valid(plane: Plane) -> None:
    cookie = plane.cookie_for("green")
    assert "set-cookie" not in plane.ask(Cookie=cookie).headers
    first = plane.ask().headers["set-cookie"]
    assert first.startswith("AWSALBTG=")
    assert f"Max-Age={HOUR}" in first


@pytest.mark.parametrize("cookie", ["made-up", "5b5d", "ff", b"9e9 red".hex(), b"never green".hex(), ""])
def test_a_cookie_that_is_none_of_ours_is_replaced(plane: Plane, cookie: str) -> None:
    plane.forward(HOUR, blue=1, green=0)
    answer = plane.ask(Cookie=f"AWSALBTG={cookie}")
    assert "blue" == answer.headers["x-color"]
    assert "set-cookie" in answer.headers


# -- targets


def test_without_a_target_the_answer_is_503(plane: Plane) -> None:
    for listeners in ({LISTENER: []}, {LISTENER: [rule(to(("red", 1)))]}, {LISTENER: [rule(to(("blue", 0)))]}):
        plane.configure(listeners, {"red": [], "blue": [("blue", True)]})
        answer = plane.ask()
        assert (503, "awselb/2.0", b"503\n") == (answer.status, answer.headers["server"], answer.body)


def test_an_unhealthy_target_gets_nothing_while_another_is_healthy(plane: Plane) -> None:
    plane.configure({LISTENER: [rule(to(("all", 1)))]}, {"all": [("blue", False), ("green", True)]})
    assert {"green": 6} == plane.colors(6)


def test_a_group_without_a_healthy_target_fails_open(plane: Plane) -> None:
    plane.configure({LISTENER: [rule(to(("all", 1)))]}, {"all": [("blue", False), ("green", False)]})
    assert {"green": 3, "blue": 3} == plane.colors(6)


def test_a_killed_target_is_a_502(plane: Plane) -> None:
    plane.start("killed")
    plane.running["killed"].kill()
    eventually(lambda: not plane.network.answers("killed"))
    assert not plane.running["killed"].is_running()
    plane.forward(killed=1)
    assert (502, b"502\n") == (plane.ask().status, plane.ask().body)
    assert 2 == plane.data_plane.report()["target_groups"]["killed"]["connection_errors"]
    assert 0 == plane.data_plane.in_flight("killed")


def test_a_target_that_does_not_answer_in_time_is_a_504(plane: Plane) -> None:
    plane.start("slow", delay_seconds={"/health": 2.0})
    plane.forward(slow=1)
    assert 504 == plane.ask().status
    assert 404 == plane.ask("/elsewhere").status


# -- rules


def test_the_first_rule_that_matches_decides(plane: Plane) -> None:
    rules = [
        rule(respond(503), ("path-pattern", "/api/*"), ("http-request-method", "POST")),
        rule(to(("green", 1)), ("host-header", "*.Green.test")),
        rule(to(("blue", 1))),
    ]
    plane.configure({LISTENER: rules}, {color: [(color, True)] for color in ("blue", "green")})
    assert (503, b"frozen") == (plane.ask(RECEIPTS, "POST").status, plane.ask(RECEIPTS, "POST").body)
    assert 401 == plane.ask(RECEIPTS).status
    assert "green" == plane.ask(Host="api.green.test:443").headers["x-color"]
    assert "blue" == plane.ask(Host="green.test").headers["x-color"]


def test_a_redirect_names_the_accounts_port(plane: Plane) -> None:
    location = "#{protocol}://#{host}:#{port}/#{path}?#{query}"
    front = {"port": 8443, "protocol": "https"}
    plane.configure({LISTENER: [rule(respond(301, Location=location))]}, {}, fronts={LISTENER: front})
    answer = plane.ask("/a/b?c=d", Host="receipts.test:1234")
    assert (301, "https://receipts.test:8443/a/b?c=d") == (answer.status, answer.headers["location"])


def test_a_frozen_listener_answers_everybody_and_its_health_checks_go_on(plane: Plane) -> None:
    """That is, the targets behind it count as healthy or not, and another listener still reaches them."""
    behind = rule(to(("blue", 1)))
    frozen = [rule(respond(503), ("path-pattern", "*")), behind]
    plane.configure({LISTENER: frozen, "test": [behind]}, {"blue": [("blue", True)]})
    assert [(503, b"frozen")] * 3 == [
        (answer.status, answer.body) for answer in (plane.ask("/"), plane.ask(RECEIPTS, "POST"), plane.ask("/a/b?c=d"))
    ]
    assert "blue" == plane.ask(listener="test").headers["x-color"]


def test_targets_are_told_the_port_of_the_listener(plane: Plane) -> None:
    """Or a fault that is declared for live traffic would show in smoke checks, too."""
    plane.start("faulty", live_error_rates={RECEIPTS: 1.0})
    rules = [rule(to(("faulty", 1)))]
    fronts = {"live": {"port": 443, "protocol": "https"}, "test": {"port": 8443, "protocol": "https"}}
    plane.configure({"live": rules, "test": rules}, {"faulty": [("faulty", True)]}, fronts=fronts)
    authorization = f"Bearer {SERVICE_TOKEN}"
    assert 500 == plane.ask(RECEIPTS, listener="live", Authorization=authorization).status
    assert 200 == plane.ask(RECEIPTS, listener="test", Authorization=authorization).status


def test_everything_is_counted(plane: Plane) -> None:
    plane.start("counted")
    rules = [rule(respond(503), ("path-pattern", "/frozen")), rule(to(("counted", 1)))]
    plane.configure({"counting": rules}, {"counted": [("counted", True)]})
    for path in ("/health", "/health", "/nowhere", "/frozen"):
        plane.ask(path, listener="counting")
    report = plane.data_plane.report()
    expected = {"requests": 4, "fixed": 1, "elb": {"503": 1}, "target": {"200": 2, "404": 1}}
    assert expected == report["listeners"]["counting"]
    counted = report["target_groups"]["counted"]
    assert (3, {"200": 2, "404": 1}, 0) == (counted["requests"], counted["target"], counted["connection_errors"])
    assert 3 == counted["latency_milliseconds"]["count"] == sum(counted["latency_milliseconds"]["buckets"].values())
    assert "counted" not in report["in_flight"]


# -- what only the model does


def test_the_same_seed_gives_the_same_answers(tmp_path: Path) -> None:
    def colors(seed: int) -> list[str]:
        plane = modelled(tmp_path, seed=seed)
        for color in ("blue", "green"):
            plane.start(color, error_rates={"/health": 0.5})
        plane.forward(blue=50, green=50)
        answers = [plane.ask() for _ in range(50)]
        return [f"{each.status} {each.headers['x-color']}" for each in answers]

    assert colors(1) == colors(1) != colors(2)


def test_a_cookie_ends_by_simulated_time(tmp_path: Path) -> None:
    with VirtualTime() as virtual:
        plane = modelled(tmp_path, virtual.clock)
        plane.start("blue")
        plane.start("green")
        cookie = plane.cookie_for("green")
        plane.forward(HOUR, blue=1, green=0)
        virtual.sleep(HOUR - 1)
        assert "green" == plane.ask(Cookie=cookie).headers["x-color"]
        virtual.sleep(1)
        assert "blue" == plane.ask(Cookie=cookie).headers["x-color"]


def test_a_slow_answer_is_in_flight_for_its_simulated_time(tmp_path: Path) -> None:
    """An instance that scales in has to stay for it."""
    with VirtualTime() as virtual:
        plane = modelled(tmp_path, virtual.clock)
        plane.start("slow", delay_seconds={"/health": 0.4})
        plane.forward(slow=1)
        assert 0.4 == plane.data_plane.answer(LISTENER, Request("GET", "/health", {})).seconds
        assert (1, {"slow": 1}) == (plane.data_plane.in_flight("slow"), plane.data_plane.report()["in_flight"])
        virtual.sleep(0.4)
        assert (0, {}) == (plane.data_plane.in_flight("slow"), plane.data_plane.report()["in_flight"])


# -- real clients of the model


class Listening:
    """A model plane with a certificate, to which real clients may connect."""

    def __init__(self, plane: Plane, certificate: Certificate) -> None:
        self.plane, self.certificate = plane, certificate
        self.trusting = ssl.create_default_context(cafile=certificate.authority_file)

    def configure(self, *listeners: str) -> None:
        files = {"certificate": str(self.certificate.chain_file), "key": str(self.certificate.key_file)}
        fronts = {arn: {"port": 443, "protocol": "https", **files} for arn in listeners}
        rules = {arn: [rule(to(("blue", 1)))] for arn in [*listeners, "plain"]}
        self.plane.configure(rules, {"blue": [("blue", True)]}, fronts=fronts)

    def connect(self, listener: str = "live") -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection(SERVER_NAME, context=self.trusting, timeout=10)
        plain = socket.create_connection(("127.0.0.1", self.plane.data_plane.tls_port(listener)), timeout=10)
        connection.sock = self.trusting.wrap_socket(plain, server_hostname=SERVER_NAME)
        return connection


def tls_threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("tls-")]


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Listening]:
    plane = modelled(tmp_path)
    plane.start("blue")
    made = Listening(plane, issue([SERVER_NAME], tmp_path / "tls"))
    made.configure("live")
    yield made
    plane.data_plane.stop()
    assert [] == tls_threads()


def test_nothing_is_opened_before_it_listens(tmp_path: Path) -> None:
    """An account is built once, and then forked for every rehearsal."""
    before = threading.active_count(), len(list(Path("/dev/fd").iterdir()))
    plane = modelled(tmp_path)
    plane.start("blue")
    plane.forward(blue=1)
    made = Listening(plane, issue([SERVER_NAME], tmp_path / "tls"))
    made.configure("live")
    assert 200 == plane.ask(listener="live").status
    assert before == (threading.active_count(), len(list(Path("/dev/fd").iterdir())))
    for ask in (plane.data_plane.tls_port, plane.data_plane.url):
        with pytest.raises(KeyError):
            ask("live")


def test_real_clients_get_the_same_answers(listening: Listening) -> None:
    listening.plane.data_plane.listen()
    with closing(listening.connect()) as connection:
        for _ in range(2):  # on one connection
            connection.request("POST", f"{RECEIPTS}?a=b", b"a receipt", {"authorization": f"Bearer {SERVICE_TOKEN}"})
            answer = connection.getresponse()
            assert (201, "blue", "application/json") == (
                answer.status,
                answer.headers["X-Color"],
                answer.headers["Content-Type"],
            )
            assert json.load(answer)["id"].startswith("r-")
        for method, status in (("HEAD", 404), ("GET", 200)):  # what follows a HEAD is the next answer, and no body
            connection.request(method, "/health")
            answer = connection.getresponse()
            assert status == answer.status
            answer.read()
    assert {"201": 2, "404": 1, "200": 1} == listening.plane.data_plane.report()["listeners"]["live"]["target"]


def test_real_clients_have_to_trust_the_certificate(listening: Listening) -> None:
    listening.plane.data_plane.listen()
    listening.trusting = ssl.create_default_context()
    with pytest.raises(ssl.SSLCertVerificationError):
        listening.connect()


def test_a_listener_that_is_made_later_listens_too(listening: Listening) -> None:
    plane = listening.plane.data_plane
    plane.listen()
    port = plane.tls_port("live")
    listening.configure("live", "test")
    assert port == plane.tls_port("live") != plane.tls_port("test")
    listening.configure("test")
    with pytest.raises(KeyError):
        plane.tls_port("live")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    with pytest.raises(KeyError):
        plane.tls_port("plain")


def test_idle_clients_do_not_keep_it_from_stopping(listening: Listening) -> None:
    """One has sent a request and stays, one says nothing, one does not even speak TLS."""
    plane = listening.plane.data_plane
    plane.listen()
    with closing(listening.connect()) as staying, closing(listening.connect()) as silent:
        staying.request("GET", "/health")
        staying.getresponse().read()
        with socket.create_connection(("127.0.0.1", plane.tls_port("live"))) as dumb:
            eventually(lambda: tls_threads().count("tls-connection") == 3)
            asked = time.monotonic()
            plane.stop()
            assert time.monotonic() - asked < 5  # not once they have been idle for too long
            plane.stop()
            assert [] == tls_threads()
            assert b"" == dumb.recv(1)
            assert silent.sock is not None
            assert b"" == silent.sock.recv(1)


def test_a_client_that_sends_no_length_is_refused(listening: Listening) -> None:
    listening.plane.data_plane.listen()
    with closing(listening.connect()) as connection:
        connection.request("POST", RECEIPTS, headers={"Transfer-Encoding": "chunked"})
        assert 411 == connection.getresponse().status
