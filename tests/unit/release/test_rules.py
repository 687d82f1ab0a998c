from dataclasses import replace

import pytest

from lambdas.errors import EnvironmentBusy, RollbackWindowOpen
from lambdas.release.rules import (
    EnvironmentRecord,
    InWindow,
    Lease,
    Live,
    Maintenance,
    Phase,
    PointStatus,
    RollbackPoint,
    Work,
    check_deploy_claim,
    describe_json,
    explain_failure,
    frozen_by,
    other_color,
    read_request,
    read_version,
    release_id_of,
)
from tests.builders import BLUE, CLEAN_UP, DEPLOYMENT, OTHER_DEPLOYMENT, at


def live(status: PointStatus, window_ends_at: str | None) -> Live:
    point = RollbackPoint(status, "blue", "1111111", "old", {"api": BLUE}, capacity=2, window_ends_at=window_ends_at)
    return Live("new", "2222222", "green", since=at(0), rollback_point=point)


def test_color_that_is_not_active_is_idle() -> None:
    assert (other_color("blue"), other_color("green")) == ("green", "blue")


def test_lease_is_handed_from_step_to_step() -> None:
    lease = Lease(holder=DEPLOYMENT, token=7)
    assert lease.as_event() == {"holder": DEPLOYMENT, "token": 7}
    assert Lease.from_event({"lease": lease.as_event()}) == lease
    assert Lease.from_event({"lease": {"holder": DEPLOYMENT, "token": "7"}}) == lease


@pytest.mark.parametrize(
    ("value", "described"),
    [
        ({"a": 1}, "an object"),
        (["a"], "a list"),
        (True, "a boolean"),
        (None, "null"),
        (7, "number '7'"),
        ("a", "text 'a'"),
        ("x" * 100, f"text {'x' * 60!r}"),
    ],
)
def test_value_is_described_in_the_words_of_json_and_briefly(value: object, described: str) -> None:
    assert describe_json(value) == described


@pytest.mark.parametrize(
    ("given", "version"),
    [
        ({"version": "4f2c1e9"}, "4f2c1e9"),
        ({"version": "4f2c1e9", "verison": "1"}, "4f2c1e9"),
        ({"version": "main"}, ""),
        ({"version": 1234567}, ""),
        ({}, ""),
        (["version"], ""),
        (None, ""),
    ],
)
def test_version_can_be_told_whatever_else_is_wrong_with_a_request(given: object, version: str) -> None:
    assert read_version(given) == version


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, "'version' is missing"),
        ({"version": None}, "'version'"),
        ({"version": 1234567}, "'version'"),
        ({"version": ""}, "'version'"),
        ({"version": "main"}, "'version'"),
        ({"version": "ABCDEF1"}, "'version'"),
        ({"version": "4f2c1e9; rm -rf /"}, "'version'"),
        ({"version": "4f2c1e9", "verison": "4f2c1e9"}, "'verison'"),
        ({"version": ["4f2c1e9"]}, "'version'"),
        ([], "a list"),
        ("4f2c1e9", "text '4f2c1e9'"),
        (None, "null"),
        (True, "a boolean"),
    ],
)
def test_bad_request_names_field_and_shows_example(given: object, named: str) -> None:
    problem = read_request(given, "execution").problem
    assert named in problem
    assert '{"version": "4f2c1e9"}' in problem


def test_release_despite_alarms_has_its_reason() -> None:
    request = read_request({"version": "4f2c1e9", "despite_alarms": " it mends them "}, "one")
    assert (request.problem, request.despite_alarms) == ("", "it mends them")
    assert read_request({"version": "4f2c1e9"}, "one").despite_alarms == ""


@pytest.mark.parametrize(
    ("reason", "described"),
    [("", "text ''"), ("  ", "text '  '"), (None, "null"), (True, "a boolean"), ("x" * 1001, "text 'xxx")],
)
def test_release_despite_alarms_needs_a_reason(reason: object, described: str) -> None:
    problem = read_request({"version": "4f2c1e9", "despite_alarms": reason}, "one").problem
    assert problem.startswith("Field 'despite_alarms' must be the reason, in 1 to 1000 characters")
    assert f"but it is {described}" in problem


def test_reasons_of_a_thousand_characters_and_logins_of_a_hundred_are_accepted() -> None:
    """Messages say so."""
    given = {
        "version": "4f2c1e9",
        "despite_alarms": "x" * 1000,
        "migrations": "breaking",
        "no_automatic_rollback": "x" * 1000,
        "pushed_by": "x" * 100,
        "emergency": "x" * 1000,
        "skip_gates": ["backup"],
    }
    assert read_request(given, "one", skippable=GATES).problem == ""


