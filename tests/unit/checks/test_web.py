"""Requests meet a real server over real TLS, on loopback; it may do anything, and nothing of it leaves as an error."""

import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from lambdas.checks import web as module
from lambdas.checks.rules import Answer
from lambdas.checks.web import Request, Web, form_body
from rehearsal.world.certificates import Certificate, issue
from tests.unit.checks.site import Site, answering, hanging_up, silent, trickling

PLENTY_SECONDS = 10
SHORT_SECONDS = 0.2
CANARY = "canary-8d1f"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return issue(["localhost"], tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def site(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Return a site whose authority is the only one that is trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.authority_file))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    with Site(certificate) as site:
        yield site


def ask(url: str, seconds: float = PLENTY_SECONDS, method: str = "GET", **given: Any) -> Answer:
    return Web(frozenset({"localhost"})).ask(Request(method, url, **given), seconds)


def test_answer_comes_back_with_its_status_its_text_and_its_time(site: Site) -> None:
    site.behavior = answering("201 Created", "response_time_avg 0.2\n")
    answer = ask(f"{site.url}/metrics?all=1")
    assert (answer.status, answer.text, answer.failure) == (201, "response_time_avg 0.2\n", "")
    assert 0 < answer.seconds < PLENTY_SECONDS
    (request,) = site.requests
    assert request.startswith(b"GET /metrics?all=1 HTTP/1.1\r\n")
    assert b"\r\nUser-Agent: Runback\r\n" in request
    assert b"\r\nConnection: close\r\n" in request


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_request_carries_its_headers_and_its_body(site: Site, method: str) -> None:
    ask(f"{site.url}/login", method=method, headers={"Authorization": "Bearer t0ken"}, body=b'{"user":"smoke"}')
    (request,) = site.requests
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(f"{method} /login ".encode())
    assert b"\r\nAuthorization: Bearer t0ken" in head
    assert body == b'{"user":"smoke"}'


def test_form_has_its_fields_and_its_file(site: Site) -> None:
    body, content_type = form_body({"category": "test"}, "receipt.jpg", b"\xff\xd8 a picture")
    ask(f"{site.url}/receipts", method="POST", headers={"Content-Type": content_type}, body=body)
    (request,) = site.requests
    boundary = content_type.removeprefix("multipart/form-data; boundary=").encode()
    assert b"--" + boundary + b'\r\nContent-Disposition: form-data; name="category"\r\n\r\ntest\r\n' in request
    assert b'Content-Disposition: form-data; name="file"; filename="receipt.jpg"\r\n' in request
    assert b"\r\n\r\n\xff\xd8 a picture\r\n--" + boundary + b"--" in request


def test_redirect_is_an_answer_and_not_a_way_to_somebody_else(site: Site) -> None:
    site.behavior = answering("302 Found", Location=f"{site.url}/login")
    assert ask(site.url).status == 302
    assert len(site.requests) == 1


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("https://127.0.0.1:{port}/", "is on 127.0.0.1, which is not among the allowed hosts"),
        # what a browser, urllib3 and Python's own parser read as three different hosts
        ("https://127.0.0.1:{port}\\@localhost/", "is on 127.0.0.1, which is not among the allowed hosts"),
        ("https://localhost@127.0.0.1:{port}/", "is on 127.0.0.1, which is not among the allowed hosts"),
        ("http://localhost:{port}/", "has a URL that does not begin with https://"),
        ("//localhost:{port}/", "has a URL that does not begin with https://"),
        ("localhost:{port}/", "has a URL that does not begin with https://"),
        ("https://localhost:{port}0/", "has a URL that cannot be read"),
        ("https://[localhost:{port}/", "has a URL that cannot be read"),
    ],
)
def test_nothing_is_sent_to_others_or_unencrypted(site: Site, template: str, expected: str) -> None:
    url = template.format(port=site.url.rpartition(":")[2])
    assert ask(url) == Answer(0, 0.0, failure=expected)
    assert site.requests == []


def test_certificate_of_an_unknown_authority_gets_no_request(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(issue(["localhost"], tmp_path).authority_file))
    answer = ask(site.url, headers={"Authorization": f"Bearer {CANARY}"})
    assert (answer.status, answer.failure) == (0, "has a certificate that is not trusted")
    assert site.requests == []


def test_certificate_of_another_name_gets_no_request(site: Site) -> None:
    url = site.url.replace("localhost", "127.0.0.1")
    answer = Web(frozenset({"127.0.0.1"})).ask(Request("GET", url), PLENTY_SECONDS)
    assert (answer.status, answer.failure) == (0, "has a certificate that is not trusted")
    assert site.requests == []


