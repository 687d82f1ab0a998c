"""The deploy machine: a way back at every moment, and an ending that says what became of the release."""

from datetime import timedelta
from itertools import pairwise

import pytest

from lambdas.errors import (
    AlarmsAreOn,
    EnvironmentBusy,
    ListenerDrifted,
    MigrationsFailed,
    NotTheRelease,
    PauseExpired,
    RefreshFailed,
    ReleaseUnhealthy,
    RestoreNotCertified,
    RollbackNotCertified,
    RollbackWindowOpen,
    TargetGroupUnhealthy,
)
from lambdas.release.rules import read_clean_up_request, read_request
from lambdas.rollback.rules import Source, read_rollback_request
from tests.rehearsal.engine.state_machines import FunctionError
from tests.statemachines.machines import (
    BREAKING,
    DEPLOY_LEASE,
    LOOKS_AT_GATES,
    MIGRATING,
    REQUEST,
    UNFORESEEN,
    VERSION,
    Answer,
    Json,
    Machines,
    Run,
)
from tests.statemachines.roads import (
    BAKED,
    CLAIMED,
    IN_WINDOW,
    JUDGED_GOOD,
    JUDGED_YET,
    MIGRATES,
    NOT_BAKED,
    NOT_READY,
    READY,
    SCHEMA_CHANGED,
    error,
)

BEFORE_FIRST_SHIFT = [
    "Record rollback point",
    "Check alarms",
    "Check current health",
    "Take snapshot",
    "Check snapshot",
    "Prepare idle color",
    "Check idle color",
    "Check database and cache",
    "Smoke check new version",
    "Hold old color",
    "Check for hold",
]
FROM_FIRST_SHIFT = [
    "Shift 10 % of traffic",
    "Judge at 10 %",
    "Shift 50 % of traffic",
    "Judge at 50 %",
    "Shift 100 % of traffic",
    "Check live database and cache",
    "Validate live version",
    "Check error rate",
    "Judge at 100 %",
    "Check error rate after bake",
    "Promote release",
]
ABORT = [
    "Look at applies",
    "Look at migrations",
    "Scale idle color back",
    "Resume scaling of old color",
    "Release environment after abort",
]

LOOKS = {f"{look}{again}" for look in LOOKS_AT_GATES for again in ("", " after approval")}
BEFORE_THE_CLAIM = LOOKS | {"Validate request", "Plan infrastructure", "Check plan", "Wait for approval"}


@pytest.fixture(scope="module")
def live(account: Machines) -> Run:
    """Return a release that went well, after its idle color was not ready at once, nor any bake over."""
    bakes = {f"Judge at {percent} %": [still_bakes(account), JUDGED_GOOD] for percent in (10, 50, 100)}
    return account.run("deploy", {"Check idle color": [NOT_READY, NOT_READY, READY], **bakes}, speed=2000)


def still_bakes(account: Machines, seconds: int = 30) -> Answer:
    """Return an answer: look again after so many seconds."""
    return lambda _: {**JUDGED_YET, "again_at": (account.now() + timedelta(seconds=seconds)).isoformat()}


def baked(percent: int) -> list[str]:
    """Return the states of a bake that is not over at the first look."""
    look = [f"Judge at {percent} %", f"Has it baked at {percent} %?"]
    return [*look, f"Bake at {percent} %", *look]


def under_lease(run: Run, **given: Json) -> dict[str, Json]:
    return {"release_id": run.release_id, "lease": DEPLOY_LEASE, **given}


def notice(run: Run, kind: str, reason: str = "", failure: dict[str, str] | None = None) -> dict[str, Json]:
    return {
        "kind": kind,
        "release_id": run.release_id,
        "reason": reason,
        "failure": failure or {},
        "execution": run.arn,
    }


# A release that goes live


