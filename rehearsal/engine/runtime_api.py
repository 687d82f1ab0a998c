"""
The Lambda Runtime API of one function process: hands it events, hears its answers.

One port per process: a process that is killed leaves a poll behind, which would swallow the next one's event.
Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import queue
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

BASE_PATH = "/2018-06-01/runtime"


@dataclass(frozen=True)
class Invocation:
    """One event for the process, with what its context object tells the handler."""

    request_id: str
    function_arn: str
    event: bytes
    deadline_epoch_milliseconds: int


@dataclass(frozen=True)
class Heard:
    """What came from the process: `ready` is its first poll, `exit` is told by whoever watches it."""

    kind: Literal["ready", "response", "error", "init error", "exit", "silence"]
    body: bytes = b""


class RuntimeApi:
    """Listens on a loopback port of its own from construction until `close`."""

    def __init__(self) -> None:
        self._heard: queue.SimpleQueue[Heard] = queue.SimpleQueue()
        self._next: queue.SimpleQueue[Invocation | None] = queue.SimpleQueue()
        self._polled = False
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Host and port, as the process finds them in AWS_LAMBDA_RUNTIME_API."""
        return f"127.0.0.1:{self._server.server_port}"

    def give(self, invocation: Invocation) -> None:
        """Keep the event until the process polls; returns at once."""
        self._next.put(invocation)

    def hear(self, timeout_seconds: float) -> Heard:
        """The next thing that the process says, `silence` if it says nothing for so many wall seconds."""
        try:
            return self._heard.get(timeout=timeout_seconds)
        except queue.Empty:
            return Heard("silence")

    def tell(self, heard: Heard) -> None:
        """Let `hear` return this: what came over the port, and the exit, which cannot come that way."""
        self._heard.put(heard)

    def close(self) -> None:
        """Answer the poll under way with nothing, and give the port back."""
        self._next.put(None)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def take_next(self) -> Invocation | None:
        """Block until there is an event; None when the port is being closed."""
        if not self._polled:
            self._polled = True
            self.tell(Heard("ready"))
        return self._next.get()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a killed process's poll is still waiting for an event that will not come

    def __init__(self, api: RuntimeApi) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.api = api

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A process that was killed while it spoke is no error of the server."""


class _Conversation(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet per reply: unbuffered, delayed acknowledgements cost 40 ms each

    def do_GET(self) -> None:
        invocation = self.server.api.take_next()
        if invocation is None:
            self.close_connection = True
            return
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Invoked-Function-Arn": invocation.function_arn,
            "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_epoch_milliseconds),
        }
        self._reply(200, invocation.event, headers)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == f"{BASE_PATH}/init/error":
            self.server.api.tell(Heard("init error", body))
        elif self.path.endswith("/error"):
            self.server.api.tell(Heard("error", body))
        else:
            self.server.api.tell(Heard("response", body))
        self._reply(202, b'{"status":"OK"}', {})

    def _reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        for name, value in (headers | {"Content-Type": "application/json"}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
