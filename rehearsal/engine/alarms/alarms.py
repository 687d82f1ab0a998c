"""
CloudWatch's alarms: moto keeps them; they are evaluated, and what comes of it is told, here and on the clock.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
moto 5.2.5 evaluates no alarm, begins with OK, tells nobody of a change, knows no composite alarms, and finds alarms by
one condition only, on one page.
"""

import json
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol, Self

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.cloudwatch.exceptions import ValidationError
from moto.cloudwatch.models import Alarm, CloudWatchBackend, cloudwatch_backends
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult, EmptyResult

from rehearsal.clock import Clock
from rehearsal.engine.alarms import composite, telling
from rehearsal.engine.alarms.composite import NoRule, Suppressor, Withheld, name_of
from rehearsal.engine.alarms.evaluation import State, evaluate
from rehearsal.engine.alarms.metric_math import NoExpression
from rehearsal.engine.alarms.watched import (
    STATES,
    CompositeAlarm,
    MetricAlarm,
    Moment,
    Told,
    Values,
    Watched,
    counts_of,
)
from rehearsal.engine.event_input import Event
from rehearsal.world.overlay import Overlay

PHASE_SECONDS = 5.0
"""How long after each minute, or ten seconds, alarms are evaluated. AWS has a phase, too, and tells it to nobody."""

MOST_RECORDS, DEFAULT_RECORDS = 100, 50
"""Of a page of DescribeAlarms: AWS documents the first figure; by the second it answers without MaxRecords."""
MOST_NAMES = 100
"""https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html"""

INITIAL_REASON = "Unchecked: Initial alarm creation"
_EARLY_SECONDS = 1e-3
"""A clock may wake this much too soon."""
_WITHOUT_MEANING = {"AlarmTypes", "MaxRecords", "NextToken"}
"""Parameters of DescribeAlarms that choose no alarm by what it is."""
_UNKNOWN = {
    "EvaluationWindow",
    "WarmUpConfiguration",
    "EvaluationCriteria",
    "EvaluationInterval",
    "ActionConfiguration",
}
"""Parameters that moto would forget, and we do not know."""


class Bus(Protocol):
    """Where events go."""

    def put(self, event: Event) -> None:
        """Deliver an AWS service's event through the default bus."""
        ...


@dataclass(frozen=True)
class Notification:
    """A message of an alarm to a topic."""

    at: float
    """Simulated seconds at which the alarm changed."""
    alarm: str
    state: State
    topic: str
    error: str | None = None
    """AWS's code for why it did not arrive."""


