"""How many webhooks of GitHub a core can judge: signed ones, and those of somebody who floods the address."""

import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from bench.findings import TIMED, Benchmark, Findings, Goal, Plan, Raw, Table, in_kilobytes, timed
from bench.measure import CannotMeasure, Spread
from bench.shipped import answer_of, functions_of
from rehearsal.settings import Settings

HOW = """
One process on one core lets the shipped rules judge one webhook after the other, as `receive-webhook` does before it
asks AWS for anything: from what Lambda hands over to the detail of the event that goes on the bus. Two secrets are
tried, as while one replaces the other. Time is the processor's, so that others on the machine do not count. What the
function asks of AWS afterwards is left out: it waits for that, and a forged webhook never gets there.
""".strip()

_SCRIPT = Path(__file__).with_name("webhooks_process.py")
_ENVIRONMENT, _INGRESS, _FUNCTION = "production", "ingress", "receive-webhook"
_SECRETS = ("a secret of the webhook", "the secret that replaces it")
_USUAL, _LARGE, _LARGEST = "a push of one commit", "a push of 100 commits", "the largest push that is looked at"
_FORGED = "a forged one, as large as a push of one commit"
_FLOOD = "a forged one, as large as the largest"
_UNSIGNED = "one without a signature"
_KB = 1024
_SMALL, _HUGE = 8 * _KB, _KB * _KB
_SIZES = {_USUAL: _SMALL, _LARGE: 120 * _KB, _LARGEST: _HUGE, _FORGED: _SMALL, _FLOOD: _HUGE, _UNSIGNED: _SMALL}
_WEBHOOKS = {_USUAL: 2000, _LARGE: 300, _LARGEST: 40, _FORGED: 4000, _FLOOD: 100, _UNSIGNED: 4000}
_LEAST_A_SECOND = 1000


def push_of(size: int, repository_id: int, ref: str) -> str:
    """Return a push as GitHub tells of it, with as many commits as fill so many bytes."""
    commit = "4f2c1e9" + "0" * 33
    said = {
        "id": commit,
        "message": "Say what a receipt was for\n\n" + "Why it was not said before. " * 8,
        "timestamp": "2026-03-02T10:00:00+01:00",
        "url": f"https://github.com/your-org/receipt-vault/commit/{commit}",
        "author": {"name": "Ada", "email": "ada@example.com", "username": "ada"},
        "modified": ["src/receipts/describe.py", "tests/receipts/test_describe.py"],
    }
    api = "https://api.github.com/repos/your-org/receipt-vault"
    links = {f"link_{number}_url": f"{api}/{number}" for number in range(45)}
    given: dict[str, Any] = {
        "ref": ref,
        "before": "9e1c2f4" + "0" * 33,
        "after": commit,
        "repository": {"id": repository_id, "full_name": "your-org/receipt-vault", "pushed_at": 1772445603, **links},
        "sender": {"login": "ada", "id": 21031067, **links},
        "created": False,
        "deleted": False,
        "forced": False,
        "compare": "https://github.com/your-org/receipt-vault/compare/9e1c2f400000...4f2c1e900000",
        "commits": [],
        "head_commit": said,
    }
    left = size - len(json.dumps(given))
    given["commits"] = [said] * (left // (len(json.dumps(said)) + 2))
    text = json.dumps(given)
    return text + " " * (size - len(text))


def measure(plan: Plan) -> Raw:
    """Let the shipped code judge webhooks of all kinds in turn."""
    settings = replace(Settings.read(_ENVIRONMENT), environment=_INGRESS)
    shipped = {each.name: each for each in functions_of(plan.assembly, settings)}
    if _FUNCTION not in shipped:
        raise CannotMeasure(f"{plan.assembly} has no {_FUNCTION}: `make synth` builds it.")
    wanted = json.loads(shipped[_FUNCTION].version.environment["INGRESS"])
    bodies = {name: push_of(size, wanted["repository_id"], wanted["refs"][0]) for name, size in _SIZES.items()}
    plan.say(f"{plan.rounds} rounds of {sum(_WEBHOOKS.values()):,} webhooks")
    given = {
        "secrets": _SECRETS,
        "wanted": {name: wanted[name] for name in ("repository_id", "refs")},
        "sent": {name: {"body": body, "signature": _signature(name, body)} for name, body in bodies.items()},
        "webhooks": _WEBHOOKS,
        "rounds": plan.rounds,
    }
    found = answer_of(_SCRIPT, shipped[_FUNCTION], given)
    expected = {name: name in {_USUAL, _LARGE, _LARGEST} for name in bodies}
    for name, answer in found["answers"].items():
        if answer.startswith("{") is not expected[name]:
            raise CannotMeasure(f"The shipped code answers {name} with {answer[:40]!r}.")
    return {"bytes": {name: len(body) for name, body in bodies.items()}, "seconds": found["seconds"]}


def _signature(name: str, body: str) -> str:
    """Sign with the secret that is tried last; or as somebody would who does not know it, or not at all."""
    if name == _UNSIGNED:
        return ""
    secret = "a guess" if name in {_FORGED, _FLOOD} else _SECRETS[-1]
    return "sha256=" + hmac.new(secret.encode(), body.encode(), sha256).hexdigest()


def findings(raw: Raw) -> Findings:
    """Say how long one takes, and how many that makes in a second."""
    seconds: Mapping[str, Sequence[float]] = raw["seconds"]
    usual = a_second(seconds[_USUAL])
    return Findings(
        tables=[
            Table(
                "One webhook, on one core",
                ("webhook", "size", "a second", *TIMED),
                [
                    [name, in_kilobytes(raw["bytes"][name]), f"{a_second(each):,.0f}", *timed(each)]
                    for name, each in seconds.items()
                ],
            )
        ],
        goals=[
            Goal(
                f"a core judges at least {_LEAST_A_SECOND:,} pushes of one commit a second",
                f"{usual:,.0f}",
                usual >= _LEAST_A_SECOND,
            )
        ],
    )


def a_second(seconds: Sequence[float]) -> float:
    """Return how many there are in a second, by the median."""
    return 1 / Spread.of(seconds).median


BENCHMARK = Benchmark("webhooks", "Webhooks", HOW, rounds=5, measure=measure, findings=findings)