def test_maintenance_refuses_a_release_that_is_not_at_work_yet() -> None:
    record = EnvironmentRecord(maintenance=Maintenance(until=at(11), reason="new disks", by="operate:one"))
    with pytest.raises(EnvironmentBusy, match=r"Maintenance is under way until .* \(new disks\)"):
        check_deploy_claim(record, DEPLOYMENT, at(10), in_window=InWindow.REFUSE)
    assert check_deploy_claim(record, DEPLOYMENT, at(11), in_window=InWindow.REFUSE) == ""


def test_problem_never_repeats_a_whole_payload() -> None:
    """What an operator pastes by mistake may be a secret, or megabytes."""
    assert len(read_request({"version": "x" * 100_000}, "execution").problem) < 400


def test_repeated_step_gets_the_same_release_id_and_another_execution_another() -> None:
    once = read_request({"version": "4f2c1e9"}, "execution-one")
    assert read_request({"version": "4f2c1e9"}, "execution-one") == once
    assert read_request({"version": "4f2c1e9"}, "execution-two").release_id != once.release_id


def test_release_id_is_the_short_version_and_eight_digits_of_the_execution() -> None:
    assert release_id_of("4f2c1e9", "one") == "4f2c1e9-7692c3ad"
    assert release_id_of("0123456789abcdef", "one") == "0123456789ab-7692c3ad"


def test_release_id_fits_into_the_name_of_a_rollback() -> None:
    """Execution names end at 80 characters, and those that EventBridge makes are 73 long already."""
    release_id = read_request({"version": "a" * 40}, "x" * 80).release_id
    assert len(f"rollback-{release_id}") <= 80


def test_free_environment_can_be_claimed() -> None:
    check_deploy_claim(EnvironmentRecord(), DEPLOYMENT, at(1), in_window=InWindow.REFUSE)


