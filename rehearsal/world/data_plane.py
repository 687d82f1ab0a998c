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
import json
import math
import random
import re
import signal
import ssl
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from rehearsal.world.network import HOST
from rehearsal.world.processes import ChildProcess
from rehearsal.world.questions import answer, questions

_LARGEST_BODY = 1 << 26
_STICKY_COOKIE = "AWSALBTG"
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


@dataclass(frozen=True)
class Target:
    """A registered target as the data plane sees it."""

    instance: str
    port: int
    healthy: bool


@dataclass(frozen=True)
class Condition:
    """`field` matches when any of `patterns` does; `*` stands for any characters, `?` for one."""

    field: str
    patterns: tuple[re.Pattern[str], ...]

    @classmethod
    def from_configuration(cls, condition: Mapping[str, Any]) -> "Condition":
        """Translate AWS's wildcards once, not for every request."""
        # host names have no case, paths have: API reference, RuleCondition
        flags = re.IGNORECASE if condition["field"] == "host-header" else 0
        patterns = (re.escape(value).replace(r"\*", ".*").replace(r"\?", ".") for value in condition["values"])
        return cls(condition["field"], tuple(re.compile(pattern, flags) for pattern in patterns))

    def matches(self, request: web.BaseRequest) -> bool:
        """Compare the path without query, or the host without port, or the method."""
        subject = {
            "path-pattern": request.path,
            "host-header": (request.host or "").partition(":")[0],
            "http-request-method": request.method,
        }[self.field]
        return any(pattern.fullmatch(subject) for pattern in self.patterns)


@dataclass(frozen=True)
class Forward:
    """Target groups by weight; `sticky_seconds` is None without target group stickiness."""

    target_groups: tuple[str, ...]
    weights: tuple[int, ...]
    sticky_seconds: int | None = None

    @property
    def is_sticky(self) -> bool:
        """Clients of a single target group have nothing to stick to, and get no cookie."""
        return self.sticky_seconds is not None and len(self.target_groups) > 1


@dataclass(frozen=True)
class Respond:
    """A fixed response, or a redirect."""

    status: int
    body: str
    headers: Mapping[str, str]


Action = Forward | Respond


@dataclass(frozen=True)
class Front:
    """What a listener is to its clients in the account, and the PEM files of its TLS twin, if it has one."""

    port: int = 80
    protocol: str = "http"
    certificate: str = ""
    key: str = ""


_PLAIN = Front()


@dataclass(frozen=True)
class Routing:
    """
    A whole configuration: per listener the rules in their order, the default last; per target group its targets.

    As JSON: `{"listeners": {arn: [{"conditions": [{"field", "values"}], "action": …}]}, "target_groups":
    {arn: [{"instance", "port", "healthy"}]}, "fronts": {arn: {"port", "protocol", "certificate", "key"}}}`; an action
    is `{"forward": [[target group arn, weight]], "sticky_seconds": …}` or `{"respond": {"status", "body", "headers"}}`.
    A listener that `fronts` leaves out is plain HTTP on port 80.
    """

    listeners: Mapping[str, Sequence[tuple[Sequence[Condition], Action]]]
    target_groups: Mapping[str, Sequence[Target]]
    fronts: Mapping[str, Front] = field(default_factory=dict)

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> "Routing":
        """Read the JSON above."""
        return cls(
            listeners={
                arn: [
                    ([Condition.from_configuration(each) for each in rule["conditions"]], _action(rule["action"]))
                    for rule in rules
                ]
                for arn, rules in configuration["listeners"].items()
            },
            target_groups={
                arn: [Target(**target) for target in targets] for arn, targets in configuration["target_groups"].items()
            },
            fronts={arn: Front(**front) for arn, front in configuration.get("fronts", {}).items()},
        )

    def front(self, listener: str) -> Front:
        """How clients in the account reach the listener."""
        return self.fronts.get(listener, _PLAIN)

    def action_for(self, listener: str, request: web.BaseRequest) -> Action | None:
        """The action of the first rule that matches; None only for a listener that has no rule."""
        for conditions, action in self.listeners.get(listener, ()):
            if all(condition.matches(request) for condition in conditions):
                return action
        return None

    def routable(self, target_group: str) -> Sequence[Target]:
        """The healthy targets, or, when there is none, all of them: an ALB fails open."""
        targets = self.target_groups.get(target_group, ())
        return [target for target in targets if target.healthy] or targets


