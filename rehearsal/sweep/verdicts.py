"""What did not hold when everything had come to its end, in words; and how a release ended."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rehearsal.invariants import LET_GO, LET_IN
from rehearsal.report import Report
from rehearsal.scenarios.databases import every_upload_is_somewhere
from rehearsal.settings import Route
from rehearsal.stage import Execution, Stage

PAGE = "ACTION NEEDED"
_ASKS = "approve or reject "
"""A page that only asks whether something may begin: nothing has gone wrong."""
_LOOK_ONLY = ("a critical alarm is on", "a check fails", "approved by who asked")
"""Pages about what users meet or who did what: none of them says that anything of Runback's own is left."""
_GOOD_NEWS = ("is live", "is approved", "traffic flows")

_GIVES_BACK = ("Release environment", "Record rollback")
"""What the names of the states begin with in which an execution gives the lease back."""

_LAST_REQUESTS = 15
_ROWS_FROM_BEFORE = frozenset(range(1, 6))
_WAKES_NOBODY = "report"
"""The machine of which no human is told when it fails, on purpose: no release is affected."""
_BAD_ENDS = frozenset({"FAILED", "TIMED_OUT", "ABORTED"})
_ALL_PERCENT = 100
_RUNBACKS_OWN = "runback-"
_DESTRUCTIVE = frozenset({"DeleteDBInstance", "DeleteDBCluster", "DeleteDBSnapshot"})


@dataclass(frozen=True)
class Told:
    """A message that people have got: `at` in simulated seconds."""

    at: float
    subject: str

    @property
    def pages(self) -> bool:
        """Say whether it asks a human to act on something that went wrong."""
        return PAGE in self.subject and _ASKS not in self.subject

    @property
    def leaves_something(self) -> bool:
        """Say whether it is about what Runback has not brought to its end itself."""
        return self.pages and not any(words in self.subject for words in _LOOK_ONLY)

    @property
    def is_bad_news(self) -> bool:
        """Say whether it tells of anything but success and questions."""
        return not self.subject.endswith(_GOOD_NEWS) and _ASKS not in self.subject


def problems_of(stage: Stage, report: Report) -> list[str]:
    """
    Return what did not hold, in words; empty when all is well.

    To be asked once everything has ended and the watchdog has had the time to look. What Runback leaves to a human is
    no problem if it has told one so; what must never be is one in any case.
    """
    told = messages(stage)
    return [
        *_never(stage, report),
        *_untold(stage, told),
        *_left(stage, report, told),
    ]


def ending_of(stage: Stage, report: Report) -> str:
    """Say in a word how it ended: "released", "rolled back", "aborted", "refused", "escalated", … ."""
    told = messages(stage)
    if any(each.pages for each in told):
        return "escalated"
    if report.phase in ("restored", "restore_failed", "frozen"):
        return report.phase.replace("_", " ")
    return {"promoted": "released", "unknown": "stopped"}.get(report.outcome, report.outcome.replace("_", " "))


def messages(stage: Stage) -> list[Told]:
    """Return what people were told, in its order."""
    return [
        Told(call.at, str(call.parameters.get("Subject", "")))
        for call in list(stage.account.calls.log)
        if call.action == "Publish" and call.error is None
    ]


# -- what must never be, whoever was told


def _never(stage: Stage, report: Report) -> Iterator[str]:
    for violation in report.invariants["violated"]:
        if violation["invariant"] not in (LET_GO, LET_IN):
            yield f"{violation['invariant']}: {violation['found']}, by {violation['call']}"
    for denied in report.judgement.denied:
        yield f"denied on AWS: {denied}"
    for malformed in report.judgement.malformed:
        yield f"no request that AWS's model accepts: {malformed}"
    for call in report.unsupported:
        yield f"the emulator cannot answer {call}, so nothing is proven"
    yield from _damage_to_data(stage, report)


def _damage_to_data(stage: Stage, report: Report) -> Iterator[str]:
    databases = report.databases
    first = databases.instances.get(databases.in_settings)
    if first is None or first.status != "available":
        yield f"the old database {databases.in_settings} is {first.status if first else 'gone'}"
    for call in list(stage.account.calls.log):
        if call.action in _DESTRUCTIVE and call.caller is not None and call.error is None:
            yield f"{call.caller} called {call.action}"
    rows = databases.receipts(databases.serving) if databases.serving in databases.instances else {}
    if first is None or first.receipts is None:
        return  # the server is a model, which has no rows
    if not rows.keys() >= _ROWS_FROM_BEFORE:
        yield f"of the rows from before, only {sorted(_ROWS_FROM_BEFORE & rows.keys())} are in {databases.serving}"
    if lost := every_upload_is_somewhere(report):
        yield lost


# -- whether humans know


def _untold(stage: Stage, told: list[Told]) -> Iterator[str]:
    """Somebody must have heard of every execution that ended badly: when it had gone wrong, or soon after."""
    began = stage.account.clock.now().timestamp() - stage.account.clock.seconds()
    for execution in stage.executions.values():
        if execution.status not in _BAD_ENDS:
            continue
        if execution.machine == _WAKES_NOBODY or _is_own_doing(execution):
            continue
        steps = [step.at.timestamp() - began for step in stage.steps if step.execution == execution.arn]
        since = min(steps, default=0.0)
        if not any(each.is_bad_news and each.at >= since for each in told):
            yield f"nobody was told of {_named(execution)}"