def test_own_environment_can_be_claimed_again() -> None:
    """The answer of a first claim can be lost."""
    work = Work(token=3, holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new")
    assert check_deploy_claim(EnvironmentRecord(work=work), DEPLOYMENT, at(1), in_window=InWindow.REFUSE) == ""


def test_frozen_environment_is_refused_with_both_ways_on_to_paste() -> None:
    """A release would write to a database of which nobody knows whether it stays."""
    record = EnvironmentRecord(work=Work(token=3, phase=Phase.FROZEN, release_id="old"))
    with pytest.raises(EnvironmentBusy) as raised:
        check_deploy_claim(record, DEPLOYMENT, at(1), in_window=InWindow.REFUSE)
    assert str(raised.value) == (
        "Traffic is frozen: the restore of the database of release old did not come to its end. To go on with it,"
        ' start the restore-database machine with {"release_id": "old", "reason": "…"}; to bring the instance back that'
        ' served before, with {"release_id": "old", "reason": "…", "undo": true}. Release again when traffic flows.'
    )


@pytest.mark.parametrize(
    ("phase", "holder", "said"),
    [
        (Phase.RESTORING, DEPLOYMENT, f"of release old is being restored by execution {DEPLOYMENT}"),
        (Phase.RESTORING, None, "Traffic is frozen: the restore"),
        (Phase.FROZEN, DEPLOYMENT, "Traffic is frozen: the restore"),
    ],
)
def test_restore_is_under_way_only_as_long_as_somebody_works_on_it(phase: Phase, holder: str | None, said: str) -> None:
    assert said in frozen_by(Work(token=3, holder=holder, phase=phase, release_id="old"))


def test_held_environment_is_refused_with_its_holder() -> None:
    work = Work(token=3, holder=OTHER_DEPLOYMENT, phase=Phase.SHIFTING, release_id="other")
    with pytest.raises(EnvironmentBusy, match="Release other is shifting"):
        check_deploy_claim(EnvironmentRecord(work=work), DEPLOYMENT, at(1), in_window=InWindow.REFUSE)


def test_open_window_refuses_the_next_release() -> None:
    """The idle color is what the live release would go back to."""
    record = EnvironmentRecord(live=live(PointStatus.VALID, at(30)))
    with pytest.raises(RollbackWindowOpen, match=at(30)):
        check_deploy_claim(record, DEPLOYMENT, at(29), in_window=InWindow.REFUSE)


def test_release_that_was_never_promoted_is_brought_to_its_end_first() -> None:
    """It was escalated with traffic on it: nobody may prepare a release on the color that carries the rest."""
    record = EnvironmentRecord(live=live(PointStatus.VALID, None))
    with pytest.raises(RollbackWindowOpen, match=r"start the rollback machine with the input \{\}\.$"):
        check_deploy_claim(record, DEPLOYMENT, at(29), in_window=InWindow.EXPIRE)


@pytest.mark.parametrize("in_window", InWindow)
@pytest.mark.parametrize(
    ("status", "now"), [(PointStatus.VALID, at(30)), (PointStatus.CONSUMED, at(1)), (PointStatus.EXPIRED, at(1))]
)
def test_window_that_is_over_or_given_up_lets_the_next_release_in(
    status: PointStatus, now: str, in_window: InWindow
) -> None:
    record = EnvironmentRecord(live=live(status, at(30)))
    assert check_deploy_claim(record, DEPLOYMENT, now, in_window=in_window) == ""


def test_window_may_be_expired_by_the_next_release() -> None:
    record = EnvironmentRecord(live=live(PointStatus.VALID, at(30)))
    assert check_deploy_claim(record, DEPLOYMENT, at(1), in_window=InWindow.EXPIRE) == ""


@pytest.mark.parametrize(("now", "again_at"), [(at(1), "2026-03-01T10:02:00Z"), (at(29, 30), "2026-03-01T10:30:00Z")])
def test_release_may_wait_for_the_end_of_the_window(now: str, again_at: str) -> None:
    """A minute at most: an operator may end the window at any time."""
    record = EnvironmentRecord(live=live(PointStatus.VALID, at(30)))
    assert check_deploy_claim(record, DEPLOYMENT, now, in_window=InWindow.WAIT) == again_at


def test_end_of_the_window_is_compared_as_a_moment_and_not_as_text() -> None:
    """Settings and AWS write the same moment in more than one way."""
    record = EnvironmentRecord(live=live(PointStatus.VALID, "2026-03-01T11:29:40+01:00"))
    found = check_deploy_claim(record, DEPLOYMENT, at(29), in_window=InWindow.WAIT)
    assert found == "2026-03-01T10:29:40Z"


def test_release_that_waits_lets_the_clean_up_go_first() -> None:
    """It begins in the moment in which the window ends, and would otherwise have the release refused."""
    work = Work(token=3, holder=CLEAN_UP, phase=Phase.CLEANING_UP, release_id="new")
    record = EnvironmentRecord(work=work, live=live(PointStatus.EXPIRED, at(30)))
    assert check_deploy_claim(record, DEPLOYMENT, at(30), in_window=InWindow.WAIT) == "2026-03-01T10:31:00Z"
    with pytest.raises(EnvironmentBusy):
        check_deploy_claim(record, DEPLOYMENT, at(30), in_window=InWindow.REFUSE)
    gone = replace(record, work=replace(work, holder=None))
    assert check_deploy_claim(gone, DEPLOYMENT, at(30), in_window=InWindow.WAIT) == ""


@pytest.mark.parametrize("phase", [Phase.PREPARING, Phase.BAKING, Phase.COMMITTED, Phase.ROLLING_BACK])
def test_release_that_waits_for_a_window_waits_for_no_other_release(phase: Phase) -> None:
    work = Work(token=3, holder=OTHER_DEPLOYMENT, phase=phase, release_id="other")
    with pytest.raises(EnvironmentBusy):
        check_deploy_claim(EnvironmentRecord(work=work), DEPLOYMENT, at(1), in_window=InWindow.WAIT)


def test_release_waits_for_no_window_without_end() -> None:
    record = EnvironmentRecord(live=live(PointStatus.VALID, None))
    with pytest.raises(RollbackWindowOpen):
        check_deploy_claim(record, DEPLOYMENT, at(29), in_window=InWindow.WAIT)


@pytest.mark.parametrize(
    ("failure", "explained"),
    [
        ({}, ""),
        ({"Error": "States.Timeout", "Cause": ""}, "States.Timeout"),
        ({"Error": "LeaseLost", "Cause": '{"errorMessage": "gone", "errorType": "LeaseLost"}'}, "LeaseLost: gone"),
        ({"Error": "Aborted", "Cause": "not JSON"}, "Aborted: not JSON"),
        ({"Error": "Odd", "Cause": "[1]"}, "Odd: [1]"),
        ({"Error": "Odd", "Cause": "{}"}, "Odd"),
        ({"Error": "States.Timeout"}, "States.Timeout"),
        ({"Cause": "it broke"}, "Unknown: it broke"),
    ],
)
def test_failure_is_explained_in_one_line(failure: dict[str, str], explained: str) -> None:
    assert explain_failure(failure) == explained


CONSENT = "the old version knows no currencies"


@pytest.mark.parametrize(
    ("given", "migrations", "consent"),
    [
        ({}, "none", ""),
        ({"migrations": "none"}, "none", ""),
        ({"migrations": "backward-compatible"}, "backward-compatible", ""),
        ({"migrations": "breaking", "no_automatic_rollback": f" {CONSENT} "}, "breaking", CONSENT),
    ],
)
def test_a_request_declares_its_migrations(given: dict[str, str], migrations: str, consent: str) -> None:
    request = read_request({"version": "4f2c1e9", **given}, "one")
    assert (request.problem, request.migrations, request.no_automatic_rollback) == ("", migrations, consent)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"migrations": "some"}, "must be one of none, backward-compatible, breaking, but it is text 'some'"),
        ({"migrations": ["breaking"]}, "must be one of none, backward-compatible, breaking, but it is a list"),
        ({"migrations": "breaking"}, "such a release is not rolled back by itself"),
        ({"migrations": "breaking", "no_automatic_rollback": " "}, "add field 'no_automatic_rollback' with the reason"),
        ({"migrations": "breaking", "no_automatic_rollback": True}, "add field 'no_automatic_rollback'"),
        ({"migrations": "breaking", "no_automatic_rollback": "x" * 1001}, "in 1 to 1000 characters"),
        ({"no_automatic_rollback": CONSENT}, "goes with migrations 'breaking' only"),
        ({"migrations": "backward-compatible", "no_automatic_rollback": CONSENT}, "goes with migrations 'breaking'"),
    ],
)
def test_breaking_migrations_need_consent_and_nothing_else_does(given: dict[str, object], named: str) -> None:
    """Who asks for such a release must have seen what it gives up."""
    assert named in read_request({"version": "4f2c1e9", **given}, "one").problem


