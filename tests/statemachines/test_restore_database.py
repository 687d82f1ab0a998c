"""The restore machine: nothing before a human's consent, and traffic only onto a whole database."""

import pytest

from lambdas.database.restore_rules import Choice
from lambdas.errors import (
    LoginRefused,
    LossNotCounted,
    RestoreFailed,
    SmokeCheckFailed,
    SnapshotFailed,
    WritersNotFenced,
)
from tests.statemachines.definitions import golden, tasks
from tests.statemachines.machines import RESTORE_LEASE, UNANSWERED, UNFORESEEN, Answer, Machines, Run, counted, planned
from tests.statemachines.roads import OF_ANOTHER_ACCOUNT, REJECTED, WRITING, error

ENDINGS = {
    Choice.RESTORE: ("Database restored", "SUCCEEDED", None),
    Choice.UNDO: ("Database restored", "SUCCEEDED", None),
    Choice.RESUME: ("Database restored", "SUCCEEDED", None),
    Choice.GIVE_UP: ("Restore given up", "SUCCEEDED", None),
    Choice.FINISH: ("Traffic flows again", "SUCCEEDED", None),
    Choice.NOTHING: ("Nothing to restore", "SUCCEEDED", None),
    Choice.REFUSED: ("Restore refused", "FAILED", "RestoreRefused"),
    Choice.INVALID: ("Reject request", "FAILED", "InvalidRequest"),
}
HELD = {"lease": RESTORE_LEASE, "release_id": "release-two", "restore_id": "r-release-two-0a1b2c3d"}
BEFORE_APPROVAL = ["Plan restore", "Tell that an approval is needed", "Wait for approval"]
BACK = [
    "Swap connection back",
    "Lift fence before the restart",
    "Restart application again",
    "Check restart again",
    "Point test listener at active color again",
    "Smoke check restarted application again",
    "Point test listener at idle color again",
    "Record failed restore",
    "Thaw traffic again",
    "Give capacity back again",
    "Release environment after failure",
]


@pytest.fixture(scope="module")
def restored(account: Machines) -> Run:
    """Return a restore in which all goes well."""
    return account.run("restore-database")


@pytest.mark.parametrize("choice", Choice)
def test_every_decision_has_its_ending(choice: Choice, account: Machines) -> None:
    run = account.run("restore-database", {"Plan restore": planned(choice.value)})

    assert ENDINGS[choice] == (run.entered[-1], *run.ending[:2])


def test_everything_happens_in_its_order(restored: Run) -> None:
    """Frozen, then fenced, then saved; swapped only when all that is lost is known; thawed last."""
    assert restored.called == [
        *BEFORE_APPROVAL,
        "Claim restore",
        "Hold capacity",
        "Freeze traffic",
        "Fence writers",
        "Take safety snapshot",
        "Check safety snapshot",
        "Restore instance",
        "Check restored instance",
        "Open restored instance",
        "Verify restored data",
        "Count lost writes",
        "Swap connection",
        "Restart application",
        "Check restart",
        "Point test listener at active color",
        "Smoke check restarted application",
        "Point test listener at idle color",
        "Record restore",
        "Thaw traffic",
        "Give capacity back",
        "Release environment",
        "Tell about the restore",
    ]


def test_steps_are_given_what_the_plan_says(restored: Run) -> None:
    assert restored.given("Fence writers") == {**HELD, "host": "forward.rds.example"}
    assert restored.given("Open restored instance") == {**HELD, "host": "restored.rds.example"}
    assert restored.given("Swap connection") == {
        **HELD,
        "host": "restored.rds.example",
        "port": 5432,
        "restored_instance": "runback-receipt-vault-production-r0a1b2c3d",
        "undo": False,
    }
    assert restored.given("Count lost writes")["cursor"] == {}
    assert restored.given("Smoke check restarted application")["scope"] == "restored"
    assert restored.given("Point test listener at active color")["color"] == "blue"
    assert restored.given("Point test listener at idle color")["color"] == "green"
    recorded = restored.given("Record restore")
    assert (recorded["outcome"], recorded["host"]) == ("restored", "restored.rds.example")
    assert recorded["lost"] == {"receipts": {"inserted": 3, "changed": 1, "deleted": 0}}