def _is_own_doing(execution: Execution) -> bool:
    """Say whether an operator has stopped it while it held nothing: that one knows, and there is nothing to undo."""
    claims = [number for number, state in enumerate(execution.states) if state.startswith("Claim ")]
    has_claimed = bool(claims) and claims[0] < len(execution.states) - 1
    holds = has_claimed and not any(state.startswith(_GIVES_BACK) for state in execution.states)
    return execution.status == "ABORTED" and execution.error == "Operator" and not holds


def _named(execution: Execution) -> str:
    return f"{execution.machine}, {execution.status} at {execution.states[-1] if execution.states else 'its start'}"


# -- what is left, and may be if a human knows


def _left(stage: Stage, report: Report, told: list[Told]) -> Iterator[str]:
    pages = [each.at for each in told if each.pages]
    last_page = max(pages, default=-1.0)
    trouble = [*_traffic(stage, report)]
    last_move = max((move.at_seconds for move in report.moves), default=0.0)
    if trouble and last_page < last_move:
        yield from trouble
    if any(each.leaves_something for each in told):
        return
    if report.lease_holder is not None:
        yield f"the environment is still held by {report.lease_holder}"
    yield from _orphans(stage, report)


def _traffic(stage: Stage, report: Report) -> Iterator[str]:
    """Every route all on one color, the same, which is healthy and answers."""
    shown = {route.name: _colors_of(stage, route) for route in stage.account.settings.routes}
    colors = {color for shares in shown.values() for color in shares}
    if len(colors) != 1:
        yield f"the routes end on {shown}"
        return
    (color,) = colors
    for route in stage.account.settings.routes:
        healthy = stage.account.load_balancer.healthy_targets(route.target_group(color))
        if healthy == 0 or healthy < report.instances[color]:
            yield f"{color} has all traffic of {route.name}, and {healthy} of {report.instances[color]} are healthy"
    last = sorted(report.samples, key=lambda each: each.sent_seconds)[-_LAST_REQUESTS:]
    failed = [each for each in last if each.failed]
    if failed:
        yield f"of the last {len(last)} requests {len(failed)} failed, with {sorted({each.status for each in failed})}"
    elsewhere = {each.color for each in last} - {color, ""}
    if elsewhere:
        yield f"users still reach {', '.join(sorted(elsewhere))}"


def _colors_of(stage: Stage, route: Route) -> dict[str, int]:
    """Return what the route forwards, without what receives nothing; a group that is no color stands for itself."""
    names = {route.target_group(color): color for color in ("blue", "green")}
    shown = stage.account.load_balancer.forwards().get(route.arn, {})
    return {names.get(group, group): weight for group, weight in shown.items() if weight > 0 or len(shown) == 1}


def _orphans(stage: Stage, report: Report) -> Iterator[str]:
    """What costs money or changes behaviour, and nobody knows of: neither the record nor a human."""
    account = stage.account
    known = json.dumps([each.to_regular_json() for each in stage.record._table().all_items()], default=str)
    serving = next((color for color, percent in report.weights.items() if percent == _ALL_PERCENT), None)
    point = stage.record.live.get("rollback_point", {})
    for color, number in report.instances.items():
        is_recorded = point.get("color") == color and point.get("status") != "expired"
        if number and serving and color != serving and not is_recorded:
            yield f"{color} is idle and has {number} instances that no rollback point names"
    for color, group in _groups(stage).items():
        suspended = sorted(each["ProcessName"] for each in group["SuspendedProcesses"])
        if suspended and not (point.get("color") == color and point.get("status") == "valid"):
            yield f"{color} has {', '.join(suspended)} suspended"
    for arn, tags in account.load_balancer.rules().items():
        if any(tag.startswith("runback:") for tag in tags):
            yield f"the rule {arn} is left, with the tags {tags}"
    databases = report.databases
    for name in (*databases.snapshots, *databases.instances):
        if name.startswith(_RUNBACKS_OWN) and name not in known:
            yield f"{name} is in RDS, and the record does not know it"
    for build in account.builds.running():
        yield f"the build {build.build_id} still works"
    yield from _strange_targets(stage)


def _groups(stage: Stage) -> dict[str, dict[str, Any]]:
    autoscaling = stage.account.client("autoscaling")
    found = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    by_name = {each["AutoScalingGroupName"]: each for each in found}
    return {color: by_name[each.auto_scaling_group] for color, each in stage.account.settings.colors.items()}


def _strange_targets(stage: Stage) -> Iterator[str]:
    elbv2 = stage.account.client("elbv2")
    for color, group in stage.account.settings.colors.items():
        own = {instance.instance_id for instance in stage.account.fleet.instances(group.auto_scaling_group)}
        for route in stage.account.settings.routes:
            described = elbv2.describe_target_health(TargetGroupArn=route.target_group(color))
            targets = {
                each["Target"]["Id"]
                for each in described["TargetHealthDescriptions"]
                if each["TargetHealth"]["State"] != "draining"
            }
            if extra := sorted(targets - own):
                yield f"{', '.join(extra)} still belong to {color} of {route.name}"
