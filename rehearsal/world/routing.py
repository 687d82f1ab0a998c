"""
What a load balancer decides about a request: rules, weights, stickiness and the target, without any socket.

The data plane's process and its model route by this, so that a rehearsal does not depend on which of them it is.
"""

import math
import random
import re
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from itertools import accumulate
from typing import Any, NamedTuple

from rehearsal.world.network import HOST

STICKY_COOKIE = "AWSALBTG"
OWN_HEADERS: Mapping[str, str] = {"Server": "awselb/2.0"}
"""Of the answers that are the load balancer's own."""


class Request(NamedTuple):
    """
    What a client sent; `path` is without the query. `headers` have no case, or are written as HTTP's documents do.

    `remote` is the address that it came from.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""
    query: str = ""
    host: str = ""
    remote: str = HOST

    def cookie(self, name: str) -> str:
        """Return a cookie's value; empty without one."""
        cookies = self.headers.get("Cookie")
        for each in cookies.split(";") if cookies else ():
            key, _, value = each.strip().partition("=")
            if key == name:
                return value
        return ""


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

    def matches(self, request: Request) -> bool:
        """Compare the path without query, or the host without port, or the method."""
        subject = _SUBJECTS[self.field](request)
        return any(pattern.fullmatch(subject) for pattern in self.patterns)


_SUBJECTS: Mapping[str, Callable[[Request], str]] = {
    "path-pattern": lambda request: request.path,
    "host-header": lambda request: request.host.partition(":")[0],
    "http-request-method": lambda request: request.method,
}


@dataclass(frozen=True)
class Forward:
    """Target groups by weight; `sticky_seconds` is None without target group stickiness."""

    target_groups: tuple[str, ...]
    weights: tuple[int, ...]
    sticky_seconds: int | None = None

    @cached_property
    def is_sticky(self) -> bool:
        """Clients of a single target group have nothing to stick to, and get no cookie."""
        return self.sticky_seconds is not None and len(self.target_groups) > 1

    def drawn(self, dice: random.Random) -> str | None:
        """Draw a target group by weight; None when all weights are 0."""
        total = self._up_to[-1]
        return self.target_groups[bisect(self._up_to, dice.random() * total)] if total else None

    @cached_property
    def _up_to(self) -> Sequence[int]:
        return list(accumulate(self.weights))

    def stuck_to(self, cookie: str, now_seconds: float) -> str | None:
        """
        Return the target group that a client's cookie names, None when the action has to choose.

        "When the load balancer receives a request that matches a rule with target group stickiness enabled and contains
        the cookie, the request is routed to the target group specified in the cookie": not by the weights, so that only
        an action which does not name the group any more takes its clients away from it.
        https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-action-types.html#forward-actions
        """
        if not (self.is_sticky and cookie):
            return None
        try:
            expires, _, target_group = bytes.fromhex(cookie).decode().partition(" ")
            valid = target_group in self.target_groups and float(expires) > now_seconds
        except ValueError:  # not one of ours
            return None
        return target_group if valid else None

    def set_cookie(self, target_group: str, now_seconds: float) -> str:
        """Return the header that sticks a client to one; AWS encrypts its own, and adds a twin for other sites."""
        seconds = self.sticky_seconds or 0
        content = f"{now_seconds + seconds} {target_group}"
        return f"{STICKY_COOKIE}={content.encode().hex()}; Max-Age={seconds}; Path=/"


@dataclass(frozen=True)
class Respond:
    """A fixed response, or a redirect."""

    status: int
    body: str
    headers: Mapping[str, str]

    @property
    def redirects(self) -> bool:
        """Whether the client is sent elsewhere."""
        return "Location" in self.headers

    def to(self, request: Request, front: "Front") -> "Respond":
        """Fill in a redirect's `#{protocol}`, `#{host}`, `#{port}`, `#{path}` and `#{query}`."""
        values = {
            "#{protocol}": front.protocol,
            "#{host}": request.host.partition(":")[0],
            "#{port}": str(front.port),
            "#{path}": request.path.lstrip("/"),
            "#{query}": request.query,
        }
        filled_in = {
            name: re.sub(r"#\{\w+\}", lambda hole: values[hole[0]], value) for name, value in self.headers.items()
        }
        return Respond(self.status, self.body, filled_in)


Action = Forward | Respond


@dataclass(frozen=True)
class Front:
    """What a listener is to its clients in the account, and the PEM files of its TLS twin, if it has one."""

    port: int = 80
    protocol: str = "http"
    certificate: str = ""
    key: str = ""

    def forwarded(self, came_through: Sequence[str]) -> dict[str, str]:
        """Tell a target where a request came from: the addresses that we were told of, and who sent it to us."""
        return {"X-Forwarded-For": ", ".join(came_through), **self._told}

    @cached_property
    def _told(self) -> Mapping[str, str]:
        return {"X-Forwarded-Proto": self.protocol, "X-Forwarded-Port": str(self.port)}


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

    def action_for(self, listener: str, request: Request) -> Action | None:
        """The action of the first rule that matches; None only for a listener that has no rule."""
        for conditions, action in self.listeners.get(listener, ()):
            if not conditions or all(condition.matches(request) for condition in conditions):
                return action
        return None

    def routable(self, target_group: str) -> Sequence[Target]:
        """The healthy targets, or, when there is none, all of them: an ALB fails open."""
        return self._routable.get(target_group, ())

    @cached_property
    def _routable(self) -> Mapping[str, Sequence[Target]]:
        return {
            arn: [target for target in targets if target.healthy] or targets
            for arn, targets in self.target_groups.items()
        }


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
        _count(self.buckets, _bucket(milliseconds))


