"""How a rollback's time is read from the account's log of calls."""

from bench.live_release import switched_by
from tests.bench.calls import call

MACHINE, CLAIMER, SWITCHER = "arn:rollback", "claim-rollback", "switch-listener"


ROLLBACK = [
    call(3, None, "StartExecution", machine=MACHINE),
    call(4, CLAIMER, "GetItem"),
    call(5, CLAIMER, "PutItem"),
    call(6, SWITCHER, "DescribeListeners"),
    call(7, SWITCHER, "ModifyListener"),
]


def test_a_rollback_is_divided_by_the_calls_of_its_two_functions() -> None:
    assert (3.0, 4.0, 5.5, 6.0, 7.5) == switched_by(ROLLBACK, MACHINE, CLAIMER, SWITCHER).stamps


def test_what_others_do_meanwhile_is_nothing_of_it() -> None:
    """The watchdog looks every minute, and steps after the switch go on calling."""
    log = [
        call(1, "watchdog", "GetItem"),
        call(2, None, "StartExecution", machine="arn:clean-up"),
        *ROLLBACK,
        call(8, "watchdog", "PutItem"),
        call(9, SWITCHER, "GetItem"),
    ]
    assert 7.5 == switched_by(log, MACHINE, CLAIMER, SWITCHER).in_force


def test_a_change_that_was_refused_is_none() -> None:
    log = [*ROLLBACK[:-1], call(7, SWITCHER, "ModifyListener", error="Throttling"), call(8, SWITCHER, "ModifyListener")]

    assert 8.5 == switched_by(log, MACHINE, CLAIMER, SWITCHER).in_force
