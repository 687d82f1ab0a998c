"""
The account as functions find it: the names of the settings, the secrets, two networks, and a log.

With real processes, because it is their sockets, certificates and ends that are looked at.
"""

import json
import os
import struct
import subprocess
import textwrap
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError

import pytest
from pg8000.native import Connection

from rehearsal.account import Account
from rehearsal.scenarios import NEW_VERSION, OLD_VERSION
from rehearsal.world.network import HOST
from rehearsal.world.restores import RestorePlan
from tests.rehearsal.conftest import IN_A_HURRY, quiet_account
from tests.waiting import eventually

pytestmark = pytest.mark.rehearsed

PROBE = """
import socket, ssl
def handler(event, context):
    with socket.create_connection((event["host"], event["port"]), 5) as plain:
        if event["before_tls"]:
            plain.sendall(bytes.fromhex(event["before_tls"]))
            assert plain.recv(1) == b"S"
        with ssl.create_default_context().wrap_socket(plain, server_hostname=event["host"]) as client:
            client.settimeout(5)
            client.sendall(bytes.fromhex(event["say"]))
            return client.recv(1000).decode(errors="replace")
"""
PING = b"*1\r\n$4\r\nPING\r\n"
SSL_REQUEST = struct.pack("!ii", 8, 80877103)
STARTUP = struct.pack("!ii", 22, 196608) + b"user\0visitor\0\0"
"""https://www.postgresql.org/docs/18/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-STARTUPMESSAGE"""


@dataclass(frozen=True)
class Probed:
    """The account with two functions in it that say something and return the answer: "outside", and "in-vpc"."""

    account: Account

    def say(self, name: str, host: str, port: int, said: bytes, before_tls: bytes = b"") -> str:
        """Return the answer, or the message of the error."""
        event = {"host": host, "port": port, "say": said.hex(), "before_tls": before_tls.hex()}
        answer = json.loads(self.account.functions.invoke(name, json.dumps(event).encode())[0])
        return str(answer["errorMessage"] if isinstance(answer, dict) else answer)

    def get(self, name: str, host: str, port: int, path: str = "/health") -> str:
        return self.say(name, host, port, f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())

    def ask(self, method: str, path: str, body: bytes | None = None, token: str = "") -> int:
        """Return the status that a user of the first route gets."""
        url = self.account.load_balancer.url(self.account.settings.routes[0].arn) + path
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            request = urllib.request.Request(url, body, headers, method=method)  # noqa: S310  loopback
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  loopback
                return int(answer.status)
        except HTTPError as refused:
            with refused:
                return refused.code

    def secret(self, arn: str) -> str:
        found = self.account.client("secretsmanager").get_secret_value(SecretId=arn)
        assert arn == found["ARN"]
        return str(found["SecretString"])

    def status_of(self, instance: str) -> str:
        described = self.account.client("rds").describe_db_instances(DBInstanceIdentifier=instance)["DBInstances"][0]
        return str(described["DBInstanceStatus"])

    def log_in(self) -> int:
        (arn,) = self.account.settings.checks.login_secret_arns
        return self.ask("POST", "/auth/login", self.secret(arn).encode())

    def upload(self) -> int:
        (arn,) = self.account.settings.checks.token_secret_arns
        return self.ask("POST", "/api/v2/receipts", b"a receipt", self.secret(arn))

    def logged(self, pattern: str, version: str, since_ms: int = 0) -> set[tuple[str, str]]:
        """Return level and path of the events that a pattern of the settings finds."""
        events = self.account.client("logs").filter_log_events(
            logGroupName=self.account.settings.log_group,
            filterPattern=pattern.replace("{version}", version),
            startTime=since_ms,
            endTime=self.now_ms(),
        )["events"]
        lines = [json.loads(event["message"]) for event in events]
        return {(line["level"], line["path"]) for line in lines}

    def now_ms(self) -> int:
        return int(self.account.clock.now().timestamp() * 1000)


def children() -> set[str]:
    """Return the ids of our child processes, but for the one that looks."""
    listed = subprocess.run(["ps", "-A", "-o", "ppid=,pid=,comm="], capture_output=True, text=True, check=True).stdout  # noqa: S607
    rows = [line.split() for line in listed.splitlines()]
    return {pid for parent, pid, command, *_ in rows if parent == str(os.getpid()) and command != "ps"}


def _let_nothing_start(account: Account) -> None:
    """Keep probe and alarms from acting on what is stopped here: their executions would outlive the account."""
    events = account.client("events")
    for rule in events.list_rules()["Rules"]:
        events.disable_rule(Name=rule["Name"])


@pytest.fixture(scope="module")
def probed(assembly: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probed]:
    """Return one for all tests. At its end everything is taken down, also what was stopped before."""
    folder, children_before = tmp_path_factory.mktemp("account"), children()
    (folder / "app.py").write_text(textwrap.dedent(PROBE), encoding="utf-8")
    with quiet_account(assembly, folder / "rehearsal", staging=IN_A_HURRY) as quiet:
        account = quiet.stage.account
        _let_nothing_start(account)
        for name, in_vpc in (("outside", False), ("in-vpc", True)):
            account.functions.create(name, folder, [], "app.handler", {}, 10.0, 128, in_vpc=in_vpc)
        yield Probed(account)
        account.database.stop(account.settings.database_instance)
        account.cache.stop()
        assert children() > children_before
    assert children_before == children()


