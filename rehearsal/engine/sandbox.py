"""One function process: AWS's own runtime client running the packaged code, and nothing of the rehearsal's."""

import importlib.metadata
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from rehearsal.engine.runtime_api import Heard, Invocation, RuntimeApi

INIT_SECONDS = 10.0
"""AWS gives a function's import this long before it counts against the function's own time-out."""

_PROCESS = Path(__file__).with_name("sandbox_process.py")

RESERVED_VARIABLES = re.compile(
    r"_HANDLER|_X_AMZN_TRACE_ID|AWS_(DEFAULT_)?REGION|AWS_EXECUTION_ENV|AWS_LAMBDA_(FUNCTION|LOG|RUNTIME|INIT).*"
    r"|AWS_(ACCESS_KEY|ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN)|LAMBDA_(TASK_ROOT|RUNTIME_DIR)"
)
"""https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html: a function cannot define these."""


@dataclass(frozen=True, eq=False)
class FunctionVersion:
    """One deployed version: what CloudFormation was told, with the assets as folders. Deployed again is another one."""

    name: str
    version: str
    code_dir: Path
    layer_dirs: tuple[Path, ...]
    handler: str
    environment: Mapping[str, str]
    timeout_seconds: float
    memory_megabytes: int
    access_key: str = field(repr=False)
    in_vpc: bool = False

    def __post_init__(self) -> None:
        if reserved := sorted(filter(RESERVED_VARIABLES.fullmatch, self.environment)):
            raise ValueError(f"{self.name} sets {', '.join(reserved)}: Lambda reserves these environment variables")


@dataclass(frozen=True)
class Reach:
    """All that a function finds beyond loopback."""

    names_file: Path
    """As `rehearsal.world.names` writes it; read anew when it has changed."""
    authority_file: Path
    """PEM of the certificate authority that functions trust, instead of those of this machine."""


@dataclass(frozen=True)
class Platform:
    """What Lambda adds to every function."""

    region: str
    endpoint_url: str
    runtime_dir: Path
    """Only awslambdaric, boto3 and what they need: see `link_runtime`."""
    bytecode_dir: Path
    """Compiled files go here, so that running an asset does not change it."""
    internet: Reach | None = None
    """Of functions outside of a VPC. Without it they reach nothing but loopback, where the emulated AWS is."""
    vpc: Reach | None = None
    """Of functions in the VPC, who reach nothing else: it has no way to the internet."""

    def reach_of(self, function: FunctionVersion) -> Reach | None:
        """Of the two networks, a function is in exactly one."""
        return self.vpc if function.in_vpc else self.internet

    def environment(self, function: FunctionVersion, runtime_address: str) -> dict[str, str]:
        """All of the process's variables; Lambda's reserved ones win over the function's own."""
        import_path = [function.code_dir, *(layer / "python" for layer in function.layer_dirs), self.runtime_dir]
        defaults = {
            "LANG": "en_US.UTF-8",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "PYTHONPATH": os.pathsep.join(str(folder) for folder in import_path),
            "TZ": ":UTC",
        }
        if (reach := self.reach_of(function)) is not None:
            defaults["SSL_CERT_FILE"] = str(reach.authority_file.resolve())
        at_an_address = {"AWS_ENDPOINT_URL": self.endpoint_url, "AWS_LAMBDA_RUNTIME_API": runtime_address}
        return defaults | lambda_variables(function, self.region) | at_an_address


def lambda_variables(function: FunctionVersion, region: str) -> dict[str, str]:
    """The function's own variables and those that Lambda sets, which win."""
    reserved = {
        "AWS_ACCESS_KEY_ID": function.access_key,
        "AWS_DEFAULT_REGION": region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_megabytes),
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": function.version,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
        "AWS_REGION": region,
        "AWS_SECRET_ACCESS_KEY": "rehearsal",
        "AWS_SESSION_TOKEN": "rehearsal",
        "LAMBDA_TASK_ROOT": str(function.code_dir),
        "_HANDLER": function.handler,
    }
    return dict(function.environment) | reserved


