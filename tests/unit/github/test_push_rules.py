"""Which push becomes the next release, judged as values."""

from dataclasses import replace
from typing import Any

import pytest

from lambdas.github.push_rules import (
    LONGEST_RUN_SECONDS,
    Action,
    Ending,
    Execution,
    Push,
    PushQueue,
    PushRequest,
    PushSettings,
    Source,
    Started,
    Starts,
    Validation,
    begin,
    ending_of,
    endings_of,
    finish,
    first_look,
    is_spent,
    judge_push,
    may_be_revived,
    pushed_to,
    read_push_request,
    rests,
    take,
    validation_of,
    wait_for_other,
    wait_for_turn,
    why_behind_live,
)
from lambdas.release.rules import (
    EnvironmentRecord,
    InWindow,
    Live,
    Maintenance,
    Phase,
    PointStatus,
    RollbackPoint,
    Work,
    later,
)
from tests.builders import BLUE, DEPLOY_MACHINE_ARN, DEPLOYMENT, at

ONE, TWO, THREE = "1" * 40, "2" * 40, "3" * 40
MAIN = PushSettings(Starts.PUSH, "refs/heads/main", "", "", 412906233)
TAGS = replace(MAIN, starts=Starts.TAG, ref="refs/tags/v*")
AFTER = replace(MAIN, starts=Starts.VALIDATED, after="staging", after_table="receipts-staging-record")
PUSHED: dict[str, Any] = {
    "source": "github.com",
    "commit": TWO,
    "ref": "refs/heads/main",
    "sender": "jane",
    "delivery": "7c1e9a60-4a1b-11ef-8f21-5c6d7e8f9a0b",
    "pushed_at": at(5),
    "before": ONE,
    "repository_id": 412906233,
    "deleted": False,
    "fork": False,
}
RUNNER = "arn:aws:states:eu-west-1:123456789012:execution:receipts-test-push:one"
OTHER_RUNNER = "arn:aws:states:eu-west-1:123456789012:execution:receipts-test-push:two"
LIVE = Live("1111111-0a1b2c3d", ONE, "blue", at(0))
NOW = at(10)


def push(commit: str = TWO, pushed_at: str = at(5), **more: Any) -> Push:
    return Push(commit, pushed_at, **{"source": Source.GITHUB, **more})


def nobody_asked(other: str) -> bool | None:
    raise AssertionError(f"GitHub was asked about {other}")


def silent(other: str) -> bool | None:
    assert other


def behind(*others: str) -> Any:
    return lambda other: other in others


# What is asked for


def test_a_push_is_read_with_all_that_orders_it() -> None:
    request = read_push_request(PUSHED, MAIN, NOW)

    wanted = push(ref="refs/heads/main", sender="jane", delivery=PUSHED["delivery"], before=ONE)
    assert request == PushRequest(Source.GITHUB, wanted)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"repository_id": 7}, "another repository"),
        ({"repository_id": "412906233"}, "another repository"),
        ({"repository_id": True}, "another repository"),
        ({"deleted": True}, "deleted"),
        ({"deleted": "false"}, "deleted"),
        ({"deleted": None}, "deleted"),
        ({"commit": "0" * 40}, "deleted"),
        ({"fork": True}, "fork"),
        ({"fork": None}, "fork"),
        ({"ref": "refs/heads/main2"}, "'refs/heads/main2' starts nothing here"),
        ({"ref": "refs/heads/mai"}, "starts nothing here"),
        ({"ref": "refs/tags/v1"}, "starts nothing here"),
        ({"ref": ""}, "starts nothing here"),
    ],
)
def test_a_push_that_a_rule_should_have_kept_away_is_refused(change: dict[str, Any], said: str) -> None:
    """Somebody may have edited the rule in the console."""
    request = read_push_request({**PUSHED, **change}, MAIN, NOW)

    assert said in request.refusal
    assert request.push is None
    assert request.problem == ""


