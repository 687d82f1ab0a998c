"""EventBridge: moto keeps and matches the rules; delivery, retries, dead letters and schedules happen here."""

import json
import re
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Literal, Self, cast

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.events import models as moto_events
from moto.events.models import EventsBackend, Rule, events_backends

from rehearsal.clock import Clock
from rehearsal.engine.calls import access_key_of
from rehearsal.engine.event_input import Event, InvalidInput, look_up, paths_of, target_input

RATE = re.compile(r"rate\((?P<count>\d+) (?P<unit>minute|hour|day)s?\)")
UNIT_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}

DEFAULT_RETRY_ATTEMPTS = 185
DEFAULT_EVENT_AGE_SECONDS = 86400
"""https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html"""
FIRST_BACK_OFF_SECONDS, LONGEST_BACK_OFF_SECONDS = 1.0, 600.0
"""AWS says "exponential back off and jitter" without figures: these are ours, without jitter."""

SENDERS = ("lambda", "states", "sns", "sqs")
ARCHIVE = re.compile(r"arn:[^:]+:events:[^:]+:::")
THROTTLING = re.compile(r"Throttl|TooManyRequests|LimitExceeded")
NOT_FOUND = re.compile(r"NotFound|DoesNotExist|NonExistent")


@dataclass(frozen=True)
class Delivery:
    """One event on its way to one target, as it ended."""

    at: float
    """Simulated seconds at which the event came in."""
    rule: str
    target: str
    event: Event
    outcome: Literal["delivered", "dead letter", "dropped", "stopped", "lost"]
    attempts: int
    error: str | None = None
    """EventBridge's code for the last failure, such as NO_RESOURCE."""


@dataclass(frozen=True)
class Late:
    """It is delivered so many simulated seconds after it could have been."""

    seconds: float


Courier = Callable[[str], Literal["twice", "lost"] | Late | None]
"""Is told the rule of a delivery, and says what becomes of it; None: it is delivered as it should be."""


@dataclass(frozen=True)
class _Failure:
    code: str
    message: str
    retriable: bool