def _action(action: Mapping[str, Any]) -> Action:
    if "respond" in action:
        return Respond(**action["respond"])
    return Forward(
        tuple(arn for arn, _ in action["forward"]),
        tuple(weight for _, weight in action["forward"]),
        action.get("sticky_seconds"),
    )


def _count(counts: dict[str, int], key: str) -> None:
    counts[key] = counts.get(key, 0) + 1


@dataclass
class Latency:
    """Milliseconds; `buckets` counts by upper bound, each 10 % above the one before, for percentiles."""

    count: int = 0
    sum: float = 0.0
    max: float = 0.0
    buckets: dict[str, int] = field(default_factory=dict)

    def add(self, milliseconds: float) -> None:
        """Count one answer; whatever took less than 0.1 ms shares the lowest bucket."""
        self.count += 1
        self.sum += milliseconds
        self.max = max(self.max, milliseconds)
        _count(self.buckets, f"{1.1 ** math.ceil(math.log(max(milliseconds, 0.1), 1.1)):.3f}")


@dataclass
class ListenerReport:
    """What CloudWatch shows per load balancer: HTTPCode_ELB_502_Count and its like, per status."""

    requests: int = 0
    elb: dict[str, int] = field(default_factory=dict)
    target: dict[str, int] = field(default_factory=dict)


@dataclass
class TargetGroupReport:
    """What CloudWatch shows per target group: RequestCount, HTTPCode_Target_2XX_Count …, TargetResponseTime."""

    requests: int = 0
    target: dict[str, int] = field(default_factory=dict)
    connection_errors: int = 0
    latency_milliseconds: Latency = field(default_factory=Latency)


class Report:
    """Counters since the start."""

    def __init__(self) -> None:
        self.listeners: dict[str, ListenerReport] = {}
        self.target_groups: dict[str, TargetGroupReport] = {}
        self.in_flight: Counter[str] = Counter()

    def listener(self, arn: str) -> ListenerReport:
        """Zeros, at first: a listener is in the report once it was asked."""
        return self.listeners.setdefault(arn, ListenerReport())

    def target_group(self, arn: str) -> TargetGroupReport:
        """Zeros, at first: a target group is in the report once it was chosen."""
        return self.target_groups.setdefault(arn, TargetGroupReport())

    def as_json(self) -> dict[str, Any]:
        """What DataPlane.report gives; instances that owe no answer are left out."""
        return {
            "listeners": {arn: asdict(counters) for arn, counters in self.listeners.items()},
            "target_groups": {arn: asdict(counters) for arn, counters in self.target_groups.items()},
            "in_flight": {instance: count for instance, count in self.in_flight.items() if count},
        }


