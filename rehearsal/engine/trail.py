"""
CloudTrail, as far as EventBridge tells of it: who has started an execution, some minutes after he has.

https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cloud-trail.html
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
"""

import json
from collections.abc import Iterator, Mapping

from rehearsal.clock import Clock
from rehearsal.engine.calls import Call, Reply, access_key_of
from rehearsal.engine.events import EventBus
from rehearsal.engine.people import Person
from rehearsal.engine.template import Resource, Stack

DELAY_SECONDS = 180.0
"""CloudTrail promises nothing. Its records come within five minutes on average, and its events often sooner."""

_TOLD = {("stepfunctions", "StartExecution")}
_ROOT = {"type": "Root", "arn": "arn:aws:iam::000000000000:root"}
"""Whoever signs as nobody that we know."""


class Trail:
    """Puts an event on the bus for each call that it tells of, if a rule is made for one; knows who signs with what."""

    def __init__(self, clock: Clock, events: EventBus, stack: Stack, people: Mapping[str, Person]) -> None:
        self._clock = clock
        self._events = events
        self._identities = {
            **{key: {"type": "AssumedRole", "arn": person.arn} for key, person in people.items()},
            **dict(identity for resource in stack.resources.values() for identity in _identities(resource)),
        }

    def answered(self, call: Call, reply: Reply) -> None:
        """Tell later of a call that has worked."""
        if (call.service, call.action) not in _TOLD or call.error is not None:
            return
        detail = {
            "eventVersion": "1.08",
            "userIdentity": self._identities.get(call.access_key, _ROOT),
            "eventTime": self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            "eventSource": "states.amazonaws.com",
            "eventName": call.action,
            "requestParameters": dict(call.parameters),
            "responseElements": json.loads(reply[2]),
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "readOnly": False,
        }
        event = {"source": "aws.states", "detail-type": "AWS API Call via CloudTrail", "detail": detail}
        self._events.put_later(event, DELAY_SECONDS)


def _identities(resource: Resource) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield by access key as whom a resource signs: a function's code as itself, a service with a role for another."""
    properties = resource.properties
    match resource.type:
        case "AWS::Lambda::Function":
            arn = _session(properties["Role"], resource.physical_id)
            yield access_key_of(resource.physical_id), {"type": "AssumedRole", "arn": arn}
        case "AWS::StepFunctions::StateMachine":
            yield _invoked_by("states", properties["RoleArn"])
        case "AWS::Events::Rule":
            for role in {each["RoleArn"] for each in properties.get("Targets", []) if "RoleArn" in each}:
                yield _invoked_by("events", role)


def _invoked_by(service: str, role: str) -> tuple[str, Mapping[str, str]]:
    service_name = f"{service}.amazonaws.com"
    identity = {"type": "AssumedRole", "arn": _session(role, service), "invokedBy": service_name}
    return access_key_of(role), identity


def _session(role: str, name: str) -> str:
    return Person(name, role, "").arn
