"""The rollback machine: traffic first, everything else later, and a human where it cannot go on."""

from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from lambdas.errors import AwsCallFailed, EnvironmentBusy, ListenerDrifted, SmokeCheckFailed, TargetGroupUnhealthy
from lambdas.rollback.rules import Action
from tests.rehearsal.engine.state_machines import FunctionError
from tests.statemachines.machines import ROLLBACK_LEASE, UNFORESEEN, Json, Machines, Run, claimed
from tests.statemachines.roads import END_OF_ROLLBACK, MIGRATES, SCHEMA_CHANGED, error

SETTLING = {"settled": False}
SETTLED = {"settled": True}
HOLDER = {"release_id": "release-two", "lease": ROLLBACK_LEASE}
ENDINGS = {
    Action.SWITCH: ("Rolled back", "SUCCEEDED", None),
    Action.ABORT: ("Aborted", "SUCCEEDED", None),
    Action.FINISH: ("Release was live already", "SUCCEEDED", None),
    Action.KEEP_FROZEN: ("Traffic stays frozen", "FAILED", "Escalated"),
    Action.LET_GO: ("Clean-up given up", "SUCCEEDED", None),
    Action.TELL_CLEAN_UP: ("Clean-up given up", "SUCCEEDED", None),
    Action.ESCALATE: ("Escalated", "FAILED", "Escalated"),
    Action.PAGE: ("Left to a human", "SUCCEEDED", None),
    Action.HOLD: ("Held for a human", "SUCCEEDED", None),
    Action.PAGE_HOLD: ("Held for a human", "SUCCEEDED", None),
    Action.INFRASTRUCTURE: ("Infrastructure is back", "SUCCEEDED", None),
    Action.IMPOSSIBLE: ("Rollback not possible", "FAILED", "RollbackNotPossible"),
    Action.NOTHING: ("Nothing to roll back", "SUCCEEDED", None),
    Action.INVALID: ("Reject request", "FAILED", "InvalidRequest"),
}
EXECUTIONS = "arn:aws:states:eu-west-1:111122223333:execution:receipt-vault-production"


@pytest.fixture(scope="module")
def rolled_back(account: Machines) -> Run:
    """Return a rollback that went well, after the listener had not settled at once."""
    return account.run("rollback", {"Settle listener": [SETTLING, SETTLING, SETTLED]}, speed=50)


def notice(run: Run, kind: str, reason: str = "", failure: dict[str, str] | None = None) -> dict[str, Json]:
    return {
        "kind": kind,
        "release_id": "release-two",
        "reason": reason,
        "failure": failure or {},
        "execution": run.arn,
    }


def deciding(account: Machines, action: Action, **answers: Any) -> Run:
    return account.run("rollback", {"Claim rollback": claimed(action.value, "because the record says so"), **answers})


# The decision


@pytest.mark.parametrize("action", ENDINGS)
def test_every_decision_of_the_claim_has_its_ending(action: Action, account: Machines) -> None:
    run = deciding(account, action)

    assert (run.entered[-1], *run.ending[:2]) == ENDINGS[action]


def test_no_decision_is_forgotten() -> None:
    """One that the machine does not know would end as "Nothing to roll back"."""
    assert set(Action) == set(ENDINGS)


@pytest.mark.parametrize("action", [Action.IMPOSSIBLE, Action.NOTHING, Action.INVALID])
def test_who_claims_nothing_changes_nothing(action: Action, account: Machines) -> None:
    """Without a lease, not even a message is sent: the operator looks at this very execution."""
    assert deciding(account, action).called == ["Claim rollback"]


def test_a_deployment_that_died_after_breaking_migrations_is_left_to_a_human(account: Machines) -> None:
    """Traffic stays, the environment is let go, and the page has the inputs that bring the old version back."""
    run = deciding(account, Action.HOLD)

    assert run.called == ["Claim rollback", "Record that a human decides", "Page about the release"]
    failure = {"Error": "NoAutomaticRollback", "Cause": "because the record says so"}
    assert run.given("Record that a human decides") == {**HOLDER, "phase": "escalated", "failure": failure}
    assert run.given("Page about the release") == notice(run, "held", "because the record says so")


