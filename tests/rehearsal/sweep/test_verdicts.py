"""Whatever is wrong at the end is found: each kind of damage is done to an account in which all went well."""

from collections.abc import Callable, Iterator

import pytest

from rehearsal.copies import Crash, Original, in_copies
from rehearsal.report import Report
from rehearsal.stage import Execution, Stage
from rehearsal.sweep.cases import Case
from rehearsal.sweep.paths import PATHS
from rehearsal.sweep.playing import Result, account_for, play
from rehearsal.sweep.verdicts import Told, ending_of, problems_of

pytestmark = pytest.mark.rehearsed

KEPT = (
    "rollback-by-alarm/call:resume-scaling.autoscaling.ResumeProcesses#1/access-denied@0",
    "rollback-by-alarm/call:notify.sns.Publish#1/access-denied@0",
    "deploy/state:deploy.Wait_for_plan#1/stopped@0",
    "deploy/state:clean-up.Is_it_time_to_clean_up?#1/stopped@0",
    "rollback-by-hand/invoke:switch-listener#1/killed-after+call:settle.elbv2.DescribeListeners#1/fails-before@0",
)
"""Cases in which something was wrong once, or that are worth more than most."""


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Original]:
    """Build the account of the paths that need nothing special."""
    with account_for(PATHS["deploy"], tmp_path_factory.mktemp("sweep")) as original:
        yield original


def damaged(original: Original, damage: Callable[[Stage], object]) -> tuple[str, list[str]]:
    """Release a version in a copy, do the damage when all is over, and return the ending and what is found."""

    def work(_: int) -> tuple[str, list[str]]:
        found: list[tuple[str, list[str]]] = []

        def conclude(report: Report, stage: Stage) -> None:
            damage(stage)
            found.append((ending_of(stage, report), problems_of(stage, report)))

        original.perform(PATHS["deploy"].scenario, 0, original.folder / "damaged", conclude)
        return found[0]

    ((_, result),) = in_copies(work, [0], at_most=1, longest_seconds=100.0)
    assert not isinstance(result, Crash), result.traceback
    return result


def bind_scaling(stage: Stage) -> None:
    group = stage.account.settings.colors["green"].auto_scaling_group
    stage.account.client("autoscaling").suspend_processes(
        AutoScalingGroupName=group, ScalingProcesses=["ScheduledActions"]
    )


def fail_unheard(stage: Stage) -> None:
    stage.executions["arn"] = Execution("arn", "deploy", status="TIMED_OUT", states=["Claim environment", "Promote"])


def divide_traffic(stage: Stage) -> None:
    stage.move_listener({"blue": 50, "green": 50})


def point_at_nobody(stage: Stage) -> None:
    stage.move_listener({"blue": 100, "green": 0})


DAMAGES: dict[str, Callable[[Stage], object]] = {
    "the routes end on": divide_traffic,
    "users still reach green": point_at_nobody,
    "green has ScheduledActions suspended": bind_scaling,
    "nobody was told of deploy, TIMED_OUT at Promote": fail_unheard,
}


def test_nothing_is_found_where_all_went_well(original: Original) -> None:
    """Or nothing that is found would mean anything."""
    assert damaged(original, lambda _: None) == ("released", [])


@pytest.mark.parametrize("expected", DAMAGES)
def test_damage_is_found(original: Original, expected: str) -> None:
    """Each is what a mistake in Runback could leave behind, with nobody paged."""
    _, problems = damaged(original, DAMAGES[expected])

    assert any(expected in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("subject", "excuses"),
    [
        ("ACTION NEEDED: r-1 could not be brought to an end", True),
        ("ACTION NEEDED: the clean-up after r-1 failed", True),
        ("ACTION NEEDED: a critical alarm is on, traffic was not moved", False),
        ("ACTION NEEDED: after rollback of r-1 a check fails", False),
        ("ACTION NEEDED: approve or reject release r-1", False),
        ("Release r-1 was rolled back", False),
    ],
)
def test_only_a_page_about_what_is_left_excuses_it(subject: str, *, excuses: bool) -> None:
    """Who is woken by an alarm does not learn from it that instances run which nobody needs."""
    assert Told(1.0, f"[receipt-vault sweep] {subject}").leaves_something is excuses


def test_an_end_that_the_operator_has_made_himself_needs_no_message(original: Original) -> None:
    """Before anything was claimed; afterwards others have to know."""

    def stop(stage: Stage) -> None:
        for name, states in (("early", ["Validate request"]), ("late", ["Claim environment", "Take snapshot"])):
            stage.executions[name] = Execution(name, "deploy", "ABORTED", "Operator", states=states)

    _, problems = damaged(original, stop)

    assert problems == ["nobody was told of deploy, ABORTED at Take snapshot"]


@pytest.mark.parametrize("name", KEPT)
def test_a_case_that_has_taught_something_is_all_right_now(original: Original, name: str) -> None:
    """Its fault comes, and nothing is left that must not be."""
    (result,) = play(original, [Case.parse(name)], at_most=1)

    assert result.problems == ()
    assert result.struck


def test_a_case_is_the_same_when_it_is_played_again(original: Original) -> None:
    """With its trace this time, which tells people what happened."""
    case = Case.parse("deploy/invoke:promote#1/killed-after@0")

    first, again = (_one(original, case, traced=traced) for traced in (False, True))

    assert (first.ending, first.simulated_seconds, first.edges) == (again.ending, again.simulated_seconds, again.edges)
    assert any("LISTENER" in line for line in again.trace)
    assert any("MESSAGE" in line and "is live" in line for line in again.trace)


def _one(original: Original, case: Case, *, traced: bool) -> Result:
    (result,) = play(original, [case], at_most=1, traced=traced)
    return result
