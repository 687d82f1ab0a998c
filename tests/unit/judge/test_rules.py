"""Verdicts from alarms and counts, and what follows from them for a bake."""

from dataclasses import replace
from itertools import product
from json import dumps
from random import Random

import pytest

from lambdas.errors import PauseExpired
from lambdas.judge.alarm_rules import Alarm, AlarmName, Effect
from lambdas.judge.evidence_rules import FAILED, SLOW, Evidence, JudgeSettings, Tally, WhenInconclusive
from lambdas.judge.rules import (
    SHARES,
    TOLERATED_RATIO,
    Blame,
    Decision,
    Judgement,
    Observed,
    Question,
    Standards,
    Standing,
    Verdict,
    decide,
    hold,
    judge,
    looks_bad,
    standing,
)
from lambdas.release.bake_rules import Look
from lambdas.release.rules import Bake, Order, OrderAction, Work
from tests.builders import DEPLOYMENT, JUDGE, OPERATE, at

SETTINGS = JudgeSettings.from_json(dumps(JUDGE))
STANDARDS = Standards(SETTINGS, steps=3)
GREEN = Observed("green", since=at(10))
GOOD = Evidence(Tally(500, 1, 2), Tally(4500, 9, 18))


def judged(
    new: Tally, old: Tally, *alarms: Alarm, release: Observed = GREEN, standards: Standards = STANDARDS
) -> Judgement:
    return judge(release, alarms, Evidence(new, old), standards)


def alarm(
    color: str = "green", since: str = at(11), *, effect: Effect = Effect.ROLLS_BACK, is_on: bool = True
) -> Alarm:
    return Alarm(AlarmName(effect, "error-rate-api", color), is_on, since)


# -- counts


@pytest.mark.parametrize(
    ("new", "old", "verdict", "blame"),
    [
        pytest.param(Tally(500, 1, 2), Tally(4500, 9, 18), Verdict.HEALTHY, Blame.NOBODY, id="alike"),
        pytest.param(Tally(500), Tally(4500), Verdict.HEALTHY, Blame.NOBODY, id="spotless"),
        pytest.param(Tally(500, 25), Tally(4500, 5), Verdict.UNHEALTHY, Blame.RELEASE, id="5 % errors"),
        pytest.param(Tally(50, 50), Tally(4500, 5), Verdict.UNHEALTHY, Blame.RELEASE, id="nothing works"),
        pytest.param(Tally(500, 0, 40), Tally(4500), Verdict.UNHEALTHY, Blame.RELEASE, id="slow tail"),
        pytest.param(Tally(500, 1), Tally(4500, 45), Verdict.HEALTHY, Blame.NOBODY, id="blue a bit worse"),
        pytest.param(
            Tally(500, 1), Tally(4500, 900), Verdict.INCONCLUSIVE, Blame.ENVIRONMENT, id="blue is the broken one"
        ),
        pytest.param(Tally(500, 100), Tally(4500, 900), Verdict.INCONCLUSIVE, Blame.ENVIRONMENT, id="both bad"),
        pytest.param(
            Tally(500, 400), Tally(4500, 900), Verdict.INCONCLUSIVE, Blame.ENVIRONMENT, id="both bad, green worse"
        ),
        pytest.param(Tally(23, 9), Tally(19, 4), Verdict.INCONCLUSIVE, Blame.NOBODY, id="both look bad so far"),
        pytest.param(Tally(23, 12), Tally(19, 1), Verdict.UNHEALTHY, Blame.RELEASE, id="blue had bad luck once"),
        pytest.param(Tally(500, 300), Tally(60, 2), Verdict.UNHEALTHY, Blame.RELEASE, id="blue had bad luck twice"),
        pytest.param(Tally(500, 1, 1), Tally(4500, 9, 900), Verdict.INCONCLUSIVE, Blame.ENVIRONMENT, id="blue is slow"),
        pytest.param(Tally(0), Tally(4500), Verdict.INCONCLUSIVE, Blame.NOBODY, id="no traffic"),
        pytest.param(Tally(19, 19), Tally(4500), Verdict.INCONCLUSIVE, Blame.NOBODY, id="19 requests"),
        pytest.param(Tally(20), Tally(0), Verdict.HEALTHY, Blame.NOBODY, id="20 requests"),
        pytest.param(Tally(5000, 400), Tally(0), Verdict.UNHEALTHY, Blame.RELEASE, id="8 % of all traffic"),
        pytest.param(Tally(5000, 250), Tally(0), Verdict.HEALTHY, Blame.NOBODY, id="5 % of all, as is allowed"),
        pytest.param(Tally(500, 25), Tally(19), Verdict.HEALTHY, Blame.NOBODY, id="nobody to compare with"),
        pytest.param(Tally(90000, 900), Tally(90000, 90), Verdict.HEALTHY, Blame.NOBODY, id="0.9 points worse"),
        pytest.param(Tally(90000, 1080), Tally(90000, 90), Verdict.UNHEALTHY, Blame.RELEASE, id="1.1 points worse"),
    ],
)
def test_counts_mean(new: Tally, old: Tally, verdict: Verdict, blame: Blame) -> None:
    found = judged(new, old)
    assert (found.verdict, found.blame) == (verdict, blame)


