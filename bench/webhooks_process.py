"""
A process in which the shipped rules judge one webhook after the other, on one core, and which tells how long each took.

    webhooks_process.py <folder of the shipped code> < what is sent, as JSON

What is sent is, by a name, {"body", "signature"}, the latter empty for none; "webhooks" is how many of each in a round.
Its output is JSON: by the name, the seconds of one webhook in each round, and what was answered. This file is a script
that must not find our packages, but those that ship.
"""

import json
import sys
import time
from collections.abc import Mapping
from importlib import import_module
from typing import Any

_NOW_MILLISECONDS = 1772445605000


def event(body: str, signature: str) -> dict[str, Any]:
    """Return what Lambda makes of a request to the function URL."""
    return {
        "headers": {
            "content-type": "application/json",
            "x-github-event": "push",
            "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
            **({"x-hub-signature-256": signature} if signature else {}),
        },
        "requestContext": {"http": {"method": "POST"}, "timeEpoch": _NOW_MILLISECONDS},
        "body": body,
        "isBase64Encoded": False,
    }


class Receiver:
    """The shipped rules, with these secrets, and settings that want these pushes."""

    def __init__(self, secrets: list[str], wanted: Mapping[str, Any]) -> None:
        self.rules = import_module("lambdas.github.webhook_rules")
        self.secrets = [each.encode() for each in secrets]
        self.wanted = self.rules.Subscription(wanted["repository_id"], tuple(wanted["refs"]))

    def receive(self, given: Mapping[str, Any]) -> str:
        """Judge one webhook, as the function does before it asks AWS; return what goes on the bus, or the verdict."""
        request = self.rules.WebhookRequest.from_event(given)
        refusal = self.rules.why_refused_unread(request)
        outcome = refusal or self.rules.judge(request, self.secrets, self.wanted)
        if isinstance(outcome, self.rules.Push):
            return json.dumps(outcome.detail()) + request.digest
        return str(outcome.verdict.value)


def seconds_of(receiver: Receiver, given: Mapping[str, Any], count: int) -> float:
    """Return how long one of so many took, in seconds of the processor and not of the clock."""
    began = time.process_time()
    for _ in range(count):
        receiver.receive(given)
    return (time.process_time() - began) / count


def main(code: str) -> None:
    """Read what is sent, and print how long it took, round by round."""
    given = json.load(sys.stdin)
    sys.path.insert(0, code)
    receiver = Receiver(given["secrets"], given["wanted"])
    events = {name: event(**sent) for name, sent in given["sent"].items()}
    found: dict[str, list[float]] = {name: [] for name in events}
    for _ in range(given["rounds"]):
        for name, each in events.items():
            found[name].append(seconds_of(receiver, each, given["webhooks"][name]))
    answers = {name: receiver.receive(each) for name, each in events.items()}
    json.dump({"seconds": found, "answers": answers}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
