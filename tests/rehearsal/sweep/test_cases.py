"""Which cases there are, how they are called, and which of them are played."""

import pytest

from rehearsal.sweep.cases import PLANS, Case, Plan, cases_of, chosen, is_read, moments_of, sample
from rehearsal.sweep.faults import Fault, Strike, faults_at
from rehearsal.sweep.moments import Kind, Moment
from rehearsal.sweep.paths import PATHS, Path

PATH = Path(
    "somewhere", "for these tests", lambda _: None, begins_at="deploy.Begin", ends_at="deploy.End", always=("ever",)
)
PAIRS = Path("back", "for these tests", lambda _: None, has_pairs=True)


def call(name: str, nth: int = 1, at: float = 1.0, *, writes: bool = True) -> Moment:
    return Moment(Kind.CALL, name, nth, at, writes)


@pytest.mark.parametrize(
    "name",
    [
        "deploy/call:claim-environment.dynamodb.TransactWriteItems#1/answer-lost@0",
        "rollback-by-hand/invoke:settle#2/killed-after@7",
        "rollback-by-alarm/event:critical-alarm#1/event-lost@0",
        "deploy/state:deploy.Bake_at_100_%#1/stopped@0",
        "rollback-by-hand/invoke:settle#1/killed-before+call:settle.elbv2.DescribeListeners#2/fails-before@3",
        "push/clean@0",
    ],
)
def test_a_printed_name_is_read_as_the_case_that_it_was_printed_for(name: str) -> None:
    """A violation is told by its name, which is all that there is to play it again."""
    assert str(Case.parse(name)) == name


@pytest.mark.parametrize(
    "name", ["", "deploy", "deploy/nothing@0", "deploy/call:x#1/sulks@0", "deploy/call:x#1/stopped"]
)
def test_what_is_no_name_is_refused(name: str) -> None:
    """Somebody may have copied half of it."""
    with pytest.raises(ValueError, match=r".*"):
        Case.parse(name)


def test_a_path_is_swept_where_it_is_not_like_another_one() -> None:
    """What a deployment does is swept once, not once more before every way back."""
    begin, end = (Moment(Kind.STATE, f"deploy.{name}", 1, at) for name, at in (("Begin", 10.0), ("End", 20.0)))
    before, within, after = (call(f"f.dynamodb.PutItem{at}", at=at) for at in (5.0, 15.0, 25.0))
    ever = call("ever.dynamodb.PutItem", at=25.0)

    assert moments_of(PATH, [before, begin, within, end, after, ever]) == [begin, within, ever]


def test_of_what_is_asked_again_and_again_first_second_and_last_are_swept() -> None:
    """The tenth look at a snapshot is like the fourth."""
    looks = [call("check.rds.DescribeDBSnapshots", nth, writes=False) for nth in range(1, 8)]
    writes = [call("check.dynamodb.UpdateItem", nth) for nth in range(1, 8)]

    assert moments_of(PAIRS, [*looks, *writes]) == [looks[0], looks[1], looks[-1], *writes]


def test_what_lasts_begins_at_the_first_request_only() -> None:
    """It would be the same at the second one, but for the first."""
    lasting = {Fault.THROTTLED_FOR_LONG, Fault.ACCESS_DENIED}

    assert lasting <= set(faults_at(call("a.b.c", 1)))
    assert not lasting & set(faults_at(call("a.b.c", 2)))


def test_no_answer_is_lost_that_nothing_was_done_for() -> None:
    """A read whose answer is lost is a read that fails."""
    assert Fault.ANSWER_LOST in faults_at(call("a.b.Put"))
    assert Fault.ANSWER_LOST not in faults_at(call("a.b.Get", writes=False))


def test_two_faults_are_two_moments_of_the_way_back() -> None:
    """Nothing can fail twice at once, and what is not on the way back has been swept alone."""
    moments = [call("settle.elbv2.ModifyListener"), Moment(Kind.INVOCATION, "settle", 1), call("probe.s3.PutObject")]

    pairs = [each.strikes for each in cases_of(PAIRS, moments, seed=0) if len(each.strikes) > 1]

    assert len(pairs) == 4
    assert {frozenset(strike.moment for strike in each) for each in pairs} == {frozenset(moments[:2])}


def test_a_sample_is_the_same_for_the_same_seed() -> None:
    """Two who look for the same mistake must play the same."""
    cases = [Case("deploy", (Strike(call("a.b.c", nth), Fault.FAILS_BEFORE),)) for nth in range(100)]

    assert sample(cases, 10, seed=1) == sample(cases, 10, seed=1) != sample(cases, 10, seed=2)
    assert len(sample(cases, 10, seed=1)) == 10
    assert sample(cases, None, seed=1) == cases


def test_a_full_sweep_plays_some_of_each_kind() -> None:
    """Reads are the most by far, and the least dangerous."""
    reads = [call("a.b.Get", nth, writes=False) for nth in (1, 2, 3)]
    writes = [call("settle.b.Put", nth) for nth in (1, 2, 3)]
    cases = cases_of(PAIRS, [*reads, *writes], seed=0)

    played = chosen(cases, Plan(others=4, reads=2, pairs=1), seed=0)

    assert len(played) == 7
    assert sum(map(is_read, played)) == 2
    assert sum(len(each.strikes) > 1 for each in played) == 1


def test_every_path_has_a_plan() -> None:
    """Or a full sweep would end before it."""
    assert PLANS.keys() == PATHS.keys()