def test_an_alarm_of_a_held_release_is_told_and_changes_nothing(account: Machines) -> None:
    run = deciding(account, Action.PAGE_HOLD)

    assert run.called == ["Claim rollback", "Page about the release"]
    assert run.given("Page about the release") == notice(run, "held", "because the record says so")


def test_an_abort_undoes_nothing_while_migrations_run_and_tells_what_they_leave(account: Machines) -> None:
    looks = [MIGRATES, MIGRATES, SCHEMA_CHANGED]
    run = deciding(account, Action.ABORT, **{"Look at migrations": looks})

    look, back = run.called.index("Look at migrations"), run.called.index("Scale idle color back")
    assert run.called[look:back] == ["Look at migrations"] * len(looks)
    reason = "because the record says so Its breaking migrations have changed the schema."
    assert run.given("Page about the schema") == notice(run, "schema_changed", reason)
    assert "Tell about the abort" not in run.called
    assert run.entered[-1] == "Aborted"


def test_an_alarm_that_moves_no_traffic_is_told_and_changes_nothing(account: Machines) -> None:
    run = deciding(account, Action.PAGE)

    assert run.called == ["Claim rollback", "Page about the alarm"]
    assert run.given("Page about the alarm") == notice(run, "critical_alarm", "because the record says so")


def test_a_clean_up_that_was_stopped_while_it_waited_is_told_and_changes_nothing(account: Machines) -> None:
    run = deciding(account, Action.TELL_CLEAN_UP)

    assert run.called == ["Claim rollback", "Tell about the clean-up"]
    assert run.given("Tell about the clean-up") == notice(run, "clean_up_failed", "because the record says so")


def test_a_page_that_cannot_be_sent_fails_nothing(account: Machines) -> None:
    run = deciding(account, Action.PAGE, **{"Page about the alarm": UNFORESEEN})

    assert run.ending == ("SUCCEEDED", None, None)


@pytest.mark.parametrize("action", [Action.IMPOSSIBLE, Action.INVALID])
def test_an_operator_reads_why_it_cannot_be_done(action: Action, account: Machines) -> None:
    assert deciding(account, action).ending[2] == "because the record says so"


@pytest.mark.parametrize("given", [{}, {"reason": "checkout is broken"}, [], "back", END_OF_ROLLBACK])
def test_the_claim_judges_the_input_as_it_was_given(given: Json, account: Machines) -> None:
    run = account.run("rollback", given=given)

    asked = dict(run.given("Claim rollback"))
    assert datetime.fromisoformat(asked.pop("asked_at"))
    assert {"input": given, "execution": run.arn} == asked


# Traffic goes back


def test_a_rollback_claims_and_switches_before_everything_else(rolled_back: Run) -> None:
    settle = ["Wait for late writes", "Settle listener", "Has the listener settled?"]
    expected = [
        "Claim rollback",
        "What is there to roll back?",
        "Switch listener back",
        "Stop deployment",
        *(settle * 3),
        "Smoke check old version",
        "Check error rate of old version",
        "Resume scaling",
        "Look at applies",
        "Is nothing applied any more?",
        "Is the infrastructure to follow?",
        "Record rollback",
        "Tell about the rollback",
        "Is the old version to be released anew?",
        "Was infrastructure changed?",
        "Is the database to follow?",
        "Rolled back",
    ]

    assert rolled_back.entered == expected
    assert rolled_back.ending == ("SUCCEEDED", None, None)


def test_traffic_goes_back_to_the_recorded_color_at_once(rolled_back: Run) -> None:
    expected = {
        **HOLDER,
        "color": "blue",
        "percent": 100,
        "before_percent": 0,
        "wanted_healthy": 2,
        "last_healthy": 3,
        "last_healthy_at": "2026-03-01T10:00:00.000Z",
        "back": True,
    }
    assert expected == rolled_back.given("Switch listener back")