class Balancer:
    """Answers every request of every listener."""

    def __init__(self, session: aiohttp.ClientSession, seed: int) -> None:
        self.routing = Routing({}, {})
        self.report = Report()
        self._session = session
        # Drawn, not dealt in turn: dealt weights fall in step with a client that repeats a cycle of paths, and the
        # canary would only ever see one of them.
        self._dice = random.Random(seed)
        self._turn: Counter[str] = Counter()

    async def answer(self, listener: str, request: web.BaseRequest) -> web.Response:
        """Route one request, and count whether its status is the target's or our own."""
        counters = self.report.listener(listener)
        counters.requests += 1
        action, front = self.routing.action_for(listener, request), self.routing.front(listener)
        if isinstance(action, Respond):
            _count(counters.elb, str(action.status))
            headers = _filled_in(action.headers, request, front)
            return web.Response(status=action.status, text=action.body, headers=headers)
        response = await self._forward(action, request, front) if action is not None else 503
        if isinstance(response, int):
            _count(counters.elb, str(response))
            return web.Response(status=response, text=f"{response}\n", headers={"Server": "awselb/2.0"})
        _count(counters.target, str(response.status))
        return response

    async def _forward(self, action: Forward, request: web.BaseRequest, front: Front) -> web.Response | int:
        """The target's response, or the status of our own when there is none."""
        body = await request.read()
        # No await between this choice and its entry in in_flight: a target is either not chosen, or known to be busy.
        sticky_to = _sticky_target_group(action, request.cookies.get(_STICKY_COOKIE, ""))
        target_group = sticky_to or self._drawn(action)
        if target_group is None:
            return 503
        targets = self.routing.routable(target_group)
        if not targets:
            return 503
        self._turn[target_group] += 1
        target = targets[self._turn[target_group] % len(targets)]
        self.report.in_flight[target.instance] += 1
        try:
            headers = _forwarded_headers(request, front)
            response = await self._ask(target, self.report.target_group(target_group), request, headers, body)
        finally:
            self.report.in_flight[target.instance] -= 1
        if isinstance(response, web.Response) and action.is_sticky and not sticky_to:
            _stick(response, target_group, action.sticky_seconds or 0)
        return response

    def _drawn(self, action: Forward) -> str | None:
        """A target group by weight; None when all weights are 0."""
        return self._dice.choices(action.target_groups, action.weights)[0] if sum(action.weights) else None

    async def _ask(
        self,
        target: Target,
        counters: TargetGroupReport,
        request: web.BaseRequest,
        headers: CIMultiDict[str],
        body: bytes,
    ) -> web.Response | int:
        counters.requests += 1
        started = time.monotonic()
        try:
            async with self._session.request(
                request.method,
                f"http://{HOST}:{target.port}{request.path_qs}",
                headers=headers,
                data=body or None,
                allow_redirects=False,
            ) as response:
                content = await response.read()
        except TimeoutError:
            return 504
        except aiohttp.ClientConnectorError:
            counters.connection_errors += 1
            return 502
        except aiohttp.ClientError:  # broken off, or not HTTP
            return 502
        _count(counters.target, str(response.status))
        counters.latency_milliseconds.add((time.monotonic() - started) * 1000)
        return web.Response(status=response.status, body=content, headers=_end_to_end(response.headers))


def _sticky_target_group(action: Forward, cookie: str) -> str | None:
    """
    The target group that a client's cookie names, None when the action has to choose.

    "When the load balancer receives a request that matches a rule with target group stickiness enabled and contains
    the cookie, the request is routed to the target group specified in the cookie": not by the weights, so that only
    an action which does not name the group any more takes its clients away from it.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-action-types.html#forward-actions
    """
    if not (action.is_sticky and cookie):
        return None
    try:
        target_group, expires = json.loads(bytes.fromhex(cookie))
        valid = target_group in action.target_groups and float(expires) > time.time()
    except (ValueError, TypeError):  # not one of ours
        return None
    return str(target_group) if valid else None


def _stick(response: web.Response, target_group: str, seconds: int) -> None:
    """
    Set the cookie that names the target group; AWS encrypts its own, and adds a twin for other sites' requests.

    The seconds are wall seconds, because clients are real and keep the cookie by their own clock. So a client sticks
    for at least as long as on AWS, never for less: a rehearsal must not let go of clients that AWS would hold.
    """
    content = json.dumps([target_group, time.time() + seconds])
    response.set_cookie(_STICKY_COOKIE, content.encode().hex(), max_age=seconds)


def _forwarded_headers(request: web.BaseRequest, front: Front) -> CIMultiDict[str]:
    """Those of the request, and where it came from: X-Forwarded-For grows, the others are the load balancer's own."""
    headers = _end_to_end(request.headers)
    came_through = headers.getall("X-Forwarded-For", [])
    headers["X-Forwarded-For"] = ", ".join([*came_through, request.remote or HOST])
    headers["X-Forwarded-Proto"] = front.protocol
    headers["X-Forwarded-Port"] = str(front.port)
    return headers


def _end_to_end(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    kept = ((name, value) for name, value in headers.items() if name.lower() not in _HOP_BY_HOP)
    return CIMultiDict((name, value) for name, value in kept if name.lower() != "content-length")


def _filled_in(headers: Mapping[str, str], request: web.BaseRequest, front: Front) -> dict[str, str]:
    """A redirect's `#{protocol}`, `#{host}`, `#{port}`, `#{path}` and `#{query}`."""
    values = {
        "#{protocol}": front.protocol,
        "#{host}": request.host.partition(":")[0],
        "#{port}": str(front.port),
        "#{path}": request.path.lstrip("/"),
        "#{query}": request.query_string,
    }
    return {name: re.sub(r"#\{\w+\}", lambda hole: values[hole[0]], value) for name, value in headers.items()}


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
                balancer.routing = routing
                answer(ports)
            else:
                answer(balancer.report.as_json())
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