class EventBus:
    """
    Delivers to Lambda (asynchronously), Step Functions, SNS and SQS, each delivery on a thread of its own.

    As on AWS nothing is ordered and the sender never learns what became of an event. A target or schedule that we
    cannot serve is refused when the rule is made, so that a rehearsal cannot pass without it. AWS's own events, and
    schedules, are of the default bus; buses of our own have what is put on them, and their archives keep it.
    """

    def __init__(self, clock: Clock, *, account: str, session: boto3.Session) -> None:
        self.deliveries: list[Delivery] = []
        self._couriers: list[Courier] = []
        self._clock = clock
        self._account = account
        self._region = str(session.region_name)
        self._session = session
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str | None], Any] = {}
        self._threads: list[threading.Thread] = []
        self._due: dict[str, float] = {}
        self._rules_changed = clock.event()
        self._stopping = clock.event()
        self._moto = (
            Rule.send_to_targets,
            EventsBackend.put_rule,
            EventsBackend.put_targets,
            vars(moto_events)["unix_time"],
        )

    def install(self) -> None:
        """Take over from moto: events put by user code, new schedules, new targets, and the time of events."""
        bus = self
        _, moto_put_rule, moto_put_targets, _ = self._moto

        def send_to_targets(rule: Rule, original_event: dict[str, Any], **_: object) -> None:
            bus._route(rule, bus._complete(original_event))

        def put_rule(backend: EventsBackend, *args: Any, **kwargs: Any) -> Rule:
            rule = moto_put_rule(backend, *args, **kwargs)
            bus._schedule(rule)
            return rule

        def put_targets(backend: EventsBackend, name: str, event_bus_arn: str | None, targets: list[Any]) -> None:
            for target in targets:
                if not _is_archive(target):
                    check_target(name, target)
            moto_put_targets(backend, name, event_bus_arn, targets)

        Rule.send_to_targets = send_to_targets  # type: ignore[method-assign,assignment]
        EventsBackend.put_rule = put_rule  # type: ignore[method-assign,assignment]
        EventsBackend.put_targets = put_targets  # type: ignore[method-assign,assignment]
        vars(moto_events)["unix_time"] = lambda *_: self._clock.now().timestamp()

    def uninstall(self) -> None:
        """Give back to moto what `install` took over."""
        send_to_targets, put_rule, put_targets, vars(moto_events)["unix_time"] = self._moto
        Rule.send_to_targets = send_to_targets  # type: ignore[method-assign]
        EventsBackend.put_rule = put_rule  # type: ignore[method-assign]
        EventsBackend.put_targets = put_targets  # type: ignore[method-assign]

    def start(self) -> None:
        """Let schedules run. The first tick of `rate(1 minute)` comes a minute after its rule was made."""
        self._start_thread(self._run_schedules, (), "schedules")

    def stop(self) -> None:
        """End schedules and waiting retries; a delivery under way is finished first."""
        self._stopping.set()
        self._rules_changed.set()
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join()

    def __enter__(self) -> Self:
        self.install()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.uninstall()

    def add_courier(self, courier: Courier) -> None:
        """Ask `courier` about every delivery to a target: AWS delivers at least once, and some events at best."""
        self._couriers.append(courier)

    def put(self, event: Event) -> None:
        """Deliver an AWS service's event through the default bus; id, time, account and region are filled in."""
        complete = self._complete(event)
        for rule in list(self._rules().values()):
            self._route(rule, complete)

    def put_later(self, event: Event, seconds: float) -> None:
        """Deliver an event of now so much later, if any rule is made for it by now."""
        complete = self._complete(event)
        if any(_is_for(rule, complete) for rule in list(self._rules().values())):
            self._start_thread(self._put_after, (complete, seconds), f"{event['detail-type']} on its way")

    def _put_after(self, event: Event, seconds: float) -> None:
        if not self._stopping.wait(seconds):
            self.put(event)

    def _complete(self, event: Event) -> Event:
        time = event.get("time", self._clock.now())
        if isinstance(time, int | float):  # moto's own form
            time = datetime.fromtimestamp(time, UTC)
        given = {name: value for name, value in event.items() if name not in ("time", "ingestion-time")}
        return {
            "version": "0",
            "id": str(uuid.uuid4()),
            "account": self._account,
            "time": time if isinstance(time, str) else time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": self._region,
            "resources": [],
        } | given

    def _rules(self) -> dict[str, Rule]:
        return events_backends[self._account][self._region].event_buses["default"].rules

    def _route(self, rule: Rule, event: Event) -> None:
        if _is_for(rule, event):
            self._send_to_all_targets(rule, event)

    def _send_to_all_targets(self, rule: Rule, event: Event) -> None:
        if rule.state == "DISABLED":
            return
        for target in list(rule.targets):
            if _is_archive(target):
                _archive(rule, event)
                continue
            self._start_thread(self._carry, (rule, target, event), f"{rule.name} to {target['Arn']}")

    def _start_thread(self, work: Any, arguments: tuple[Any, ...], name: str) -> None:
        thread = self._clock.thread(work, arguments, name=name, daemon=True)
        with self._lock:
            self._threads = [*filter(threading.Thread.is_alive, self._threads), thread]
            thread.start()

    def _carry(self, rule: Rule, target: Mapping[str, Any], event: Event) -> None:
        """Deliver, or whatever a courier makes of it."""
        for courier in self._couriers:
            match courier(rule.name):
                case "lost":
                    at = self._clock.seconds()
                    self.deliveries.append(Delivery(at, rule.name, target["Arn"], event, "lost", attempts=0))
                    return
                case "twice":
                    self._start_thread(self._deliver, (rule, target, event), f"{rule.name} again to {target['Arn']}")
                case Late(seconds) if self._stopping.wait(seconds):
                    return
        self._deliver(rule, target, event)

    def _deliver(self, rule: Rule, target: Mapping[str, Any], event: Event) -> None:
        """Send until it works, a limit of the retry policy is reached, or nothing can make it work."""
        policy = target.get("RetryPolicy", {})
        most_retries = policy.get("MaximumRetryAttempts", DEFAULT_RETRY_ATTEMPTS)
        at = self._clock.seconds()
        give_up_at = at + policy.get("MaximumEventAgeInSeconds", DEFAULT_EVENT_AGE_SECONDS)
        back_off, attempts, exhausted = FIRST_BACK_OFF_SECONDS, 1, None
        while failure := self._send(rule, target, event):
            if failure.retriable and attempts > most_retries:
                exhausted = "MaximumRetryAttempts"
            elif failure.retriable and self._clock.seconds() + back_off > give_up_at:
                exhausted = "MaximumEventAgeInSeconds"
            if exhausted or not failure.retriable:
                break
            if self._stopping.wait(back_off):
                self.deliveries.append(Delivery(at, rule.name, target["Arn"], event, "stopped", attempts, failure.code))
                return
            back_off, attempts = min(2 * back_off, LONGEST_BACK_OFF_SECONDS), attempts + 1
        if failure is None:
            self.deliveries.append(Delivery(at, rule.name, target["Arn"], event, "delivered", attempts))
            return
        queue_arn = target.get("DeadLetterConfig", {}).get("Arn")
        if queue_arn:
            self._send_dead_letter(queue_arn, rule, target, event, failure, exhausted, attempts - 1)
        outcome: Literal["dead letter", "dropped"] = "dead letter" if queue_arn else "dropped"
        self.deliveries.append(Delivery(at, rule.name, target["Arn"], event, outcome, attempts, failure.code))

    def _send(self, rule: Rule, target: Mapping[str, Any], event: Event) -> _Failure | None:
        try:
            text = target_input(
                target,
                event,
                rule_arn=rule.arn,
                rule_name=rule.name,
                ingestion_time=self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            )
            self._hand_over(target, text, event)
        except InvalidInput as invalid:
            return _Failure("INVALID_JSON", str(invalid), retriable=False)
        except ClientError as refused:
            return _failure(refused)
        return None

    def _hand_over(self, target: Mapping[str, Any], text: str, event: Event) -> None:
        arn = target["Arn"]
        service, name = arn.split(":")[2], arn.rsplit(":", 1)[-1]
        if service == "lambda":
            self._client("lambda").invoke(FunctionName=arn, InvocationType="Event", Payload=text.encode())
        elif service == "states":
            execution = f"{event['id']}_{uuid.uuid4()}"
            states = self._client("stepfunctions", target.get("RoleArn", "none"))
            states.start_execution(stateMachineArn=arn, name=execution, input=text)
        elif service == "sns":
            self._client("sns").publish(TopicArn=arn, Message=text)
        else:
            group = target.get("SqsParameters", {})
            self._client("sqs").send_message(QueueUrl=self._queue_url(name), MessageBody=text, **group)

    def _send_dead_letter(
        self,
        queue_arn: str,
        rule: Rule,
        target: Mapping[str, Any],
        event: Event,
        failure: _Failure,
        exhausted: str | None,
        retries: int,
    ) -> None:
        """Write what https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html promises."""
        attributes = {
            "RULE_ARN": rule.arn,
            "TARGET_ARN": target["Arn"],
            "ERROR_CODE": failure.code,
            "ERROR_MESSAGE": failure.message,
            "RETRY_ATTEMPTS": str(retries),
        }
        if exhausted:
            attributes["EXHAUSTED_RETRY_CONDITION"] = exhausted
        self._client("sqs").send_message(
            QueueUrl=self._queue_url(queue_arn.rsplit(":", 1)[-1]),
            MessageBody=json.dumps(event),
            MessageAttributes={k: {"DataType": "String", "StringValue": v} for k, v in attributes.items()},
        )

    def _queue_url(self, name: str) -> str:
        return str(self._client("sqs").get_queue_url(QueueName=name)["QueueUrl"])

    def _client(self, service: str, role_arn: str | None = None) -> Any:
        """Without the SDK's retries: those of EventBridge are counted and take simulated time. Signs as the role."""
        with self._lock:
            if (service, role_arn) not in self._clients:
                config = Config(retries={"max_attempts": 0})
                key, secret = (access_key_of(role_arn), "rehearsal") if role_arn else (None, None)
                self._clients[service, role_arn] = self._session.client(
                    service, config=config, aws_access_key_id=key, aws_secret_access_key=secret
                )
            return self._clients[service, role_arn]

    def _schedule(self, rule: Rule) -> None:
        if rule.scheduled_expression is None:
            return
        due = self._clock.seconds() + interval_seconds(rule.scheduled_expression)
        with self._lock:
            self._due[rule.name] = due
        self._rules_changed.set()

    def _run_schedules(self) -> None:
        while not self._stopping.is_set():
            self._rules_changed.clear()
            now = self._clock.seconds()
            with self._lock:
                due_now = [name for name, due in self._due.items() if due <= now]
                next_due = min(self._due.values(), default=None)
            for name in due_now:
                self._tick(name)
            if not due_now:
                self._rules_changed.wait(None if next_due is None else next_due - now)

    def _tick(self, name: str) -> None:
        """Fire the schedule once. A tick is late rather than left out: AWS fires each."""
        rule = self._rules().get(name)
        with self._lock:
            if rule is None or rule.scheduled_expression is None:
                del self._due[name]
                return
            self._due[name] += interval_seconds(rule.scheduled_expression)
        event = {"detail-type": "Scheduled Event", "source": "aws.events", "resources": [rule.arn], "detail": {}}
        self._send_to_all_targets(rule, self._complete(event))