def test_the_deployment_that_has_lost_is_stopped(rolled_back: Run) -> None:
    assert rolled_back.given("Stop deployment") == {**HOLDER, "loser": "arn:of:the:deployment"}


def test_the_time_to_settle_runs_from_the_claim(rolled_back: Run) -> None:
    """From then on the loser's functions can start no write that is allowed."""
    expected = {**HOLDER, "color": "blue", "claimed_at": "2026-03-01T10:01:00.000Z"}
    assert [expected] * 3 == [call.given for call in rolled_back.calls_of("Settle listener")]


def test_the_listener_is_watched_every_few_seconds(rolled_back: Run) -> None:
    stopped, *settling = rolled_back.calls_of("Stop deployment") + rolled_back.calls_of("Settle listener")
    assert all(after.seconds - before.seconds >= 5 for before, after in pairwise([stopped, *settling]))


def test_a_rollback_is_recorded_and_told(rolled_back: Run) -> None:
    assert rolled_back.given("Resume scaling") == {**HOLDER, "color": "blue"}
    assert rolled_back.given("Record rollback") == {**HOLDER, "reason": "Release two goes back to one."}
    reason = "Release two goes back to one. "  # what is worrying would follow
    assert rolled_back.given("Tell about the rollback") == notice(rolled_back, "rolled_back", reason)


def test_the_old_version_is_checked_as_it_was_recorded(rolled_back: Run) -> None:
    """Errors from before the rollback may be those of the version that is gone."""
    assert rolled_back.given("Smoke check old version") == {**HOLDER, "scope": "rolled_back"}
    expected = {**HOLDER, "version": "aaaaaaa", "since": "2026-03-01T10:01:00.000Z"}
    assert rolled_back.given("Check error rate of old version") == expected


@pytest.mark.parametrize("state", ["Smoke check old version", "Check error rate of old version"])
def test_an_old_version_that_fails_a_check_keeps_the_traffic_and_a_human_is_paged(
    state: str, account: Machines
) -> None:
    """There is no third version; whatever is wrong now is not the release."""
    run = account.run("rollback", {state: error(SmokeCheckFailed, "upload answered 503, not 201.")})

    assert run.after(state)[:3] == ["Page about the old version", "Resume scaling", "Look at applies"]
    assert run.ending == ("SUCCEEDED", None, None)
    cause = '{"errorType":"SmokeCheckFailed","errorMessage":"upload answered 503, not 201."}'
    failure = {"Error": "SmokeCheckFailed", "Cause": cause}
    assert run.given("Page about the old version") == notice(run, "not_verified", failure=failure)


def test_what_is_worrying_about_the_old_color_is_told(account: Machines) -> None:
    """Traffic is back on too few instances: good enough to switch, but somebody has to know."""
    run = account.run("rollback", {"Switch listener back": {"concern": "blue has 1 of 2 healthy targets."}})

    reason = "Release two goes back to one. blue has 1 of 2 healthy targets."
    assert run.given("Tell about the rollback") == notice(run, "rolled_back", reason)


def test_a_rollback_is_recorded_even_if_scaling_cannot_be_resumed(account: Machines) -> None:
    """Too many instances are no harm to anybody; a record that names the wrong version is."""
    run = account.run("rollback", {"Resume scaling": UNFORESEEN})

    assert run.after("Resume scaling")[:2] == ["Page about held scaling", "Look at applies"]
    assert run.given("Page about held scaling")["kind"] == "scaling_held"
    assert run.entered[-1] == "Rolled back"


# There is nothing to switch


