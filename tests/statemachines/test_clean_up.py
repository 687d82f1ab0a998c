"""The clean-up machine: it waits for everybody, and what fails costs money, never traffic."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from lambdas.errors import ListenerDrifted
from lambdas.release.rules import CleanUp
from tests.rehearsal.engine.state_machines import FunctionError
from tests.statemachines.machines import CLEAN_UP_LEASE, UNFORESEEN, Json, Machines, Run, clean_up_claimed
from tests.statemachines.roads import WINDOW_OPEN, error

HOLDER = {"release_id": "release-two", "lease": CLEAN_UP_LEASE}
ENDINGS = {
    CleanUp.CLEAN: ("Cleaned up", "SUCCEEDED", None),
    CleanUp.NOTHING: ("Nothing to clean up", "SUCCEEDED", None),
    CleanUp.INVALID: ("Reject request", "FAILED", "InvalidRequest"),
}


def notice(run: Run, release_id: str, failed: str, message: str) -> dict[str, Json]:
    cause = f'{{"errorType":"{failed}","errorMessage":"{message}"}}'
    return {
        "kind": "clean_up_failed",
        "release_id": release_id,
        "reason": "",
        "failure": {"Error": failed, "Cause": cause},
        "execution": run.arn,
    }


def deciding(account: Machines, action: CleanUp, **answers: Any) -> Run:
    claim = clean_up_claimed(action.value, "because the record says so")
    return account.run("clean-up", {"Claim clean-up": claim, **answers})


@pytest.mark.parametrize("action", ENDINGS)
def test_every_decision_of_the_claim_has_its_ending(action: CleanUp, account: Machines) -> None:
    run = deciding(account, action)

    assert (run.entered[-1], *run.ending[:2]) == ENDINGS[action]


def test_no_decision_is_forgotten() -> None:
    """One that the machine does not know would end as "Nothing to clean up"."""
    assert set(CleanUp) == {*ENDINGS, CleanUp.WAIT}


@pytest.mark.parametrize("action", [CleanUp.NOTHING, CleanUp.INVALID])
def test_who_claims_nothing_changes_nothing(action: CleanUp, account: Machines) -> None:
    assert deciding(account, action).called == ["Claim clean-up"]


def test_an_operator_reads_what_is_wrong_with_the_input(account: Machines) -> None:
    assert deciding(account, CleanUp.INVALID).ending[2] == "because the record says so"


@pytest.mark.parametrize("given", [{}, {"release_id": "release-two"}, [], "all of it"])
def test_the_claim_judges_the_input_as_it_was_given(given: Json, account: Machines) -> None:
    """Also after it had to wait, when the data of the first answer stand in the machine."""
    run = account.run("clean-up", {"Claim clean-up": [WINDOW_OPEN, clean_up_claimed("nothing")]}, given)

    assert [call.given for call in run.calls_of("Claim clean-up")] == [{"input": given, "execution": run.arn}] * 2


def test_the_old_color_is_scaled_in_under_the_lease_which_is_then_given_back(account: Machines) -> None:
    run = account.run("clean-up")

    assert run.called == ["Claim clean-up", "Scale in old color", "Release environment"]
    assert run.given("Scale in old color") == {**HOLDER, "color": "blue"}
    assert run.given("Release environment") == {**HOLDER, "phase": "committed", "failure": {}}


def test_a_clean_up_waits_until_the_moment_that_the_claim_names(account: Machines) -> None:
    """A minute, or an hour: whatever the record says."""
    moments: list[datetime] = []

    def wait(_: Json) -> Json:
        moments.append(account.now() + timedelta(seconds=3600))
        return clean_up_claimed("wait", again_at=moments[0].isoformat())

    run = account.run("clean-up", {"Claim clean-up": [wait, clean_up_claimed()]}, speed=5000)

    _, again = run.calls_of("Claim clean-up")
    assert again.now >= moments[0]


# What fails


def test_a_claim_that_is_refused_changes_nothing_and_tells_a_human(account: Machines) -> None:
    """Nothing was claimed, so there is nothing to give back."""
    run = account.run("clean-up", {"Claim clean-up": error(ListenerDrifted, "All traffic is on blue")})

    assert run.after("Claim clean-up") == [
        "Explain why nothing was claimed",
        "Tell that nothing was claimed",
        "Clean-up failed",
    ]
    expected = notice(run, "", "ListenerDrifted", "All traffic is on blue")
    assert expected == run.given("Tell that nothing was claimed")
    assert run.ending[:2] == ("FAILED", "CleanUpFailed")
    assert run.ending[2] is not None
    assert "All traffic is on blue" in run.ending[2]


@pytest.mark.parametrize("given", [[], "all of it", 7, {"failure": "forged"}])
def test_whatever_the_input_is_a_failed_claim_is_told(given: Json, account: Machines) -> None:
    run = account.run("clean-up", {"Claim clean-up": UNFORESEEN}, given)

    assert run.ending[:2] == ("FAILED", "CleanUpFailed")
    assert run.given("Tell that nothing was claimed")["failure"]["Error"] == "KeyError"


def test_a_clean_up_that_fails_gives_the_environment_back_and_tells_a_human(account: Machines) -> None:
    """The next release must not wait for it; and the release stays what it was."""
    run = account.run("clean-up", {"Scale in old color": error(ListenerDrifted, "70/30")})

    assert run.after("Scale in old color") == ["Hand environment back", "Tell about the failure", "Clean-up failed"]
    assert run.given("Hand environment back") == {**HOLDER, "phase": "committed", "failure": {}}
    assert run.given("Tell about the failure") == notice(run, "release-two", "ListenerDrifted", "70/30")
    assert run.ending[:2] == ("FAILED", "CleanUpFailed")


def test_the_first_failure_is_told_even_if_the_environment_cannot_be_given_back(account: Machines) -> None:
    """The end of this execution starts the rollback machine, which gives it back."""
    failing = {"Scale in old color": FunctionError("ValueError", "no size"), "Hand environment back": UNFORESEEN}

    run = account.run("clean-up", failing)

    assert run.given("Tell about the failure") == notice(run, "release-two", "ValueError", "no size")
    assert run.ending == ("FAILED", "CleanUpFailed", 'ValueError: {"errorType":"ValueError","errorMessage":"no size"}')


def test_a_lease_that_cannot_be_given_back_is_told(account: Machines) -> None:
    """The old color is small already; but the next release would be refused without anybody knowing why."""
    run = account.run("clean-up", {"Release environment": UNFORESEEN})

    assert run.after("Release environment") == ["Tell about the failure", "Clean-up failed"]
    assert run.ending[:2] == ("FAILED", "CleanUpFailed")
