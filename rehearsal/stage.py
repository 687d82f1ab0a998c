"""What a scenario can do in the pretend account: everything that an operator can, and what fate can."""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rehearsal.account import Account
from rehearsal.engine.function_urls import Answer
from rehearsal.engine.people import Person
from rehearsal.record import RecordView
from rehearsal.staging import Staging, Traffic
from rehearsal.world.github import Webhook
from rehearsal.world.github_repository import MAIN
from rehearsal.world.traffic import Sample

_LOOK_EVERY_WALL_SECONDS = 0.05
_LOOK_EVERY_SECONDS = 5.0
_TERMINAL = frozenset({"SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"})
_WAIT_FOR_TIME = frozenset({"clean-up", "push", "report"})
"""Machines in whose waits nothing happens: for the end of the window, for other machines, and for the metrics."""
_ONLY_LOOK_ON = frozenset({"push", "report"})
"""Machines that only look what others do, or tell of it: a bake is a bake, whatever they do meanwhile."""

_BAKE = "Bake at "
_APPROVAL = "Wait for approval"
"""In which a deployment waits for a human's yes."""
_THINKS_SECONDS = 60.0
_MOST_ANSWERS = 30
"""How often an approver gives the same answer: nobody can approve before it is known who has asked."""


class Stuck(Exception):
    """Something that a scenario waits for did not happen; the message says what."""


@dataclass(frozen=True)
class Step:
    """A state that an execution entered."""

    execution: str
    machine: str
    state: str
    type: str
    at: datetime


@dataclass
class Execution:
    """An execution that has run or runs."""

    arn: str
    machine: str
    status: str = "RUNNING"
    error: str | None = None
    cause: str | None = None
    states: list[str] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        """Say whether it has come to its end."""
        return self.status in _TERMINAL


