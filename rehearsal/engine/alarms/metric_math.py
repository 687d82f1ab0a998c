"""
The metric math of alarms: arithmetic, comparisons, AND, OR, IF and FILL over series of values.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html#metric-math-syntax
Whatever else it knows is refused when an expression is read, by name, so that no alarm is silently always off.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from rehearsal.engine.alarms.tokens import TokenReader, Unreadable, tokens_of

Series = Mapping[datetime, float]
"""By the beginning of their periods, those values that there are."""

Result = Series | float
_Compute = Callable[[Mapping[str, Series], Sequence[datetime]], Result]
_Kind = Literal["scalar", "full", "sparse"]
"""What an expression gives: a number, a series with a value for every period, or one that may lack some."""

_TOKEN = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+|[A-Za-z_]\w*|<=|>=|==|!=|&&|\|\||[-+*/()<>,])")


class NoExpression(Exception):
    """AWS would refuse the text, too: it is no metric math."""


def _divide(dividend: float, divisor: float) -> float | None:
    return None if divisor == 0 else dividend / divisor


_ARITHMETIC: dict[str, Callable[[float, float], float | None]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
}
_COMPARISONS: dict[str, Callable[[float, float], float | None]] = {
    "<": lambda a, b: float(a < b),
    "<=": lambda a, b: float(a <= b),
    ">": lambda a, b: float(a > b),
    ">=": lambda a, b: float(a >= b),
    "==": lambda a, b: float(a == b),
    "!=": lambda a, b: float(a != b),
}
_LOGIC: dict[str, Callable[[float, float], float | None]] = {
    "AND": lambda a, b: float(bool(a) and bool(b)),
    "OR": lambda a, b: float(bool(a) or bool(b)),
}
_SPELT_OTHERWISE = {"&&": "AND", "||": "OR"}


@dataclass(frozen=True)
class Expression:
    """An expression that has been read; `ids` are the metrics and other expressions that it is made of."""

    text: str
    ids: frozenset[str]
    _compute: _Compute

    def over(self, series: Mapping[str, Series], periods: Sequence[datetime]) -> Series:
        """Compute it; `periods` are the beginnings of all that are asked for, and FILL fills those."""
        result = self._compute(series, periods)
        assert isinstance(result, Mapping), "numbers are refused by `parse`"
        return result


def parse(text: str) -> Expression:
    """
    Read an expression that gives one series.

    Raises NoExpression for what is none, NotImplementedError, with its name, for what the rehearsal does not know.
    """
    reader = _Reader(text)
    term = reader.expression()
    if reader.next is not None:
        raise NoExpression(f"{reader.next} is too much in {text!r}")
    if term.kind == "scalar":
        raise NoExpression(f"{text!r} gives a number, and an alarm needs a series")
    return Expression(text, frozenset(reader.ids), term.compute)


@dataclass(frozen=True)
class _Term:
    kind: _Kind
    compute: _Compute


class _Reader(TokenReader):
    """Reads from left to right; each method reads what binds tighter than the method that calls it."""

    def __init__(self, text: str) -> None:
        super().__init__(text, _tokens(text), NoExpression)
        self.ids: set[str] = set()

    def expression(self) -> _Term:
        return self._left_to_right(("OR",), lambda: self._left_to_right(("AND",), self._comparison))

    def _comparison(self) -> _Term:
        return self._left_to_right(tuple(_COMPARISONS), self._sum)

    def _sum(self) -> _Term:
        return self._left_to_right(("+", "-"), lambda: self._left_to_right(("*", "/"), self._signed))

    def _left_to_right(self, operators: Sequence[str], operand: Callable[[], _Term]) -> _Term:
        term = operand()
        while self.next in operators:
            term = _combined(self.take(), term, operand())
        return term

    def _signed(self) -> _Term:
        if self.next == "-":
            self.take()
            return _combined("*", _number(-1.0), self._signed())
        return self._operand()

    def _operand(self) -> _Term:
        word = self.take()
        if word == "(":
            term = self.expression()
            self.take(")")
            return term
        if word[0].isdigit() or word[0] == ".":
            return _number(float(word))
        if self.next == "(":
            return self._function(word)
        if not word[0].islower():
            raise NoExpression(f"{word} is neither a number nor an id in {self._text!r}")
        self.ids.add(word)
        return _Term("sparse", lambda series, _: series[word])

    def _function(self, name: str) -> _Term:
        if name not in _FUNCTIONS:
            raise NotImplementedError(f"the rehearsal does not know the function {name} of metric math: {self._text}")
        self.take("(")
        arguments = [self.expression()]
        while self.next == ",":
            self.take()
            if self.next in ("REPEAT", "LINEAR"):
                raise NotImplementedError(f"the rehearsal does not know {self.next} of {name}: {self._text}")
            arguments.append(self.expression())
        self.take(")")
        return _FUNCTIONS[name](self._text, arguments)


def _tokens(text: str) -> list[str]:
    try:
        return [_SPELT_OTHERWISE.get(each, each) for each in tokens_of(text, _TOKEN)]
    except Unreadable as rest:
        raise NotImplementedError(f"the rehearsal cannot read metric math from {str(rest)!r} on") from None


def _number(value: float) -> _Term:
    return _Term("scalar", lambda _series, _periods: value)


def _combined(name: str, left: _Term, right: _Term) -> _Term:
    """
    Apply an operator, to each value of a series; of two series, where both have one. Nothing is divided by zero.

    What AWS compares with a value that is missing is refused, rather than guessed: FILL says what it should be.
    """
    kinds = {left.kind, right.kind}
    is_arithmetic = name in _ARITHMETIC
    if not is_arithmetic and "sparse" in kinds and "scalar" not in kinds:
        raise NotImplementedError(f"the rehearsal does not know {name} of two series without FILL")
    apply = _ARITHMETIC[name] if is_arithmetic else _COMPARISONS.get(name) or _LOGIC[name]
    lacks_some = "sparse" in kinds or name == "/"
    kind: _Kind = "scalar" if kinds == {"scalar"} else "sparse" if lacks_some else "full"
    if kind == "scalar":
        value = apply(_constant(left), _constant(right))
        if value is None:
            raise NoExpression("a number is divided by zero")
        return _number(value)
    return _Term(kind, lambda series, periods: _each(apply, left, right, series, periods))


def _each(
    apply: Callable[[float, float], float | None],
    left: _Term,
    right: _Term,
    series: Mapping[str, Series],
    periods: Sequence[datetime],
) -> Series:
    first, second = left.compute(series, periods), right.compute(series, periods)
    if not isinstance(first, Mapping):
        assert isinstance(second, Mapping), "one of them is a series"
        computed = {at: apply(first, value) for at, value in second.items()}
    elif isinstance(second, Mapping):
        computed = {at: apply(value, second[at]) for at, value in first.items() if at in second}
    else:
        computed = {at: apply(value, second) for at, value in first.items()}
    return {at: value for at, value in computed.items() if value is not None}


def _fill(text: str, arguments: Sequence[_Term]) -> _Term:
    """Give every period that was asked for a value."""
    match arguments:
        case [of, _Term(kind="scalar") as filler] if of.kind != "scalar":
            value = _constant(filler)
            return _Term(
                "full", lambda series, periods: {**dict.fromkeys(periods, value), **_series(of, series, periods)}
            )
    raise NotImplementedError(f"the rehearsal knows FILL of a series and a number only: {text}")


def _if(text: str, arguments: Sequence[_Term]) -> _Term:
    """Take, wherever the condition has a value, the one or the other; what is taken may have none there."""
    match arguments:
        case [condition, one, other] if condition.kind != "scalar":
            kinds = {each.kind for each in arguments}
            return _Term(
                "sparse" if "sparse" in kinds else "full",
                lambda series, periods: _chosen(
                    _series(condition, series, periods), one.compute(series, periods), other.compute(series, periods)
                ),
            )
    raise NotImplementedError(f"the rehearsal knows IF of a series and two alternatives only: {text}")


def _chosen(condition: Series, one: Result, other: Result) -> Series:
    chosen = {}
    for at, value in condition.items():
        taken = one if value else other
        if not isinstance(taken, Mapping):
            chosen[at] = taken
        elif at in taken:
            chosen[at] = taken[at]
    return chosen


_FUNCTIONS: dict[str, Callable[[str, Sequence[_Term]], _Term]] = {"FILL": _fill, "IF": _if}


def _constant(term: _Term) -> float:
    value = term.compute({}, ())
    assert not isinstance(value, Mapping), "a number is no series"
    return value


def _series(term: _Term, series: Mapping[str, Series], periods: Sequence[datetime]) -> Series:
    result = term.compute(series, periods)
    assert isinstance(result, Mapping), "a series is no number"
    return result