@pytest.mark.parametrize(
    ("ref", "wanted"), [("refs/tags/v1.2", True), ("refs/tags/w1", False), ("refs/heads/v", False)]
)
def test_a_star_stands_for_the_rest_of_a_tag(ref: str, wanted: bool) -> None:  # noqa: FBT001  parameter
    assert bool(read_push_request({**PUSHED, "ref": ref}, TAGS, NOW).push) == wanted


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "must be a JSON object"),
        ("now", "must be a JSON object"),
        ({"source": "elsewhere"}, "Field 'source' must be one of github.com, validated, reconcile, human"),
        ({"source": ["github.com"]}, "Field 'source'"),
        ({"version": TWO}, "Field 'version' is not known"),
        ({"commit": TWO[:12]}, "whole git commit"),
        ({"commit": TWO.upper().replace("2", "A")}, "whole git commit"),
        ({"commit": ""}, "whole git commit"),
        ({"commit": None}, "whole git commit"),
        ({"source": "validated"}, "Field 'environment' is missing"),
        ({"source": "validated", "environment": 3}, "Field 'environment' must be text"),
        ({name: value for name, value in PUSHED.items() if name != "fork"}, "Field 'fork' is missing"),
        ({**PUSHED, "pushed_at": "yesterday"}, "Field 'pushed_at' must be a moment"),
        ({**PUSHED, "pushed_at": "2026-03-01T10:05:00"}, "with its time zone"),
        ({**PUSHED, "pushed_at": 1772359500}, "Field 'pushed_at' must be text"),
        ({**PUSHED, "sender": "x" * 301}, "Field 'sender' must be text of at most 300 characters"),
        ({**PUSHED, "ref": None}, "Field 'ref' must be text"),
    ],
)
def test_what_is_not_understood_is_said_with_an_example(given: Any, said: str) -> None:
    request = read_push_request(given, MAIN, NOW)

    assert said in request.problem
    assert "Valid inputs are" in request.problem
    assert "x" * 301 not in request.problem


def test_a_push_from_the_future_keeps_no_later_one_away() -> None:
    """Whoever may put events on the bus could otherwise stop all releases for years."""
    request = read_push_request({**PUSHED, "pushed_at": "2099-01-01T00:00:00Z"}, MAIN, NOW)

    assert request.push is not None
    assert request.push.pushed_at == NOW


@pytest.mark.parametrize("given", [{}, {"source": "reconcile"}])
def test_without_a_commit_it_is_only_looked_whether_a_push_waits(given: Any) -> None:
    request = read_push_request(given, MAIN, NOW)

    assert (request.push, request.problem, request.refusal) == (None, "", "")


def test_what_a_human_or_a_look_names_is_as_new_as_now() -> None:
    assert read_push_request({"commit": TWO}, MAIN, NOW).push == push(pushed_at=NOW, source=Source.HUMAN)
    looked = read_push_request({"source": "reconcile", "commit": TWO}, MAIN, NOW)
    assert looked.push == push(pushed_at=NOW, source=Source.RECONCILE)


@pytest.mark.parametrize(
    ("settings", "environment", "said"),
    [(AFTER, "staging", ""), (AFTER, "canary", "goes after staging"), (MAIN, "staging", "starts nothing here")],
)
def test_only_the_environment_before_counts(settings: PushSettings, environment: str, said: str) -> None:
    request = read_push_request({"source": "validated", "environment": environment}, settings, NOW)

    assert said in request.refusal
    assert bool(said) == bool(request.refusal)


@pytest.mark.parametrize("starts", [Starts.VALIDATED, Starts.BY_HAND])
def test_a_push_starts_nothing_where_settings_say_otherwise(starts: Starts) -> None:
    assert read_push_request(PUSHED, replace(MAIN, starts=starts), NOW).refusal


# Which one is the newest


def judged(
    wanted: Push,
    queue: PushQueue | None = None,
    *,
    live: Live | None = LIVE,
    endings: tuple[Ending, ...] = (),
    is_behind: Any = silent,
) -> Any:
    return judge_push(wanted, queue or PushQueue(), EnvironmentRecord(live=live), endings, is_behind)


def test_a_newer_push_is_taken() -> None:
    assert judged(push()).action is Action.RUN
    assert judged(push(THREE, at(6)), PushQueue(newest=push())).action is Action.RUN
    assert judged(push(), live=None, is_behind=nobody_asked).action is Action.RUN


def test_a_push_that_is_known_already_changes_nothing() -> None:
    started = Started(push(), "push-2-1", DEPLOYMENT, at(6))

    assert judged(push(), PushQueue(pending=push()), is_behind=nobody_asked).action is Action.NOTHING
    assert judged(push(), PushQueue(started=started), is_behind=nobody_asked).action is Action.NOTHING
    assert judged(push(ONE), is_behind=nobody_asked).action is Action.NOTHING
    assert judged(push(ONE), live=replace(LIVE, version=ONE[:7]), is_behind=nobody_asked).action is Action.NOTHING


