"""What fate can do to an account: throttle it, cut it off, kill what runs in it, hold a request back, lose events."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from moto.events.models import events_backends

from rehearsal.account import Account
from rehearsal.engine.calls import ROLE_KEY, Call, Refusal
from rehearsal.engine.functions import Moment

_THROTTLED = {"lambda": Refusal("TooManyRequestsException", "Rate Exceeded.", status=429)}
_THROTTLING = Refusal("ThrottlingException", "Rate exceeded")
_UNREACHABLE = Refusal("InternalServerError", "Internal server error", status=500)


def throttle(account: Account, seconds: float) -> None:
    """Refuse every request of functions, machines and rules for so many seconds from now."""
    ends_at = account.clock.seconds() + seconds

    def refuse(call: Call) -> Refusal | None:
        throttled = _acts_as_role(call) and account.clock.seconds() < ends_at
        return _THROTTLED.get(call.service, _THROTTLING) if throttled else None

    account.calls.add_interceptor(refuse)


def cut_off(account: Account, service: str, seconds: float) -> None:
    """Let a service, as boto3 names it, answer nothing but failures for so many seconds from now, whoever asks."""
    ends_at = account.clock.seconds() + seconds

    def refuse(call: Call) -> Refusal | None:
        return _UNREACHABLE if call.service == service and account.clock.seconds() < ends_at else None

    account.calls.add_interceptor(refuse)


def cut_off_after(account: Account, function: str, action: str, seconds: float) -> None:
    """
    Let a function, by its name without service and environment, come no further than this request for so many seconds.

    The request works; of what the function then asks for, whatever it is, nothing does.
    """
    name = account.stack.function(function)
    since: list[float] = []

    def notice(call: Call) -> None:
        if not since and (call.caller, call.action) == (name, action):
            since.append(account.clock.seconds())

    def refuse(call: Call) -> Refusal | None:
        is_cut_off = call.caller == name and since and account.clock.seconds() < since[0] + seconds
        return _UNREACHABLE if is_cut_off else None

    account.calls.add_observer(notice)
    account.calls.add_interceptor(refuse)


def _acts_as_role(call: Call) -> bool:
    return call.access_key.startswith(ROLE_KEY)


def throttle_function(account: Account, function: str, times: int) -> None:
    """Refuse the next invocations of a function, by its name without service and environment."""
    name, left = account.stack.function(function), times

    def refuse(call: Call) -> Refusal | None:
        nonlocal left
        if call.service != "lambda" or name not in json.dumps(call.parameters) or left == 0:
            return None
        left -= 1
        return _THROTTLED["lambda"]

    account.calls.add_interceptor(refuse)


class HeldCall:
    """A function's next request of a kind, which is under way until it is let go."""

    def __init__(self, account: Account, function: str, action: str) -> None:
        """`function` is the name without service and environment, `action` as AWS names it."""
        self._function = account.stack.function(function)
        self._action = action
        self._is_held = False
        self._let_go = account.clock.event()
        account.calls.add_journey(self._travel)

    @property
    def is_held(self) -> bool:
        """Say whether the request was sent."""
        return self._is_held

    def let_go(self) -> None:
        """Let it arrive; none after it is held."""
        self._is_held = True
        self._let_go.set()

    def _travel(self, caller: str | None, service: str, action: str) -> None:
        del service
        if not self._is_held and (caller, action) == (self._function, self._action):
            self._is_held = True
            self._let_go.wait()


def kill_every_function(account: Account, moment: Moment) -> None:
    """Let the next invocation of every function end as if its machine had failed."""
    for function in account.functions.names():
        account.functions.kill_next(function, moment)


def kill_applications(account: Account, color: str) -> None:
    """Kill the applications of a color. Their instances live on, so that nobody replaces them."""
    for instance in account.fleet.instances(account.settings.colors[color].auto_scaling_group):
        instance.application.kill()


def lose_status_events(account: Account) -> None:
    """Let no execution's end be heard any more: such events are best effort on AWS."""
    _disable_rules(account, lambda rule: _hears(rule, "aws.states"))


def lose_alarm_events(account: Account) -> None:
    """Let no alarm be heard any more."""
    _disable_rules(account, lambda rule: _hears(rule, "aws.cloudwatch"))


def take_right(account: Account, function: str, action: str) -> None:
    """Take a right from a function's role, as somebody does who tidies up; what else the role may do stays."""
    name = account.stack.function(function)
    _take_right(account, account.client("lambda").get_function_configuration(FunctionName=name)["Role"], action)


