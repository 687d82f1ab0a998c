"""
The load balancer's data plane: a process that routes HTTP as the listeners say at this moment, and never retries.

Its parent pushes whole configurations and gets an answer once they are in force, so that a request accepted after
ModifyListener returned is routed by the new weights. Like an Application Load Balancer it answers 502 when a target
cannot be reached or breaks off, 503 when there is none and 504 when it does not answer in time.
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html

A listener that has a certificate is also served over TLS, on a second port. Either way targets are told the port and
protocol that the listener has in the account, because the local ports mean nothing to them.

Lines of JSON, on standard input → on standard output:
    {"configure": {"listeners": …, "target_groups": …, "fronts": …}}  →  {"ports": …, "tls_ports": …}, by listener ARN
    {"report": true}  →  {"listeners": …, "target_groups": …, "in_flight": …}
"""

import argparse
import asyncio
import signal
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from rehearsal.world.network import HOST
from rehearsal.world.processes import ChildProcess
from rehearsal.world.questions import answer, questions
from rehearsal.world.routing import Choice, Dispatcher, Request, Respond, Routing

_LARGEST_BODY = 1 << 26
_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "proxy-connection"}
)


class DataPlane:
    """The parent's end of the process: every method returns when it is done over there. Raises ChildFailed."""

    def __init__(self, log_directory: Path, target_timeout_seconds: float = 5.0, seed: int = 0) -> None:
        """
        Start the process, without any listener.

        target_timeout_seconds is wall time, because the requests are real. AWS waits 60 s; nobody watching a
        rehearsal should, and no healthy version of the application needs a tenth of this.
        """
        arguments = ["--target-timeout-seconds", str(target_timeout_seconds), "--seed", str(seed)]
        self._process = ChildProcess("rehearsal.world.data_plane", arguments, log_directory / "data-plane.log")
        self._ports: dict[str, int] = {}
        self._tls_ports: dict[str, int] = {}

    @property
    def pid(self) -> int:
        """For whoever breaks it on purpose."""
        return self._process.pid

    def configure(self, configuration: Mapping[str, Any]) -> None:
        """Put a configuration, see Routing, in force."""
        answer = self._process.ask({"configure": dict(configuration)})
        self._ports, self._tls_ports = answer["ports"], answer["tls_ports"]

    def url(self, listener_arn: str) -> str:
        """Where a client on this machine reaches a listener. Raises KeyError for one that is not configured."""
        return f"http://{HOST}:{self._ports[listener_arn]}"

    def tls_port(self, listener_arn: str) -> int:
        """Where the listener speaks TLS on this machine. Raises KeyError for one without a certificate."""
        return self._tls_ports[listener_arn]

    def report(self) -> dict[str, Any]:
        """
        All counters since the start, as in Report.

        `{"listeners": {arn: …}, "target_groups": {arn: …}, "in_flight": {instance id: requests}}`
        """
        return self._process.ask({"report": True})

    def in_flight(self, instance_id: str) -> int:
        """Requests that a target was chosen for and that have no answer yet."""
        return int(self.report()["in_flight"].get(instance_id, 0))

    def stop(self) -> None:
        """Close all listeners and end the process; safe to repeat."""
        self._process.stop()


class Balancer:
    """Answers every request of every listener."""

    def __init__(self, session: aiohttp.ClientSession, seed: int) -> None:
        self.dispatcher = Dispatcher(seed)
        self._session = session

    async def answer(self, listener: str, asked: web.BaseRequest) -> web.Response:
        """Route one request, and count whether its status is the target's or our own."""
        body = await asked.read()
        request = Request(
            asked.method, asked.path, asked.headers, body, asked.query_string, asked.host or "", asked.remote or HOST
        )
        # No await in between: a target is either not chosen, or known to be busy. Cookies end by wall time, because
        # clients are real and keep them by their own clock. So a client sticks for at least as long as on AWS, never
        # for less: a rehearsal must not let go of clients that AWS would hold.
        decision = self.dispatcher.decide(listener, request, time.time())
        if isinstance(decision, Choice):
            return await self._ask(listener, decision, asked, request)
        return _own(decision)

    async def _ask(self, listener: str, choice: Choice, asked: web.BaseRequest, request: Request) -> web.Response:
        headers = _end_to_end(asked.headers)
        headers.update(choice.front.forwarded([*headers.getall("X-Forwarded-For", []), request.remote]))
        started = time.monotonic()
        try:
            async with self._session.request(
                request.method,
                f"http://{HOST}:{choice.target.port}{asked.path_qs}",
                headers=headers,
                data=request.body or None,
                allow_redirects=False,
            ) as response:
                content = await response.read()
        except TimeoutError:
            return _own(self.dispatcher.failed(listener, choice, 504))
        except aiohttp.ClientConnectorError:
            return _own(self.dispatcher.failed(listener, choice, 502, connected=False))
        except aiohttp.ClientError:  # broken off, or not HTTP
            return _own(self.dispatcher.failed(listener, choice, 502))
        finally:
            self.dispatcher.release(choice)
        self.dispatcher.answered(listener, choice, response.status, (time.monotonic() - started) * 1000)
        answer = web.Response(status=response.status, body=content, headers=_end_to_end(response.headers))
        if choice.set_cookie is not None:
            answer.headers.add("Set-Cookie", choice.set_cookie)
        return answer