def test_what_another_account_shares_is_copied_while_users_are_served(account: Machines) -> None:
    """Of a large database that takes hours, and nothing of it needs the freeze."""
    run = account.run("restore-database", {"Plan restore": OF_ANOTHER_ACCOUNT})

    assert run.called[: len(BEFORE_APPROVAL) + 3] == [*BEFORE_APPROVAL, "Copy snapshot", "Check copy", "Claim restore"]
    assert run.given("Copy snapshot") == {
        "restore_id": HELD["restore_id"],
        "release_id": HELD["release_id"],
        "source": OF_ANOTHER_ACCOUNT["plan"]["source"],
        "forward_instance": "receipt-vault-production",
    }
    assert run.given("Check copy")["snapshot_id"] == "runback-copy"


def test_a_copy_that_fails_has_changed_nothing(account: Machines) -> None:
    answers = {"Plan restore": OF_ANOTHER_ACCOUNT, "Check copy": error(SnapshotFailed, "Snapshot copy is failed.")}
    run = account.run("restore-database", answers)

    assert run.ending == ("FAILED", "RestoreNotBegun", run.ending[2])
    assert run.after("Check copy") == [
        "Record that it did not begin",
        "Tell that it did not begin",
        "Restore did not begin",
    ]


def test_the_application_is_restarted_because_of_the_swap(restored: Run) -> None:
    """An instance that was launched a moment before knows the wrong database."""
    swapped_at = restored.given("Restart application")["swapped_at"]

    assert swapped_at == restored.given("Check restart")["swapped_at"]
    (swap,) = restored.calls_of("Swap connection")
    assert swapped_at >= swap.now.strftime("%Y-%m-%dT%H:%M:%S")


def test_the_message_says_what_was_lost_and_where_it_is(restored: Run) -> None:
    reason = restored.given("Tell about the restore")["reason"]

    assert '{"receipts":{"inserted":3,"changed":1,"deleted":0}}' in reason
    assert "s3://exports/r-release-two-0a1b2c3d/" in reason


def test_what_the_swap_has_found_is_told(account: Machines) -> None:
    """As that everybody can read the password who may describe a parameter."""
    swapped = {"version_id": "two", "previous_version_id": "one", "finding": "The password can be read."}
    run = account.run("restore-database", {"Swap connection": swapped})

    assert run.given("Tell about the restore")["reason"].endswith("The password can be read.")


@pytest.mark.parametrize(
    ("answer", "error_name", "recorded"),
    [(REJECTED, "RestoreRejected", "Record rejection"), (UNANSWERED, "RestoreExpired", "Record expiry")],
)
def test_without_consent_nothing_is_changed(answer: Answer, error_name: str, recorded: str, account: Machines) -> None:
    run = account.run("restore-database", {"Wait for approval": answer})

    told = [] if answer is REJECTED else ["Tell about the expiry"]
    assert run.called == [*BEFORE_APPROVAL, recorded, *told]
    assert run.ending[:2] == ("FAILED", error_name)


def test_an_expired_approval_is_not_asked_for_again(account: Machines) -> None:
    """A time-out of a function is tried again; a human's is an answer."""
    assert account.run("restore-database", {"Wait for approval": UNANSWERED}).called.count("Wait for approval") == 1


def test_the_token_goes_to_its_function_and_nowhere_else() -> None:
    given = [name for name, task in tasks(golden("restore-database")).items() if "Task.Token" in str(task)]

    assert given == ["Wait for approval"]


