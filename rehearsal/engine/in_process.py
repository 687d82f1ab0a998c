"""
Functions in this process: the packaged code, imported once per function, whose boto3 is moto's without any HTTP.

For rehearsals that are repeated thousands of times, or in virtual time. What only a process of its own can show is not
seen here: what a layer lacks, a function's time-out, its memory. Rehearsals of packaged functions show that.
"""

import importlib
import json
import os
import socket
import sys
import threading
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Self, TextIO, cast
from unittest import mock

import boto3
from aws_lambda_powertools import Metrics

from rehearsal.engine.sandbox import FunctionVersion, Outcome, lambda_variables
from rehearsal.engine.sandbox_process import PretendNetwork, install

_PACKAGE = "lambdas"
"""What is imported anew for each function: its modules read their environment when they are imported."""

_CREDENTIALS = frozenset({"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"})
_KEPT_BY_METRICS = ("_metrics", "_dimensions", "_metadata", "_default_dimensions")
"""What all of Powertools' metrics in a process share, because on AWS a process has one function."""

_PATCHED_IN_SOCKET = ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr")
_PATCHED_IN_SOCKETS = ("connect", "connect_ex", "getpeername", "sendto", "sendmsg")

Handler = Callable[[Any, Any], Any]
Routes = Callable[[], dict[tuple[str, int], int]]
"""Tells which port of this machine stands for which host and port."""


class InProcess:
    """
    Makes sandboxes in this process, while its context is open.

    `build_dir` may be kept between runs: it caches compiled files, so that running an asset does not change it.
    `session` makes the functions' clients. A function reaches what `internet` names, or `vpc` if it is in the VPC, and
    loopback, and trusts the authority in that PEM file; everybody else in this process reaches all.
    """

    is_this_process = True

    def __init__(
        self, build_dir: Path, session: boto3.Session, authority_file: Path, internet: Routes, vpc: Routes
    ) -> None:
        self._bytecode_dir = build_dir.resolve() / "bytecode"
        self._session = session
        self._region = str(session.region_name)
        self._authority_file = authority_file.resolve()
        self._internet, self._vpc = internet, vpc
        self._importing = threading.Lock()
        self._here = _HERE
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            opening.callback(_give_back_output)
            opening.enter_context(mock.patch.dict(os.environ, SSL_CERT_FILE=str(self._authority_file)))
            for name in _PATCHED_IN_SOCKET:
                opening.enter_context(mock.patch.object(socket, name, getattr(socket, name)))
            for name in _PATCHED_IN_SOCKETS:
                opening.enter_context(_attribute_kept(socket.socket, name))
            install(cast(PretendNetwork, _NetworkOfFunction(self._here)))
            opening.enter_context(mock.patch.object(threading.Thread, "start", _handing_on(self._here)))
            self._open = opening.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    def start(self, function: FunctionVersion, on_line: Callable[[str], None]) -> "InProcessSandbox":
        """Make a sandbox; the function is imported when it is initialised."""
        network = _NetworkInMemory(self._vpc if function.in_vpc else self._internet)
        return InProcessSandbox(function, lambda: self._imported(function), self._here, Surroundings(network, on_line))

    def _imported(self, function: FunctionVersion) -> Handler:
        """Import the function's handler with modules, variables and clients of its own."""
        module, _, name = function.handler.rpartition(".")
        with self._importing, ExitStack() as during:
            _take_over_output(self._here)  # Powertools keeps what is the output when it is imported
            during.enter_context(_modules_of_its_own())
            during.enter_context(_environment(self._without_credentials(function)))
            during.enter_context(mock.patch.object(sys, "path", [str(function.code_dir), *sys.path]))
            during.enter_context(mock.patch.object(sys, "pycache_prefix", str(self._bytecode_dir)))
            during.enter_context(mock.patch.object(sys, "dont_write_bytecode", new=False))  # all share most modules
            make_client = self._clients_of(function)
            during.enter_context(mock.patch.object(boto3, "client", _here_only(make_client, boto3.client)))
            during.enter_context(mock.patch.multiple(Metrics, **{name: {} for name in _KEPT_BY_METRICS}))
            handler: Handler = getattr(importlib.import_module(module), name)
            _let_make_clients_later(make_client)
            return handler

    def _without_credentials(self, function: FunctionVersion) -> dict[str, str]:
        """Others, such as the interpreter, may make clients of their own while a function is imported."""
        variables = lambda_variables(function, self._region)
        return {name: value for name, value in variables.items() if name not in _CREDENTIALS}

    def _clients_of(self, function: FunctionVersion) -> Callable[..., Any]:
        """Stand in for `boto3.client`, which would read endpoints and models once for each function."""

        def client(service: str, **options: Any) -> Any:
            credentials = {"aws_access_key_id": function.access_key, "aws_secret_access_key": "rehearsal"}
            return self._session.client(service, aws_session_token="rehearsal", **credentials, **options)  # noqa: S106

        return client