def test_numbers_are_told() -> None:
    assert judged(Tally(512, 41), Tally(4610, 3)).reason == (
        "green: 41 of 512 requests failed (8.0 %), blue: 3 of 4,610 (0.1 %)."
    )
    assert judged(Tally(512, 410), Tally(0)).reason == (
        "green: 410 of 512 requests failed (80.1 %), blue: no requests; 5 % are allowed."
    )
    assert judged(Tally(19), Tally(10)).reason == "green had 19 requests, and 20 are needed to judge by."
    assert judged(Tally(20, 0, 1), Tally(0)).reason == (
        "green: 0 of 20 requests failed (0.0 %), blue: no requests;"
        " green: 1 of 20 requests were slow (5.0 %), blue: no requests."
    )


def test_numbers_of_both_are_told_when_both_are_bad() -> None:
    reason = judged(Tally(500, 400), Tally(4500, 900)).reason
    assert reason.startswith("blue: 900 of 4,500 requests failed (20.0 %), and 5 % are allowed; green: 400 of 500")


def test_release_on_blue_is_judged_beside_green() -> None:
    """Colors take turns."""
    blue = replace(GREEN, color="blue")
    assert judged(Tally(512, 41), Tally(4610, 3), release=blue).reason == (
        "blue: 41 of 512 requests failed (8.0 %), green: 3 of 4,610 (0.1 %)."
    )
    found = judge(blue, (alarm("green"),), GOOD, STANDARDS)
    assert (found.verdict, found.blame) == (Verdict.INCONCLUSIVE, Blame.ENVIRONMENT)
    doubted = judged(Tally(23, 9), Tally(19, 4), release=blue)
    assert doubted.reason == (
        "blue: 9 of 23 requests failed (39.1 %), green: 4 of 19 (21.1 %); 5 % are allowed;"
        " green: 4 of 19 requests failed (21.1 %), which may be the same trouble."
    )


def test_limit_that_the_old_version_is_beyond_is_that_of_its_trouble() -> None:
    lenient = replace(STANDARDS, settings=replace(SETTINGS, maximum_slow_percent=9))
    assert judged(Tally(500), Tally(4500, 900), standards=lenient).reason.endswith("and 5 % are allowed.")
    assert judged(Tally(500), Tally(4500, 0, 900), standards=lenient).reason.endswith("and 9 % are allowed.")


