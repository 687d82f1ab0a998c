"""
What must be true at every moment of a rehearsal, whatever happens in it.

Checked after every call that changes something, not at the end: a state that must never be may last for a second only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rehearsal.clock import Clock
from rehearsal.engine.calls import Call
from rehearsal.record import RecordView
from rehearsal.settings import Route, Settings
from rehearsal.world.builds import Builds
from rehearsal.world.fleet import Fleet
from rehearsal.world.load_balancer import LoadBalancer
from rehearsal.world.terraform import Terraform

SETTLE_WITHIN_SECONDS = 30
"""How long a write by an execution that lost the environment may stay in force."""

_WATCHED = frozenset({"autoscaling", "codebuild", "dynamodb", "ec2", "elbv2"})
_RUNBACKS_OWN = ("aws_autoscaling_", "aws_db_instance", "aws_launch_template", "aws_lb_")
"""What the types of resources begin with that no plan may touch while users are served."""

_FREEZE_TAG, _ESCALATED = "runback:freeze", "escalated"

SERVED = "traffic is never all on a color without a healthy target while the other color has one"
ONE_HOLDER = "only the holder of the lease changes a listener, and a late write of a loser is undone"
IN_USE = "nothing of ours scales in what users are sent to"
WAY_BACK = "the old color keeps its capacity while it is a valid way back"
FREEZE = "of the rules of a listener, only a freeze is made or ended, and only by the holder of the lease"
LET_IN = "users are let in again when all executions have ended, or a human has been told"
APPLIED = "Terraform changes nothing that divides traffic, runs versions or keeps the data"
ONE_APPLY = "while Terraform applies, somebody holds the lease, and nothing is scaled in"
APPLIED_OUT = "nothing is applied any more when all executions have ended"
LET_GO = "no lease is held when all executions have ended"
SECRET = "no secret is told in a history, a log, the record, a message or a report"  # noqa: S105  nor is this one


@dataclass(frozen=True)
class Violation:
    """An invariant that did not hold, with the call that broke it."""

    invariant: str
    found: str
    call: str
    at_seconds: float


class Invariants:
    """Watches one account. `checked` counts the checks; one call can cause several."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        load_balancer: LoadBalancer,
        fleet: Fleet,
        record: RecordView,
        builds: Builds,
        terraform: Terraform,
    ) -> None:
        self.checked = 0
        self.violations: list[Violation] = []
        self._settings = settings
        self._clock = clock
        self._load_balancer = load_balancer
        self._fleet = fleet
        self._record = record
        self._builds, self._terraform = builds, terraform
        self._apply = f"{settings.prefix}-apply"
        self._applied = 0
        self._late_since: dict[str, tuple[float, Call]] = {}
        self._shown = self._forwards()
        self._listeners = {_listener_of(arn) for route in settings.routes for arn in (route.arn, route.test_arn)}
        self._rules = self._own_rules()
        self._seen_healthy: dict[str, int] = {}
        for route in settings.routes:
            self._healthy(route)

    def observe(self, call: Call) -> None:
        """To be added to Calls after the overlays, so that the account is seen as the call left it."""
        if not call.mutating or call.service not in _WATCHED:
            return
        lease, live = self._record.lease, self._record.live
        for route in self._settings.routes:
            self._check_served(route, call)
            self._check_holder(route, lease, call)
        self._check_way_back(live, call)
        self._check_scaling(call)
        self._check_rules(lease, call)
        self._check_applies(lease, call)
        self._check_applied(call)
        self._shown = self._forwards()

    def conclude(self, told: Sequence[str]) -> None:
        """Check what must be true once every execution of a scenario has ended. `told` are secrets, and where."""
        self.checked += 1
        for secret in told:
            self._violated(SECRET, secret, None)
        lease = self._record.lease
        if "holder" in lease:
            self._violated(LET_GO, f"{lease['holder']} still holds it", None)
        frozen = [arn for arn, tags in self._own_rules().items() if _FREEZE_TAG in tags]
        if frozen and lease.get("phase") != _ESCALATED:
            self._violated(LET_IN, f"{', '.join(sorted(frozen))} still there", None)
        self._check_applied(None)
        for build in self._builds.running():
            self._violated(APPLIED_OUT, f"{build.build_id} works for {build.source_version}", None)
        for name, (since, call) in self._late_since.items():
            self._violated(ONE_HOLDER, f"route {name}: a late write at {since:.0f} s was never undone", call)

    def add(self, other: "Invariants") -> None:
        """Take over what was found in another environment of the account."""
        self.checked += other.checked
        self.violations += other.violations

    def as_json(self) -> dict[str, Any]:
        """Return the report's form."""
        return {"checked": self.checked, "violated": [asdict(violation) for violation in self.violations]}

    def _forwards(self) -> dict[str, dict[str, int]]:
        return self._load_balancer.forwards()

    def _own_rules(self) -> dict[str, dict[str, str]]:
        """Return the rules of this environment's listeners: those of another one are no concern of this lease."""
        return {arn: tags for arn, tags in self._load_balancer.rules().items() if _listener_of(arn) in self._listeners}

    def _healthy(self, route: Route) -> dict[str, int]:
        """
        Count the healthy targets of each color.

        A call that takes a color off its last listener also ends its health checks. Such a color is judged by what was
        seen of it before, or the worst switch of all would leave nothing to compare with.
        """
        healthy = {}
        for color, fleet in self._settings.colors.items():
            group = route.target_group(color)
            if self._load_balancer.in_use(group):
                self._seen_healthy[group] = self._load_balancer.healthy_targets(group)
            alive = len(self._fleet.instances(fleet.auto_scaling_group))
            healthy[color] = min(self._seen_healthy.get(group, 0), alive)
        return healthy

    def _check_served(self, route: Route, call: Call) -> None:
        """No user meets a color while the load balancer answers itself, so that none can meet the wrong one."""
        self.checked += 1
        if self._load_balancer.answers_itself(_listener_of(route.arn)):
            return
        receiving = {group for group, weight in self._forwards().get(route.arn, {}).items() if weight > 0}
        healthy = self._healthy(route)
        for color, other in (("blue", "green"), ("green", "blue")):
            if receiving == {route.target_group(color)} and healthy[color] == 0 and healthy[other] > 0:
                self._violated(SERVED, f"route {route.name}: all on {color}, which has none", call)

    def _check_holder(self, route: Route, lease: Mapping[str, Any], call: Call) -> None:
        """
        Every change of a live route by a function must be what the present holder wrote down as its intent.

        A human's change ends what was there before, and is no concern of ours.
        """
        self.checked += 1
        shown = _shares(self._forwards().get(route.arn, {}))
        intended = {name: _shares(weights) for name, weights in lease.get("intents", {}).items()}
        if shown == intended.get(route.name):
            self._late_since.pop(route.name, None)
        changed = shown != _shares(self._shown.get(route.arn, {}))
        if changed and call.caller is None:
            self._late_since.pop(route.name, None)
        elif changed and shown != intended.get(route.name):
            self._late_since[route.name] = (call.at, call)
        late = self._late_since.get(route.name)
        if late and self._clock.seconds() - late[0] > SETTLE_WITHIN_SECONDS:
            self._violated(ONE_HOLDER, f"route {route.name} shows {shown} for too long", late[1])
            del self._late_since[route.name]

    def _check_way_back(self, live: Mapping[str, Any], call: Call) -> None:
        self.checked += 1
        point = live.get("rollback_point", {})
        if point.get("status") != "valid":
            return
        group = self._settings.colors[point["color"]].auto_scaling_group
        alive = len(self._fleet.instances(group))
        if alive < int(point["capacity"]):
            self._violated(WAY_BACK, f"{point['color']} has {alive} of {point['capacity']} instances", call)

    def _check_scaling(self, call: Call) -> None:
        """A human may scale in what he likes, and behind a freeze no user meets any color."""
        if call.caller is None or call.error is not None or not self._scales_in(call):
            return
        self.checked += 1
        group = call.parameters["AutoScalingGroupName"]
        color = next(name for name, each in self._settings.colors.items() if each.auto_scaling_group == group)
        for route in self._settings.routes:
            share = _shares(self._forwards().get(route.arn, {})).get(route.target_group(color), 0)
            if share and not self._load_balancer.answers_itself(_listener_of(route.arn)):
                self._violated(IN_USE, f"{color} has {share:.0%} of the traffic of route {route.name}", call)

    def _check_rules(self, lease: Mapping[str, Any], call: Call) -> None:
        """A human may do as he likes with the rules of his listeners."""
        before, now = self._rules, self._own_rules()
        self._rules = now
        if call.caller is None or before == now:
            return
        self.checked += 1
        touched = {arn: now.get(arn, before.get(arn, {})) for arn in before.keys() ^ now.keys()}
        touched |= {arn: {} for arn in before.keys() & now.keys() if before[arn] != now[arn]}
        for arn, tags in sorted(touched.items()):
            if _FREEZE_TAG not in tags:
                self._violated(FREEZE, f"{arn} is no freeze", call)
            elif "holder" not in lease:
                self._violated(FREEZE, f"nobody holds the lease, and {arn} was changed", call)

    def _check_applies(self, lease: Mapping[str, Any], call: Call) -> None:
        """A human may apply what he likes; and instances that are too few may come back at any time."""
        if call.caller is None or call.error is not None:
            return
        self.checked += 1
        applying = [each.build_id for each in self._builds.running() if each.project == self._apply]
        if applying and "holder" not in lease:
            self._violated(ONE_APPLY, f"{applying[0]} still works, and nobody holds the lease any more", call)
        if applying and self._scales_in(call):
            self._violated(
                ONE_APPLY, f"{applying[0]} still works, and {call.parameters['AutoScalingGroupName']} goes", call
            )

    def _scales_in(self, call: Call) -> bool:
        groups = {color.auto_scaling_group for color in self._settings.colors.values()}
        to_nothing = call.action == "UpdateAutoScalingGroup" and call.parameters.get("DesiredCapacity") == 0
        return to_nothing and call.parameters["AutoScalingGroupName"] in groups

    def _check_applied(self, call: Call | None) -> None:
        applied = self._terraform.applied[self._applied :]
        self._applied += len(applied)
        for change in applied:
            self.checked += 1
            if change.type.startswith(_RUNBACKS_OWN):
                self._violated(APPLIED, f"{'/'.join(change.actions)} {change.address}", call)

    def _violated(self, invariant: str, found: str, call: Call | None) -> None:
        by = "the end"
        if call is not None:
            by = f"{call.caller or 'nobody of ours'}: {call.service}:{call.action} (call {call.number})"
        self.violations.append(Violation(invariant, found, by, round(self._clock.seconds(), 3)))


def _listener_of(arn: str) -> str:
    """Return the listener of a route, which is one itself or a rule of one: it has one part more then."""
    if ":listener-rule/" not in arn:
        return arn
    return arn.replace(":listener-rule/", ":listener/").rpartition("/")[0]


def _shares(weights: Mapping[str, Any]) -> dict[str, float]:
    """Return what each target group really receives: a single group gets all, whatever its weight says."""
    total = sum(int(weight) for weight in weights.values())
    return {group: int(weight) / total for group, weight in weights.items() if int(weight) > 0} if total else {}