def test_a_release_goes_through_the_runbook_in_its_order(live: Run) -> None:
    poll = ["Wait for idle color", "Check idle color", "Is the idle color ready?"]
    expected = [
        "Validate request",
        "Is the request valid?",
        *("Come to the gates", "Check gates", "Decide gates", "Are the gates passed?", "Is anybody to be told?"),
        "Does the release bring its infrastructure?",
        *("Plan infrastructure", "Wait for plan", "Check plan", "Is the plan ready?"),
        *("Is an approval wanted?", "Wait for approval", "Is the release approved?"),
        *(f"{each} after approval" for each in ("Come to the gates", "Check gates", "Decide gates")),
        "Are the gates passed after approval?",
        "Claim environment",
        "Is the environment ours?",
        "Record rollback point",
        "Check alarms",
        "Check current health",
        "Certify rollback",
        "Take snapshot",
        "Wait for snapshot",
        "Check snapshot",
        "Is the snapshot available?",
        "Certify restore",
        "Is infrastructure to be changed?",
        *("Apply infrastructure", "Wait for infrastructure", "Check infrastructure", "Is it applied?"),
        "Prepare idle color",
        *(poll * 3),
        "Does the release migrate?",
        "Check database and cache",
        "Smoke check new version",
        "Hold old color",
        "Check for hold",
        "Is the release held?",
        "Can both versions serve?",
        "Shift 10 % of traffic",
        *baked(10),
        "Shift 50 % of traffic",
        *baked(50),
        "Shift 100 % of traffic",
        "Wait for load balancer",
        "Check live database and cache",
        "Validate live version",
        "Check error rate",
        *baked(100),
        "Check error rate after bake",
        "Promote release",
        "Resume scaling",
        "Release environment",
        "Start clean-up",
        "Tell about the release",
        "Release is live",
    ]

    assert live.entered == expected
    assert live.ending == ("SUCCEEDED", None, None)


def test_the_request_is_checked_as_it_was_given(live: Run) -> None:
    assert live.given("Validate request") == {"input": REQUEST, "execution_name": live.name}


def test_the_environment_is_claimed_for_this_execution(live: Run) -> None:
    """The holder of the lease is found by its ARN when it dies."""
    expected = {"execution": live.arn, "release_id": live.release_id, "version": VERSION}
    assert expected == live.given("Claim environment")


def test_the_new_version_comes_up_on_the_idle_color(live: Run) -> None:
    preparation = {"refresh_id": "refresh-1", "wanted_healthy": 2, "ready_by": "2026-03-01T11:00:00.000Z"}

    assert live.given("Prepare idle color") == under_lease(live, version=VERSION, color="green")
    assert [call.given for call in live.calls_of("Check idle color")] == [
        under_lease(live, color="green", **preparation)
    ] * 3


@pytest.mark.parametrize(("percent", "before_percent"), [(10, 0), (50, 10), (100, 50)])
def test_a_shift_knows_the_weight_before_it(percent: int, before_percent: int, live: Run) -> None:
    """So it can tell the listener that it left from one that somebody has moved."""
    expected = under_lease(
        live, color="green", percent=percent, before_percent=before_percent, wanted_healthy=2, back=False
    )
    assert expected == live.given(f"Shift {percent} % of traffic")


def test_checks_are_told_whom_to_ask(live: Run) -> None:
    """The new version alone through the test listener; everything through the live one."""
    assert live.given("Check current health") == under_lease(live, scope="system")
    assert live.given("Smoke check new version") == under_lease(live, scope="new_version")
    assert live.given("Validate live version") == under_lease(live, scope="live")
    for state in ("Check error rate", "Check error rate after bake"):
        assert live.given(state) == under_lease(live, version=VERSION, since="")


def test_what_works_in_the_network_is_told_nothing_that_it_does_not_need(live: Run) -> None:
    for state in ("Check database and cache", "Check live database and cache"):
        assert live.given(state) == {"release_id": live.release_id}


def test_the_old_color_is_recorded_and_held_and_the_live_one_let_go(live: Run) -> None:
    """What serves now is the way back, and must not shrink; what serves afterwards must be free to grow."""
    assert live.given("Record rollback point") == under_lease(live, active="blue")
    assert live.given("Hold old color") == under_lease(live, color="blue")
    assert live.given("Resume scaling") == under_lease(live, color="green")


def test_a_live_release_is_promoted_released_and_told(live: Run) -> None:
    assert live.given("Promote release") == under_lease(live)
    assert live.given("Release environment") == under_lease(live, phase="committed", failure={})
    assert live.given("Tell about the release") == notice(live, "promoted")


@pytest.mark.parametrize(("percent", "seconds"), [(10, 300), (50, 300), (100, 1800)])
def test_every_step_is_observed_for_as_long_as_the_settings_say(percent: int, seconds: int, live: Run) -> None:
    expected = under_lease(live, version=VERSION, color="green", percent=percent, bake_seconds=seconds)
    assert [expected] * 2 == [call.given for call in live.calls_of(f"Judge at {percent} %")]