@lru_cache(maxsize=1024)
def _bucket(milliseconds: float) -> str:
    return f"{1.1 ** math.ceil(math.log(max(milliseconds, 0.1), 1.1)):.3f}"


@dataclass
class ListenerReport:
    """
    What CloudWatch shows per load balancer: HTTPCode_ELB_502_Count and its like, per status.

    `fixed` are those of its own answers that an action has told it to give.
    """

    requests: int = 0
    fixed: int = 0
    elb: dict[str, int] = field(default_factory=dict)
    target: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return a copy; `asdict` is too slow for who reads every five seconds."""
        return {**vars(self), "elb": self.elb.copy(), "target": self.target.copy()}


@dataclass
class TargetGroupReport:
    """What CloudWatch shows per target group: RequestCount, HTTPCode_Target_2XX_Count …, TargetResponseTime."""

    requests: int = 0
    target: dict[str, int] = field(default_factory=dict)
    connection_errors: int = 0
    latency_milliseconds: Latency = field(default_factory=Latency)

    def as_json(self) -> dict[str, Any]:
        """Return a copy; `asdict` is too slow for who reads every five seconds."""
        latency = self.latency_milliseconds
        times = {**vars(latency), "buckets": latency.buckets.copy()}
        return {**vars(self), "target": self.target.copy(), "latency_milliseconds": times}


class Report:
    """Counters since the start."""

    def __init__(self) -> None:
        self.listeners: dict[str, ListenerReport] = {}
        self.target_groups: dict[str, TargetGroupReport] = {}
        self.in_flight: Counter[str] = Counter()

    def listener(self, arn: str) -> ListenerReport:
        """Zeros, at first: a listener is in the report once it was asked."""
        if arn not in self.listeners:
            self.listeners[arn] = ListenerReport()
        return self.listeners[arn]

    def target_group(self, arn: str) -> TargetGroupReport:
        """Zeros, at first: a target group is in the report once it was chosen."""
        if arn not in self.target_groups:
            self.target_groups[arn] = TargetGroupReport()
        return self.target_groups[arn]

    def as_json(self) -> dict[str, Any]:
        """What DataPlane.report gives; instances that owe no answer are left out."""
        return {
            "listeners": {arn: counters.as_json() for arn, counters in self.listeners.items()},
            "target_groups": {arn: counters.as_json() for arn, counters in self.target_groups.items()},
            "in_flight": {instance: count for instance, count in self.in_flight.items() if count},
        }


class Choice(NamedTuple):
    """Who gets a request, and the header that sticks its client to it, if one has to be set."""

    target_group: str
    target: Target
    front: Front
    set_cookie: str | None


class Dispatcher:
    """Decides about every request of every listener, and counts. No two threads may ask at once."""

    def __init__(self, seed: int) -> None:
        self.routing = Routing({}, {})
        self.report = Report()
        # Drawn, not dealt in turn: dealt weights fall in step with a client that repeats a cycle of paths, and the
        # canary would only ever see one of them.
        self._dice = random.Random(seed)
        self._turn: Counter[str] = Counter()

    def decide(self, listener: str, request: Request, now_seconds: float) -> Choice | Respond:
        """Choose a target, for which the request is in flight until `release`, or answer ourselves: 503 without one."""
        self.report.listener(listener).requests += 1
        action, front = self.routing.action_for(listener, request), self.routing.front(listener)
        if isinstance(action, Respond):
            self.report.listener(listener).fixed += not action.redirects
            return self._refuse(listener, action.to(request, front))
        choice = None if action is None else self._choose(action, request, front, now_seconds)
        if choice is None:
            return self._refuse(listener, own_answer(503))
        self.report.in_flight[choice.target.instance] += 1
        self.report.target_group(choice.target_group).requests += 1
        return choice

    def release(self, choice: Choice) -> None:
        """Take note that the target owes no answer to this request any more, whatever became of it."""
        self.report.in_flight[choice.target.instance] -= 1

    def answered(self, listener: str, choice: Choice, status: int, milliseconds: float) -> None:
        """Count what a target has answered."""
        _count(self.report.listener(listener).target, str(status))
        counters = self.report.target_group(choice.target_group)
        _count(counters.target, str(status))
        counters.latency_milliseconds.add(milliseconds)

    def failed(self, listener: str, choice: Choice, status: int, *, connected: bool = True) -> Respond:
        """Count a request that its target has not answered, and return what the client gets instead."""
        self.report.target_group(choice.target_group).connection_errors += not connected
        return self._refuse(listener, own_answer(status))

    def _refuse(self, listener: str, answer: Respond) -> Respond:
        """Count an answer of the load balancer's own."""
        _count(self.report.listener(listener).elb, str(answer.status))
        return answer

    def _choose(self, action: Forward, request: Request, front: Front, now_seconds: float) -> Choice | None:
        cookie = request.cookie(STICKY_COOKIE) if action.is_sticky else ""
        sticky_to = action.stuck_to(cookie, now_seconds)
        target_group = sticky_to or action.drawn(self._dice)
        if target_group is None:
            return None
        targets = self.routing.routable(target_group)
        if not targets:
            return None
        self._turn[target_group] += 1
        target = targets[self._turn[target_group] % len(targets)]
        sticks = action.is_sticky and not sticky_to
        return Choice(target_group, target, front, action.set_cookie(target_group, now_seconds) if sticks else None)


@cache
def own_answer(status: int) -> Respond:
    """Make the answer to a request that no target has answered."""
    return Respond(status, f"{status}\n", OWN_HEADERS)