@dataclass(frozen=True)
class Outcome:
    """What Invoke answers: `function_error` is AWS's `X-Amz-Function-Error`."""

    payload: bytes
    function_error: str | None = None
    request_id: str = ""


class Sandbox(Protocol):
    """Takes one event at a time. After an exit, a failed import or a time-out it is dead, as on AWS."""

    function: FunctionVersion

    @property
    def process_id(self) -> int:
        """The process in which the function runs."""
        ...

    @property
    def alive(self) -> bool:
        """Whether it can take another event."""
        ...

    def initialise(self) -> Outcome | None:
        """Wait until the function is imported. Returns what failed, None if nothing did; safe to repeat."""
        ...

    def invoke(self, event: bytes, function_arn: str) -> Outcome:
        """Hand the event over and wait for what comes of it."""
        ...

    def kill(self) -> None:
        """Let it take no more events; safe to repeat."""
        ...


class Runtime(Protocol):
    """Makes sandboxes."""

    @property
    def is_this_process(self) -> bool:
        """Whether sandboxes share this process, so that they cannot be started side by side."""
        ...

    def start(self, function: FunctionVersion, on_line: Callable[[str], None]) -> Sandbox:
        """Begin a sandbox of its own; `on_line` gets every line that the function prints."""
        ...


class Processes:
    """
    Runs each sandbox as a process of its own, through AWS's runtime client.

    `build_dir` may be kept between runs: it caches the runtime folder and compiled files. Functions reach moto at
    `endpoint_url`, and beyond this machine's loopback what `internet` names, or `vpc` for those that are in the VPC:
    nothing, without it.
    """

    is_this_process = False

    def __init__(
        self, build_dir: Path, region: str, endpoint_url: str, internet: Reach | None = None, vpc: Reach | None = None
    ) -> None:
        self._platform = Platform(
            region=region,
            endpoint_url=endpoint_url,
            runtime_dir=link_runtime(build_dir.resolve() / "runtime"),
            bytecode_dir=build_dir.resolve() / "bytecode",
            internet=internet,
            vpc=vpc,
        )

    def start(self, function: FunctionVersion, on_line: Callable[[str], None]) -> Sandbox:
        """Start the process; it imports the function meanwhile."""
        return ProcessSandbox(function, self._platform, on_line)