class Alarms:
    """
    Evaluates alarms each minute, those of high resolution every ten seconds, composites when one of theirs changes.

    It waits in no other way than between its rounds. Messages to topics are sent on threads of their own. When an alarm
    cannot be evaluated, none is any more, and whoever asks for alarms is told so: they would all seem to be off.
    """

    def __init__(self, clock: Clock, metrics: Values, events: Bus, *, account: str, session: boto3.Session) -> None:
        self.notifications: list[Notification] = []
        self.failure: Exception | None = None
        self._clock = clock
        self._metrics = metrics
        self._events = events
        self._account = account
        self._region = str(session.region_name)
        self._region_name = _region_name(session, self._region)
        self._session = session
        self._sns: Any = None
        self._lock = threading.RLock()
        self._overlay = Overlay()
        self._metric_alarms: dict[str, MetricAlarm] = {}
        self._composites: dict[str, CompositeAlarm] = {}
        self._counts = counts_of([])
        self._rounds_done: dict[int, int] = {}
        self._has_changed = False
        self._is_stopped = False
        self._woken = clock.event()
        self._thread = clock.rounds(self._run, self._woken, name="alarms")
        self._senders: list[threading.Thread] = []

    def install(self) -> None:
        """Take over from moto, with the alarms that there are, and begin to evaluate."""
        alarms, overlay = self, self._overlay

        def put_composite_alarm(response: CloudWatchResponse) -> EmptyResult:
            return alarms._put_composite(response)

        overlay.wrap(CloudWatchBackend, "put_metric_alarm", self._put)
        overlay.wrap(CloudWatchBackend, "delete_alarms", self._delete)
        overlay.wrap(CloudWatchBackend, "set_alarm_state", self._set_state)
        overlay.wrap(CloudWatchResponse, "put_metric_alarm", _refusing_unknown)
        overlay.wrap(CloudWatchResponse, "describe_alarms", self._describe)
        overlay.replace(CloudWatchResponse, "put_composite_alarm", put_composite_alarm)
        self._sns = self._session.client("sns", config=Config(retries={"max_attempts": 0}))
        for alarm in list(self._backend.alarms.values()):
            self._watch(alarm, None)
        self._thread.start()

    def uninstall(self) -> None:
        """Evaluate no more; a message under way is sent first. Give CloudWatch back to moto."""
        self._is_stopped = True
        self._woken.set()
        self._thread.join()
        for sender in self._senders:
            sender.join()
        self._overlay.uninstall()

    def __enter__(self) -> Self:
        self.install()
        return self

    def __exit__(self, *_: object) -> None:
        self.uninstall()

    def assume_well(self, *, until: datetime) -> None:
        """
        Take the account for one in which all has been well for long, and is until then; nobody is told.

        Else alarms that take missing data for bad, or fill it with what is, would be on until somebody has measured
        for some minutes, as they are on AWS after they have been made.
        """
        now = self._clock.now()
        with self._lock:
            for watched in (*self._metric_alarms.values(), *self._composites.values()):
                watched.told = Told("OK", "The rehearsal takes all to have been well until now", None, now)
                if isinstance(watched, MetricAlarm):
                    watched.well_until = until
                    watched.seen = None
                self._keep(watched)

    def state(self, name: str) -> State:
        """Tell the state of an alarm as it is now. Raises KeyError for one that there is not."""
        return (self._metric_alarms.get(name) or self._composites[name]).told.value

    @property
    def _backend(self) -> CloudWatchBackend:
        return cloudwatch_backends[self._account][self._region]

    # -- alarms come and go

    def _put(self, original: Callable[..., Alarm], backend: CloudWatchBackend, *args: Any, **kwargs: Any) -> Alarm:
        with self._lock:
            before = dict(backend.alarms)
            alarm = original(backend, *args, **kwargs)
            try:
                _check_actions(alarm)
                if alarm.rule is None:
                    self._watch(alarm, self._metric_alarms.get(alarm.name))
            except (NotImplementedError, NoExpression) as error:
                backend.alarms = before
                if isinstance(error, NoExpression):
                    raise ValidationError(f"Error in expression: {error}") from error
                raise
            return alarm

    def _put_composite(self, response: CloudWatchResponse) -> EmptyResult:
        asked = response._get_params()
        if unknown := asked.keys() & _UNKNOWN:
            raise NotImplementedError(f"the rehearsal does not know {sorted(unknown)} of a composite alarm")
        name = asked["AlarmName"]
        try:
            rule = composite.parse(asked["AlarmRule"])
        except NoRule as error:
            raise ValidationError(f"AlarmRule is not valid: {error}") from error
        suppressor = _suppressor(asked)
        with self._lock:
            needed = {*rule.alarms, *([suppressor.alarm] if suppressor else [])}
            if missing := needed - self._backend.alarms.keys():
                raise ValidationError(f"AlarmRule must not contain unknown alarms: {sorted(missing)}")
            before = self._composites.get(name)
            alarm = self._backend.put_metric_alarm(**_as_moto_keeps(asked))
            told = before.told if before else self._initial(alarm)
            self._metric_alarms.pop(name, None)
            self._composites[name] = watched = CompositeAlarm(alarm, told, rule, suppressor)
            if suppressor is not None:
                vars(alarm).update(
                    actions_suppressor=suppressor.alarm,
                    actions_suppressor_wait_period=suppressor.wait_seconds,
                    actions_suppressor_extension_period=suppressor.extension_seconds,
                )
            self._keep(watched)
            self._has_changed = True
        self._woken.set()
        return EmptyResult()

    def _delete(self, original: Callable[..., None], backend: CloudWatchBackend, alarm_names: Sequence[str]) -> None:
        with self._lock:
            original(backend, alarm_names)
            for name in alarm_names:
                self._metric_alarms.pop(name, None)
                self._composites.pop(name, None)
            self._counts = counts_of(self._metric_alarms.values())

    def _watch(self, alarm: Alarm, before: MetricAlarm | None) -> None:
        """Begin with a metric alarm; one that is only put anew keeps its state."""
        watched = MetricAlarm.of(alarm, before.told if before else self._initial(alarm))
        self._metric_alarms[alarm.name] = watched
        self._counts = counts_of(self._metric_alarms.values())
        alarm.configuration_updated_timestamp = self._clock.now()
        self._keep(watched)
        self._woken.set()

    def _initial(self, alarm: Alarm) -> Told:
        alarm.configuration_updated_timestamp = self._clock.now()
        return Told("INSUFFICIENT_DATA", INITIAL_REASON, None, self._clock.now())

    def _set_state(
        self,
        original: Callable[..., None],
        backend: CloudWatchBackend,
        alarm_name: str,
        reason: str,
        reason_data: str | None,
        state_value: str,
    ) -> None:
        """Set it until it is evaluated again, a composite until one of its alarms changes."""
        with self._lock:
            original(backend, alarm_name, reason, reason_data, state_value)
            watched = self._metric_alarms.get(alarm_name) or self._composites[alarm_name]
            if isinstance(watched, MetricAlarm):
                watched.seen = None
            [state] = [known for known in STATES if known == state_value]
            self._tell(watched, state, reason, reason_data)
            self._settle()
        self._woken.set()

    # -- evaluation

    def _run(self) -> Generator[float | None]:
        while not self._is_stopped:
            self._woken.clear()
            try:
                self._evaluate()
                with self._lock:
                    self._settle()
            except Exception as failure:
                self.failure = failure
                raise
            yield self._seconds_to_next_round()

    def _evaluate(self) -> None:
        """Evaluate those alarms for which it is time."""
        with self._lock:
            alarms, counts = list(self._metric_alarms.values()), self._counts
        due = {step for step in {alarm.step_seconds for alarm in alarms} if self._is_due(step)}
        if not due:
            return
        moment = Moment(self._metrics, self._clock.now(), counts)
        for watched in alarms:
            if watched.step_seconds in due:
                self._judge(watched, moment)

    def _is_due(self, step: int) -> bool:
        """Say whether a step has begun since it was asked last."""
        number = int((self._clock.now().timestamp() - PHASE_SECONDS + _EARLY_SECONDS) // step)
        is_due = number != self._rounds_done.get(step)
        self._rounds_done[step] = number
        return is_due

    def _seconds_to_next_round(self) -> float | None:
        """Tell when to look again; None if there is nothing to look at."""
        since_phase = self._clock.now().timestamp() - PHASE_SECONDS
        now = self._clock.seconds()
        waits = [step - since_phase % step for step in {each.step_seconds for each in self._metric_alarms.values()}]
        withheld = [each.told.withheld for each in self._composites.values()]
        waits += [max(0.0, each.until - now) for each in withheld if each and each.until is not None]
        return min(waits, default=None)

    def _judge(self, watched: MetricAlarm, moment: Moment) -> None:
        window = watched.window(moment)
        if window is None:
            return
        state = evaluate(window, watched.conditions)
        with self._lock:
            is_current = self._metric_alarms.get(watched.alarm.name) is watched
            if state is None or state == watched.told.value or not is_current:
                return
            begins = moment.periods(watched.period, watched.conditions.range)
            reason = telling.reason_of(state, window, begins, watched.conditions)
            data = telling.reason_data_of(watched, window, begins, moment.now)
            self._tell(watched, state, reason, data)

    def _settle(self) -> None:
        """Judge composites until none changes any more, and take actions that have been kept back long enough."""
        while self._has_changed:
            self._has_changed = False
            for watched in list(self._composites.values()):
                self._look_at_suppressor(watched)
                self._judge_composite(watched)
        for watched in list(self._composites.values()):
            withheld = watched.told.withheld
            if withheld is not None and withheld.is_over(self._clock.seconds() + _EARLY_SECONDS):
                self._withhold(watched, None)

    def _judge_composite(self, watched: CompositeAlarm) -> None:
        seen = tuple(self._state_of(name) for name in watched.rule.alarms)
        if seen == watched.seen:
            return
        is_first, watched.seen = watched.seen is None, seen
        state: State = "ALARM" if watched.rule.holds(self._state_of) else "OK"
        if state != watched.told.value:
            child = None if is_first else self._children(watched)[0]
            reason = telling.reason_of_composite(watched, state, child)
            data = telling.reason_data_of_composite([child] if child else self._children(watched))
            self._tell(watched, state, reason, data)

    def _look_at_suppressor(self, watched: CompositeAlarm) -> None:
        if watched.suppressor is None:
            return
        is_on = self._state_of(watched.suppressor.alarm) == "ALARM"
        if is_on != watched.was_suppressor_on and watched.told.withheld is not None:
            now = self._clock.seconds()
            self._withhold(
                watched,
                composite.after_suppressor(watched.told.withheld, watched.suppressor, is_on=is_on, now=now),
            )
        watched.was_suppressor_on = is_on

    def _state_of(self, name: str) -> State:
        """Tell an alarm's state; one that has been deleted has none that could be known."""
        watched = self._metric_alarms.get(name) or self._composites.get(name)
        return watched.told.value if watched else "INSUFFICIENT_DATA"

    def _children(self, watched: CompositeAlarm) -> list[tuple[Alarm, datetime]]:
        """Return the alarms of its rule with when they changed, the last one first."""
        found = [self._metric_alarms.get(name) or self._composites.get(name) for name in watched.rule.alarms]
        children = [(each.alarm, each.told.at) for each in found if each is not None]
        return sorted(children, key=lambda child: child[1], reverse=True)

    # -- what comes of it

    def _tell(self, watched: Watched, state: State, reason: str, data: str | None) -> None:
        """Let an alarm be in a state; if that is another one, tell of it and act."""
        before = watched.told
        watched.told = Told(state, reason, data, self._clock.now(), before.withheld)
        if state == before.value:
            watched.told.at = before.at
            self._keep(watched)
            return
        self._has_changed = True
        if isinstance(watched, CompositeAlarm) and watched.suppressor is not None:
            is_on = self._state_of(watched.suppressor.alarm) == "ALARM"
            watched.change_withheld_from = before.value
            now = self._clock.seconds()
            watched.told.withheld = composite.after_transition(watched.suppressor, is_on=is_on, now=now)
        self._keep(watched)
        self._events.put(telling.event_of(watched, before))
        if watched.told.withheld is None:
            self._act(watched, before.value)

    def _withhold(self, watched: CompositeAlarm, withheld: Withheld | None) -> None:
        """Go on keeping actions back, by something else; or act at last."""
        watched.told.withheld = withheld
        self._keep(watched)
        if withheld is None:
            self._act(watched, watched.change_withheld_from)

    def _keep(self, watched: Watched) -> None:
        """Let moto tell it who asks."""
        alarm, told = watched.alarm, watched.told
        alarm.state_value, alarm.state_reason = told.value, told.reason
        alarm.state_reason_data = told.data
        alarm.state_updated_timestamp = told.at
        vars(alarm).update(
            state_transitioned_timestamp=told.at,
            actions_suppressed_by=told.withheld and told.withheld.by,
            actions_suppressed_reason=told.withheld and told.withheld.reason,
        )

    def _act(self, watched: Watched, before: State) -> None:
        alarm, state = watched.alarm, watched.told.value
        if not alarm.actions_enabled:
            return
        children = self._children(watched)[:1] if isinstance(watched, CompositeAlarm) else []
        message = telling.message_of(watched, before, children, account=self._account, region_name=self._region_name)
        subject = telling.subject_of(watched, self._region_name)
        for topic in _actions(alarm)[state]:
            sending = (Notification(self._clock.seconds(), alarm.name, state, topic), subject, json.dumps(message))
            sender = self._clock.thread(self._send, sending, name=f"{alarm.name} to {topic}", daemon=True)
            self._senders = [*filter(threading.Thread.is_alive, self._senders), sender]
            sender.start()

    def _send(self, notification: Notification, subject: str, message: str) -> None:
        try:
            self._sns.publish(TopicArn=notification.topic, Subject=subject, Message=message)
        except ClientError as refused:
            notification = replace(notification, error=str(refused.response["Error"]["Code"]))
        self.notifications.append(notification)

    # -- DescribeAlarms

    def _describe(self, original: object, response: CloudWatchResponse) -> ActionResult:
        """
        Find alarms by all that is asked for, by name in order, composites only if AlarmTypes names them.

        https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html
        """
        del original
        if self.failure is not None:
            raise NotImplementedError(f"alarms are evaluated no more: {self.failure}") from self.failure
        asked = {name: value for name, value in response._get_params().items() if value is not None}
        if unknown := asked.keys() & {"ChildrenOfAlarmName", "ParentsOfAlarmName"}:
            raise NotImplementedError(f"the rehearsal does not find alarms by {sorted(unknown)}")
        if asked.get("AlarmNames") and asked.keys() - _WITHOUT_MEANING - {"AlarmNames", "StateValue"}:
            raise ValidationError("AlarmNames cannot be used together with AlarmNamePrefix or ActionPrefix")
        if len(asked.get("AlarmNames", ())) > MOST_NAMES:
            raise ValidationError(f"AlarmNames must have no more than {MOST_NAMES} members")
        most = int(asked.get("MaxRecords") or DEFAULT_RECORDS)
        if not 1 <= most <= MOST_RECORDS:
            raise ValidationError(f"MaxRecords must be between 1 and {MOST_RECORDS}")
        after = asked.get("NextToken", "")
        found = sorted(
            (alarm for alarm in self._backend.alarms.values() if alarm.name > after and _is_wanted(alarm, asked)),
            key=lambda alarm: alarm.name,
        )
        page = found[:most]
        more = {"NextToken": page[-1].name} if len(found) > most else {}
        metric_alarms = [alarm for alarm in page if alarm.rule is None]
        composites = [alarm for alarm in page if alarm.rule is not None]
        return ActionResult({"MetricAlarms": metric_alarms, "CompositeAlarms": composites, **more})


def _is_wanted(alarm: Alarm, asked: dict[str, Any]) -> bool:
    kind = "MetricAlarm" if alarm.rule is None else "CompositeAlarm"
    return (
        kind in (asked.get("AlarmTypes") or ["MetricAlarm"])
        and (not asked.get("AlarmNames") or alarm.name in asked["AlarmNames"])
        and alarm.name.startswith(asked.get("AlarmNamePrefix", ""))
        and alarm.state_value == asked.get("StateValue", alarm.state_value)
        and ("ActionPrefix" not in asked or any(each.startswith(asked["ActionPrefix"]) for each in _all_actions(alarm)))
    )


def _suppressor(asked: dict[str, Any]) -> Suppressor | None:
    if not asked.get("ActionsSuppressor"):
        return None
    try:
        wait, extension = asked["ActionsSuppressorWaitPeriod"], asked["ActionsSuppressorExtensionPeriod"]
    except KeyError as missing:
        raise ValidationError(f"{missing.args[0]} is required with ActionsSuppressor") from missing
    return Suppressor(name_of(asked["ActionsSuppressor"]), int(wait), int(extension))


def _as_moto_keeps(asked: dict[str, Any]) -> dict[str, Any]:
    """Make of a composite alarm what moto keeps both kinds of alarms as."""
    unused = ("namespace", "metric_name", "comparison_operator", "evaluation_periods", "period", "threshold")
    return dict.fromkeys((*unused, "statistic")) | {
        "name": asked["AlarmName"],
        "description": asked.get("AlarmDescription"),
        "dimensions": [],
        "rule": asked["AlarmRule"],
        "alarm_actions": asked.get("AlarmActions", []),
        "ok_actions": asked.get("OKActions", []),
        "insufficient_data_actions": asked.get("InsufficientDataActions", []),
        "actions_enabled": asked.get("ActionsEnabled", True),
        "tags": asked.get("Tags", []),
    }


def _refusing_unknown(original: Callable[..., Any], response: CloudWatchResponse) -> Any:
    if unknown := response._get_params().keys() & _UNKNOWN:
        raise NotImplementedError(f"the rehearsal does not know {sorted(unknown)} of an alarm")
    return original(response)


def _actions(alarm: Alarm) -> dict[State, list[str]]:
    return {
        "OK": alarm.ok_actions,
        "ALARM": alarm.alarm_actions,
        "INSUFFICIENT_DATA": alarm.insufficient_data_actions,
    }


def _all_actions(alarm: Alarm) -> Iterable[str]:
    return (action for actions in _actions(alarm).values() for action in actions)


def _check_actions(alarm: Alarm) -> None:
    """Raise NotImplementedError now for what could not be done later."""
    for action in _all_actions(alarm):
        if action.split(":")[2:3] != ["sns"]:
            raise NotImplementedError(f"the alarm {alarm.name} has an action other than a topic: {action}")


def _region_name(session: boto3.Session, region: str) -> str:
    """Name a region as messages do: `EU (Ireland)`."""
    [partition, *_] = session._session.get_data("endpoints")["partitions"]
    name = partition["regions"].get(region, {}).get("description", region)
    return str(name).replace("Europe (", "EU (")
