"""What happened in a rehearsal, as figures: every one computed from the call log, the record or the raw samples."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from rehearsal.account import Account
from rehearsal.databases import Databases, read_databases
from rehearsal.engine.calls import Call
from rehearsal.infrastructure import Infrastructure, read_infrastructure
from rehearsal.invariants import Invariants
from rehearsal.permissions import Judgement
from rehearsal.settings import Route
from rehearsal.stage import Execution, Stage
from rehearsal.staging import Staging
from rehearsal.told_github import ToldGitHub, read_github
from rehearsal.world.forwarding import weights
from rehearsal.world.traffic import Sample, Share, summarise

FIGURES, PAGE = "report.json", "report.html"
"""The files that are left of a rehearsal, for machines and for humans."""

CRITICAL_PATH = ("claim-rollback", "switch-listener")
"""The functions between the start of a rollback and safe traffic."""

SWITCH_BACK = "Switch listener back"
"""The state of the rollback machine that makes it so."""

_CLOCK_TICK_SECONDS = 0.001
_RELEASE_REPORTS = "releases/"
"""What the keys of Runback's own reports begin with; other objects are exports of the database."""


@dataclass(frozen=True)
class Switch:
    """How a rollback brought traffic back: `seconds` are wall, from the machine's start to the listener's change."""

    seconds: float
    calls: int
    in_force: float
    """By the clock's `stamp`, when the listener's change was in force."""


@dataclass(frozen=True)
class Move:
    """A change of a live listener or rule: `percent` is what each color then received of the route."""

    at_seconds: float
    by: str
    route: str
    percent: dict[str, int]


@dataclass(frozen=True)
class Beside:
    """What became of another environment of the account; each field as it is in the report of the one rehearsed."""

    environment: str
    outcome: str
    weights: dict[str, int]
    phase: str | None
    lease_holder: str | None
    versions: dict[str, str | None]
    executions: Sequence[Execution]

    def as_json(self) -> dict[str, Any]:
        """Return the report's form, which has no versions: a color without instances has none."""
        return {
            "environment": self.environment,
            "outcome": self.outcome,
            "weights": self.weights,
            "executions": [
                {"machine": each.machine, "status": each.status, "states": each.states} for each in self.executions
            ],
        }