@pytest.mark.parametrize("percent", [10, 50, 100])
def test_a_bake_is_looked_at_again_when_the_last_look_said(percent: int, live: Run) -> None:
    first, second = live.calls_of(f"Judge at {percent} %")
    assert second.now - first.now >= timedelta(seconds=30)


def test_a_release_is_held_before_its_first_shift_for_as_long_as_it_is_paused(account: Machines) -> None:
    """Nobody but Runback has seen the new version then."""
    run = account.run("deploy", {"Check for hold": [NOT_BAKED, NOT_BAKED, BAKED]})

    held = ["Check for hold", "Is the release held?", "Hold before shift"]
    assert run.after("Hold old color")[:9] == [*held, *held, *held[:2], "Can both versions serve?"]
    assert run.calls_of("Check for hold")[0].given == under_lease(run, percent=0, bake_seconds=0)
    assert run.entered[-1] == "Release is live"


def test_a_release_that_waits_for_a_window_claims_again_and_then_goes_on(account: Machines) -> None:
    run = account.run("deploy", {"Claim environment": [IN_WINDOW, IN_WINDOW, CLAIMED]})

    claim = ["Claim environment", "Is the environment ours?", "Wait for the window's end"]
    assert run.after("Are the gates passed after approval?")[:9] == [
        *claim,
        *claim,
        *claim[:2],
        "Record rollback point",
    ]
    assert run.entered[-1] == "Release is live"


def test_a_release_that_waited_can_still_be_refused(account: Machines) -> None:
    """Another one may have been faster at the end of the window."""
    run = account.run("deploy", {"Claim environment": [IN_WINDOW, error(EnvironmentBusy, "Another one was faster.")]})

    assert run.ending == ("FAILED", "ReleaseRefused", "Another one was faster.")


@pytest.mark.parametrize(
    ("state", "waiting", "ending"),
    [("Check for hold", NOT_BAKED, "ReleaseAborted"), ("Judge at 10 %", JUDGED_YET, "ReleaseRolledBack")],
)
def test_a_pause_over_its_deadline_ends_the_release(state: str, waiting: Json, ending: str, account: Machines) -> None:
    """Nobody looks after it any more, so it does not stay half-way."""
    run = account.run("deploy", {state: [waiting, error(PauseExpired, "nobody let it go on")]})

    assert run.ending[:2] == ("FAILED", ending)
    assert "PauseExpired" in str(run.ending[2])


@pytest.mark.parametrize("percent", [10, 50, 100])
def test_a_release_that_is_worse_is_rolled_back(percent: int, account: Machines) -> None:
    run = account.run("deploy", {f"Judge at {percent} %": error(ReleaseUnhealthy, "41 of 512 requests failed")})

    assert run.ending[:2] == ("FAILED", "ReleaseRolledBack")
    assert "41 of 512 requests failed" in str(run.ending[2])


def test_trouble_of_the_old_version_too_is_left_to_a_human_with_the_traffic_where_it_is(account: Machines) -> None:
    run = account.run("deploy", {"Judge at 50 %": error(NotTheRelease, "blue fails, too")})

    assert run.ending[:2] == ("FAILED", "Escalated")
    assert "Start rollback" not in run.called
    assert run.given("Leave the listener to a human")["phase"] == "escalated"
    assert run.given("Page a human")["failure"]["Error"] == "NotTheRelease"


def test_a_human_is_asked_once_and_the_release_waits_for_the_answer(account: Machines) -> None:
    asks = {**JUDGED_YET, "asks": True, "reason": "7 requests in 15 minutes"}
    run = account.run("deploy", {"Judge at 10 %": [asks, JUDGED_YET, JUDGED_GOOD]})

    assert run.given("Ask a human at 10 %") == notice(run, "undecided", "7 requests in 15 minutes")
    assert run.entered[-1] == "Release is live"


def test_a_question_that_cannot_be_sent_delays_nothing(account: Machines) -> None:
    asks = {**JUDGED_YET, "asks": True}
    run = account.run("deploy", {"Judge at 10 %": [asks, JUDGED_GOOD], "Ask a human at 10 %": UNFORESEEN})

    assert run.entered[-1] == "Release is live"