@pytest.mark.parametrize(
    ("tally", "looks"),
    [
        (Tally(40, 2), []),
        (Tally(39, 2), ["green: 2 of 39 requests failed (5.1 %)"]),
        (Tally(10, 1), []),
        (Tally(39, 0, 2), ["green: 2 of 39 requests were slow (5.1 %)"]),
    ],
)
def test_two_hits_beyond_the_limit_look_bad(tally: Tally, looks: list[str]) -> None:
    """One is bad luck, and what is allowed is not bad."""
    assert list(looks_bad("green", tally, SETTINGS)) == looks


def test_new_version_that_is_a_whole_point_worse_is_taken_back() -> None:
    assert judged(Tally(90000, 990), Tally(90000, 90)).verdict is Verdict.UNHEALTHY


def test_more_steps_and_fewer_false_alarms_want_more_evidence() -> None:
    """They share what may go wrong."""
    close = Tally(500, 10), Tally(4500, 3)
    assert judged(*close).verdict is Verdict.UNHEALTHY
    assert judged(*close, standards=replace(STANDARDS, steps=3000)).verdict is Verdict.HEALTHY
    strict = replace(STANDARDS, settings=replace(SETTINGS, false_alarms_percent=0.0001))
    assert judged(*close, standards=strict).verdict is Verdict.HEALTHY


def test_promise_is_divided_among_all_questions_of_all_steps() -> None:
    for (question, kind), share in SHARES.items():
        assert STANDARDS.strictness(question, kind).false_alarms == pytest.approx(0.001 * share / 3)
    assert {*SHARES} == set(product(Question, (FAILED, SLOW)))
    assert sum(SHARES.values()) == pytest.approx(1)


def test_old_version_that_hardly_anybody_uses_is_compared_with_nothing() -> None:
    lenient = replace(STANDARDS, settings=replace(SETTINGS, maximum_error_percent=99))
    assert judged(Tally(100, 98), Tally(20), standards=lenient).verdict is Verdict.UNHEALTHY
    assert judged(Tally(100, 98), Tally(19), standards=lenient).verdict is Verdict.HEALTHY


def test_a_version_that_is_a_fifth_worse_is_tolerated() -> None:
    """No two versions are quite alike, and a difference of more than a point is easily found in so many requests."""
    lenient = replace(STANDARDS, settings=replace(SETTINGS, maximum_error_percent=20))
    assert judged(Tally(90000, 10800), Tally(90000, 9000), standards=lenient).verdict is Verdict.HEALTHY
    assert judged(Tally(90000, 13500), Tally(90000, 9000), standards=lenient).verdict is Verdict.UNHEALTHY


def test_slow_requests_have_a_limit_of_their_own() -> None:
    lenient = replace(STANDARDS, settings=replace(SETTINGS, maximum_slow_percent=50))
    assert judged(Tally(5000, 0, 1000), Tally(0)).verdict is Verdict.UNHEALTHY
    assert judged(Tally(5000, 0, 1000), Tally(0), standards=lenient).verdict is Verdict.HEALTHY
    assert judged(Tally(5000, 1000), Tally(0), standards=lenient).verdict is Verdict.UNHEALTHY


@pytest.mark.parametrize("missing", ["alarms", "evidence"])
def test_what_cannot_be_read_is_missing_evidence(missing: str) -> None:
    found = judge(GREEN, None if missing == "alarms" else (), None if missing == "evidence" else GOOD, STANDARDS)
    assert (found.verdict, found.blame) == (Verdict.INCONCLUSIVE, Blame.NOBODY)
    said = {"alarms": "The alarms could not be read.", "evidence": "Requests and errors could not be read."}
    assert found.reason == said[missing]


def test_half_of_the_evidence_is_enough_against_a_release() -> None:
    assert judge(GREEN, (alarm(),), None, STANDARDS).verdict is Verdict.UNHEALTHY
    bad = Evidence(Tally(500, 400), Tally(4500))
    assert judge(GREEN, None, bad, STANDARDS).verdict is Verdict.UNHEALTHY


