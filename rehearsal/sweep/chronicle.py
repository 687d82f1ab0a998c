"""Who did what, in order, so that a human can read how a play went wrong: calls that changed something, and what."""

import json
import threading
from collections.abc import Mapping
from typing import Any

from rehearsal.engine.calls import Call
from rehearsal.report import shown_weights
from rehearsal.stage import Stage, Step

_SERVICES = frozenset({"dynamodb", "elbv2", "autoscaling", "stepfunctions", "sns", "codebuild"})
"""Services whose changes are told; the others are not about the environment's traffic."""


class Threads:
    """Knows for which execution each thread runs a function: the event that it is invoked with says so."""

    def __init__(self, stage: Stage) -> None:
        self._executions: dict[int, str] = {}
        stage.account.calls.add_interceptor(self._look)

    def execution_here(self) -> str:
        """Return the ARN of the execution for which this thread runs a function; "" if it runs none."""
        return self._executions.get(threading.get_ident(), "")

    def _look(self, call: Call) -> None:
        if (call.service, call.action) == ("lambda", "Invoke"):
            self._executions[threading.get_ident()] = _execution_in(call.parameters.get("Payload"))


def _execution_in(payload: Any) -> str:
    """Find who invokes a function in what it is given: a claim names its execution, every other step its lease."""
    try:
        event = json.loads(payload)
    except (TypeError, ValueError):
        return ""
    if not isinstance(event, dict):
        return ""
    lease = event.get("lease")
    return str(event.get("execution") or (lease.get("holder", "") if isinstance(lease, dict) else ""))


class Chronicle:
    """Listens from the moment that it is made. `lines` are for humans, in the order in which things happened."""

    def __init__(self, stage: Stage) -> None:
        self.lines: list[str] = []
        self._stage = stage
        self._prefix = f"{stage.account.settings.prefix}-"
        self._shown = self._showing()
        self._threads = Threads(stage)
        self.shows_late_write: set[int] = set()
        """Numbers of the calls at which the listener showed what the function of a loser had written."""
        self._is_late = False
        stage.account.calls.add_observer(self._called)
        stage.on_step(self._entered)

    def note(self, who: str, what: str) -> None:
        """Add what somebody does by himself."""
        at = self._stage.account.clock.seconds()
        self.lines.append(f"{at:9.3f} s  {who:<32} {what}")

    def _entered(self, step: Step) -> None:
        if step.type in ("Task", "Wait", "Succeed", "Fail"):
            self.note(self._name_of(step.execution), f"→ {step.state}")

    def _called(self, call: Call) -> None:
        if not call.mutating or call.service not in _SERVICES:
            return
        now = self._showing()
        if now["listener"] != self._shown["listener"]:
            holder = self._stage.record.lease.get("holder")
            self._is_late = call.caller is not None and self._threads.execution_here() != holder
        if self._is_late:
            self.shows_late_write.add(call.number)
        changed = ", ".join(
            f"{what}: {self._shown[what]} → {now[what]}" for what in now if now[what] != self._shown[what]
        )
        self._shown = now
        failed = f" fails with {call.error}" if call.error else ""
        if call.caller is None and not changed and call.service != "stepfunctions":
            return
        execution = self._threads.execution_here() if call.caller else ""
        by = (call.caller or "").removeprefix(self._prefix)
        who = f"{self._name_of(execution)}: {by}" if execution else by
        self.note(who, f"{call.service}:{call.action}{failed}{_about(call)}" + (f"   [{changed}]" if changed else ""))

    def _name_of(self, execution_arn: str) -> str:
        """Return the machine and which of its executions it is, such as `rollback 2`."""
        known = self._stage.executions.get(execution_arn)
        if known is None:
            return next(iter(execution_arn.split(":")[6:]), "?").removeprefix(self._prefix)
        numbers = [each.arn for each in self._stage.of_machine(known.machine)]
        return f"{known.machine} {numbers.index(execution_arn) + 1}"

    def _showing(self) -> dict[str, str]:
        """Return what a reader follows: the listener, the lease and the live item, in a few words each."""
        lease, live = self._stage.record.lease, self._stage.record.live
        point: Mapping[str, Any] = live.get("rollback_point") or {}
        way_back, weights = point.get("status", "none"), shown_weights(self._stage.account)
        holder = self._name_of(lease["holder"]) if lease.get("holder") else "nobody"
        return {
            "listener": " ".join(f"{color} {percent} %" for color, percent in weights.items() if percent),
            "lease": f"{holder}, token {int(lease.get('token', 0))}, {lease.get('phase', '')}",
            "live": f"{live.get('version', 'unknown')} on {live.get('color', '?')}, way back {way_back}",
        }


def _about(call: Call) -> str:
    for name in ("Subject", "name", "AutoScalingGroupName", "projectName"):
        if value := call.parameters.get(name):
            return f" {str(value)[:70]!r}"
    return ""
