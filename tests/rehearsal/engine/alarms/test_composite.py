"""Rules of composite alarms, and AWS's own examples of what keeps their actions back."""

import pytest

from rehearsal.engine.alarms.composite import (
    NoRule,
    Suppressor,
    Withheld,
    after_suppressor,
    after_transition,
    name_of,
    parse,
)
from rehearsal.engine.alarms.evaluation import State

STATES: dict[str, State] = {"on": "ALARM", "off": "OK", "new": "INSUFFICIENT_DATA", "with space (and more)": "ALARM"}
ARN = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('ALARM("on")', True),
        ("ALARM(on)", True),
        ("ALARM('off')", False),
        ("OK(off)", True),
        ("INSUFFICIENT_DATA(new)", True),
        ("INSUFFICIENT_DATA(on)", False),
        (f'ALARM("{ARN}:on")', True),
        (f"ALARM({ARN}:off)", False),
        ('ALARM("with space (and more)")', True),
        ("TRUE", True),
        ("NOT TRUE", False),
        ("FALSE OR ALARM(on)", True),
        ("FALSE AND FALSE OR TRUE", True),
        ("TRUE OR FALSE AND FALSE", True),
        ("(TRUE OR FALSE) AND FALSE", False),
        ("NOT ALARM(on) OR ALARM(on)", True),
        ("NOT (ALARM(off) OR ALARM(on))", False),
        ("NOT NOT ALARM(on)", True),
        (f'(ALARM("{ARN}:off") OR ALARM("{ARN}:on"))', True),
    ],
)
def test_a_rule_holds_or_not(text: str, *, expected: bool) -> None:
    assert expected == parse(text).holds(STATES.__getitem__)


def test_a_rule_tells_whom_it_asks_each_once() -> None:
    assert parse(f'ALARM("b") OR OK("{ARN}:a") AND NOT ALARM(b)').alarms == ("b", "a")


@pytest.mark.parametrize("text", ["", "ALARM", "ALARM(", "ALARM(a", "ALARM(a) OR", "ALARM(a) ALARM(b)", "BAD(a)", '"'])
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(NoRule):
        parse(text)


def test_a_rule_that_nobody_knows_here_is_refused_by_its_name() -> None:
    with pytest.raises(NotImplementedError, match="AT_LEAST"):
        parse("AT_LEAST(2, ALARM, (a, b, c))")


def test_names_and_arns_name_the_same() -> None:
    assert [name_of("a"), name_of(f"{ARN}:a")] == ["a", "a"]


# AWS's examples, with a wait period of 2 and an extension period of 3

TERMS = Suppressor("maintenance", wait_seconds=2, extension_seconds=3)


def changed(*, is_on: bool, now: float) -> Withheld:
    withheld = after_transition(TERMS, is_on=is_on, now=now)
    assert withheld is not None
    return withheld


def suppressor(withheld: Withheld, *, is_on: bool, now: float) -> Withheld:
    going_on = after_suppressor(withheld, TERMS, is_on=is_on, now=now)
    assert going_on is not None
    return going_on


def test_example_1_actions_are_taken_after_the_wait_period() -> None:
    waiting = changed(is_on=False, now=2)
    assert waiting.by == "WaitPeriod"
    assert [waiting.is_over(time) for time in (2, 3.9, 4)] == [False, False, True]


def test_example_2_the_suppressor_ends_the_wait_period() -> None:
    kept_back = suppressor(changed(is_on=False, now=2), is_on=True, now=3)
    assert kept_back == Withheld("Alarm")
    assert not kept_back.is_over(1000)


def test_example_3_another_change_begins_another_wait_period() -> None:
    assert changed(is_on=False, now=3) == Withheld("WaitPeriod", 5)


def test_example_4_a_suppressor_that_is_on_keeps_actions_back_at_once() -> None:
    assert changed(is_on=True, now=2) == Withheld("Alarm")


def test_example_5_actions_are_taken_after_the_extension_period() -> None:
    extended = suppressor(changed(is_on=True, now=2), is_on=False, now=6)
    assert extended.by == "ExtensionPeriod"
    assert [extended.is_over(time) for time in (6, 8.9, 9)] == [False, False, True]


def test_example_6_a_change_within_the_extension_period_begins_a_wait_period() -> None:
    assert changed(is_on=False, now=7) == Withheld("WaitPeriod", 9)


def test_a_suppressor_that_stays_off_lets_the_wait_period_pass() -> None:
    waiting = changed(is_on=False, now=2)
    assert waiting == suppressor(waiting, is_on=False, now=3)


def test_without_periods_nothing_is_waited_for() -> None:
    at_once = Suppressor("maintenance", wait_seconds=0, extension_seconds=0)
    assert after_transition(at_once, is_on=False, now=1) is None
    assert after_suppressor(Withheld("Alarm"), at_once, is_on=False, now=1) is None