def test_a_critical_alarm_stops_a_release_before_it_begins_unless_it_has_a_reason(account: Machines) -> None:
    refused = account.run("deploy", {"Check alarms": error(AlarmsAreOn, "cpu is on")})
    assert refused.ending[:2] == ("FAILED", "ReleaseAborted")
    assert "Take snapshot" not in refused.called
    assert refused.given("Check alarms") == under_lease(refused, despite_alarms="")

    despite = account.run("deploy", given={**REQUEST, "despite_alarms": "it mends them"})
    assert despite.given("Check alarms") == under_lease(despite, despite_alarms="it mends them")


def test_the_idle_color_is_looked_at_again_after_a_pause(live: Run) -> None:
    """A request every moment would be throttled."""
    assert all(after.seconds - before.seconds >= 15 for before, after in pairwise(live.calls_of("Check idle color")))


def test_every_step_is_told_the_moment_at_which_it_began(live: Run) -> None:
    moments = [call.now for call in live.calls if call.state not in LOOKS]  # which are at the same time
    assert moments == sorted(moments)


# A release that does not begin


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "Field 'version' is missing"),
        ([], "The input must be a JSON object, but it is a list."),
        ("main", "The input must be a JSON object, but it is text 'main'."),
        ({"version": 7}, "Field 'version' must be a git commit"),
        ({**REQUEST, "force": True}, "Field 'force' is not known."),
    ],
)
def test_a_bad_input_is_explained_and_nothing_else_is_called(given: Json, problem: str, account: Machines) -> None:
    """The operator reads the cause in the console, and corrects the input there."""
    run = account.run("deploy", given=given)

    status, name, cause = run.ending
    assert (status, name) == ("FAILED", "InvalidRequest")
    assert cause is not None
    assert cause.startswith(problem)
    assert 'Example of a valid input: {"version": ' in cause
    assert run.called == ["Validate request"]


@pytest.mark.parametrize("given", [[], "main", 7, False, {"failure": {"Cause": "forged"}}])
def test_an_input_that_cannot_be_checked_changes_nothing(given: Json, account: Machines) -> None:
    """Whatever the input is, it does not get in the way of saying so."""
    run = account.run("deploy", {"Validate request": UNFORESEEN}, given)

    assert run.ending[:2] == ("FAILED", "RequestNotChecked")
    assert run.called == ["Validate request"]


@pytest.mark.parametrize("kind", [EnvironmentBusy, RollbackWindowOpen, ListenerDrifted])
def test_a_refused_release_says_why_and_changes_nothing(kind: type[Exception], account: Machines) -> None:
    reason = 'Execution "other" works on it. Wait for its end, or stop it: {} rolls it back.'

    run = account.run("deploy", {"Claim environment": FunctionError(kind.__name__, reason)})

    assert run.ending == ("FAILED", "ReleaseRefused", reason)
    assert run.called[-2:] == ["Claim environment", "Tell about the refusal"]
    assert set(run.called[:-2]) == BEFORE_THE_CLAIM
    assert run.given("Tell about the refusal") == notice(run, "refused", reason)


def test_a_claim_of_unknown_outcome_is_left_to_a_human_and_the_rollback_machine(account: Machines) -> None:
    """The lease may be taken or not; whoever guesses may abort another one's release."""
    run = account.run("deploy", {"Claim environment": UNFORESEEN})

    assert run.ending[:2] == ("FAILED", "Escalated")
    assert run.after("Claim environment") == ["Page a human", "Escalated"]
    assert run.given("Page a human")["failure"]["Error"] == "KeyError"


# A release that is given up before traffic moved


@pytest.mark.parametrize("state", BEFORE_FIRST_SHIFT)
def test_a_failure_before_the_first_shift_leaves_everything_as_it_was_found(state: str, account: Machines) -> None:
    """Traffic never moved, so nothing has to be moved back."""
    run = account.run("deploy", {state: error(RefreshFailed, "Instance i-1 never became healthy.")})

    assert run.ending == ("FAILED", "ReleaseAborted", "RefreshFailed: Instance i-1 never became healthy.")
    entered = [each for each in run.after(state) if not each.endswith("?")]
    assert entered == [*ABORT, "Tell about the abort", "Release aborted"]