class Stage:
    """
    One environment of an account with traffic on it. Remembers every execution, and every state that one entered.

    `beside` are the stages of the account's other environments, by name, in which nobody is but who acts there.
    """

    def __init__(self, account: Account, traffic: Traffic, staging: Staging) -> None:
        self.account = account
        self.traffic = traffic
        settings = account.settings
        place = (settings.account, settings.region)
        self.record = RecordView(account.calls.lock, *place, account.stack.table(), settings.environment)
        self.steps: list[Step] = []
        self.executions: dict[str, Execution] = {}
        self.fault_at: datetime | None = None
        """When something turned bad that the release must be judged by."""
        self.approves = True
        """Whether an approver says yes to each release that waits for it, after a minute. To be said in advance."""
        self.answers: list[Answer] = []
        """What signed requests to function URLs were answered with."""
        self._listeners: list[Callable[[Step], None]] = []
        self.beside: Mapping[str, Stage] = {
            name: Stage(other, traffic, staging) for name, other in account.beside.items()
        }
        self._prefix = f"{settings.prefix}-"
        self._speeds = staging.speeds
        self._patience_seconds = staging.patience_seconds
        self._played = False
        self._lock = threading.RLock()
        self._changed = account.clock.event()
        account.interpreter.on_state_entered(self._entered)
        account.interpreter.on_status_change(self._status_changed)

    # -- what an operator does

    def start_deployment(self, given: Any) -> Execution:
        """Start the deploy machine as the console does."""
        return self._start("deploy", given)

    def start_rollback(self, given: Any) -> Execution:
        """Start the rollback machine as the console does."""
        return self._start("rollback", given)

    def start_clean_up(self, given: Any) -> Execution:
        """Start the clean-up machine as the console does."""
        return self._start("clean-up", given)

    def start(self, machine: str, given: Any, by: Person | None = None) -> Execution:
        """Start any machine, with any JSON as input; as somebody else than the usual operator, if one is named."""
        return self._start(machine, given, by)

    def post(self, person: Person, function: str, body: Any) -> Answer:
        """Send a signed request to the URL of a function, and remember what came back."""
        urls = self.account.urls
        answer = urls.post(person, urls.url_of(self.account.stack.function(function)), body)
        self.answers.append(answer)
        return answer

    def push(self, commit: str, ref: str = MAIN, **more: Any) -> Answer:
        """Push a commit, see GitHub.push, and let GitHub tell of it; remember what it was answered."""
        return self.deliver(self.account.github.push(commit, ref, **more))

    def deliver(self, webhook: Webhook) -> Answer:
        """Let a webhook reach the function URL that waits for such, whoever sends it, and remember the answer."""
        ingress = self.account.ingress
        if ingress is None:
            raise Stuck("nobody waits for webhooks here: the settings name no ingress")
        urls = self.account.urls
        answer = urls.send(urls.url_of(ingress.function("receive-webhook")), webhook.headers, webhook.body)
        self.answers.append(answer)
        return answer

    def answer_release(self, execution: Execution, action: str, by: Person | None = None) -> Answer:
        """Approve or reject the release that a deployment asks for by a signed request, as the approver does."""
        account, release_id = self.account, self.record.request(execution.arn)["release_id"]
        body = {"action": action, "release_id": release_id, "reason": f"rehearsing {action}"}
        url = account.urls.url_of(account.stack.function("answer-by-url"))
        return account.urls.post(by or account.people.approver, url, body)

    def give_order(self, action: str, *, by: Person | None = None, **more: Any) -> Execution:
        """Start the operate machine as the console does, and wait for its end."""
        given = {"action": action, "reason": f"rehearsing {action}", **more}
        return self.until_ended(self._start("operate", given, by))

    def stop(self, execution: Execution) -> None:
        """Stop an execution as the console does."""
        self.account.client("stepfunctions").stop_execution(
            executionArn=execution.arn, error="Operator", cause="Stopped by hand"
        )

    def move_listener(self, percent: dict[str, int]) -> None:
        """Give the first route other weights, by color, as somebody does in the load balancer's console."""
        route = self.account.settings.routes[0]
        groups = [{"TargetGroupArn": route.target_group(color), "Weight": weight} for color, weight in percent.items()]
        action = {"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}
        elbv2 = self.account.client("elbv2")
        if ":listener-rule/" in route.arn:
            elbv2.modify_rule(RuleArn=route.arn, Actions=[action])
        else:
            elbv2.modify_listener(ListenerArn=route.arn, DefaultActions=[action])

    def scale_in(self, color: str) -> None:
        """Make a color as small as it may be, as a scaling policy does whose metric says that nobody needs it."""
        autoscaling = self.account.client("autoscaling")
        group = self.account.settings.colors[color].auto_scaling_group
        found = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"][0]
        autoscaling.set_desired_capacity(AutoScalingGroupName=group, DesiredCapacity=found["MinSize"])

    def note_fault(self) -> None:
        """Remember that something turns bad now, the first time: the report says how long it took to be found."""
        self.fault_at = self.fault_at or self.account.clock.now()

    # -- what a scenario waits for

    def until_ended(self, execution: Execution) -> Execution:
        """Wait until an execution has ended."""
        self.until(lambda: execution.ended, f"{execution.machine} execution {execution.arn} did not end")
        return execution

    def until_entered(self, execution: Execution, state: str) -> None:
        """Wait until an execution has entered a state. Raises Stuck when it ends without."""
        self.until(lambda: state in execution.states or execution.ended, f"{execution.machine} did not reach {state!r}")
        if state not in execution.states:
            raise Stuck(f"{execution.machine} ended as {execution.status} without reaching {state!r}")

    def until_started(self, machine: str, count: int = 1) -> Execution:
        """Wait until so many executions of a machine have begun, whoever started them; return the last of them."""
        self.until(lambda: len(self.of_machine(machine)) >= count, f"no {machine} was started, or too few")
        return self.of_machine(machine)[count - 1]

    def until_rollback_ended(self) -> Execution:
        """Wait for a rollback that was not started here to begin, and to end."""
        return self.until_ended(self.until_started("rollback"))

    def wait(self, seconds: float) -> None:
        """Let so many simulated seconds pass."""
        ends_at = self.account.clock.seconds() + seconds
        self.until(lambda: self.account.clock.seconds() >= ends_at, "time stands still")

    def until_all_ended(self) -> None:
        """
        Wait until nothing runs any more, in any environment, and nothing that has ended is about to start something.

        The scenario is over by now, so nobody has to see how a clean-up waits for the end of the window.
        """
        with self._lock:
            self._played = True
            self._pace()
        stages = (self, *self.beside.values())
        try:
            self.until(
                lambda: not any(each._goes_on() for each in stages),
                lambda: "; ".join(filter(None, (each._goes_on() for each in stages))),
            )
        finally:
            self._played = False

    def until_answered(self, enough: Callable[[Sequence[Sample]], bool], otherwise: str) -> None:
        """Wait until the users have got answers that are `enough`."""
        self.until(lambda: enough(self.traffic.so_far()), otherwise)

    def until(self, condition: Callable[[], bool], otherwise: str | Callable[[], str]) -> None:
        """Wait for a condition on what executions or users have done. Raises Stuck, saying `otherwise`."""
        clock = self.account.clock
        given_up = clock.stamp() + self._patience_seconds
        while True:
            self._changed.clear()
            if condition():
                return
            if clock.stamp() > given_up:
                reason = otherwise() if callable(otherwise) else otherwise
                raise Stuck(f"After {self._patience_seconds:.0f} s: {reason}")
            self._changed.wait(min(_LOOK_EVERY_WALL_SECONDS * clock.speed, _LOOK_EVERY_SECONDS))

    def of_machine(self, machine: str) -> list[Execution]:
        """Return the executions of a machine, in the order of their start."""
        known = list(self.executions.values())  # in one step: others may start while we look
        return [each for each in known if each.machine == machine]

    def states_of(self, machine: str) -> dict[str, Any]:
        """Return the states of a machine by name, as its definition in the account has them."""
        arn = self.account.stack.state_machine(machine)
        described = self.account.client("stepfunctions").describe_state_machine(stateMachineArn=arn)
        states: dict[str, Any] = json.loads(described["definition"])["States"]
        return states

    def on_step(self, listener: Callable[[Step], None]) -> None:
        """Call back for every state that is entered."""
        self._listeners.append(listener)

    # -- inside

    def _goes_on(self) -> str:
        """Say what goes on, or "". Looks for others last: the interpreter knows by then what a rule has started."""
        known = list(self.executions.values())
        if running := [f"{each.arn} in {', '.join(each.states[-1:])}" for each in known if not each.ended]:
            return f"executions still run: {'; '.join(running)}"
        if not_delivered := self._not_delivered(known):
            return f"ends are not delivered: {'; '.join(f'{arn} by {rule}' for rule, arn in sorted(not_delivered))}"
        started = {arn for arn in list(self.account.interpreter.executions) if self._is_own(arn)}
        not_told = started - {each.arn for each in known}
        return f"starts are not told: {'; '.join(sorted(not_told))}" if not_told else ""

    def _not_delivered(self, known: Sequence[Execution]) -> set[tuple[str, str]]:
        """Return the rules and the executions whose end they are made for and have not delivered yet."""
        rules = self._rules_on_ends().items()
        expected = {(rule, each.arn) for rule, is_for in rules for each in known if is_for(each)}
        return expected and expected - {
            (delivery.rule, delivery.event.get("detail", {}).get("executionArn"))
            for delivery in list(self.account.events.deliveries)
        }

    def _rules_on_ends(self) -> dict[str, Callable[[Execution], bool]]:
        """Return what tells, for each rule on the status of executions, whether an end is one that it is made for."""
        rules = self.account.client("events").list_rules()["Rules"]
        details = {
            rule["Name"]: json.loads(rule["EventPattern"]).get("detail", {})
            for rule in rules
            if rule["State"] == "ENABLED" and "EventPattern" in rule
        }
        return {name: self._is_for(detail) for name, detail in details.items() if "stateMachineArn" in detail}

    def _is_for(self, detail: dict[str, Any]) -> Callable[[Execution], bool]:
        machines = {self._name_of(arn) for arn in detail["stateMachineArn"]}
        statuses = detail.get("status", _TERMINAL)
        return lambda execution: execution.machine in machines and execution.status in statuses

    def _start(self, machine: str, given: Any, by: Person | None = None) -> Execution:
        states = self.account.client("stepfunctions", by or self.account.people.operator)
        arn = states.start_execution(
            stateMachineArn=self.account.stack.state_machine(machine), input=json.dumps(given)
        )["executionArn"]
        with self._lock:
            return self._execution(arn)

    def _execution(self, arn: str) -> Execution:
        if arn not in self.executions:
            self.executions[arn] = Execution(arn, self._machine(arn))
        return self.executions[arn]

    def _machine(self, execution_arn: str) -> str:
        """Return the machine's name without service and environment: `deploy`, `clean-up`."""
        return self._name_of(execution_arn)

    def _name_of(self, arn: str) -> str:
        return arn.split(":")[6].removeprefix(self._prefix)

    def _is_own(self, execution_arn: str | None) -> bool:
        return str(execution_arn).split(":")[6].startswith(self._prefix)

    def _entered(self, execution_arn: str, state: str, state_type: str, at: datetime) -> None:
        if not self._is_own(execution_arn):
            return
        step = Step(execution_arn, self._machine(execution_arn), state, state_type, at)
        with self._lock:
            execution = self._execution(execution_arn)
            if not execution.ended:
                execution.states.append(state)
            self.steps.append(step)
            self._pace()
        self._changed.set()
        if self.approves and (step.machine, step.state) == ("deploy", _APPROVAL):
            clock = self.account.clock
            clock.thread(self._approve, (execution,), name=f"approver of {execution_arn}", daemon=True).start()
        for listener in self._listeners:
            listener(step)

    def _approve(self, execution: Execution) -> None:
        """Approve a release as it is done by hand: again and again, until the answer is taken."""
        for _ in range(_MOST_ANSWERS):
            self.account.clock.sleep(_THINKS_SECONDS)
            if execution.ended or execution.states[-1:] != [_APPROVAL]:
                return
            self.answer_release(execution, "approve")

    def _status_changed(self, detail: dict[str, Any]) -> None:
        """Statuses and states come on threads of their own: what an execution did is complete when it has ended."""
        if not self._is_own(detail["executionArn"]):
            self._changed.set()
            return
        has_ended = detail["status"] in _TERMINAL
        states = self.account.interpreter.states_entered(detail["executionArn"]) if has_ended else None
        with self._lock:
            execution = self._execution(detail["executionArn"])
            execution.states = states if states is not None else execution.states
            execution.status = detail["status"]
            execution.error, execution.cause = detail["error"], detail["cause"]
            self._pace()
        self._changed.set()

    def _pace(self) -> None:
        """Bakes have speeds of their own: there traffic is what is waited for."""
        state = next((step.state for step in reversed(self.steps) if step.machine not in _ONLY_LOOK_ON), "")
        if self._played and self._only_time_is_missing():
            self.account.clock.pace(self._speeds.idle)
        elif state.startswith(_BAKE):
            is_whole = state == f"{_BAKE}100 %"
            self.account.clock.pace(self._speeds.baking if is_whole else self._speeds.judging)
        elif state:
            self.account.clock.pace(self._speeds.waiting)

    def _only_time_is_missing(self) -> bool:
        running = [each for each in self.executions.values() if not each.ended]
        return bool(running) and all(
            each.machine in _WAIT_FOR_TIME and each.states[-1:] and each.states[-1].startswith("Wait")
            for each in running
        )