@pytest.mark.parametrize("outcome", ["rolled_back", "aborted", "refused", "escalated"])
@pytest.mark.parametrize("source", list(Source))
def test_a_commit_that_did_not_end_well_is_never_started_again_by_itself(outcome: str, source: Source) -> None:
    said = judged(push(source=source), endings=(Ending(outcome, "222222222222-0a1b2c3d"),), is_behind=nobody_asked)

    assert said.action is Action.REFUSED
    assert f"ended as {outcome}" in said.reason
    assert f'start the deploy machine with {{"version": "{TWO}"}}' in said.reason


def test_one_bad_end_outweighs_good_ones() -> None:
    endings = (Ending("promoted", "a"), Ending("rolled_back", "b"))

    assert judged(push(), endings=endings).action is Action.REFUSED


@pytest.mark.parametrize("outcome", ["promoted", ""])
def test_what_was_released_here_before_is_not_released_again(outcome: str) -> None:
    """A human may have gone forward to something older since, and is not to be overruled."""
    assert judged(push(), endings=(Ending(outcome, "a"),)).action is Action.NOTHING


def test_a_push_that_comes_late_does_not_displace_a_newer_one() -> None:
    said = judged(push(TWO, at(5)), PushQueue(newest=push(THREE, at(6))), is_behind=nobody_asked)

    assert said.action is Action.NOTHING
    assert THREE in said.reason


def test_pushes_of_one_second_are_ordered_by_what_was_there_before() -> None:
    """GitHub's time has seconds, and twenty pushes can come in ten of them."""
    newest = PushQueue(newest=push(THREE, at(5), before=TWO))

    assert judged(push(TWO, at(5), before=ONE), newest, is_behind=nobody_asked).action is Action.NOTHING
    older = PushQueue(newest=push(TWO, at(5), before=ONE))
    assert judged(push(THREE, at(5), before=TWO), older, live=None, is_behind=nobody_asked).action is Action.RUN


def test_pushes_of_one_second_that_do_not_name_each_other_are_ordered_by_github() -> None:
    queue = PushQueue(newest=push(THREE, at(5), before="4" * 40))

    assert judged(push(TWO, at(5)), queue, is_behind=behind(THREE)).action is Action.NOTHING
    assert judged(push(TWO, at(5)), queue, is_behind=behind()).action is Action.RUN
    assert judged(push(TWO, at(5)), queue, is_behind=silent).action is Action.RUN


def test_a_push_older_than_what_serves_is_refused_with_the_ways_to_go_back() -> None:
    said = judged(push(), is_behind=behind(ONE))

    assert said.action is Action.REFUSED
    assert "start the rollback machine" in said.reason


def test_githubs_silence_keeps_no_push_away() -> None:
    assert judged(push(), is_behind=silent).action is Action.RUN


def test_a_branch_that_was_moved_back_is_not_released_by_a_look() -> None:
    """A look has a time of its own, which says nothing of the commit."""
    queue = PushQueue(newest=push(THREE, at(5), before="4" * 40))
    found = push(TWO, NOW, source=Source.RECONCILE)

    assert judged(found, queue, is_behind=behind(THREE)).action is Action.NOTHING
    assert judged(found, queue, is_behind=behind()).action is Action.RUN


# Who takes care of it


def test_who_comes_first_takes_care_and_who_comes_later_only_writes_down() -> None:
    queue = take(PushQueue(), push(), RUNNER, NOW, runner_lives=False)
    assert (queue.runner, queue.pending, queue.newest) == (RUNNER, push(), push())

    later_one = take(queue, push(THREE), OTHER_RUNNER, NOW, runner_lives=True)
    assert (later_one.runner, later_one.pending) == (RUNNER, push(THREE))

    after_a_death = take(queue, push(THREE), OTHER_RUNNER, NOW, runner_lives=False)
    assert (after_a_death.runner, after_a_death.pending) == (OTHER_RUNNER, push(THREE))


