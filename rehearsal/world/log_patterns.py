"""
The part of CloudWatch Logs' filter patterns that matches JSON, which moto takes for "everything".

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
Only `$.field` compared by `=` or `!=` with a quoted text or a number, joined by `&&`, `||` and parentheses, is here.
"""

import json
import re
from collections.abc import Callable
from typing import Any

Matcher = Callable[[dict[str, Any]], bool]

_TOKEN = re.compile(
    r'\s*(?:(?P<symbol>&&|\|\||!=|=|\(|\))|\$\.(?P<field>\w+)|"(?P<text>[^"\\*]*)"|(?P<number>-?\d+(?:\.\d+)?)(?![\w.*]))'
)
_END = ("end", "")


class UnsupportedPattern(NotImplementedError):
    """A pattern, right or wrong, of which the rehearsal cannot tell what AWS would match."""


def matcher_of(pattern: str) -> Callable[[str], bool]:
    """
    Return what tells whether a log event's message matches the pattern; an empty one matches everything.

    A message that is no JSON object, or has no such field, does not match: AWS says of a selector that points to
    something else than a plain value that the filter is not applied. Raises UnsupportedPattern.
    """
    stripped = pattern.strip()
    if not stripped:
        return lambda _: True
    if not (stripped.startswith("{") and stripped.endswith("}")):
        raise UnsupportedPattern(pattern)
    parser = _Parser(pattern, stripped[1:-1])
    matches = parser.alternatives()
    parser.expect(_END)

    def matches_message(message: str) -> bool:
        try:
            event = json.loads(message)
        except ValueError:
            return False
        return isinstance(event, dict) and matches(event)

    return matches_message


class _Parser:
    """Recursive descent; `&&` binds tighter than `||`."""

    def __init__(self, pattern: str, inner: str) -> None:
        self._pattern = pattern
        self._tokens = list(self._split(inner.rstrip()))
        self._next = 0

    def alternatives(self) -> Matcher:
        either = [self._conjunction()]
        while self._accept(("symbol", "||")):
            either.append(self._conjunction())
        return lambda event: any(matches(event) for matches in either)

    def expect(self, token: tuple[str, str]) -> None:
        if not self._accept(token):
            raise UnsupportedPattern(self._pattern)

    def _conjunction(self) -> Matcher:
        every = [self._condition()]
        while self._accept(("symbol", "&&")):
            every.append(self._condition())
        return lambda event: all(matches(event) for matches in every)

    def _condition(self) -> Matcher:
        if self._accept(("symbol", "(")):
            inner = self.alternatives()
            self.expect(("symbol", ")"))
            return inner
        field = self._take("field")
        if self._accept(("symbol", "=")):
            equal = True
        else:
            self.expect(("symbol", "!="))
            equal = False
        kind, wanted = self._peek()
        if kind == "text":
            self._next += 1
            return _compare(field, wanted, equal=equal)
        return _compare(field, float(self._take("number")), equal=equal)

    def _split(self, text: str) -> list[tuple[str, str]]:
        tokens, at = [], 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None or match.lastgroup is None:
                raise UnsupportedPattern(self._pattern)
            tokens.append((match.lastgroup, match[match.lastgroup]))
            at = match.end()
        return [*tokens, _END]

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._next]

    def _accept(self, token: tuple[str, str]) -> bool:
        found = self._peek() == token
        self._next += found
        return found

    def _take(self, kind: str) -> str:
        found, value = self._peek()
        if found != kind:
            raise UnsupportedPattern(self._pattern)
        self._next += 1
        return value


def _compare(field: str, wanted: str | float, *, equal: bool) -> Matcher:
    def matches(event: dict[str, Any]) -> bool:
        value = event.get(field)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return False
        return (value == wanted) is equal

    return matches
