"""Functions find the names of the settings, and never leave the machine."""

import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Any

import boto3
import pytest

from rehearsal.clock import TwoSpeedClock
from rehearsal.engine.calls import Calls
from rehearsal.engine.functions import FunctionService
from rehearsal.engine.sandbox import Processes, Reach
from rehearsal.world.certificates import Certificate, issue
from rehearsal.world.data_plane import DataPlane
from rehearsal.world.names import Names
from tests.waiting import eventually

API, DATABASE = "api.receiptvault.pro", "receipt-vault.c1a2b3d4e5f6.eu-west-1.rds.amazonaws.com"
PRIVATE = "private.test"
POSTGRESQL = 5432


class Echo(BaseRequestHandler):
    """Sends back the first bytes that come."""

    def handle(self) -> None:
        self.request.sendall(self.request.recv(100))


@dataclass
class Functions:
    """The Lambda service with both servers in its reach, and a way to run a few lines of code."""

    service: FunctionService
    names: Names
    vpc_names: Names
    echo_port: int
    folder: Path

    def deploy(self, code: str, *, in_vpc: bool = False) -> None:
        (self.folder / "app.py").write_text(textwrap.dedent(code), encoding="utf-8")
        self.service.create("function", self.folder, [], "app.handler", {}, 10.0, 128, in_vpc=in_vpc)

    def invoke(self, **event: Any) -> Any:
        return json.loads(self.service.invoke("function", json.dumps(event).encode())[0])

    def run(self, code: str, **event: Any) -> Any:
        self.deploy(code)
        return self.invoke(**event)


@pytest.fixture(scope="module")
def build_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared: compiled files are worth keeping."""
    return tmp_path_factory.mktemp("build")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return issue([API], tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def api_port(certificate: Certificate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Serve the API as the load balancer does, from a fixed response."""
    data_plane = DataPlane(tmp_path_factory.mktemp("data-plane"))
    response = {"status": 200, "body": "ok", "headers": {"Content-Type": "text/plain"}}
    files = {"certificate": str(certificate.chain_file), "key": str(certificate.key_file)}
    data_plane.configure(
        {
            "listeners": {"live": [{"conditions": [], "action": {"respond": response}}]},
            "target_groups": {},
            "fronts": {"live": {"port": 443, "protocol": "https", **files}},
        }
    )
    yield data_plane.tls_port("live")
    data_plane.stop()


@pytest.fixture(scope="module")
def echo_port() -> Iterator[int]:
    with ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        Thread(target=server.serve_forever, args=(0.02,)).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture
def functions(
    tmp_path: Path, build_dir: Path, certificate: Certificate, api_port: int, echo_port: int
) -> Iterator[Functions]:
    names = Names(tmp_path / "names.json")
    names.point(API, 443, api_port)
    names.point(DATABASE, POSTGRESQL, echo_port)
    vpc_names = Names(tmp_path / "vpc.json")
    vpc_names.point(PRIVATE, POSTGRESQL, echo_port)
    clock = TwoSpeedClock()
    service = FunctionService(
        clock,
        Calls(clock),
        Processes(
            build_dir,
            "eu-west-1",
            "http://127.0.0.1:1",
            internet=Reach(names.file, certificate.authority_file),
            vpc=Reach(vpc_names.file, certificate.authority_file),
        ),
        account="111122223333",
        session=boto3.Session(region_name="eu-west-1"),
        log_dir=tmp_path / "logs",
    )
    code = tmp_path / "code"
    code.mkdir()
    yield Functions(service, names, vpc_names, echo_port, code)
    service.stop()


@pytest.mark.rehearsed
def test_a_function_reaches_the_live_url_over_verified_tls(functions: Functions) -> None:
    """Unchanged: its URL, its trust in certificates, and its own look at the address are those of AWS."""
    answer = functions.run(
        """
        import socket, urllib3
        def handler(event, context):
            http = urllib3.PoolManager(retries=False)
            response = http.request("GET", event["url"])
            found = {info[4] for info in socket.getaddrinfo("API.receiptvault.pro.", "https", type=socket.SOCK_STREAM)}
            with socket.create_connection(("api.receiptvault.pro", 443)) as connection:
                peer = connection.getpeername()
            return [response.status, response.data.decode(), sorted(found), peer]
        """,
        url=f"https://{API}/health",
    )
    status, body, found, peer = answer
    assert (200, "ok") == (status, body)
    assert [peer] == found
    address, port = peer
    assert 443 == port
    assert ip_address(address).is_global


@pytest.mark.rehearsed
def test_a_certificate_of_another_name_is_not_trusted(functions: Functions, api_port: int) -> None:
    functions.names.point("receiptvault.pro", 443, api_port)
    answer = functions.run(
        """
        import urllib3
        def handler(event, context):
            urllib3.PoolManager(retries=False).request("GET", "https://receiptvault.pro/health")
        """
    )
    assert "Hostname mismatch" in answer["errorMessage"]