def test_every_allowed_host_is_the_live_listener(probed: Probed) -> None:
    checks = probed.account.settings.checks
    for host in checks.hosts:
        answer = probed.get("outside", host, checks.live[1])
        assert answer.startswith("HTTP/1.1 200 ")
        assert f"X-Version: {OLD_VERSION}" in answer


def test_the_test_url_is_the_test_listener(probed: Probed) -> None:
    """Before a release nothing is behind it: the idle color has no instance."""
    answer = probed.get("outside", *probed.account.settings.checks.test)
    assert answer.startswith("HTTP/1.1 503 ")
    assert "Server: awselb/2.0" in answer


def test_listeners_have_the_ports_of_their_urls(probed: Probed) -> None:
    settings = probed.account.settings
    (route,) = settings.routes
    described = probed.account.client("elbv2").describe_listeners(ListenerArns=[route.arn, route.test_arn])
    found = {each["ListenerArn"]: (each["Protocol"], each["Port"]) for each in described["Listeners"]}
    assert {route.arn: ("HTTPS", 443), route.test_arn: ("HTTPS", 8443)} == found


def test_database_and_cache_answer_over_tls_in_the_vpc(probed: Probed) -> None:
    settings = probed.account.settings
    assert "+PONG\r\n" == probed.say("in-vpc", settings.cache.host, settings.cache.port, PING)
    answer = probed.say("in-vpc", settings.database.host, settings.database.port, STARTUP, SSL_REQUEST)
    assert "SCRAM-SHA-256" in answer


def test_a_restored_instance_answers_in_the_vpc_under_its_own_name(probed: Probed) -> None:
    account, rds = probed.account, probed.account.client("rds")
    instance = account.settings.database_instance
    account.database.restore_plan = RestorePlan(seconds=60)
    rds.create_db_snapshot(DBInstanceIdentifier=instance, DBSnapshotIdentifier="for-a-restore")
    eventually(lambda: probed.status_of(instance) == "available", seconds=60)
    rds.restore_db_instance_from_db_snapshot(DBInstanceIdentifier="restored", DBSnapshotIdentifier="for-a-restore")
    host, port = account.database.endpoint("restored")
    assert "no address in the pretend account" in probed.say("in-vpc", host, port, PING)
    eventually(lambda: probed.status_of("restored") == "available", seconds=60)
    assert "SCRAM-SHA-256" in probed.say("in-vpc", host, port, STARTUP, SSL_REQUEST)
    assert "no address in the pretend account" in probed.say("outside", host, port, PING)


def test_outside_of_the_vpc_database_and_cache_have_no_address(probed: Probed) -> None:
    settings = probed.account.settings
    for store in (settings.database, settings.cache):
        assert "no address in the pretend account" in probed.say("outside", store.host, store.port, PING)


def test_in_the_vpc_public_hosts_have_no_address(probed: Probed) -> None:
    checks = probed.account.settings.checks
    for host, port in (checks.live, checks.test):
        assert "no address in the pretend account" in probed.get("in-vpc", host, port)


def test_the_secret_of_the_database_opens_it(probed: Probed) -> None:
    settings = probed.account.settings
    credentials = json.loads(probed.secret(settings.database.secret_arn))
    port = probed.account.database.port(settings.database_instance)
    connection = Connection(
        credentials["username"],
        password=credentials["password"],
        host=HOST,
        port=port,
        database=settings.database.name,
        timeout=10,
    )
    with closing(connection):
        assert [[1]] == connection.run("SELECT 1")


def test_the_other_secrets_let_in_and_nothing_else_does(probed: Probed) -> None:
    assert 200 == probed.log_in()
    assert 201 == probed.upload()
    assert 401 == probed.ask("POST", "/auth/login", json.dumps({"email": "a@b", "password": "guessed"}).encode())
    assert 401 == probed.ask("POST", "/api/v2/receipts", b"a receipt", "guessed")


def test_without_its_database_the_application_takes_no_receipt_but_is_healthy(probed: Probed) -> None:
    instance = probed.account.settings.database_instance
    probed.account.database.stop(instance)
    assert (503, 200, 200) == (probed.upload(), probed.log_in(), probed.ask("GET", "/health"))
    probed.account.database.start(instance)
    eventually(lambda: probed.upload() == 201)


def test_without_its_cache_the_application_logs_nobody_in_but_is_healthy(probed: Probed) -> None:
    probed.account.cache.stop()
    assert (503, 201, 200) == (probed.log_in(), probed.upload(), probed.ask("GET", "/health"))
    probed.account.cache.start()
    eventually(lambda: probed.log_in() == 200)


def test_requests_arrive_in_the_log_of_the_settings(probed: Probed) -> None:
    """At simulated times, which are ahead of the machine's by now, and found by the patterns of the settings."""
    logs = tomllib.loads(Path("environments/staging.toml").read_text(encoding="utf-8"))["logs"]
    began = probed.now_ms()
    probed.account.cache.stop()
    assert (201, 503) == (probed.upload(), probed.log_in())
    probed.account.cache.start()

    def errors() -> set[tuple[str, str]]:
        return probed.logged(logs["error_pattern"], OLD_VERSION, began)

    expected = {("INFO", "/api/v2/receipts"), ("ERROR", "/auth/login")}
    eventually(lambda: expected <= probed.logged(logs["request_pattern"], OLD_VERSION, began))
    assert ("ERROR", "/auth/login") in errors()
    assert {"ERROR"} == {level for level, _ in errors()}
    for pattern in (logs["request_pattern"], logs["error_pattern"]):
        assert set() == probed.logged(pattern, NEW_VERSION)