def test_comparison_keeps_its_promise_at_its_bound_with_counted_shares() -> None:
    """Ville's inequality is about a share that is known; what is counted moves around it from look to look."""
    settings = replace(SETTINGS, false_alarms_percent=5, maximum_error_percent=99)
    random = Random(3)  # noqa: S311  no secret is made of it
    alarms = sum(_alarms_at_the_bound(random, Standards(settings, steps=1)) for _ in range(400))
    assert alarms / 400 <= 0.05 * SHARES[Question.COMPARISON, FAILED]


def _alarms_at_the_bound(random: Random, standards: Standards) -> bool:
    """Play 60 looks at a version that gets a tenth of the traffic, and is exactly as bad as is tolerated."""
    new, old = Tally(), Tally()
    for _ in range(60):
        hits = [random.random() < 0.1 for _ in range(200)]
        to_new = sum(hits)
        failed_new = sum(random.random() < 0.04 * TOLERATED_RATIO for _ in range(to_new))
        failed_old = sum(random.random() < 0.04 for _ in range(200 - to_new))
        new = Tally(new.requests + to_new, new.errors + failed_new)
        old = Tally(old.requests + 200 - to_new, old.errors + failed_old)
        if judged(new, old, standards=standards).verdict is Verdict.UNHEALTHY:
            return True
    return False


# -- alarms


@pytest.mark.parametrize("color", ["green", ""])
def test_alarm_of_the_release_or_of_all_traffic_is_against_it(color: str) -> None:
    found = judge(GREEN, (alarm(color),), GOOD, STANDARDS)
    assert (found.verdict, found.blame) == (Verdict.UNHEALTHY, Blame.RELEASE)
    assert found.reason == f"alarm error-rate-api of {color or 'all traffic'} is on since 2026-03-01T10:11:00Z."


def test_alarm_that_comes_on_with_the_first_traffic_is_against_the_release() -> None:
    assert judge(GREEN, (alarm(since=GREEN.since),), GOOD, STANDARDS).verdict is Verdict.UNHEALTHY


@pytest.mark.parametrize(
    "harmless",
    [
        pytest.param(alarm(since=at(9, 59)), id="it was on before the first shift"),
        pytest.param(alarm(effect=Effect.PAGES), id="its cause is as likely another one"),
        pytest.param(alarm("blue", since=at(9, 59)), id="that of blue was on before"),
    ],
)
def test_other_alarms_are_not(harmless: Alarm) -> None:
    assert judge(GREEN, (harmless,), GOOD, STANDARDS).verdict is Verdict.HEALTHY


@pytest.mark.parametrize("others", [(), (alarm(),), (alarm(""),)])
def test_alarm_of_the_old_version_blames_what_both_need(others: tuple[Alarm, ...]) -> None:
    found = judge(GREEN, (alarm("blue"), *others), GOOD, STANDARDS)
    assert (found.verdict, found.blame) == (Verdict.INCONCLUSIVE, Blame.ENVIRONMENT)


def test_release_that_mends_an_outage_is_judged_by_its_own_faults() -> None:
    """A human has said that it goes on although the old version is in trouble."""
    mending = replace(GREEN, despite_trouble=True)
    broken = Tally(4500, 900)
    assert judged(Tally(500, 1), broken, alarm("blue"), release=mending).verdict is Verdict.HEALTHY
    assert judged(Tally(5), broken, release=mending).verdict is Verdict.INCONCLUSIVE
    no_better = judged(Tally(500, 100), broken, release=mending)
    assert (no_better.verdict, no_better.blame) == (Verdict.INCONCLUSIVE, Blame.ENVIRONMENT)


# -- the bake

BAKE = Bake(10, began_at=at(0), ends_at=at(5))
HEALTHY = Judgement(Verdict.HEALTHY, "good")
UNSURE = Judgement(Verdict.INCONCLUSIVE, "few")
PAUSE = Order(OrderAction.PAUSE, at(4), "doubts", OPERATE, until=at(30))
PROMOTE = Order(OrderAction.PROMOTE, at(4), "urgent", OPERATE)


