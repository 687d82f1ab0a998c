"""The clock decides whether a time-out in a rehearsal means anything."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from rehearsal.clock import Clock, TwoSpeedClock
from tests.waiting import eventually

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def started(target: object, clock: Clock) -> threading.Thread:
    thread = clock.thread(target, daemon=True)  # type: ignore[arg-type]
    thread.start()
    return thread


def waiting_on(clock: TwoSpeedClock, threads: int = 1) -> None:
    """Return when so many threads wait for simulated time or an event."""
    eventually(lambda: len(clock._waiting) == threads, 5)


def test_a_bake_of_half_an_hour_takes_a_fraction_of_a_second() -> None:
    """That is what the fast speed is for."""
    clock = TwoSpeedClock(speed=10_000)
    wall_start = time.monotonic()

    clock.sleep(1800)

    assert clock.seconds() >= 1800
    assert time.monotonic() - wall_start < 1


def test_time_of_day_follows_simulated_seconds() -> None:
    """Timestamps and durations in one report must agree."""
    clock = TwoSpeedClock(speed=1000, start=START)
    clock.sleep(60)

    now, seconds = clock.now(), clock.seconds()

    assert now.tzinfo is UTC
    assert abs(now - START - timedelta(seconds=seconds)) < timedelta(seconds=5)


def test_a_stamp_tells_the_simulated_second_at_which_it_was_taken() -> None:
    """Users know their own time only, and a report shows what they saw beside what a release did."""
    clock = TwoSpeedClock(speed=1000)
    began = clock.stamp() - 10
    taken: list[tuple[float, float, float]] = []

    def take() -> None:
        taken.append((clock.seconds(), clock.stamp(), clock.seconds()))

    take()
    clock.sleep(5)
    take()
    with clock.at_real_speed():
        take()
    clock.pace(20)
    take()
    clock.sleep(2)

    told = [(before, clock.seconds_at(stamp), after) for before, stamp, after in taken]
    assert all(before - 1e-6 <= at <= after + 1e-6 for before, at, after in told), told
    assert clock.seconds_at(began) == 0.0


def test_code_that_really_takes_time_is_not_scaled() -> None:
    """At 100,000 times the speed a cold start of 30 ms would be fifty minutes, and every time-out would fire."""
    clock = TwoSpeedClock(speed=100_000)

    with clock.at_real_speed():
        simulated_start, wall_start = clock.seconds(), time.monotonic()
        clock.sleep(0.03)
        simulated, wall = clock.seconds() - simulated_start, time.monotonic() - wall_start

    assert simulated == pytest.approx(wall, abs=0.005)
    assert simulated >= 0.03


def test_real_speed_lasts_until_the_last_who_needs_it_is_done() -> None:
    """Handlers of two executions overlap."""
    clock = TwoSpeedClock(speed=50)

    with clock.at_real_speed():
        with clock.at_real_speed():
            assert clock.mode == "real"
        assert clock.mode == "real"

    assert clock.mode == "fast"


def test_real_speed_ends_when_a_handler_fails() -> None:
    """Otherwise one failing handler would slow the rest of the rehearsal down."""
    clock = TwoSpeedClock(speed=50)

    with pytest.raises(ZeroDivisionError), clock.at_real_speed():
        1 / 0  # noqa: B018

    assert clock.mode == "fast"


def test_a_sleeper_is_replanned_when_the_clock_speeds_up() -> None:
    """A Wait that began while a handler ran must not finish at real speed."""
    clock = TwoSpeedClock(speed=100_000)
    with clock.at_real_speed():
        sleeper = started(lambda: clock.sleep(3600), clock)
        waiting_on(clock)

    eventually(lambda: not sleeper.is_alive(), 2)


def test_a_sleeper_is_replanned_when_the_clock_slows_down() -> None:
    """A time-out of ten minutes must not fire after a second of real work."""
    clock = TwoSpeedClock(speed=10_000)
    sleeper = started(lambda: clock.sleep(600), clock)
    waiting_on(clock)

    with clock.at_real_speed():
        time.sleep(0.1)  # at the fast speed, 600 s would be over in 60 ms
        assert sleeper.is_alive()

    eventually(lambda: not sleeper.is_alive(), 2)


def test_another_pace_applies_to_those_already_waiting() -> None:
    """A state in which traffic is judged has its own speed."""
    clock = TwoSpeedClock(speed=0.001)
    sleeper = started(lambda: clock.sleep(60), clock)
    waiting_on(clock)

    clock.pace(100_000)

    eventually(lambda: not sleeper.is_alive(), 2)


def test_the_report_can_say_how_long_each_speed_was_used() -> None:
    """Reports give wall and simulated seconds."""
    clock = TwoSpeedClock(speed=100)
    with clock.at_real_speed():
        clock.sleep(0.01)
    clock.pace(1000)
    clock.sleep(10)

    spent = clock.speeds

    assert set(spent) == {1.0, 100, 1000}
    assert sum(speed * wall for speed, wall in spent.items()) == pytest.approx(clock.seconds(), abs=5)


@pytest.mark.parametrize("speed", [0, -1])
def test_time_never_stands_still_or_runs_backwards(speed: float) -> None:
    """Every waiter would wait for ever."""
    with pytest.raises(ValueError, match="must be positive"):
        TwoSpeedClock(speed)
    with pytest.raises(ValueError, match="must be positive"):
        TwoSpeedClock().pace(speed)


def test_an_event_cleared_at_once_still_wakes_all_who_waited() -> None:
    """By this moto stops a Wait: it sets and clears at once."""
    clock = TwoSpeedClock(speed=1)
    event = clock.event()
    woken: list[bool] = []
    waiters = [started(lambda: woken.append(event.wait(3600)), clock) for _ in range(3)]
    waiting_on(clock, threads=3)

    event.set()
    event.clear()

    eventually(lambda: not any(waiter.is_alive() for waiter in waiters), 2)
    assert woken == [True, True, True]
    assert not event.is_set()


def test_waiting_for_an_event_gives_up_after_simulated_seconds() -> None:
    """Task time-outs are such waits."""
    clock = TwoSpeedClock(speed=10_000)

    assert not clock.event().wait(600)
    assert clock.seconds() >= 600


def test_a_time_out_beyond_what_python_can_wait_for_is_accepted() -> None:
    """States Language's default time-out is 99,999,999 s, which at a low speed overflows Condition.wait."""
    clock = TwoSpeedClock(speed=0.001)
    event = clock.event()
    waiter = started(lambda: event.wait(99_999_999), clock)
    waiting_on(clock)

    event.set()

    eventually(lambda: not waiter.is_alive(), 2)


def test_joining_a_thread_gives_up_after_simulated_seconds() -> None:
    """A machine's time-out is such a join."""
    clock = TwoSpeedClock(speed=10_000)
    release = threading.Event()
    thread = started(release.wait, clock)

    thread.join(timeout=600)
    assert thread.is_alive()

    release.set()
    thread.join()
    assert not thread.is_alive()
