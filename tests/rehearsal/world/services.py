"""One database and one cache for the tests that need them, and applications that stand on these."""

import json
import threading
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from pg8000.native import Connection

from rehearsal.clock import TwoSpeedClock
from rehearsal.world.application import Behaviour, Services
from rehearsal.world.cache import Cache
from rehearsal.world.database import Database
from rehearsal.world.network import HOST, Network
from rehearsal.world.postgres import PostgresServer
from rehearsal.world.processes import ChildProcess
from rehearsal.world.request_logs import REQUEST_LOG
from tests.rehearsal.world.conftest import ACCOUNT, REGION, client
from tests.waiting import eventually

INSTANCE = "receipts-database"
DATABASE = "receiptvault"
USER, PASSWORD = "receipts", "p@ss/w'ord"
LOGIN = {"email": "test@receipts.invalid", "password": "test123"}
SERVICE_TOKEN = "a token for smoke checks"  # noqa: S105  of this test


def create_database(clock: TwoSpeedClock, folder: Path) -> Database:
    """Make an overlay that is not installed yet."""
    return Database(clock, ACCOUNT, REGION, account_lock=threading.RLock(), log_directory=folder)


def create_instance(database: Database, **more: Any) -> None:
    client("rds").create_db_instance(
        DBInstanceIdentifier=INSTANCE,
        DBInstanceClass="db.t4g.medium",
        Engine="postgres",
        EngineVersion="18.4",
        AllocatedStorage=20,
        DBName=DATABASE,
        MasterUsername="postgres_admin",
        MasterUserPassword="only the master's",
        **more,
    )
    database.create_receipts(INSTANCE, USER, PASSWORD)


def server_of(database: Database) -> PostgresServer:
    """Return what the instance is."""
    server = database._servers[INSTANCE]
    assert isinstance(server, PostgresServer)
    return server


def connect(database: Database) -> Connection:
    """Connect to the instance's database as superuser."""
    return server_of(database).connect(DATABASE)


@dataclass(frozen=True)
class Answer:
    """What an application answered; JSON is decoded."""

    status: int
    headers: Mapping[str, str]
    content: Any


class Application:
    """One process of the receipt application."""

    def __init__(
        self,
        folder: Path,
        services: Services,
        behaviour: Behaviour | None = None,
        *,
        instance: str = "i-1",
        version: str = "1a2b3c4",
    ) -> None:
        self._network, self._instance = Network(), instance
        self.port = self._network.reserve(instance)
        self.request_log = folder / REQUEST_LOG.format(instance=instance)
        arguments = ["--port", str(self.port), "--version", version, "--color", "blue", "--instance", instance]
        arguments += ["--behaviour", (behaviour or Behaviour()).to_json(), "--services", services.to_json()]
        arguments += ["--request-log", str(self.request_log)]
        self._process = ChildProcess("rehearsal.world.application", arguments, folder / f"{instance}.log")
        eventually(lambda: self._network.answers(instance), seconds=10)

    def stop(self) -> None:
        self._process.stop()
        self._network.release(self._instance)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(f"http://{HOST}:{self.port}{path}", body, named, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310  loopback
                return _answer(response)
        except HTTPError as refused:
            with refused:
                return _answer(refused)

    def log_in(self) -> str:
        answer = self.ask("POST", "/auth/login", json.dumps(LOGIN).encode())
        assert answer.status == 200, answer
        return str(answer.content["token"])

    def upload(self, token: str, content: bytes) -> Answer:
        """Upload as a browser does: a form with a file and a category."""
        boundary = "a-boundary"
        parts = [
            b'Content-Disposition: form-data; name="category"\r\n\r\ntest',
            b'Content-Disposition: form-data; name="file"; filename="test-receipt.jpg"\r\n'
            b"Content-Type: image/jpeg\r\n\r\n" + content,
        ]
        body = b"".join(b"--a-boundary\r\n" + part + b"\r\n" for part in parts) + b"--a-boundary--\r\n"
        form = f"multipart/form-data; boundary={boundary}"
        return self.ask("POST", "/api/v2/receipts", body, Authorization=f"Bearer {token}", Content_Type=form)

    def receipts(self, token: str) -> Answer:
        return self.ask("GET", "/api/v2/receipts", Authorization=f"Bearer {token}")

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.request_log.read_text(encoding="utf-8").splitlines()]


def services_on(database: Database, cache: Cache) -> Services:
    return Services(
        database=database.dsn(INSTANCE, USER, PASSWORD),
        cache=cache.address,
        service_token=SERVICE_TOKEN,
        users={LOGIN["email"]: LOGIN["password"]},
    )


def _answer(response: Any) -> Answer:
    content = response.read()
    if response.headers["Content-Type"] == "application/json":
        return Answer(response.status, response.headers, json.loads(content))
    return Answer(response.status, response.headers, content.decode())