def test_what_was_only_prepared_is_given_up(account: Machines) -> None:
    run = deciding(account, Action.ABORT)

    assert run.after("What is there to roll back?") == [
        "Stop preparation",
        "Wait for its last step",
        *("Look at applies after abort", "Is nothing applied any more after abort?"),
        *("Look at migrations", "Do migrations still run?"),
        "Scale idle color back",
        "Resume scaling after abort",
        "Release environment after abort",
        *("Was infrastructure changed after abort?", "Was the schema changed?"),
        "Tell about the abort",
        "Aborted",
    ]
    assert run.given("Stop preparation") == {**HOLDER, "loser": "arn:of:the:deployment"}
    assert run.given("Scale idle color back") == HOLDER
    assert run.given("Release environment after abort") == {
        **HOLDER,
        "phase": "aborted",
        "failure": {"Error": "Aborted", "Cause": "because the record says so"},
    }
    assert run.given("Tell about the abort") == notice(run, "aborted", "because the record says so")


def test_an_abort_lets_the_color_scale_that_serves(account: Machines) -> None:
    """Before the first shift the record may name no live color yet, so whoever scales back says which one it is."""
    run = deciding(account, Action.ABORT, **{"Scale idle color back": {"active": "from the release"}})

    assert run.given("Resume scaling after abort") == {**HOLDER, "color": "from the release"}


def test_an_abort_waits_for_the_last_step_of_the_deployment(account: Machines) -> None:
    """It may still be starting the refresh that is to be cancelled."""
    run = account.run("rollback", {"Claim rollback": claimed("abort")}, speed=300)

    (stopped,), (scaled_back,) = run.calls_of("Stop preparation"), run.calls_of("Scale idle color back")
    assert scaled_back.seconds - stopped.seconds >= 65


def test_a_release_that_is_promoted_is_only_brought_to_its_end(account: Machines) -> None:
    run = deciding(account, Action.FINISH)

    expected = ["Claim rollback", "Resume scaling of live color", "Release environment", "Start clean-up"]
    assert expected == run.called
    assert run.given("Resume scaling of live color") == {**HOLDER, "color": "green"}
    assert run.given("Release environment") == {**HOLDER, "phase": "committed", "failure": {}}


def test_a_promoted_release_is_brought_to_its_end_even_if_scaling_cannot_be_resumed(account: Machines) -> None:
    run = deciding(account, Action.FINISH, **{"Resume scaling of live color": UNFORESEEN})

    assert run.given("Page about held scaling of live color")["kind"] == "scaling_held"
    assert run.entered[-3:] == ["Release environment", "Start clean-up", "Release was live already"]


def test_a_release_whose_execution_died_is_cleaned_up_after_all_the_same(account: Machines) -> None:
    """Under the name that its own execution would have used, so that there are never two."""
    claim = {**claimed("finish"), "release_id": "release-that-died"}

    first, second = (account.run("rollback", {"Claim rollback": claim}) for _ in range(2))

    assert account.started("clean-up-release-that-died") == {"release_id": "release-that-died"}
    assert first.entered[-2:] == second.entered[-2:] == ["Start clean-up", "Release was live already"]


def test_a_clean_up_that_cannot_be_started_is_told(account: Machines) -> None:
    refused = FunctionError("StepFunctions.AccessDeniedException", "not allowed")
    run = deciding(account, Action.FINISH, **{"Start clean-up": refused})

    assert run.ending == ("SUCCEEDED", None, None)
    told = notice(run, "clean_up_failed", "StepFunctions.AccessDeniedException")
    assert run.given("Tell that no clean-up was started") == told


def test_a_dead_clean_up_only_costs_the_lease(account: Machines) -> None:
    """Nothing is scaled: bounds and sizes are what humans and policies have made of them since."""
    run = deciding(account, Action.LET_GO)

    assert run.called == ["Claim rollback", "Release environment after clean-up", "Tell about the clean-up"]
    assert run.given("Release environment after clean-up") == {**HOLDER, "phase": "committed", "failure": {}}
    assert run.given("Tell about the clean-up") == notice(run, "clean_up_failed", "because the record says so")


# A human has to go on


def escalated(run: Run, state: str, name: str, cause: str) -> None:
    failure = {"Error": name, "Cause": cause}
    assert run.ending == ("FAILED", "Escalated", f"{name}: {cause}")
    assert run.after(state) == ["Record escalation", "Page a human", "Escalated"]
    assert run.given("Record escalation") == {**HOLDER, "phase": "escalated", "failure": failure}
    assert run.given("Page a human") == notice(run, "escalated", failure=failure)