def _is_for(rule: Rule, event: Event) -> bool:
    has_pattern = rule.event_pattern.get_pattern()  # moto takes a schedule's missing pattern for one that fits all
    return bool(has_pattern and rule.event_pattern.matches_event(cast(Any, event)))


def _is_archive(target: Mapping[str, Any]) -> bool:
    """Say whether it is what AWS itself, and moto, lets an archive be filled by."""
    return bool(ARCHIVE.fullmatch(target["Arn"]))


def _archive(rule: Rule, event: Event) -> None:
    """Keep it in the archive that the rule, which AWS manages, is of; nobody counts that among the deliveries."""
    archives = events_backends[rule.account_id][rule.region_name].archives
    for archive in archives.values():
        if archive.rule is rule:
            archive.events.append(cast(Any, event))


def check_target(rule_name: str, target: Mapping[str, Any]) -> None:
    """Raise NotImplementedError now for what could not be delivered later."""
    if (service := target["Arn"].split(":")[2]) not in SENDERS:
        raise NotImplementedError(f"Rule {rule_name} has a target of {service}: {target['Arn']}")
    for path in paths_of(target):
        look_up(path, {})


def interval_seconds(expression: str) -> int:
    """Seconds between two ticks of a `rate(…)`; other expressions are not rehearsed yet."""
    rate = RATE.fullmatch(expression)
    if rate is None:
        raise NotImplementedError(f"The rehearsal cannot run a schedule of {expression}")
    return int(rate["count"]) * UNIT_SECONDS[rate["unit"]]


def _failure(refused: ClientError) -> _Failure:
    """AWS retries throttling and server errors; a missing target or permission is given up at once."""
    error = refused.response["Error"]
    code, message = error["Code"], error.get("Message", "")
    if THROTTLING.search(code):
        return _Failure("THROTTLING", message, retriable=True)
    if refused.response["ResponseMetadata"]["HTTPStatusCode"] >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _Failure("ERROR_FROM_TARGET", message, retriable=True)
    if NOT_FOUND.search(code):
        return _Failure("NO_RESOURCE", message, retriable=False)
    if "AccessDenied" in code:
        return _Failure("NO_PERMISSIONS", message, retriable=False)
    return _Failure("SDK_CLIENT_ERROR", message, retriable=False)
