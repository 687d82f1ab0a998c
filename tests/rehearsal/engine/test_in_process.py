"""Functions in this process behave as packaged ones do, and leave nothing of theirs behind."""

import json
import os
import socket
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

import lambdas
from rehearsal.clock import TwoSpeedClock
from rehearsal.engine.calls import Calls
from rehearsal.engine.functions import FunctionService
from rehearsal.engine.in_process import InProcess
from rehearsal.world.names import Names

REGION, ACCOUNT = "eu-west-1", "123456789012"
HANDLER = """
    import os, socket, sys
    from concurrent.futures import ThreadPoolExecutor
    import boto3

    seen = os.environ["COLOR"]
    sqs = boto3.client("sqs")

    def handler(event, context):
        print("hello from", seen)
        match event:
            case {"raise": text}:
                raise ValueError(text)
            case {"connect": [host, port]}:
                with socket.create_connection((host, port), 5) as connection:
                    return connection.recv(100).decode()
            case {"connect from a thread": address}:
                with ThreadPoolExecutor() as threads:
                    return threads.submit(handler, {"connect": address}, context).result()
            case {"queues": _}:
                return sqs.list_queues()["ResponseMetadata"]["HTTPStatusCode"]
            case {"queues by a new client": _}:
                return boto3.client("sqs").list_queues()["ResponseMetadata"]["HTTPStatusCode"]
        return {"seen": seen, "name": context.function_name, "arn": context.invoked_function_arn,
                "left": context.get_remaining_time_in_millis(), "file": __file__}
"""


class Functions:
    """A service, the calls of its functions, and where they find hosts."""

    def __init__(self, service: FunctionService, calls: Calls, names: Names, folder: Path) -> None:
        self.service, self.calls, self.names = service, calls, names
        self._folder = folder

    def create(self, name: str, color: str, code: str = HANDLER, timeout: float = 5.0) -> None:
        folder = self._folder / name
        (folder / "lambdas").mkdir(parents=True)
        (folder / "lambdas" / "__init__.py").write_text("")
        (folder / "lambdas" / "app.py").write_text(textwrap.dedent(code))
        self.service.create(name, folder, [], "lambdas.app.handler", {"COLOR": color}, timeout, 128)

    def run(self, name: str, event: Any) -> tuple[Any, str | None]:
        payload, error = self.service.invoke(name, json.dumps(event).encode())
        return json.loads(payload), error


@pytest.fixture
def functions(tmp_path: Path) -> Iterator[Functions]:
    with opened(tmp_path) as opened_functions:
        yield opened_functions