@dataclass(frozen=True)
class Report:
    """The contents of report.json, and what scenarios check their promises against."""

    scenario: str
    expected: str
    outcome: str
    total_seconds: float
    simulated_seconds: float
    clock: dict[str, Any]
    requests_per_second: float
    samples: Sequence[Sample]
    switch: Switch | None
    moves: Sequence[Move]
    weights: dict[str, int]
    phase: str | None
    lease_holder: str | None
    versions: dict[str, str | None]
    instances: dict[str, int]
    executions: Sequence[Execution]
    invariants: dict[str, Any]
    messages: Sequence[str]
    pages: Sequence[str]
    """The texts of the messages, whose subjects `messages` are."""
    release_reports: Mapping[str, str]
    """What Runback itself wrote of its releases, HTML by the object's key in S3."""
    databases: Databases
    infrastructure: Infrastructure
    unsupported: Sequence[str]
    judgement: Judgement
    template_sha256: str
    answers: Sequence[int] = ()
    """The statuses of what signed requests to function URLs were answered with."""
    approved_by: str = ""
    """The ARN of who has answered the last restore, if the record knows it by the end."""
    github: ToldGitHub = field(default_factory=ToldGitHub)
    waiting_push: str = ""
    """The commit that waits for its release by the end; "" if none does."""
    beside: Sequence[Beside] = ()
    """The account's other environments."""

    def as_json(self) -> dict[str, Any]:
        """Return the documented form: `seconds` are wall seconds, and what does not apply is null."""
        traffic = summarise(self.samples)
        colors = {color: traffic.by_color.get(color, Share()).requests for color in ("blue", "green")}
        return {
            "scenario": self.scenario,
            "expected": self.expected,
            "outcome": self.outcome,
            "seconds": {
                "total": round(self.total_seconds, 3),
                "rollback_to_switched": round(self.switch.seconds, 3) if self.switch else None,
            },
            "simulated_seconds": round(self.simulated_seconds, 3),
            "clock": self.clock,
            "requests": {"total": traffic.requests, "failed": traffic.failed, "by_color": colors},
            "final": {
                "weights": self.weights,
                "phase": self.phase,
                "lease_holder": self.lease_holder,
                "versions": self.versions,
                "instances": self.instances,
            },
            "listener_changes": [asdict(move) for move in self.moves],
            "executions": [
                {"machine": each.machine, "status": each.status, "states": each.states} for each in self.executions
            ],
            "beside": [each.as_json() for each in self.beside],
            "invariants": self.invariants,
            "api_calls": {"rollback_critical_path": self.switch.calls if self.switch else None},
            "databases": self.databases.as_json(),
            "infrastructure": self.infrastructure.as_json(),
            "github": self.github.as_json(),
            "messages": list(self.messages),
            "release_reports": sorted(self.release_reports),
            "unsupported_calls": list(self.unsupported),
            "aws_requests": {
                "judged": self.judgement.judged,
                "denied": list(self.judgement.denied),
                "malformed": list(self.judgement.malformed),
                "used_actions": [
                    {"by": name, "actions": list(actions)} for name, actions in self.judgement.used_actions.items()
                ],
            },
            "template_sha256": self.template_sha256,
            "rehearsed_on": "an emulated account: no claim on latency, permissions or propagation of real AWS",
        }

    def write(self, folder: Path) -> Path:
        """Write report.json beside the raw samples, and what Runback itself has written where it is in S3."""
        for key, page in self.release_reports.items():
            (folder / key).parent.mkdir(parents=True, exist_ok=True)
            (folder / key).write_text(page, encoding="utf-8")
        path = folder / FIGURES
        path.write_text(json.dumps(self.as_json(), indent=2) + "\n", encoding="utf-8")
        return path


def make_report(
    scenario: str,
    expected: str,
    stage: Stage,
    invariants: Invariants,
    judgement: Judgement,
    staging: Staging,
    total_seconds: float,
) -> Report:
    """Read the account as the scenario left it. The traffic must have been stopped."""
    account = stage.account
    lease = stage.record.lease
    executions = list(stage.executions.values())
    return Report(
        scenario=scenario,
        expected=expected,
        outcome=_outcome(stage),
        total_seconds=total_seconds,
        simulated_seconds=account.clock.seconds(),
        clock=staging.as_json(),
        requests_per_second=stage.traffic.requests_per_second,
        samples=stage.traffic.so_far(),
        switch=_switch(stage),
        moves=list(_moves(account)),
        weights=shown_weights(account),
        phase=lease.get("phase"),
        lease_holder=lease.get("holder"),
        versions=_versions(account),
        instances={
            color: len(account.fleet.instances(each.auto_scaling_group))
            for color, each in account.settings.colors.items()
        },
        executions=executions,
        invariants=invariants.as_json(),
        messages=[call.parameters["Subject"] for call in account.calls.log if call.action == "Publish"],
        pages=[call.parameters["Message"] for call in account.calls.log if call.action == "Publish"],
        release_reports=_release_reports(account),
        databases=read_databases(account),
        infrastructure=read_infrastructure(account),
        unsupported=[f"{each.call.service}:{each.call.action}" for each in account.calls.unsupported],
        judgement=judgement,
        template_sha256=account.stack.sha256,
        answers=[each.status for each in stage.answers],
        approved_by=stage.record.item("restore").get("approval", {}).get("caller", ""),
        github=read_github(account),
        waiting_push=stage.record.item("pushes").get("pending", {}).get("commit", ""),
        beside=[_beside(each) for each in stage.beside.values()],
    )