@pytest.mark.parametrize(
    "state",
    [
        "Take safety snapshot",
        "Check safety snapshot",
        "Restore instance",
        "Check restored instance",
        "Open restored instance",
        "Verify restored data",
        "Count lost writes",
    ],
)
def test_a_failure_before_the_swap_lifts_the_fence_and_thaws(state: str, account: Machines) -> None:
    run = account.run("restore-database", {state: error(RestoreFailed, "no")})

    done = [
        "Lift fence",
        "Record failed restore",
        "Thaw traffic again",
        "Give capacity back again",
        "Release environment after failure",
        "Tell about the failed restore",
    ]
    assert run.called[run.called.index(state) + 1 :] == done
    assert run.given("Lift fence") == {**HELD, "host": "forward.rds.example"}
    assert run.given("Record failed restore")["outcome"] == "restore_failed"
    assert run.ending[:2] == ("FAILED", "RestoreFailed")


def test_whoever_writes_on_is_named_and_nothing_is_restored(account: Machines) -> None:
    run = account.run("restore-database", {"Fence writers": WRITING})

    assert run.called.count("Fence writers") == 25
    assert run.ending == ("FAILED", "RestoreFailed", f"{WritersNotFenced.__name__}: role jobs from 10.0.0.7")


def test_unaccounted_writes_need_somebody_who_accepts_them(account: Machines) -> None:
    run = account.run("restore-database", {"Count lost writes": counted(unaccounted=("sessions",))})

    assert "Swap connection" not in run.called
    assert run.ending[2] is not None
    assert run.ending[2].startswith(LossNotCounted.__name__)
    assert '"table":"sessions"' in run.ending[2]


@pytest.mark.parametrize(
    "state",
    ["Swap connection", "Restart application", "Check restart", "Smoke check restarted application"],
)
def test_a_failure_from_the_swap_on_brings_the_former_instance_back(state: str, account: Machines) -> None:
    run = account.run("restore-database", {state: error(SmokeCheckFailed, "no")})

    assert run.called[run.called.index(state) + 1 :] == [*BACK, "Tell about the failed restore"]
    assert run.given("Swap connection back")["undo"] is True
    assert run.ending[:2] == ("FAILED", "RestoreFailed")


@pytest.mark.parametrize("state", [each for each in BACK if each != "Give capacity back again"])
def test_what_cannot_be_brought_back_stays_frozen(state: str, account: Machines) -> None:
    """Traffic never thaws onto half of a swap."""
    no = error(SmokeCheckFailed, "no")
    run = account.run("restore-database", {"Smoke check restarted application": no, state: no})

    assert run.called[run.called.index(state) + 1 :] == ["Record frozen traffic", "Page about frozen traffic"]
    assert run.given("Record frozen traffic")["outcome"] == "frozen"
    assert run.given("Page about frozen traffic")["kind"] == "restore_frozen"
    assert run.ending[:2] == ("FAILED", "Escalated")


@pytest.mark.parametrize("state", ["Record restore", "Thaw traffic", "Release environment"])
def test_a_failure_once_users_may_have_come_back_takes_nothing_from_them(state: str, account: Machines) -> None:
    """What they have written since the thaw would be lost by a swap back."""
    run = account.run("restore-database", {state: error(RestoreFailed, "no")})

    assert "Swap connection back" not in run.called
    assert run.entered[-1] == "Traffic stays frozen"


@pytest.mark.parametrize("state", ["Fence writers", "Verify restored data"])
def test_a_resumed_restore_that_fails_assumes_that_it_was_swapped_before(state: str, account: Machines) -> None:
    """The execution that died may have come as far as that."""
    run = account.run("restore-database", {"Plan restore": planned("resume"), state: error(RestoreFailed, "no")})

    assert run.called[run.called.index(state) + 1 :] == [*BACK, "Tell about the failed restore"]