def test_looking_keeps_what_waits() -> None:
    queue = take(PushQueue(pending=push(), newest=push()), None, RUNNER, NOW, runner_lives=False)

    assert (queue.runner, queue.pending) == (RUNNER, push())


# When it is released

POINT = RollbackPoint(PointStatus.VALID, "blue", "1111111", "old", {"api": BLUE}, capacity=2, window_ends_at=at(30))


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (EnvironmentRecord(Work(holder=DEPLOYMENT, phase=Phase.BAKING, release_id="new")), "Release new is baking"),
        (EnvironmentRecord(live=replace(LIVE, rollback_point=POINT)), "can be rolled back until"),
        (EnvironmentRecord(live=replace(LIVE, rollback_point=replace(POINT, window_ends_at=None))), "never promoted"),
        (EnvironmentRecord(maintenance=Maintenance(at(40), "new disks", "jane")), "Maintenance is under way"),
        (EnvironmentRecord(Work(phase=Phase.FROZEN, release_id="new")), "Traffic is frozen"),
    ],
)
def test_a_push_waits_where_a_release_would_be_refused(record: EnvironmentRecord, said: str) -> None:
    again_at, reason = wait_for_turn(record, RUNNER, NOW, InWindow.REFUSE)

    assert said in reason
    assert again_at == "2026-03-01T10:11:00Z"


def test_a_push_waits_for_the_window_itself_so_that_a_newer_one_can_take_its_place() -> None:
    record = EnvironmentRecord(live=replace(LIVE, rollback_point=POINT))

    assert wait_for_turn(record, RUNNER, NOW, InWindow.WAIT)[0] == "2026-03-01T10:11:00Z"
    assert wait_for_turn(record, RUNNER, NOW, InWindow.EXPIRE) == ("", "")
    assert wait_for_turn(record, RUNNER, at(31), InWindow.REFUSE) == ("", "")
    assert wait_for_turn(EnvironmentRecord(), RUNNER, NOW, InWindow.REFUSE) == ("", "")


def test_a_release_is_started_under_a_name_that_there_is_only_once() -> None:
    first = begin(PushQueue(pending=push()), push(), DEPLOY_MACHINE_ARN, NOW)
    second = begin(first, push(), DEPLOY_MACHINE_ARN, NOW)

    assert first.pending is None
    assert first.started is not None
    assert second.started is not None
    assert first.started.name == f"push-{TWO}-1"
    assert second.started.name == f"push-{TWO}-2"
    assert first.started.execution.endswith(f":execution:receipts-test-deploy:push-{TWO}-1")
    assert first.started.release_id != second.started.release_id
    assert len(begin(replace(first, starts=10**20), push(), DEPLOY_MACHINE_ARN, NOW).started.name) <= 80  # type: ignore[union-attr]


def test_who_pushed_is_told_to_the_deploy_machine() -> None:
    assert push(sender="jane").release_input == {"version": TWO, "pushed_by": "jane"}
    assert push().release_input == {"version": TWO}


def test_an_execution_hands_over_before_its_history_is_full() -> None:
    assert not is_spent(NOW, later(NOW, LONGEST_RUN_SECONDS))
    assert is_spent(NOW, later(NOW, LONGEST_RUN_SECONDS + 1))


# How it ended

STARTED = Started(push(), f"push-{TWO}-1", DEPLOYMENT, at(6))
FREE = EnvironmentRecord()
BUSY = frozenset({"EnvironmentBusy"})
HELD = EnvironmentRecord(Work(holder="the rollback", phase=Phase.ROLLING_BACK, release_id=STARTED.release_id))


