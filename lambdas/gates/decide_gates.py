"""Decide from all results whether a release goes on, waits or is refused, and write them into its request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import environ
from typing import Any, Self

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import client
from lambdas.gates.gate_rules import Decision, GateSettings, Look, Verdict, all_results, decide, plain
from lambdas.observability import step
from lambdas.release.record import ReleaseRecord
from lambdas.release.request_rules import GateResult, ReleaseAsked, RequestOutcome, from_dicts
from lambdas.release.requests import Requests
from lambdas.release.rules import explain_failure


@dataclass(frozen=True)
class Settings:
    """What this function is told by its environment."""

    environment: str
    table: str
    gates: GateSettings


settings = Settings(environ["ENVIRONMENT"], environ["RECORD_TABLE"], GateSettings.from_json(environ["GATES"]))
requests = Requests(ReleaseRecord(client("dynamodb"), settings.table, settings.environment))


@dataclass(frozen=True)
class Asked:
    """What is asked for, by whom, and what three functions have found: their results, or why there are none."""

    request: ReleaseAsked
    since: str
    now: str
    found: tuple[GateResult, ...]
    problems: tuple[str, ...]

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Self:
        """Read what `lambda_handler` is given."""
        looks: Sequence[Mapping[str, Any]] = [each["look"] for each in event["looks"]]
        return cls(
            request=ReleaseAsked(
                release_id=event["release_id"],
                version=event["version"],
                execution=event["execution"],
                asked_at=event["asked_at"],
                pushed_by=event["pushed_by"],
                emergency=event["emergency"],
                skipped=tuple(event["emergency_skips"]),
            ),
            since=event["since"],
            now=event["now"],
            found=tuple(result for each in looks for result in from_dicts(each.get("results", ()))),
            problems=tuple(explain_failure(each["failure"]) for each in looks if each.get("failure")),
        )


@step
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """
    Read what is asked for and what was found.

    That is {"version", "release_id", "execution", "asked_at", "pushed_by", "emergency", "emergency_skips", "since":
    when the first look began, "looks": [{"look": {"results"} or {"failure": of a Catch}}], "now"}.

    Return {"verdict", "reason", "again_at", "summary", "warnings": those gates in spite of which it goes on, or ""}.
    """
    decision = decide_gates(Asked.from_event(event))
    return {**plain(decision), "warnings": "\n".join(each.line for each in decision.warnings)}


def decide_gates(asked: Asked) -> Decision:
    """
    Decide, and keep all results in the request's item, with its end if it is refused. Safe to repeat.

    A gate of settings of which no result has come is an error.
    """
    request = asked.request
    results = all_results(settings.gates, asked.found, asked.problems, request.skipped)
    decision = decide(Look(asked.since, asked.now, request.skipped, results), settings.gates)
    decided = replace(request, gates=decision.results, verdict=decision.verdict.value, reason=decision.reason)
    requests.note(replace(decided, decided_at=asked.now))
    if decision.verdict is Verdict.REFUSE:
        requests.end(request.release_id, RequestOutcome.REFUSED, decision.reason)
    return decision