def _own(answer: Respond) -> web.Response:
    return web.Response(status=answer.status, text=answer.body, headers=answer.headers)


def _end_to_end(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    kept = ((name, value) for name, value in headers.items() if name.lower() not in _HOP_BY_HOP)
    return CIMultiDict((name, value) for name, value in kept if name.lower() != "content-length")


@dataclass(frozen=True)
class Entrance:
    """An open port of a listener; without a certificate it is the plain one."""

    listener: str
    certificate: str = ""
    key: str = ""


class Listeners:
    """The open ports: one for each listener that the configuration names, and a second one where TLS is spoken."""

    def __init__(self, balancer: Balancer) -> None:
        self._balancer = balancer
        self._runners: dict[Entrance, web.ServerRunner] = {}

    async def open_as_configured(self, routing: Routing) -> dict[str, dict[str, int]]:
        """Open and close what differs, and leave the other ports as they are. Returns the answer to `configure`."""
        wanted = {Entrance(arn) for arn in routing.listeners}
        for arn in routing.listeners:
            if (front := routing.front(arn)).certificate:
                wanted.add(Entrance(arn, front.certificate, front.key))
        for gone in self._runners.keys() - wanted:
            await self._runners.pop(gone).cleanup()
        for new in wanted - self._runners.keys():
            self._runners[new] = await self._open(new)
        ports: dict[str, dict[str, int]] = {"ports": {}, "tls_ports": {}}
        for entrance, runner in self._runners.items():
            ports["tls_ports" if entrance.certificate else "ports"][entrance.listener] = runner.addresses[0][1]
        return ports

    async def _open(self, entrance: Entrance) -> web.ServerRunner:
        async def handle(request: web.BaseRequest) -> web.Response:
            return await self._balancer.answer(entrance.listener, request)

        def make_request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
            loop = asyncio.get_running_loop()
            return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=_LARGEST_BODY)

        runner = web.ServerRunner(web.Server(handle, request_factory=make_request), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, HOST, 0, backlog=1024, ssl_context=_tls(entrance)).start()
        return runner

    async def close(self) -> None:
        """Close every port; nothing is answered any more."""
        for runner in self._runners.values():
            await runner.cleanup()


def _tls(entrance: Entrance) -> ssl.SSLContext | None:
    if not entrance.certificate:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(entrance.certificate, entrance.key)
    return context


async def serve(target_timeout_seconds: float, seed: int) -> None:
    """Do what the parent asks, in order; a configuration is in force before its answer is written."""
    # force_close: a connection kept open may be closing just now; aiohttp would hide that by a retry, and we never do
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    timeout = aiohttp.ClientTimeout(total=target_timeout_seconds)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session:
        balancer = Balancer(session, seed)
        listeners = Listeners(balancer)
        async for question in questions():
            if "configure" in question:
                routing = Routing.from_configuration(question["configure"])
                ports = await listeners.open_as_configured(routing)
                balancer.dispatcher.routing = routing
                answer(ports)
            else:
                answer(balancer.dispatcher.report.as_json())
        await listeners.close()


def main() -> None:
    """Run until standard input ends or SIGTERM comes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target-timeout-seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for our parent
    uvloop.run(serve(options.target_timeout_seconds, options.seed))


if __name__ == "__main__":
    main()