@pytest.mark.parametrize(
    ("execution", "release", "request_ended", "record", "expected"),
    [
        (Execution("RUNNING"), {}, "", FREE, None),
        (Execution(""), {}, "", FREE, None),
        (Execution("SUCCEEDED"), {"outcome": "promoted"}, "", FREE, "promoted"),
        (Execution("FAILED", "ReleaseRefused", BUSY), {}, "", FREE, "busy"),
        (Execution("FAILED", "ReleaseRefused", BUSY), {"requested_at": at(1)}, "", FREE, "busy"),
        (Execution("FAILED", "ReleaseRefused", BUSY | {"AwsCallFailed"}), {}, "", FREE, "busy"),
        (Execution("FAILED", "ReleaseRefused", frozenset({"ListenerDrifted"})), {}, "", FREE, "refused"),
        (Execution("FAILED", "ReleaseRefused", frozenset({"PlanRefused"})), {}, "", FREE, "refused"),
        (Execution("FAILED", "RequestNotChecked"), {}, "", FREE, "no_answer"),
        (Execution("FAILED", "GatesFailed"), {}, "", FREE, "no_answer"),
        (Execution("FAILED", "GatesFailed"), {}, "refused", FREE, "refused"),
        (Execution("FAILED", "ReleaseNotApproved"), {}, "aborted", FREE, "aborted"),
        (Execution("ABORTED"), {}, "", FREE, "aborted"),
        (Execution("TIMED_OUT"), {}, "", FREE, "aborted"),
        (Execution("FAILED", "ReleaseAborted"), {"outcome": "aborted"}, "", FREE, "aborted"),
        (Execution("FAILED", "ReleaseRolledBack"), {"requested_at": at(1)}, "", HELD, None),
        (Execution("FAILED", "ReleaseRolledBack"), {"outcome": "rolled_back"}, "", FREE, "rolled_back"),
        (Execution("FAILED", "Escalated"), {"outcome": "escalated"}, "", FREE, "escalated"),
    ],
)
def test_how_a_release_ended_is_read_from_the_record(
    execution: Execution, release: dict[str, str], request_ended: str, record: EnvironmentRecord, expected: str | None
) -> None:
    ending = ending_of(STARTED, execution, release, request_ended, record)

    assert (ending.outcome if ending else None) == expected


def test_a_release_that_found_the_environment_taken_waits_again() -> None:
    queue, remembered = finish(PushQueue(started=STARTED), Ending("busy"), NOW)

    assert remembered is None
    assert queue == PushQueue(pending=push(attempts=1, again_at=later(NOW, 60)))
    assert queue.pending is not None
    assert rests(queue.pending, later(NOW, 59))
    assert not rests(queue.pending, later(NOW, 60))


def test_it_waits_for_an_hour_at_most() -> None:
    queue, _ = finish(PushQueue(started=replace(STARTED, push=push(attempts=2000))), Ending("busy"), NOW)

    assert queue.pending is not None
    assert queue.pending.again_at == later(NOW, 3600)


@pytest.mark.parametrize("outcome", ["busy", "no_answer"])
def test_a_newer_push_takes_the_place_of_one_that_could_not_begin(outcome: str) -> None:
    queue, remembered = finish(PushQueue(started=STARTED, pending=push(THREE)), Ending(outcome), NOW)

    assert remembered is None
    assert queue == PushQueue(pending=push(THREE))


def test_what_is_over_makes_room_for_what_waits() -> None:
    queue, remembered = finish(PushQueue(started=STARTED, pending=push(THREE)), Ending("promoted", "a"), NOW)

    assert (queue, remembered) == (PushQueue(pending=push(THREE)), Ending("promoted", "a"))


# What the record knows of a commit


def test_releases_of_a_commit_are_found_under_short_names_too() -> None:
    releases = [
        {"item": "release#2222222-aaaaaaaa", "version": "2222222", "outcome": "rolled_back"},
        {"item": "release#222222222222-bbbbbbbb", "version": TWO, "outcome": "promoted"},
        {"item": "release#222222211111-cccccccc", "version": "2222222111111", "outcome": "aborted"},
    ]

    assert endings_of(TWO, releases, [], FREE) == (
        Ending("rolled_back", "2222222-aaaaaaaa"),
        Ending("promoted", "222222222222-bbbbbbbb"),
    )


def test_a_release_that_never_got_the_environment_is_none() -> None:
    """Its claim writes the history, and may be refused after that."""
    release = {"item": f"release#{STARTED.release_id}", "version": TWO}

    assert endings_of(TWO, [release], [], FREE) == ()
    assert endings_of(TWO, [release], [], HELD) == (Ending("", STARTED.release_id),)


def test_requests_that_were_refused_count_and_those_under_way_do_not() -> None:
    requests = [
        {"item": "request#222222222222-aaaaaaaa", "release_id": "222222222222-aaaaaaaa", "version": TWO},
        {"item": "request#222222222222-bbbbbbbb", "version": TWO, "outcome": "refused"},
        {"item": f"pushed#{TWO}", "version": TWO, "outcome": "aborted", "release_id": "222222222222-cccccccc"},
    ]

    assert endings_of(TWO, [], requests, FREE) == (
        Ending("refused", "222222222222-bbbbbbbb"),
        Ending("aborted", "222222222222-cccccccc"),
    )