def test_where_nothing_migrates_no_release_can_ask_for_it() -> None:
    """It would go live without what it needs."""
    given = {"version": "4f2c1e9", "migrations": "backward-compatible"}
    assert "add the table [migrations]" in read_request(given, "one", can_migrate=False).problem
    assert read_request({"version": "4f2c1e9", "migrations": "none"}, "one", can_migrate=False).problem == ""


def test_a_held_release_that_was_never_promoted_can_be_kept() -> None:
    """It is not rolled back by itself, so there must be another way to the next release."""
    held = replace(live(PointStatus.VALID, None), no_automatic_rollback=CONSENT)
    record = EnvironmentRecord(work=Work(token=3, phase=Phase.ESCALATED, release_id="new"), live=held)
    with pytest.raises(RollbackWindowOpen) as raised:
        check_deploy_claim(record, DEPLOYMENT, at(10), in_window=InWindow.REFUSE)
    assert 'with the input {"release_id": "new", "reason": "…"}' in str(raised.value)
    assert str(raised.value).endswith('"reason": "…"}, or keep the release with the order end-window.')


@pytest.mark.parametrize(
    ("given", "can_apply", "wanted"),
    [
        ({}, False, False),
        ({}, True, True),
        ({"infrastructure": False}, True, False),
        ({"infrastructure": False}, False, False),
        ({"infrastructure": True}, True, True),
    ],
)
def test_release_brings_its_infrastructure_where_it_is_described_unless_told_otherwise(
    given: dict[str, bool], *, can_apply: bool, wanted: bool
) -> None:
    request = read_request({"version": "4f2c1e9", **given}, "one", can_apply=can_apply)

    assert (request.problem, request.infrastructure) == ("", wanted)


@pytest.mark.parametrize(
    ("given", "said"),
    [("yes", "must be true or false, but it is text 'yes'"), (True, "add the table [infrastructure]")],
)
def test_infrastructure_that_nobody_has_described_cannot_be_asked_for(given: object, said: str) -> None:
    request = read_request({"version": "4f2c1e9", "infrastructure": given}, "one")

    assert said in request.problem
    assert not request.infrastructure


GATES = ("commit_checks", "commit_checks.tests", "backup", "approval")
EMERGENCY = {"version": "4f2c1e9", "emergency": " nobody can log in ", "skip_gates": ["backup", "approval"]}


def test_emergency_names_its_reason_and_what_it_goes_without() -> None:
    request = read_request(EMERGENCY, "one", skippable=GATES)
    assert request.problem == ""
    assert (request.emergency, request.skip_gates) == ("nobody can log in", ("backup", "approval"))
    assert request.skips_approval
    assert not read_request({**EMERGENCY, "skip_gates": ["backup"]}, "one", skippable=GATES).skips_approval


