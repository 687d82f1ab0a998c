"""How long a way back took, from what called for it to an old version that works."""

from lambdas.reports.recovery_rules import Recovery, recovery_of
from tests.builders import DEPLOYMENT, OTHER_ROLLBACK
from tests.unit.reports.histories import Played, after, rollback, shifted


def recovered(*played: Played) -> Recovery:
    recovery = recovery_of([each.read() for each in played])
    assert recovery
    return recovery


def verified(played: Played) -> Played:
    scope = {"scope": "rolled_back"}
    played.task("Smoke check old version", "run-smoke-checks", scope, {"passed": ["health"]}, seconds=2)
    return played.task(
        "Check error rate of old version", "check-error-rate", {}, {"requests": 9, "errors": 0}, seconds=3
    )


def test_release_that_an_alarm_took_back_was_noticed_when_that_turned_on() -> None:
    asked = {"source": "alarm", "alarm": "errors", "changed_at": after(380).isoformat()}
    back = recovered(shifted().end("Aborted"), verified(rollback(at=400, **asked).switch_back()))
    assert (back.noticed, back.began) == (after(380), after(400))
    assert back.began < back.safe
    assert back.verified
    assert 5 <= (back.verified - back.safe).total_seconds() < 10


def test_release_that_was_judged_bad_was_noticed_by_that_step() -> None:
    failed = shifted().failing("Judge at 100 %", "judge-bake", "ReleaseUnhealthy").end("Failed", "ReleaseRolledBack")
    back = recovered(failed, rollback(at=900, source="deployment", execution_arn=DEPLOYMENT).switch_back())
    assert back.noticed < back.began
    assert back.noticed == next(visit.failure.at for visit in failed.read().visits if visit.failure)
    assert back.verified is None


def test_release_that_an_operator_took_back_was_noticed_when_he_asked() -> None:
    back = recovered(shifted().end("Aborted"), rollback(at=400).switch_back())
    assert back.noticed == back.began == after(400)


def test_old_version_that_fails_its_checks_is_not_verified() -> None:
    broken = rollback(at=400).switch_back().failing("Smoke check old version", "run-smoke-checks", "SmokeCheckFailed")
    assert recovered(broken).verified is None


def test_first_rollback_counts_when_another_one_finished_it() -> None:
    dead = rollback(at=400).end("Aborted", "Operator", "Stopped by hand")
    assert recovered(dead, rollback(OTHER_ROLLBACK, at=444).switch_back()).began == after(400)


def test_release_that_stays_has_no_way_back() -> None:
    assert recovery_of([shifted().read()]) is None
