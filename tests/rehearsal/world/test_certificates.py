"""The TLS twin of a listener: verified, as the functions verify the real one, and the same listener for all that."""

import json
import socket
import ssl
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPSConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from rehearsal.world.certificates import Certificate, issue
from rehearsal.world.data_plane import DataPlane
from rehearsal.world.network import HOST

NAME = "api.receipts.test"


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return issue([NAME, "receipts.test"], tmp_path / "tls")


class EchoedHeaders(BaseHTTPRequestHandler):
    """Answers with the headers of the request."""

    def do_GET(self) -> None:
        content = json.dumps(dict(self.headers.items())).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def listener(data_plane: DataPlane, certificate: Certificate) -> Iterator[DataPlane]:
    """Return a data plane whose listener "test" is the account's port 8443."""
    target = HTTPServer((HOST, 0), EchoedHeaders)
    Thread(target=target.serve_forever, args=(0.02,)).start()
    files = {"certificate": str(certificate.chain_file), "key": str(certificate.key_file)}
    data_plane.configure(
        {
            "listeners": {"test": [{"conditions": [], "action": {"forward": [["group", 1]]}}]},
            "target_groups": {"group": [{"instance": "i", "port": target.server_port, "healthy": True}]},
            "fronts": {"test": {"port": 8443, "protocol": "https", **files}},
        }
    )
    yield data_plane
    target.shutdown()
    target.server_close()


def get_over_tls(listener: DataPlane, context: ssl.SSLContext, name: str = NAME) -> dict[str, Any]:
    connection = HTTPSConnection(name, timeout=10, context=context)
    plain = socket.create_connection((HOST, listener.tls_port("test")), timeout=10)
    try:
        connection.sock = context.wrap_socket(plain, server_hostname=name)
        connection.request("GET", "/")
        return dict(json.loads(connection.getresponse().read()))
    finally:
        connection.close()
        plain.close()


@pytest.mark.parametrize("name", [NAME, "receipts.test"])
def test_a_client_that_trusts_the_runs_authority_is_served(
    listener: DataPlane, certificate: Certificate, name: str
) -> None:
    """Strictly verified, as Python 3.13 does by itself."""
    context = ssl.create_default_context(cafile=certificate.authority_file)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    assert name == get_over_tls(listener, context, name)["Host"]


def test_a_client_that_does_not_is_not(listener: DataPlane) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer certificate"):
        get_over_tls(listener, ssl.create_default_context())


def test_another_name_is_refused(listener: DataPlane, certificate: Certificate) -> None:
    context = ssl.create_default_context(cafile=certificate.authority_file)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        get_over_tls(listener, context, "receipts.example")


def test_targets_are_told_the_accounts_port_on_either_port(listener: DataPlane, certificate: Certificate) -> None:
    """The application tells live users from smoke checks by it; users of the plain port are live users, too."""
    seen_over_tls = get_over_tls(listener, ssl.create_default_context(cafile=certificate.authority_file))
    connection = HTTPConnection(listener.url("test").removeprefix("http://"), timeout=10)
    connection.request("GET", "/", headers={"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Port": "1"})
    seen_over_http = json.loads(connection.getresponse().read())
    connection.close()

    for seen in (seen_over_tls, seen_over_http):
        assert ("8443", "https") == (seen["X-Forwarded-Port"], seen["X-Forwarded-Proto"])
    assert HOST == seen_over_tls["X-Forwarded-For"]
    assert f"203.0.113.7, {HOST}" == seen_over_http["X-Forwarded-For"]


def test_only_its_owner_may_read_the_key(certificate: Certificate) -> None:
    assert 0o600 == certificate.key_file.stat().st_mode & 0o777