# What the environment before has validated


def promoted(outcome: str = "promoted", requested_at: str = at(1), version: str = TWO) -> dict[str, str]:
    return {"version": version, "outcome": outcome, "requested_at": requested_at}


@pytest.mark.parametrize(
    ("releases", "expected"),
    [
        ([], Validation.NOT_YET),
        ([promoted()], Validation.PASSED),
        ([promoted(version=TWO[:12])], Validation.NOT_YET),
        ([promoted("")], Validation.NOT_YET),
        ([promoted("rolled_back")], Validation.NEVER),
        ([promoted(), promoted("rolled_back", at(2))], Validation.NEVER),
        ([promoted("aborted"), promoted("promoted", at(2))], Validation.PASSED),
    ],
)
def test_the_latest_release_of_exactly_this_commit_validates_it(
    releases: list[dict[str, str]], expected: Validation
) -> None:
    assert validation_of(TWO, releases) is expected


def test_what_the_environment_before_serves_is_a_push_only_when_it_is_promoted() -> None:
    live = Live("r", TWO, "green", at(4))

    assert pushed_to(EnvironmentRecord(live=live), "promoted", "jane") == push(
        TWO, at(4), source=Source.VALIDATED, sender="jane"
    )
    assert "not promoted" in str(pushed_to(EnvironmentRecord(live=live), "", ""))
    assert "no whole commit" in str(pushed_to(EnvironmentRecord(live=replace(live, version=TWO[:7])), "promoted", ""))
    assert "not released anything" in str(pushed_to(EnvironmentRecord(), "", ""))


def test_a_push_waits_a_day_at_most_for_the_environment_before() -> None:
    assert wait_for_other(push(), Validation.PASSED, "staging", NOW) is None
    waits = wait_for_other(push(), Validation.NOT_YET, "staging", NOW)
    never = wait_for_other(push(), Validation.NEVER, "staging", NOW)
    too_long = wait_for_other(push(), Validation.NOT_YET, "staging", later(NOW, 24 * 3600))

    assert waits is not None
    assert waits.action is Action.WAIT
    assert never is not None
    assert never.action is Action.REFUSED
    assert too_long is not None
    assert too_long.action is Action.REFUSED


def test_a_push_that_fell_behind_while_it_waited_is_not_released() -> None:
    assert why_behind_live(push(), EnvironmentRecord(live=LIVE), behind(ONE))
    assert why_behind_live(push(), EnvironmentRecord(live=LIVE), silent) is None
    assert why_behind_live(push(), EnvironmentRecord(), nobody_asked) is None


# What was missed


@pytest.mark.parametrize(
    ("runner", "since", "revived"),
    [
        (Execution("RUNNING"), at(0), False),
        (Execution(""), at(9), True),
        (Execution("ABORTED"), at(9), True),
        (Execution("TIMED_OUT"), at(9), True),
        (Execution("SUCCEEDED"), at(9), True),
        (Execution("FAILED"), at(9), False),
        (Execution("FAILED"), "2026-03-01T09:39:00.000Z", True),
    ],
)
def test_who_is_dead_is_followed_by_another_and_who_has_just_failed_a_little_later(
    runner: Execution,
    since: str,
    revived: bool,  # noqa: FBT001  parameter
) -> None:
    """Each one that fails tells people."""
    queue = PushQueue(runner=RUNNER, runner_since=since, pending=push())

    assert may_be_revived(queue, runner, NOW) == revived
    assert may_be_revived(replace(queue, pending=None, started=STARTED), runner, NOW) == revived
    assert not may_be_revived(replace(queue, pending=None), runner, NOW)


def test_the_first_look_remembers_what_there_is_and_no_later_one_does() -> None:
    seen = first_look(PushQueue(), push())
    assert seen == PushQueue(looked=True, newest=push())
    assert first_look(seen, push(THREE)) == seen
    assert first_look(PushQueue(), None) == PushQueue(looked=True)
    assert first_look(PushQueue(looked=True), push()) == PushQueue(looked=True)
    assert first_look(PushQueue(newest=push()), push(THREE)) == PushQueue(looked=True, newest=push())