@dataclass(frozen=True)
class Surroundings:
    """What a running function finds: where its hosts are, and who reads what it prints."""

    network: PretendNetwork
    on_line: Callable[[str], None]


class InProcessSandbox:
    """A function that was imported here."""

    def __init__(
        self, function: FunctionVersion, load: Callable[[], Handler], here: "_Here", surroundings: Surroundings
    ) -> None:
        self.function = function
        self.alive = True
        self._load = load
        self._handler: Handler | None = None
        self._here = here
        self._surroundings = surroundings

    @property
    def process_id(self) -> int:
        """This process."""
        return os.getpid()

    def initialise(self) -> Outcome | None:
        """Import the function; the outcome if that failed."""
        if self._handler is None:
            try:
                self._handler = self._load()
            except Exception as error:  # noqa: BLE001  whatever it is, it is the function's
                self.alive = False
                return _raised(error, "")
        return None

    def invoke(self, event: bytes, function_arn: str) -> Outcome:
        """Call the handler, in this thread."""
        if (failed := self.initialise()) is not None:
            return failed
        assert self._handler is not None
        context = Context(self.function, function_arn)
        _take_over_output(self._here)
        with self._here.are(self._surroundings):
            try:
                answer = self._handler(json.loads(event), context)
                return Outcome(json.dumps(answer).encode(), None, context.aws_request_id)
            except Exception as error:  # noqa: BLE001  whatever it is, it is the function's
                return _raised(error, context.aws_request_id)

    def kill(self) -> None:
        """Take no more events. What is being done is not interrupted."""
        self.alive = False


@dataclass(frozen=True)
class Context:
    """https://docs.aws.amazon.com/lambda/latest/dg/python-context.html, as far as Powertools and functions read it."""

    function: FunctionVersion
    invoked_function_arn: str
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def function_name(self) -> str:
        """The function's name, without its version."""
        return self.function.name

    @property
    def function_version(self) -> str:
        """The version that runs."""
        return self.function.version

    @property
    def memory_limit_in_mb(self) -> int:
        """What the function was configured with; here nothing holds it to that."""
        return self.function.memory_megabytes

    def get_remaining_time_in_millis(self) -> int:
        """Tell the whole time-out: work takes no time here."""
        return round(self.function.timeout_seconds * 1000)


class _Here(threading.local):
    """The surroundings of the function that this thread runs, if it runs one."""

    surroundings: Surroundings | None = None
    begun_line: str = ""

    @contextmanager
    def are(self, surroundings: Surroundings) -> Iterator[None]:
        self.surroundings = surroundings
        try:
            yield
        finally:
            if self.begun_line:
                self.write("\n")
            self.surroundings = None

    def write(self, text: str) -> None:
        """Hand on whole lines."""
        assert self.surroundings is not None
        *lines, self.begun_line = (self.begun_line + text).split("\n")
        for line in lines:
            self.surroundings.on_line(line)


_HERE = _Here()
"""One for all: a logger that was made for a former account keeps the output that it was made with."""


def network_here() -> PretendNetwork | None:
    """Return the network of the function that this thread runs, None if it runs none."""
    return None if _HERE.surroundings is None else _HERE.surroundings.network