def test_a_release_whose_rollback_is_not_certified_undoes_nothing_with_rights_that_may_be_gone(
    account: Machines,
) -> None:
    """Nothing was changed. To scale back what was never scaled would fail for the very reason that it ends for."""
    run = account.run("deploy", {"Certify rollback": error(RollbackNotCertified, "Two is gone.")})

    assert run.ending == ("FAILED", "ReleaseAborted", "RollbackNotCertified: Two is gone.")
    assert run.after("Certify rollback") == [
        "Release environment after abort",
        *("Was infrastructure changed?", "Was the schema changed?"),
        "Tell about the abort",
        "Release aborted",
    ]
    assert run.given("Certify rollback") == under_lease(run, active="blue")


def test_a_release_that_began_without_proof_is_told_so_once_it_is_live(account: Machines) -> None:
    """Settings may let it: whoever reads that it is live must not believe that it can go back."""
    answers = {
        "Certify rollback": {"checks": 2, "concern": "It began without proof."},
        "Certify restore": {"checks": 3, "concern": "It began without proof.\nNor can the database come back."},
    }
    run = account.run("deploy", answers)

    assert run.given("Certify restore") == under_lease(
        run, snapshot_id="runback-test", concern="It began without proof."
    )
    said = "It began without proof.\nNor can the database come back."
    assert run.given("Tell about the release")["reason"] == said


def test_a_release_whose_database_could_not_come_back_leaves_its_snapshot_and_nothing_else(account: Machines) -> None:
    run = account.run("deploy", {"Certify restore": error(RestoreNotCertified, "The key is gone.")})

    assert run.ending == ("FAILED", "ReleaseAborted", "RestoreNotCertified: The key is gone.")
    assert run.after("Certify restore") == [
        "Release environment after abort",
        *("Was infrastructure changed?", "Was the schema changed?"),
        "Tell about the abort",
        "Release aborted",
    ]


def test_an_abort_says_why_wherever_somebody_may_look(account: Machines) -> None:
    """In the record, in the message and in the console, and not as the JSON of a stack trace."""
    run = account.run("deploy", {"Check idle color": error(RefreshFailed, "Instance i-1 never became healthy.")})

    cause = '{"errorType":"RefreshFailed","errorMessage":"Instance i-1 never became healthy."}'
    assert run.given("Release environment after abort") == under_lease(
        run, phase="aborted", failure={"Error": "RefreshFailed", "Cause": cause}
    )
    reason = "RefreshFailed: Instance i-1 never became healthy."
    assert run.given("Tell about the abort") == notice(run, "aborted", reason)


def test_an_abort_frees_both_colors(account: Machines) -> None:
    run = account.run("deploy", {"Hold old color": UNFORESEEN})

    assert run.given("Scale idle color back") == under_lease(run)
    assert run.given("Resume scaling of old color") == under_lease(run, color="blue")


@pytest.mark.parametrize("state", ABORT)
def test_an_abort_that_fails_pages_a_human_with_what_failed(state: str, account: Machines) -> None:
    """The lease is still held then, and the rollback machine, started by the failed execution, clears it."""
    run = account.run(
        "deploy", {"Prepare idle color": error(RefreshFailed), state: FunctionError("ValueError", "no size")}
    )

    assert run.ending[:2] == ("FAILED", "Escalated")
    assert run.ending[2] == 'ValueError: {"errorType":"ValueError","errorMessage":"no size"}'
    assert run.after(state) == ["Page a human", "Escalated"]
    failure = {"Error": "ValueError", "Cause": '{"errorType":"ValueError","errorMessage":"no size"}'}
    assert run.given("Page a human") == notice(run, "escalated", failure=failure)


# A release that is rolled back


@pytest.mark.parametrize("state", FROM_FIRST_SHIFT)
def test_a_failure_from_the_first_shift_on_starts_the_rollback(state: str, account: Machines) -> None:
    """Also the first shift itself: nobody knows how far it came."""
    run = account.run("deploy", {state: error(TargetGroupUnhealthy, "green has 1 of 2")})

    status, name, cause = run.ending
    assert (status, name) == ("FAILED", "ReleaseRolledBack")
    assert cause is not None
    assert cause.startswith("The rollback machine took over after TargetGroupUnhealthy: ")
    assert "green has 1 of 2" in cause
    assert run.after(state) == ["Start rollback", "Does a human decide?", "Release rolled back"]