def test_a_release_with_nothing_to_go_back_to_is_for_a_human(account: Machines) -> None:
    run = deciding(account, Action.ESCALATE)

    escalated(run, "Explain the escalation", "NoWayBack", "because the record says so")


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("Switch listener back", TargetGroupUnhealthy),
        ("Settle listener", ListenerDrifted),
        ("Stop deployment", RuntimeError),
        ("Record rollback", RuntimeError),
    ],
)
def test_a_rollback_that_cannot_go_on_is_recorded_and_paged(
    state: str, kind: type[Exception], account: Machines
) -> None:
    """A drifted listener is another human's doing, and traffic never goes to a color that cannot serve."""
    run = account.run("rollback", {state: error(kind, "no")})

    escalated(run, state, kind.__name__, f'{{"errorType":"{kind.__name__}","errorMessage":"no"}}')


@pytest.mark.parametrize(
    "state",
    ["Stop preparation", "Scale idle color back", "Resume scaling after abort", "Release environment after abort"],
)
def test_an_abort_that_cannot_go_on_is_recorded_and_paged(state: str, account: Machines) -> None:
    run = deciding(account, Action.ABORT, **{state: error(RuntimeError, "no")})

    escalated(run, state, "RuntimeError", '{"errorType":"RuntimeError","errorMessage":"no"}')


def test_drift_is_noticed_whenever_it_happens(account: Machines) -> None:
    run = account.run("rollback", {"Settle listener": [SETTLING, SETTLING, error(ListenerDrifted, "no")]})

    assert run.entered[-3:] == ["Record escalation", "Page a human", "Escalated"]


def test_a_human_is_paged_even_if_the_escalation_cannot_be_recorded(account: Machines) -> None:
    """And with what failed first, not with what failed while it was written down."""
    run = account.run(
        "rollback", {"Settle listener": error(ListenerDrifted), "Record escalation": FunctionError("ValueError", "no")}
    )

    assert run.given("Page a human")["failure"]["Error"] == "ListenerDrifted"
    assert run.ending[:2] == ("FAILED", "Escalated")
    assert run.ending[2] is not None
    assert run.ending[2].startswith("ListenerDrifted: ")


# The record cannot be reached


@pytest.mark.parametrize(
    "given",
    [
        {},
        [],
        "back",
        {"source": 7},
        {"source": "operator", "execution_arn": f"{EXECUTIONS}-rollback:one"},
        {"source": "deployment", "execution_arn": f"{EXECUTIONS}-deploy:one"},
        {"source": "watchdog", "execution_arn": f"{EXECUTIONS}-rollback:one"},
        {"source": "execution-status", "execution_arn": f"{EXECUTIONS}-deploy:one", "status": "FAILED"},
        {"source": "execution-status", "execution_arn": f"{EXECUTIONS}-deploy:after-rollback", "status": "ABORTED"},
        {"source": "execution-status", "execution_arn": 7},
        {"source": "execution-status"},
    ],
    ids=str,
)
def test_without_the_record_a_human_gets_the_commands_once(given: Json, account: Machines) -> None:
    """Whatever the input is: when nothing can be decided, a human has to."""
    unreachable = error(AwsCallFailed, "no route to DynamoDB")
    run = account.run("rollback", {"Claim rollback": unreachable, "Claim rollback at last": unreachable}, given)

    cause = '{"errorType":"AwsCallFailed","errorMessage":"no route to DynamoDB"}'
    assert run.called == ["Claim rollback", "Claim rollback", "Page the commands", *["Claim rollback at last"] * 41]
    assert run.given("Page the commands") == {
        **notice(run, "record_unreachable", failure={"Error": "AwsCallFailed", "Cause": cause}),
        "release_id": "",
    }
    assert run.ending == ("FAILED", "Escalated", f"AwsCallFailed: {cause}")