def _beside(stage: Stage) -> Beside:
    lease = stage.record.lease
    return Beside(
        environment=stage.account.settings.environment,
        outcome=_outcome(stage),
        weights=shown_weights(stage.account),
        phase=lease.get("phase"),
        lease_holder=lease.get("holder"),
        versions=_versions(stage.account),
        executions=list(stage.executions.values()),
    )


def _release_reports(account: Account) -> dict[str, str]:
    """Return the newest report of each release."""
    return {
        call.parameters["Key"]: call.parameters["Body"]
        for call in account.calls.log
        if call.action == "PutObject" and call.parameters["Key"].startswith(_RELEASE_REPORTS) and not call.error
    }


def _outcome(stage: Stage) -> str:
    """What became of the release, by its own history; a release that never began has none, but perhaps a request."""
    deployments = stage.of_machine("deploy")
    release_id = stage.record.lease.get("release_id")
    recorded = stage.record.release(release_id).get("outcome") if release_id else None
    if recorded:
        return str(recorded)
    if not deployments:
        return "untouched"
    if deployments[0].status != "FAILED":
        return "unknown"
    return str(stage.record.request(deployments[0].arn).get("outcome", "refused"))


def shown_weights(account: Account) -> dict[str, int]:
    """Return the percent of the traffic per color on the first route, now."""
    route = account.settings.routes[0]
    return _percent(route, account.load_balancer.forwards().get(route.arn, {}))


def _percent(route: Route, shown: Mapping[str, int]) -> dict[str, int]:
    total = sum(shown.values()) or 1
    return {color: round(100 * shown.get(route.target_group(color), 0) / total) for color in ("blue", "green")}


def _versions(account: Account) -> dict[str, str | None]:
    """What the processes of each color run; null for a color without any, or with several versions."""
    found: dict[str, str | None] = {}
    for color, settings in account.settings.colors.items():
        running = {instance.version for instance in account.fleet.instances(settings.auto_scaling_group)}
        found[color] = running.pop() if len(running) == 1 else None
    return found


def _switch(stage: Stage) -> Switch | None:
    """Find the first rollback's start, and the change of a live listener that some rollback made."""
    account = stage.account
    clock_began = account.clock.now() - timedelta(seconds=account.clock.seconds())
    entered = [step.at for step in stage.steps if (step.machine, step.state) == ("rollback", SWITCH_BACK)]
    starts = [call for call in account.calls.log if _starts(call, account.stack.state_machine("rollback"))]
    if not entered or not starts:
        return None
    back_from = (min(entered) - clock_began).total_seconds() - _CLOCK_TICK_SECONDS
    path = {account.stack.function(name) for name in CRITICAL_PATH}
    routes = {route.arn for route in account.settings.routes}
    within = [call for call in account.calls.log[starts[0].number :] if call.caller in path]
    for count, call in enumerate(within, start=1):
        if call.at >= back_from and _changes(call, routes):
            in_force = call.answered or call.stamp
            return Switch(in_force - starts[0].stamp, count, in_force)
    return None


def _starts(call: Call, machine: str) -> bool:
    return call.action == "StartExecution" and call.parameters.get("stateMachineArn") == machine and not call.error


def _moves(account: Account) -> Iterator[Move]:
    """Find every change of a live route, whoever made it."""
    routes = {route.arn: route for route in account.settings.routes}
    for call in account.calls.log:
        if not _changes(call, set(routes)):
            continue
        route = routes[call.parameters.get("RuleArn") or call.parameters["ListenerArn"]]
        actions = call.parameters.get("Actions") or call.parameters["DefaultActions"]
        yield Move(round(call.at, 3), call.caller or "somebody", route.name, _percent(route, weights(actions[-1])))


def _changes(call: Call, routes: set[str]) -> bool:
    moved = call.parameters.get("ListenerArn") or call.parameters.get("RuleArn")
    return call.action in ("ModifyListener", "ModifyRule") and moved in routes and not call.error