def test_a_rollback_is_started_in_the_name_of_the_release(account: Machines) -> None:
    """A second start, by a repeated step, then is not a second rollback."""
    run = account.run("deploy", {"Promote release": error(TargetGroupUnhealthy, "green has 1 of 2")})

    given = account.started(f"rollback-{run.release_id}")

    assert given == {
        "source": "deployment",
        "execution_arn": run.arn,
        "release_id": run.release_id,
        "reason": "TargetGroupUnhealthy",
        "cause": '{"errorType":"TargetGroupUnhealthy","errorMessage":"green has 1 of 2"}',
    }
    assert read_rollback_request(given).why == "TargetGroupUnhealthy: green has 1 of 2"


def test_the_rollback_machine_understands_what_it_is_started_with(account: Machines) -> None:
    run = account.run("deploy", {"Promote release": UNFORESEEN})

    request = read_rollback_request(account.started(f"rollback-{run.release_id}"))

    assert (request.problem, request.source) == ("", Source.DEPLOYMENT)
    assert (request.execution_arn, request.release_id) == (run.arn, run.release_id)


def test_a_rollback_that_was_started_already_is_as_good(account: Machines) -> None:
    """An earlier attempt worked, and only its answer was lost."""
    rollback = f"rollback-{read_request(REQUEST, 'started-before').release_id}"
    account.start(rollback)

    run = account.run("deploy", {"Promote release": UNFORESEEN}, name="started-before")

    assert run.ending[:2] == ("FAILED", "ReleaseRolledBack")
    assert run.called.count("Start rollback") == 1
    assert account.started(rollback) == {"other": 1}


def test_a_rollback_that_cannot_be_started_is_paged_with_what_failed_first(account: Machines) -> None:
    run = account.run(
        "deploy",
        {
            "Shift 10 % of traffic": error(TargetGroupUnhealthy),
            "Start rollback": FunctionError("StepFunctions.AccessDeniedException", "not allowed"),
        },
    )

    assert run.ending[:2] == ("FAILED", "Escalated")
    assert run.given("Page a human")["failure"]["Error"] == "TargetGroupUnhealthy"


# A release that is live, but not at its end


def test_a_live_release_is_not_taken_back_because_scaling_could_not_be_resumed(account: Machines) -> None:
    """It keeps too many instances, which harms nobody, and which nobody would notice: a human is told."""
    run = account.run("deploy", {"Resume scaling": UNFORESEEN})

    assert run.after("Resume scaling")[:2] == ["Page about held scaling", "Release environment"]
    assert run.given("Page about held scaling")["kind"] == "scaling_held"
    assert run.given("Page about held scaling")["failure"]["Error"] == "KeyError"
    assert run.entered[-1] == "Release is live"


def test_a_live_release_whose_lease_cannot_be_given_back_is_for_a_human(account: Machines) -> None:
    """It is promoted, so nothing is rolled back; the next release would be refused without anybody knowing why."""
    run = account.run("deploy", {"Release environment": UNFORESEEN})

    assert run.ending[:2] == ("FAILED", "Escalated")
    assert run.after("Release environment") == ["Page a human", "Escalated"]


def test_a_live_release_has_its_clean_up_started_in_its_name(live: Run, account: Machines) -> None:
    """A clean-up that outlives its release then finds that another one is live, and leaves it alone."""
    assert account.started(f"clean-up-{live.release_id}") == {"release_id": live.release_id}


def test_the_clean_up_machine_understands_what_it_is_started_with(live: Run, account: Machines) -> None:
    request = read_clean_up_request(account.started(f"clean-up-{live.release_id}"))

    assert (request.problem, request.release_id) == ("", live.release_id)


def test_a_clean_up_that_was_started_already_is_as_good(account: Machines) -> None:
    """An earlier attempt worked, and only its answer was lost."""
    account.start(f"clean-up-{read_request(REQUEST, 'cleaned-before').release_id}")

    run = account.run("deploy", name="cleaned-before")

    assert run.after("Start clean-up") == ["Tell about the release", "Release is live"]