def test_server_that_is_not_there_is_not_called_slow() -> None:
    """An operator looks for another cause."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    answer = ask(f"https://localhost:{port}/")
    assert (answer.status, answer.failure) == (0, "could not be reached: the connection was refused")


def test_name_that_does_not_resolve_is_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    answer = Web(frozenset({"nothing.invalid"})).ask(Request("GET", "https://nothing.invalid/"), PLENTY_SECONDS)
    assert (answer.status, answer.failure) == (0, "has a host name that does not resolve")


def test_name_server_that_does_not_answer_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time-out of a socket is for it."""
    released = Event()

    def hold(*_: object) -> None:
        released.wait(3)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", hold)
    answer = ask("https://localhost/", SHORT_SECONDS)
    released.set()
    assert answer == Answer(0, SHORT_SECONDS, failure="did not answer within 0.2 s")


def test_answer_that_does_not_come_is_not_waited_for(site: Site) -> None:
    site.behavior = silent
    answer = ask(site.url, SHORT_SECONDS)
    assert (answer.status, answer.failure) == (0, "did not answer within 0.2 s")


@pytest.mark.parametrize(
    "start",
    [b"HTTP/1.1 200 OK\r\nServer: ", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"],
    ids=["in its head", "in its body", "in a body without end"],
)
def test_answer_of_one_byte_at_a_time_is_not_waited_for(site: Site, start: bytes) -> None:
    """Every byte is in time for a time-out of the socket."""
    site.behavior = trickling(start)
    answer = ask(site.url, SHORT_SECONDS)
    assert (answer.status, answer.failure) == (0, "did not answer within 0.2 s")


def test_only_the_beginning_of_a_long_answer_is_read_and_only_whole_lines(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of a value would be another value."""
    monkeypatch.setattr(module, "_MOST_BYTES", 100)
    monkeypatch.setattr(module, "_CHUNK_BYTES", 10)
    site.behavior = answering(body=f"{'first' * 10}\n{'second' * 1000}")
    answer = ask(site.url)
    assert (answer.status, answer.text) == (200, "first" * 10)


def test_who_asks_another_server_may_read_more_of_its_answer(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_BYTES", 100)
    site.behavior = answering(body="x" * 1000)
    web = Web(frozenset({"localhost"}), most_bytes=2000)
    assert len(web.ask(Request("GET", site.url), PLENTY_SECONDS).text) == 1000


def test_headers_come_back_by_their_names_in_lower_case(site: Site) -> None:
    """Servers write them as they like."""
    site.behavior = answering(**{"Retry-After": "30"})
    assert ask(site.url).headers["retry-after"] == "30"


def test_body_that_is_not_text_is_still_an_answer(site: Site) -> None:
    site.behavior = lambda connection, _: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xfe")
    assert (ask(site.url).status, ask(site.url).failure) == (200, "")


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (b"", "could not be reached (ProtocolError)"),
        (b"SSH-2.0-OpenSSH\r\n", "could not be reached (ProtocolError)"),
        (f"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{CANARY}".encode(), "could not be reached (ProtocolError)"),
    ],
    ids=["nothing", "something else", "less than announced"],
)
def test_broken_answer_is_a_failure_that_quotes_none_of_it(site: Site, start: bytes, expected: str) -> None:
    site.behavior = lambda connection, _: connection.sendall(start) if start else None
    answer = ask(site.url, headers={"Authorization": f"Bearer {CANARY}"}, body=CANARY.encode())
    assert (answer.status, answer.text, answer.failure) == (0, "", expected)


def test_request_is_sent_once_even_when_it_got_no_answer(site: Site) -> None:
    """An upload that was received and not answered would otherwise be there twice."""
    site.behavior = hanging_up
    ask(f"{site.url}/receipts", method="POST", body=b"receipt")
    ask(f"{site.url}/receipts")
    assert [b"POST", b"GET"] == [request.partition(b" ")[0] for request in site.requests]


@pytest.mark.parametrize("value", [f"{CANARY}\r\nInjected: yes", f"{CANARY} ☂"])
def test_header_that_cannot_be_sent_is_a_failure_that_does_not_quote_it(site: Site, value: str) -> None:
    """The library's own error does."""
    assert ask(site.url, headers={"X-Key": value}).failure == "has a header or URL that cannot be sent"
    assert site.requests == []


def test_request_shows_nothing_secret() -> None:
    shown = repr(Request("POST", "https://localhost/", {"Authorization": CANARY}, CANARY.encode()))
    assert CANARY not in shown