@pytest.mark.parametrize(
    "connect",
    [
        pytest.param("socket.create_connection((host, port), 5)", id="as pg8000 does"),
        pytest.param("by_address(*socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0])", id="as redis-py does"),
        pytest.param("by_name(host, port)", id="by name"),
        pytest.param("by_number(host, port)", id="by name, for an error number"),
    ],
)
def test_drivers_reach_the_database_by_its_name(functions: Functions, connect: str) -> None:
    code = f"""
        import socket
        def by_address(family, type, proto, _, address):
            connection = socket.socket(family, type, proto)
            connection.connect(address)
            return connection
        def by_name(host, port):
            connection = socket.socket()
            connection.connect((host, port))
            return connection
        def by_number(host, port):
            connection = socket.socket()
            assert connection.connect_ex((host, port)) == 0
            return connection
        def handler(event, context):
            host, port = event["host"], event["port"]
            with {connect} as connection:
                connection.sendall(b"hello")
                return connection.recv(100).decode()
        """
    assert "hello" == functions.run(code, host=DATABASE, port=POSTGRESQL)


CONNECT = """
    import socket
    def handler(event, context):
        with socket.create_connection((event["host"], event["port"]), 5) as connection:
            connection.sendall(b"hello")
            return connection.recv(100).decode()
"""


@pytest.mark.parametrize(
    ("host", "port"),
    [
        pytest.param("93.184.215.14", 443, id="an address of the internet"),
        pytest.param("2606:2800:21f:cb07:6820:80da:af6b:8b2c", 443, id="an IPv6 address of the internet"),
        pytest.param("169.254.169.254", 80, id="the instance metadata"),
        pytest.param("10.0.0.1", POSTGRESQL, id="a private address"),
        pytest.param("0.0.0.0", POSTGRESQL, id="no address"),  # noqa: S104  nothing is bound to it
        pytest.param("192.88.99.1", 443, id="a pretended address that nobody asked for"),
        pytest.param(DATABASE, 443, id="another port of a known name"),
    ],
)
def test_any_other_destination_is_refused_by_name(functions: Functions, host: str, port: int) -> None:
    answer = functions.run(CONNECT, host=host, port=port)
    assert "ConnectionRefusedError" == answer["errorType"]
    assert f"{host}:{port} is not in the pretend account" in answer["errorMessage"]


def test_an_unknown_name_does_not_resolve(functions: Functions) -> None:
    answer = functions.run(CONNECT, host="example.com", port=443)
    assert "gaierror" == answer["errorType"]
    assert "example.com has no address in the pretend account" in answer["errorMessage"]


def test_a_function_in_the_vpc_reaches_what_is_there_and_no_public_name(functions: Functions) -> None:
    """On AWS, too, one is in the VPC or on the internet: in the VPC alone it has no way out."""
    functions.deploy(CONNECT, in_vpc=True)
    assert "hello" == functions.invoke(host=PRIVATE, port=POSTGRESQL)
    assert "hello" == functions.invoke(host="127.0.0.1", port=functions.echo_port)
    answer = functions.invoke(host=API, port=443)
    assert f"{API} has no address in the pretend account" in answer["errorMessage"]


def test_a_function_outside_of_the_vpc_does_not_reach_what_is_in_it(functions: Functions) -> None:
    answer = functions.run(CONNECT, host=PRIVATE, port=POSTGRESQL)
    assert f"{PRIVATE} has no address in the pretend account" in answer["errorMessage"]


def test_ways_around_a_connection_are_closed_too(functions: Functions) -> None:
    """Datagrams, error numbers instead of errors, and asking who an address is."""
    answer = functions.run(
        """
        import errno, socket
        def handler(event, context):
            datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            attempts = {
                "sendto": lambda: datagrams.sendto(b"query", ("8.8.8.8", 53)),
                "sendmsg": lambda: datagrams.sendmsg([b"query"], [], 0, ("8.8.8.8", 53)),
                "gethostbyname": lambda: socket.gethostbyname("example.com"),
                "gethostbyaddr": lambda: socket.gethostbyaddr("8.8.8.8"),
            }
            refused = []
            for name, attempt in attempts.items():
                try:
                    attempt()
                except OSError as error:
                    refused.append(name)
            if socket.socket().connect_ex(("8.8.8.8", 53)) == errno.ECONNREFUSED:
                refused.append("connect_ex")
            return refused
        """
    )
    assert ["sendto", "sendmsg", "gethostbyname", "gethostbyaddr", "connect_ex"] == answer
    eventually(lambda: "8.8.8.8:53 is not in the pretend account" in functions.service.logs("function"))


def test_loopback_stays_in_reach(functions: Functions) -> None:
    """The emulated AWS is there."""
    functions.deploy(CONNECT)
    for host in ("127.0.0.1", "localhost"):
        assert "hello" == functions.invoke(host=host, port=functions.echo_port)


def test_a_running_process_sees_a_change_of_names(functions: Functions) -> None:
    """A restored database is another server on another port."""
    functions.deploy(CONNECT)
    assert "gaierror" == functions.invoke(host="restored.test", port=POSTGRESQL)["errorType"]
    (before,) = functions.service.process_ids("function")

    functions.names.point("restored.test", POSTGRESQL, functions.echo_port)

    assert "hello" == functions.invoke(host="restored.test", port=POSTGRESQL)
    assert [before] == functions.service.process_ids("function")
