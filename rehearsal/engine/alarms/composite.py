"""
Composite alarms: the rule that combines other alarms, and what keeps their actions back.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Create_Composite_Alarm_Suppression.html
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from rehearsal.engine.alarms.evaluation import State
from rehearsal.engine.alarms.tokens import TokenReader, Unreadable, tokens_of

States = Callable[[str], State]
"""Tells the state of an alarm, by its name."""

_TOKEN = re.compile(r"""\s*(?:(?P<mark>[()])|"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<word>[^\s()"']+))""")
_STATES: dict[str, State] = {"ALARM": "ALARM", "OK": "OK", "INSUFFICIENT_DATA": "INSUFFICIENT_DATA"}


class NoRule(Exception):
    """AWS would refuse the text, too: it is no rule of a composite alarm."""


@dataclass(frozen=True)
class Rule:
    """A rule that has been read; `alarms` are the names of those that it asks, in order, each once."""

    text: str
    alarms: tuple[str, ...]
    holds: Callable[[States], bool]


def parse(text: str) -> Rule:
    """Read a rule. Raises NoRule for what is none, NotImplementedError for AT_LEAST."""
    reader = _Reader(text)
    holds = reader.rule()
    if reader.next is not None:
        raise NoRule(f"{reader.next} is too much in {text!r}")
    return Rule(text, tuple(dict.fromkeys(reader.alarms)), holds)


def name_of(alarm: str) -> str:
    """Return the name of an alarm that is given by name or by ARN."""
    return alarm.partition(":alarm:")[2] or alarm


class _Reader(TokenReader):
    """Reads from left to right; NOT binds tighter than AND, and AND than OR."""

    def __init__(self, text: str) -> None:
        super().__init__(text, _tokens(text), NoRule)
        self.alarms: list[str] = []

    def rule(self) -> Callable[[States], bool]:
        parts = [self._all()]
        while self.next == "OR":
            self.take()
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else lambda states: any(holds(states) for holds in parts)

    def _all(self) -> Callable[[States], bool]:
        parts = [self._one()]
        while self.next == "AND":
            self.take()
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else lambda states: all(holds(states) for holds in parts)

    def _one(self) -> Callable[[States], bool]:
        word = self.take()
        if word == "NOT":
            holds = self._one()
            return lambda states: not holds(states)
        if word == "(":
            holds = self.rule()
            self.take(")")
            return holds
        if word in ("TRUE", "FALSE"):
            return lambda _: word == "TRUE"
        if word == "AT_LEAST":
            raise NotImplementedError(f"the rehearsal does not know AT_LEAST in the rule of a composite: {self._text}")
        if word not in _STATES:
            raise NoRule(f"{word} is nothing that a rule begins with: {self._text!r}")
        self.take("(")
        name = name_of(self.take())
        self.take(")")
        self.alarms.append(name)
        return lambda states: states(name) == _STATES[word]


def _tokens(text: str) -> list[str]:
    try:
        return tokens_of(text, _TOKEN)
    except Unreadable:
        raise NoRule(f"a quote is not closed in {text!r}") from None


# -- what keeps actions back


@dataclass(frozen=True)
class Suppressor:
    """The alarm that keeps a composite's actions back while it is on."""

    alarm: str
    """Its name."""
    wait_seconds: float
    """For how long it may come on after the composite has changed, before the actions are taken."""
    extension_seconds: float
    """For how long the composite may change after the suppressor has gone off."""


@dataclass(frozen=True)
class Withheld:
    """Actions for a composite's current state that are not taken, by what, and for how long at most."""

    by: Literal["Alarm", "WaitPeriod", "ExtensionPeriod"]
    until: float | None = None
    """In the clock's seconds; None for as long as the suppressor is on."""

    @property
    def reason(self) -> str:
        """Tell it as CloudWatch does."""
        return f"Actions suppressed by {self.by}"

    def is_over(self, now: float) -> bool:
        """Say whether the period has passed, so that the actions are taken now."""
        return self.until is not None and self.until <= now


def after_transition(suppressor: Suppressor, *, is_on: bool, now: float) -> Withheld | None:
    """Keep back the actions of a composite that changes; None if they are taken at once. Ends any other period."""
    if is_on:
        return Withheld("Alarm")
    return Withheld("WaitPeriod", now + suppressor.wait_seconds) if suppressor.wait_seconds > 0 else None


def after_suppressor(withheld: Withheld, suppressor: Suppressor, *, is_on: bool, now: float) -> Withheld | None:
    """Go on with what is kept back, now that the suppressor is on or off; None if the actions are taken at once."""
    if is_on:
        return Withheld("Alarm")
    if withheld.by != "Alarm":
        return withheld
    return Withheld("ExtensionPeriod", now + suppressor.extension_seconds) if suppressor.extension_seconds > 0 else None