def test_a_release_is_no_less_live_because_its_clean_up_cannot_be_started(account: Machines) -> None:
    """The old color costs money until a human starts the machine: so a human has to know."""
    refused = FunctionError("StepFunctions.AccessDeniedException", "not allowed")

    run = account.run("deploy", {"Start clean-up": refused})

    assert run.ending == ("SUCCEEDED", None, None)
    assert run.after("Start clean-up") == ["Tell about the clean-up", "Tell about the release", "Release is live"]
    told = run.given("Tell about the clean-up")
    assert (told["kind"], told["release_id"]) == ("clean_up_failed", run.release_id)
    assert told["failure"]["Error"] == "StepFunctions.AccessDeniedException"
    assert run.given("Tell about the release") == notice(run, "promoted")


@pytest.mark.parametrize("state", ["Shift 50 % of traffic", "Promote release"])
def test_a_listener_moved_by_somebody_else_is_left_to_a_human(state: str, account: Machines) -> None:
    """No rollback is started, and none can begin: the lease is given back before this execution ends."""
    run = account.run("deploy", {state: error(ListenerDrifted, "Route 'api' forwards 70/30")})

    leaving = ["Let old color scale again", "Leave the listener to a human", "Page a human", "Escalated"]
    assert run.after(state) == leaving
    assert run.given("Let old color scale again") == under_lease(run, color="blue", only_in_phase="preparing")
    assert run.given("Leave the listener to a human")["phase"] == "escalated"
    assert run.ending[:2] == ("FAILED", "Escalated")
    assert "70/30" in run.ending[2]


# Migrations

CONSENT = BREAKING["no_automatic_rollback"]


def test_migrations_run_once_the_new_version_is_up_and_before_anything_is_asked_of_it(account: Machines) -> None:
    run = account.run("deploy", {"Check migrations": [{"ready": False}, {"ready": True}]}, MIGRATING)

    first, last = run.entered.index("Is the idle color ready?"), run.entered.index("Check database and cache")
    poll = ["Check migrations", "Have the migrations ended?"]
    between = ["Does the release migrate?", "Run migrations", *poll, "Wait for migrations", *poll]
    assert run.entered[first + 1 : last] == between
    asked = {"version": VERSION, "migrations": "backward-compatible", "no_automatic_rollback": ""}
    assert run.given("Run migrations") == under_lease(run, **asked)
    build = {"build_id": "migrate:1", "ready_by": "2026-03-01T11:00:00.000Z"}
    assert run.calls_of("Check migrations")[0].given == under_lease(run, **build)
    assert run.entered[-1] == "Release is live"
    assert "Shift 10 % of traffic" in run.entered


def test_after_breaking_migrations_the_new_version_gets_all_traffic_at_once(account: Machines) -> None:
    """The old one cannot serve any more, so the less time both have users, the better."""
    run = account.run("deploy", given=BREAKING)

    shifts = [state for state in run.called if state.startswith("Shift")]
    assert shifts == ["Shift all traffic at once"]
    given = run.given("Shift all traffic at once")
    assert (given["percent"], given["before_percent"]) == (100, 0)
    assert run.given("Run migrations")["no_automatic_rollback"] == CONSENT
    assert run.entered[-1] == "Release is live"


def test_a_failure_after_breaking_migrations_says_that_a_human_decides(account: Machines) -> None:
    """The rollback machine is asked as ever, finds in the record that it may move nothing, and pages."""
    run = account.run("deploy", {"Judge at 100 %": error(ReleaseUnhealthy, "green: 41 of 512 failed")}, BREAKING)

    assert run.called[-1] == "Start rollback"
    status, name, cause = run.ending
    assert (run.entered[-1], status, name) == ("Release held", "FAILED", "ReleaseHeld")
    assert cause
    assert cause.startswith("The release is not rolled back by itself, and a human decides. It failed with Release")


def test_an_abort_waits_for_migrations_and_tells_what_breaking_ones_leave(account: Machines) -> None:
    answers = {"Run migrations": error(MigrationsFailed), "Look at migrations": [MIGRATES, SCHEMA_CHANGED]}
    run = account.run("deploy", answers, BREAKING)

    assert run.called[-5:] == ["Look at migrations", *ABORT[2:], "Page about the schema"]
    reason = "MigrationsFailed: as the test says Its breaking migrations have changed the schema."
    assert run.given("Page about the schema") == notice(run, "schema_changed", reason)
    assert run.entered[-1] == "Release aborted"