def test_request_of_a_human_names_the_version_alone() -> None:
    request = read_request({"version": "4f2c1e9"}, "one")
    assert (request.version, request.pushed_by) == ("4f2c1e9", "")


def test_usual_request_skips_nothing() -> None:
    request = read_request({"version": "4f2c1e9", "pushed_by": "zoe"}, "one", skippable=GATES)
    assert (request.pushed_by, request.emergency, request.skip_gates, request.skips_approval) == ("zoe", "", (), False)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"emergency": ""}, "Field 'emergency' must be the reason, in 1 to 1000 characters"),
        ({"emergency": "x" * 1001}, "Field 'emergency' must be the reason"),
        ({"emergency": True}, "Field 'emergency' must be the reason"),
        ({"emergency": None}, "Field 'emergency' must be the reason"),
        (
            {"skip_gates": []},
            "Field 'skip_gates' must be a list of what the emergency goes without, out of commit_checks",
        ),
        ({"skip_gates": "backup"}, "Field 'skip_gates' must be a list"),
        ({"skip_gates": ["backup", 7]}, "Field 'skip_gates' must be a list"),
        ({"skip_gates": ["bakcup"]}, "Field 'skip_gates' names text 'bakcup', which is no gate of this environment"),
        ({"pushed_by": 7}, "Field 'pushed_by' must be the name of who pushed the commit"),
        ({"pushed_by": "x" * 101}, "Field 'pushed_by' must be the name of who pushed the commit"),
    ],
)
def test_emergency_that_is_not_understood_is_refused_with_the_field(change: dict[str, object], said: str) -> None:
    problem = read_request({**EMERGENCY, **change}, "one", skippable=GATES).problem
    assert problem.startswith(said)
    assert "Example of a valid input" in problem


@pytest.mark.parametrize("field", ["emergency", "skip_gates"])
def test_reason_and_gates_go_together(field: str) -> None:
    """Nobody skips a gate without a reason, nor believes that a reason alone skips one."""
    given = {name: value for name, value in EMERGENCY.items() if name != field}
    assert field in read_request(given, "one", skippable=GATES).problem


def test_emergency_has_nothing_to_skip_where_there_are_no_gates() -> None:
    assert "has neither" in read_request(EMERGENCY, "one").problem


THE_GATES = "commit_checks, commit_checks.tests, backup, approval"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {},
            "Field 'version' is missing: the git commit to release, as 7 to 40 lower-case hexadecimal digits.",
        ),
        (
            {"version": 7},
            "Field 'version' must be a git commit of 7 to 40 lower-case hexadecimal digits, but it is number '7'.",
        ),
        (
            {"version": "4f2c1e9", "pushed_by": 7},
            "Field 'pushed_by' must be the name of who pushed the commit, but it is number '7'.",
        ),
        (
            {**EMERGENCY, "emergency": True},
            (
                "Field 'emergency' must be the reason, in 1 to 1000 characters, to release without the gates in"
                " 'skip_gates', but it is a boolean."
            ),
        ),
        (
            {**EMERGENCY, "skip_gates": []},
            (
                f"Field 'skip_gates' must be a list of what the emergency goes without, out of {THE_GATES}, but it is"
                " empty."
            ),
        ),
        (
            {**EMERGENCY, "skip_gates": {"backup": True}},
            (
                f"Field 'skip_gates' must be a list of what the emergency goes without, out of {THE_GATES}, but it is"
                " an object."
            ),
        ),
        (
            {**EMERGENCY, "skip_gates": ["backup", "bakcup"]},
            f"Field 'skip_gates' names text 'bakcup', which is no gate of this environment; it has {THE_GATES}.",
        ),
        (
            {"version": "4f2c1e9", "infrastructure": True},
            (
                "Field 'infrastructure' is true, but this environment has no settings of one: add the table"
                " [infrastructure] to its file, and deploy Runback."
            ),
        ),
    ],
)
def test_operator_reads_which_field_is_wrong_and_what_is_right(given: dict[str, object], said: str) -> None:
    problem = read_request(given, "one", skippable=GATES).problem
    assert problem == f'{said} Example of a valid input: {{"version": "4f2c1e9"}}'


def test_operator_of_an_environment_without_gates_reads_to_remove_what_skips_them() -> None:
    assert read_request(EMERGENCY, "one").problem.startswith(
        "Fields 'emergency' and 'skip_gates' are for environments with gates or approvals of releases, and this one has"
        " neither: remove them. Example"
    )