class ProcessSandbox:
    """AWS's runtime client in a process; events are handed to it as Lambda's runtime API does."""

    def __init__(self, function: FunctionVersion, platform: Platform, on_line: Callable[[str], None]) -> None:
        self.function = function
        self._on_line = on_line
        self._api = RuntimeApi()
        self._initialised = False
        reach = platform.reach_of(function)
        names_file = "" if reach is None else str(reach.names_file.resolve())
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-S", "-P", "-X", f"pycache_prefix={platform.bytecode_dir}"),
                *(str(_PROCESS), function.handler, names_file),
            ],
            cwd=function.code_dir,
            env=platform.environment(function, self._api.address),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches the rehearsal alone, and a kill reaches what the handler started
        )
        self._reader = threading.Thread(target=self._read_output, daemon=True)
        self._reader.start()

    @property
    def process_id(self) -> int:
        """Also the id of its process group: what the handler starts belongs to it."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs; a dead sandbox takes no further event."""
        return self._process.poll() is None

    def initialise(self) -> Outcome | None:
        """Wait for the import to end; the outcome if that failed."""
        if self._initialised:
            return None
        heard = self._api.hear(INIT_SECONDS + self.function.timeout_seconds)
        self._initialised = heard.kind == "ready"
        return None if self._initialised else self._concluded(heard, str(uuid.uuid4()))

    def invoke(self, event: bytes, function_arn: str) -> Outcome:
        """Hand the event over and wait, no longer than the function's time-out in wall seconds."""
        if (failed := self.initialise()) is not None:
            return failed
        timeout_seconds = self.function.timeout_seconds
        request_id = str(uuid.uuid4())
        deadline = round((time.time() + timeout_seconds) * 1000)
        self._on_line(f"START RequestId: {request_id} Version: {self.function.version}")
        started = time.monotonic()
        self._api.give(Invocation(request_id, function_arn, event, deadline))
        outcome = self._concluded(self._api.hear(timeout_seconds), request_id)
        self._on_line(f"REPORT RequestId: {request_id}\tDuration: {(time.monotonic() - started) * 1000:.2f} ms")
        return outcome

    def kill(self) -> None:
        """End the process, whatever it is doing, and everything that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._api.close()
        self._reader.join()
        if self._process.stdin:
            self._process.stdin.close()

    def _concluded(self, heard: Heard, request_id: str) -> Outcome:
        match heard.kind:
            case "response":
                return Outcome(heard.body, None, request_id)
            case "error":
                return Outcome(heard.body, "Unhandled", request_id)
            case "init error":
                self.kill()
                return Outcome(heard.body, "Unhandled", request_id)
            case "exit":
                self.kill()
                return exited(self._how_it_exited(), request_id)
            case _:
                self.kill()
                self._on_line(f"{request_id} Task timed out after {self.function.timeout_seconds:.2f} seconds")
                return timed_out(self.function.timeout_seconds, request_id)

    def _how_it_exited(self) -> str:
        code = self._process.returncode
        if code == 0:
            return ""
        return f"signal: {signal.strsignal(-code)}".lower() if code < 0 else f"exit status {code}"

    def _read_output(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                self._on_line(line.decode(errors="replace").rstrip("\n"))
        self._process.wait()
        self._api.tell(Heard("exit"))


def exited(how: str, request_id: str = "") -> Outcome:
    """What is known of a function whose process ended: "exit status 1", "signal: killed", or "" for no reason."""
    message = f"Runtime exited with error: {how}" if how else "Runtime exited without providing a reason"
    return _failure("Runtime.ExitError", message, request_id)


def timed_out(seconds: float, request_id: str = "") -> Outcome:
    """What is known of a function that did not end within its time-out."""
    return _failure("Sandbox.Timedout", f"Task timed out after {seconds:.2f} seconds", request_id)


def _failure(error_type: str, message: str, request_id: str) -> Outcome:
    """An error of Lambda's own, worded as AWS words it."""
    body = {"errorType": error_type, "errorMessage": f"RequestId: {request_id} Error: {message}"}
    return Outcome(json.dumps(body).encode(), "Unhandled", request_id)


def link_runtime(folder: Path) -> Path:
    """
    Make a folder that holds what Lambda's Python runtime holds and nothing else of our environment.

    A function that imports something it does not ship must fail here as it would on AWS.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for distribution in _with_requirements(["awslambdaric", "boto3"]):
        for file in distribution.files or []:
            top = file.parts[0]
            source = Path(str(distribution.locate_file(top)))
            if top not in ("..", "__pycache__") and not (folder / top).exists():
                _link(folder / top, source)
    return folder


def _link(link: Path, source: Path) -> None:
    """Make it in one step: rehearsals that begin at once share the folder."""
    own = link.with_name(f".{uuid.uuid4()}")
    own.symlink_to(source)
    own.replace(link)


def _with_requirements(names: Iterable[str]) -> list[importlib.metadata.Distribution]:
    found: dict[str, importlib.metadata.Distribution] = {}
    wanted = list(names)
    while wanted:
        name = wanted.pop()
        if name in found:
            continue
        found[name] = importlib.metadata.distribution(name)
        needed = [requirement for requirement in found[name].requires or [] if "extra ==" not in requirement]
        wanted.extend(re.split(r"[^A-Za-z0-9._-]", requirement)[0] for requirement in needed)
    return list(found.values())