def test_going_on_or_back_needs_no_second_approval(account: Machines) -> None:
    for choice in (Choice.RESUME, Choice.GIVE_UP):
        run = account.run("restore-database", {"Plan restore": planned(choice.value)})
        assert run.called[:4] == ["Plan restore", "Claim restore", "Hold capacity", "Freeze traffic"]


def test_giving_up_brings_the_former_instance_back_and_is_no_failure(account: Machines) -> None:
    run = account.run("restore-database", {"Plan restore": planned("give_up")})

    assert run.after("Freeze traffic")[:2] == ["Is the restore given up?", "Explain giving up"]
    assert [each for each in run.called if each in BACK] == BACK
    assert run.given("Tell about giving up")["kind"] == "restore_given_up"


def test_what_was_decided_is_only_thawed(account: Machines) -> None:
    run = account.run("restore-database", {"Plan restore": planned("finish")})

    assert run.called == [
        "Plan restore",
        "Claim restore",
        "Thaw traffic at last",
        "Give capacity back at last",
        "Release environment at last",
    ]
    assert run.given("Release environment at last")["outcome"] == "over"


def test_a_rotated_password_is_set_on_the_restored_instance(account: Machines) -> None:
    """A snapshot keeps the passwords of its time."""
    opened = {"lifted": True, "roles": []}
    run = account.run("restore-database", {"Open restored instance": [error(LoginRefused, "no"), opened]})

    assert run.called[run.called.index("Open restored instance") + 1] == "Set master password"
    assert run.given("Set master password") == {**HELD, "restored_instance": planned()["plan"]["restored_instance"]}
    assert run.entered[-1] == "Database restored"


def test_a_password_that_helps_nobody_ends_the_restore(account: Machines) -> None:
    run = account.run("restore-database", {"Open restored instance": error(LoginRefused, "no")})

    assert len(run.calls_of("Set master password")) == 20
    assert run.entered[-1] == "Restore failed"
    assert "LoginRefused" in run.ending[2]


def test_what_serves_is_held_before_nobody_comes_and_until_metrics_show_users_again(restored: Run) -> None:
    """A scaling policy sees an idle color while traffic is frozen, and for some minutes after."""
    assert restored.given("Hold capacity") == {**HELD, "color": "blue"}
    assert restored.given("Give capacity back") == HELD
    waited = golden("restore-database")["States"]["Wait for metrics of users"]["Seconds"]
    assert waited >= 300, "a group with basic monitoring tells its load every five minutes"


def test_a_restore_that_cannot_be_planned_is_told(account: Machines) -> None:
    """A rollback may have begun it: nobody looks at it then, and nobody would be asked for an approval."""
    run = account.run("restore-database", {"Plan restore": UNFORESEEN})

    assert run.given("Tell that it could not be planned")["kind"] == "restore_refused"
    assert run.given("Tell that it could not be planned")["failure"]["Error"] == "KeyError"
    assert run.ending[:2] == ("FAILED", "RestoreNotPlanned")


def test_capacity_that_cannot_be_given_back_is_told_and_ends_no_restore(account: Machines) -> None:
    run = account.run("restore-database", {"Give capacity back": error(RestoreFailed, "no")})

    assert run.after("Give capacity back")[:2] == ["Page about held capacity", "Release environment"]
    assert run.given("Page about held capacity")["kind"] == "capacity_held"
    assert run.entered[-1] == "Database restored"


def test_nothing_is_frozen_that_could_not_be_held(account: Machines) -> None:
    run = account.run("restore-database", {"Hold capacity": error(RestoreFailed, "no")})

    assert "Freeze traffic" not in run.called
    assert run.entered[-1] == "Restore failed"


def test_counting_goes_on_where_it_was(account: Machines) -> None:
    run = account.run("restore-database", {"Count lost writes": [counted(done=False), counted()]})

    assert [call.given["cursor"] for call in run.calls_of("Count lost writes")] == [{}, {"table": 1}]