@contextmanager
def opened(tmp_path: Path) -> Iterator[Functions]:
    """Open an account with its functions."""
    clock = TwoSpeedClock()
    session = boto3.Session(region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test")
    names = Names()
    with (
        mock_aws(),
        Calls(clock) as calls,
        InProcess(tmp_path / "build", session, tmp_path / "authority.pem", names.routes, names.routes) as runtime,
        FunctionService(clock, calls, runtime, account=ACCOUNT, session=session, log_dir=tmp_path / "logs") as service,
    ):
        yield Functions(service, calls, names, tmp_path)


def test_a_function_runs_its_own_code_with_its_own_variables(functions: Functions) -> None:
    """Modules of the same name are imported once for each function, because they read their environment then."""
    functions.create("one", "blue")
    functions.create("two", "green")
    first, second = functions.run("one", {})[0], functions.run("two", {})[0]
    assert (first["seen"], second["seen"]) == ("blue", "green")
    assert first["file"] != second["file"]
    assert first["name"] == "one"
    assert first["arn"] == f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:one"
    assert first["left"] == 5000


def test_compiled_files_are_kept_and_assets_stay_clean(functions: Functions, tmp_path: Path) -> None:
    """The code's hash names the asset: running it must not add files to cdk.out."""
    functions.create("one", "blue")
    functions.run("one", {})

    compiled = list(tmp_path.rglob("app.*.pyc"))
    assert compiled
    assert all(each.is_relative_to(tmp_path / "build" / "bytecode") for each in compiled)


def test_an_exception_is_answered_as_the_runtime_client_does(functions: Functions) -> None:
    functions.create("one", "blue")
    answer, error = functions.run("one", {"raise": "no such color"})
    assert error == "Unhandled"
    assert (answer["errorType"], answer["errorMessage"]) == ("ValueError", "no such color")
    assert "no such color" not in "".join(answer["stackTrace"])


def test_a_function_that_cannot_be_imported_says_why(functions: Functions) -> None:
    functions.create("broken", "blue", code="import no_such_module")
    answer, error = functions.run("broken", {})
    assert (error, answer["errorType"]) == ("Unhandled", "ModuleNotFoundError")


@pytest.mark.parametrize("asked", ["queues", "queues by a new client"])
def test_calls_are_known_to_be_the_functions(functions: Functions, asked: str) -> None:
    functions.create("one", "blue")
    assert functions.run("one", {asked: True}) == (200, None)
    assert [(call.caller, call.action) for call in functions.calls.log] == [("one", "ListQueues")]


def test_what_a_function_prints_is_in_its_log_and_nowhere_else(
    capsys: pytest.CaptureFixture[str], functions: Functions
) -> None:
    functions.create("one", "blue")
    functions.run("one", {})
    assert "hello from blue" in functions.service.logs("one")
    assert "hello" not in capsys.readouterr().out


def test_what_a_logger_writes_is_in_the_log_of_the_account_that_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Powertools keeps its logger for the whole process, with the output that it had at first."""
    code = """
        from aws_lambda_powertools import Logger
        logger = Logger(service="kept")
        def handler(event, context):
            logger.warning("in account %s", event["account"])
    """
    for account in ("one", "two"):
        with opened(tmp_path / account) as functions:
            functions.create("logs", "blue", code)
            functions.run("logs", {"account": account})
            assert f"in account {account}" in functions.service.logs("logs")
    assert "in account" not in "".join(capsys.readouterr())


def test_a_function_reaches_what_its_network_names_and_nothing_else(functions: Functions) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        functions.names.point("api.example", 443, server.getsockname()[1])
        functions.create("one", "blue")
        functions.create("two", "green", code=HANDLER.replace("connection.recv(100).decode()", "'connected'"))
        assert functions.run("two", {"connect": ["api.example", 443]}) == ("connected", None)
        assert functions.run("two", {"connect from a thread": ["api.example", 443]}) == ("connected", None)
        answer, error = functions.run("two", {"connect": ["elsewhere.example", 443]})
        assert (error, answer["errorType"]) == ("Unhandled", "gaierror")


def test_a_killed_invocation_is_known_by_nothing_but_its_end(functions: Functions) -> None:
    functions.create("one", "blue")
    ends = []
    for moment in ("before its work", "after its work"):
        functions.service.kill_next("one", moment)
        ends.append(functions.run("one", {"queues": True}))
    ends.append(functions.run("one", {"queues": True}))
    assert [error for _, error in ends] == ["Unhandled", "Unhandled", None]
    assert {answer["errorType"] for answer, error in ends if error} == {"Runtime.ExitError"}
    assert len(functions.calls.log) == 2, "killed before its work, it does none"


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    def state() -> tuple[Any, ...]:
        patched = ("connect", "connect_ex", "getpeername", "sendto", "sendmsg")
        own = {name: vars(socket.socket).get(name) for name in patched}
        modules = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "lambdas"}
        return (
            socket.getaddrinfo, socket.gethostbyname, socket.gethostbyname_ex, socket.gethostbyaddr,
            own, modules, dict(os.environ), sys.stdout, list(sys.path), boto3.client, lambdas,
        )  # fmt: skip

    before = state()
    session = boto3.Session(region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test")
    clock = TwoSpeedClock()
    names = Names()
    with (
        mock_aws(),
        Calls(clock) as calls,
        InProcess(tmp_path / "build", session, tmp_path / "authority.pem", names.routes, names.routes) as runtime,
        FunctionService(clock, calls, runtime, account=ACCOUNT, session=session, log_dir=tmp_path) as service,
    ):
        functions = Functions(service, calls, names, tmp_path)
        functions.create("one", "blue")
        functions.run("one", {})
    assert state() == before