class _Output:
    """Standard output: lines of a function go to its log, all others where they went before."""

    def __init__(self, real: TextIO, here: _Here) -> None:
        self.real = real
        self._here = here

    def write(self, text: str) -> int:
        if self._here.surroundings is None:
            return self.real.write(text)
        self._here.write(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


def _handing_on(here: _Here) -> Callable[[threading.Thread], None]:
    """Let the threads that a function starts be where it is."""
    really_start = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        surroundings, run = here.surroundings, thread.run
        if surroundings is not None:

            def run_there() -> None:
                with here.are(surroundings):
                    run()

            thread.run = run_there  # type: ignore[method-assign]
        really_start(thread)

    return start


def _take_over_output(here: _Here) -> None:
    """Again and again: others, such as a test's runner, replace it as well."""
    if not isinstance(sys.stdout, _Output):
        sys.stdout = cast(TextIO, _Output(sys.stdout, here))


def _give_back_output() -> None:
    if isinstance(sys.stdout, _Output):
        sys.stdout = sys.stdout.real


class _NetworkInMemory(PretendNetwork):
    """Routes that are asked for instead of read from a file."""

    def __init__(self, routes: Routes) -> None:
        super().__init__("")
        self._ask = routes

    def _current_routes(self) -> dict[tuple[str, int], int]:
        return self._ask()


class _NetworkOfFunction:
    """The pretend network of whatever function this thread runs; for everybody else, the machine's own."""

    def __init__(self, here: _Here) -> None:
        self._here = here

    def address(self, host: str) -> str:
        return host if self._here.surroundings is None else self._here.surroundings.network.address(host)

    def route(self, host: str, port: int) -> tuple[str, int]:
        return (host, port) if self._here.surroundings is None else self._here.surroundings.network.route(host, port)

    def destination(self, local: tuple[str, int]) -> tuple[str, int]:
        return local if self._here.surroundings is None else self._here.surroundings.network.destination(local)


@contextmanager
def _modules_of_its_own() -> Iterator[None]:
    """Forget the package's modules for a while; those imported meanwhile belong to who imported them."""
    before = _taken_out()
    importlib.invalidate_caches()
    try:
        yield
    finally:
        _taken_out()
        sys.modules.update(before)


def _let_make_clients_later(make_client: Callable[..., Any]) -> None:
    """Give the modules imported meanwhile their own way to a client, for when they make one while they run."""
    for name in _of_the_package():
        module = sys.modules[name]
        if vars(module).get("boto3") is boto3:
            vars(module)["boto3"] = SimpleNamespace(client=make_client)


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Set variables one by one: who looks meanwhile must never find an empty environment."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _here_only(replacement: Callable[..., Any], real: Callable[..., Any]) -> Callable[..., Any]:
    """Let other threads have the real thing."""
    here = threading.get_ident()

    def either(*given: Any, **named: Any) -> Any:
        return (replacement if threading.get_ident() == here else real)(*given, **named)

    return either


def _taken_out() -> dict[str, ModuleType]:
    return {name: sys.modules.pop(name) for name in _of_the_package()}


def _of_the_package() -> list[str]:
    return [name for name in sys.modules if name == _PACKAGE or name.startswith(f"{_PACKAGE}.")]


@contextmanager
def _attribute_kept(owner: type, name: str) -> Iterator[None]:
    """Put an attribute back as it was; one that was inherited only is taken away."""
    own = vars(owner).get(name)
    try:
        yield
    finally:
        if own is not None:
            setattr(owner, name, own)
        elif name in vars(owner):
            delattr(owner, name)


def _raised(error: Exception, request_id: str) -> Outcome:
    """Answer what AWS's runtime client makes of an exception."""
    body = {
        "errorMessage": str(error),
        "errorType": type(error).__name__,
        "requestId": request_id,
        "stackTrace": traceback.format_tb(error.__traceback__),
    }
    return Outcome(json.dumps(body).encode(), "Unhandled", request_id)