def take_right_of_builds(account: Account, work: str, action: str) -> None:
    """Do the same to the role of a project's builds: "plan" or "apply"."""
    project = f"{account.settings.prefix}-{work}"
    (found,) = account.client("codebuild").batch_get_projects(names=[project])["projects"]
    _take_right(account, found["serviceRole"], action)


def _take_right(account: Account, role_arn: str, action: str) -> None:
    iam, role = account.client("iam"), role_arn.rpartition("/")[2]
    for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
        left = [{**each, "Action": _without(action, each["Action"])} for each in document["Statement"]]
        document["Statement"] = [each for each in left if each["Action"]]
        iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(document))


def _without(action: str, actions: str | list[str]) -> list[str]:
    return [each for each in ([actions] if isinstance(actions, str) else actions) if each != action]


def lose_watchdog(account: Account) -> None:
    """Let the watchdog look no more."""
    _disable_rules(account, lambda rule: rule["Name"].endswith("-watchdog"))


def _hears(rule: Mapping[str, Any], source: str) -> bool:
    return source in json.loads(rule.get("EventPattern", "{}")).get("source", [])


def _disable_rules(account: Account, is_meant: Callable[[Mapping[str, Any]], bool]) -> None:
    events = account.client("events")
    for rule in events.list_rules()["Rules"]:
        if is_meant(rule):
            events.disable_rule(Name=rule["Name"])


def deliver_again(account: Account, execution_arn: str) -> None:
    """Deliver the events of an execution's end once more, however old they are."""
    _deliver(account, lambda event: event.get("detail", {}).get("executionArn") == execution_arn)


def turn_alarm_on(account: Account, name: str) -> None:
    """Turn an alarm on by hand, by its name without service and environment, until CloudWatch looks at it again."""
    whole = f"{account.settings.service}-{account.settings.environment}-{name}"
    account.client("cloudwatch").set_alarm_state(AlarmName=whole, StateValue="ALARM", StateReason="Turned on by hand")


def alarms_turned_on(account: Account) -> list[dict[str, str]]:
    """Return what the rule on alarms would give to the rollback machine for each critical alarm that is on."""
    prefix = f"{account.settings.service}-{account.settings.environment}-rolls-back-"
    found = account.client("cloudwatch").describe_alarms(AlarmNamePrefix=prefix, StateValue="ALARM", MaxRecords=100)
    return [
        {
            "source": "alarm",
            "alarm": each["AlarmName"],
            "state": "ALARM",
            "previous_state": "OK",
            "changed_at": each["StateTransitionedTimestamp"].isoformat(),
            "reason": each["StateReason"],
        }
        for each in found["MetricAlarms"]
    ]


def deliver_alarms_again(account: Account) -> None:
    """Deliver every alarm that was heard once more, however old it is."""
    _deliver(account, lambda event: "alarmName" in event.get("detail", {}))


def _deliver(account: Account, is_meant: Callable[[Mapping[str, Any]], bool]) -> None:
    events = {str(delivery.event["id"]): delivery.event for delivery in list(account.events.deliveries)}
    for event in filter(is_meant, events.values()):
        account.events.put(dict(event))


def replay_pushes(account: Account) -> None:
    """Put every push that was on the bus there once more, as an archive does that somebody replays."""
    events = account.client("events")
    archives = events_backends[account.settings.account][account.settings.region].archives
    for archive in list(archives.values()):
        for event in list(archive.events):
            entry = {"Source": event["source"], "DetailType": event["detail-type"]}
            detail = {"Detail": json.dumps(event["detail"]), "EventBusName": archive.event_bus_name}
            events.put_events(Entries=[{**entry, **detail}])


def forget_deliveries(account: Account) -> None:
    """Let nobody remember any more which webhooks came, as it is days later."""
    if account.ingress is None:
        raise LookupError("nobody waits for webhooks here")
    dynamodb, table = account.client("dynamodb"), account.ingress.table()
    for item in dynamodb.scan(TableName=table)["Items"]:
        dynamodb.delete_item(TableName=table, Key={"delivery": item["delivery"]})


def shorten(account: Account, machine: str, seconds: int) -> None:
    """Give a machine less time, as somebody does by mistake in the console; executions that run are not affected."""
    states, arn = account.client("stepfunctions"), account.stack.state_machine(machine)
    definition = json.loads(states.describe_state_machine(stateMachineArn=arn)["definition"])
    states.update_state_machine(stateMachineArn=arn, definition=json.dumps({**definition, "TimeoutSeconds": seconds}))
