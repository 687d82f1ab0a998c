"""What is decided of three functions' results, and what the record keeps of it."""

from typing import Any

import pytest

from lambdas.gates import decide_gates as function
from lambdas.release.record import ReleaseRecord
from lambdas.release.request_rules import GateStatus, ReleaseAsked, RequestOutcome
from lambdas.release.requests import Requests
from tests.builders import DEPLOYMENT, GATES, NEW_VERSION, at

RELEASE = "2222222-abcd"
OF_COMMIT = ("commit_checks.tests", "commit_checks.benchmarks", "coverage", "artifact", "validated", "plan_reviewed")
OF_FOUNDATIONS = ("backup", "alarms", "certificate", "dns", "cdn")
OF_OPERATIONS = ("change_window", "maintenance", "on_call")


@pytest.fixture(autouse=True)
def requests(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> Requests:
    requests = Requests(record)
    monkeypatch.setattr(function, "requests", requests)
    return requests


def looks(**other: str) -> list[dict[str, Any]]:
    """Return what three functions answer: that all is well, but for the gates that are named."""
    return [
        {"results": [_result(gate, other.get(gate.rpartition(".")[2], "passed")) for gate in gates]}
        for gates in (OF_COMMIT, OF_FOUNDATIONS, OF_OPERATIONS)
    ]


def _result(gate: str, status: str) -> dict[str, str]:
    return {"gate": gate, "level": GATES["levels"][gate], "status": status, "detail": f"{gate} is {status}."}


def decide(found: list[dict[str, Any]] | None = None, *, now: str = at(1), **more: Any) -> dict[str, Any]:
    event = {
        "version": NEW_VERSION,
        "release_id": RELEASE,
        "execution": DEPLOYMENT,
        "asked_at": at(0),
        "pushed_by": "zoe",
        "emergency": "",
        "emergency_skips": [],
        "since": at(0),
        "looks": [{"look": each} for each in (looks() if found is None else found)],
        "now": now,
        **more,
    }
    answer: dict[str, Any] = function.lambda_handler.__wrapped__(event, None)
    return answer


def kept(requests: Requests) -> ReleaseAsked:
    found = requests.of(RELEASE)
    assert found is not None
    return found


def test_release_goes_on_and_all_results_are_kept(requests: Requests) -> None:
    assert decide()["verdict"] == "go"
    found = kept(requests)
    assert [each.gate for each in found.gates] == list(GATES["levels"])
    assert (found.pushed_by, found.verdict, found.outcome) == ("zoe", "go", None)


def test_warning_is_told() -> None:
    answer = decide(looks(cdn="failed"))
    assert (answer["verdict"], answer["warnings"]) == ("go", "cdn (warn): failed - cdn is failed.")


def test_function_that_died_is_no_pass(requests: Requests) -> None:
    """It is looked at again for a while; then the release is refused."""
    failure = {"Error": "Sandbox.Timedout", "Cause": '{"errorMessage": "after 25 s"}'}
    found = [*looks()[:1], {"failure": failure}, *looks()[2:]]
    assert decide(found)["verdict"] == "wait"
    assert decide(found, now=at(6))["verdict"] == "refuse"
    assert {each.gate for each in kept(requests).gates if each.status is GateStatus.ERROR} == set(OF_FOUNDATIONS)
    assert "Sandbox.Timedout: after 25 s" in kept(requests).reason


def test_all_three_functions_may_die() -> None:
    failure = {"failure": {"Error": "Lambda.Unknown", "Cause": "no JSON"}}
    assert decide([failure, failure, failure], now=at(9))["verdict"] == "refuse"


def test_refused_request_has_ended_as_that(requests: Requests) -> None:
    answer = decide(looks(tests="failed", backup="failed"))
    found = kept(requests)
    assert (answer["verdict"], found.outcome) == ("refuse", RequestOutcome.REFUSED)
    for gate in ("commit_checks.tests is failed.", "backup is failed."):
        assert gate in found.reason


def test_repeated_decision_changes_nothing(requests: Requests) -> None:
    first = decide(looks(tests="failed"))
    before = kept(requests)
    assert decide(looks(tests="failed")) == first
    assert kept(requests) == before


def test_release_that_waits_has_not_ended(requests: Requests) -> None:
    assert decide(looks(tests="pending"))["again_at"] == "2026-03-01T10:02:00Z"
    assert kept(requests).outcome is None


def test_emergency_is_kept_with_its_reason_and_what_it_skips(requests: Requests) -> None:
    skips = {"emergency": "checkout is down", "emergency_skips": ["change_window", "tests"]}
    assert decide(looks(change_window="failed"), **skips)["verdict"] == "go"
    found = kept(requests)
    assert (found.emergency, found.skipped) == ("checkout is down", ("change_window", "tests"))
    assert {each.gate for each in found.gates if each.status is GateStatus.SKIPPED} == {"change_window"}