def test_healthy_release_goes_on_when_its_bake_is_over() -> None:
    assert not decide(HEALTHY, BAKE, Standing(), SETTINGS, at(4, 59)).look.done
    assert decide(HEALTHY, BAKE, Standing(), SETTINGS, at(5)) == Decision(Look(done=True))


@pytest.mark.parametrize("is_asking", [True, False])
def test_release_that_is_held_at_this_very_look_is_asked_about_again(*, is_asking: bool) -> None:
    """The answer of the first attempt was lost."""
    assert decide(UNSURE, BAKE, Standing(PAUSE, is_asking=is_asking), SETTINGS, at(5)).holds is is_asking


def test_bake_without_evidence_is_extended_and_then_a_human_asked() -> None:
    """600 s longer, as settings say."""
    extended = decide(UNSURE, BAKE, Standing(), SETTINGS, at(5))
    assert extended == Decision(Look(done=False, again_at="2026-03-01T10:05:30Z"), "The bake is extended.")
    last = decide(UNSURE, BAKE, Standing(), SETTINGS, at(14, 45))
    assert last.look == Look(done=False, again_at="2026-03-01T10:15:00Z")
    assert not last.holds
    asked = decide(UNSURE, BAKE, Standing(), SETTINGS, at(15))
    assert (asked.look.done, asked.holds) == (False, True)


def test_evidence_that_comes_late_is_enough() -> None:
    assert decide(HEALTHY, BAKE, Standing(), SETTINGS, at(9)).look.done


def test_settings_may_say_that_it_goes_on() -> None:
    proceeding = replace(SETTINGS, when_inconclusive=WhenInconclusive.PROCEED)
    assert not decide(UNSURE, BAKE, Standing(), proceeding, at(14, 59)).look.done
    found = decide(UNSURE, BAKE, Standing(), proceeding, at(15))
    assert (found.look.done, found.holds) == (True, False)
    assert found.note == "It goes on all the same, as settings say."


def test_promote_ends_a_bake_without_evidence() -> None:
    assert decide(UNSURE, BAKE, Standing(PROMOTE), SETTINGS, at(1)).look.done


def test_pause_holds_whatever_the_verdict() -> None:
    assert not decide(HEALTHY, BAKE, Standing(PAUSE), SETTINGS, at(29)).look.done
    with pytest.raises(PauseExpired):
        decide(HEALTHY, BAKE, Standing(PAUSE), SETTINGS, at(30))


def test_who_resumes_a_release_that_was_held_has_decided() -> None:
    found = decide(UNSURE, BAKE, Standing(was_held=True), SETTINGS, at(15))
    assert found == Decision(Look(done=True), "A human let it go on.")


def test_own_hold_has_the_longest_deadline_and_the_reason() -> None:
    order = hold(UNSURE, DEPLOYMENT, 3600, at(15))
    assert order == Order(OrderAction.PAUSE, at(15), "few", DEPLOYMENT, until="2026-03-01T11:15:00Z")


def test_standing_tells_own_holds_from_orders_of_operators() -> None:
    work = Work(holder=DEPLOYMENT, order=replace(PAUSE, by=DEPLOYMENT, at=at(15)))
    own, operators = {"by": DEPLOYMENT, "at": at(15)}, {"by": OPERATE, "at": at(15)}
    earlier = {"by": DEPLOYMENT, "at": "2026-03-01T09:59:59.000Z"}
    assert standing(work, [operators, own], BAKE, at(15)) == Standing(work.order, was_held=True, is_asking=True)
    assert standing(work, [operators, own], BAKE, at(16)) == Standing(work.order, was_held=True)
    at_once = {"by": DEPLOYMENT, "at": BAKE.began_at}
    assert standing(Work(holder=DEPLOYMENT), [at_once], BAKE, at(15)) == Standing(was_held=True)
    assert standing(Work(holder=DEPLOYMENT), [operators, earlier], BAKE, at(15)) == Standing()