def test_a_rollback_that_was_paged_is_made_as_soon_as_the_record_answers(account: Machines) -> None:
    """Nothing is claimed yet, so nobody else would go on: neither the status rule nor the watchdog."""
    unreachable = error(AwsCallFailed)
    run = account.run(
        "rollback", {"Claim rollback": unreachable, "Claim rollback at last": [*[unreachable] * 3, claimed()]}
    )

    assert run.called[:8] == [
        *["Claim rollback"] * 2,
        "Page the commands",
        *["Claim rollback at last"] * 4,
        "Switch listener back",
    ]
    assert run.ending == ("SUCCEEDED", None, None)


def test_a_page_that_cannot_be_sent_does_not_end_the_attempts(account: Machines) -> None:
    run = account.run("rollback", {"Claim rollback": error(AwsCallFailed), "Page the commands": error(AwsCallFailed)})

    assert run.entered[-1] == "Rolled back"


def test_the_end_of_a_failed_rollback_does_not_page_again(account: Machines) -> None:
    """Its end starts the next rollback: while the record stays away, that would page for ever."""
    without_record = {"Claim rollback": error(AwsCallFailed), "Claim rollback at last": error(AwsCallFailed)}
    first = account.run("rollback", without_record)
    started_by_event = {"source": "execution-status", "execution_arn": first.arn, "status": first.ending[0]}

    second = account.run("rollback", without_record, started_by_event)

    assert first.called.count("Page the commands") == 1
    assert "Page the commands" not in second.called
    assert second.ending == ("SUCCEEDED", None, None)


def test_the_end_of_a_failed_rollback_is_still_acted_upon(account: Machines) -> None:
    """With the record back, what the failed one has left undone is done."""
    assert account.run("rollback", given=END_OF_ROLLBACK).entered[-1] == "Rolled back"


def test_a_claim_that_others_were_faster_than_is_paged(account: Machines) -> None:
    """It is not known then whether the winner brings the traffic back."""
    busy = error(EnvironmentBusy)
    run = account.run("rollback", {"Claim rollback": busy, "Claim rollback at last": busy})

    assert run.called == ["Claim rollback", "Page the commands", "Claim rollback at last"]
    assert run.ending[:2] == ("FAILED", "Escalated")


# A restore of the database


def test_what_a_dead_restore_has_frozen_stays_frozen(account: Machines) -> None:
    """Neither a switch nor a thaw is safe while databases may be exchanged by half."""
    run = deciding(account, Action.KEEP_FROZEN)

    failure = {"Error": "TrafficFrozen", "Cause": "because the record says so"}
    assert run.called == ["Claim rollback", "Record that traffic is frozen", "Page about frozen traffic"]
    assert run.given("Record that traffic is frozen") == {**HOLDER, "phase": "frozen", "failure": failure}
    assert run.given("Page about frozen traffic") == notice(run, "restore_frozen", "because the record says so")
    assert run.ending == ("FAILED", "Escalated", "because the record says so")


def test_a_restore_follows_once_traffic_is_safe_if_a_human_has_asked_for_it(account: Machines) -> None:
    asked_by = "arn:of:the:rollback:that:a:human:has:started"
    answer = {**claimed(), "release_id": "release-with-database", "database": True, "asked_by": asked_by}
    run = account.run("rollback", {"Claim rollback": answer})

    assert run.after("Is the database to follow?") == ["Start restore of the database", "Rolled back"]
    assert account.started("after-rollback-release-with-database") == {
        "release_id": "release-with-database",
        "reason": "checkout is broken",
        "asked_by": asked_by,
    }


def test_a_restore_that_cannot_be_started_is_told_and_the_rollback_stays_good(account: Machines) -> None:
    refused = FunctionError("StepFunctions.AccessDeniedException", "no")
    run = account.run(
        "rollback", {"Claim rollback": {**claimed(), "database": True}, "Start restore of the database": refused}
    )

    assert run.given("Tell that no restore was started")["kind"] == "restore_refused"
    assert run.ending == ("SUCCEEDED", None, None)
