"""Text as a row of tokens, of which a reader takes one after the other: what rules and metric math have in common."""

import re


class Unreadable(Exception):
    """No token begins here; the message is the rest of the text."""


def tokens_of(text: str, pattern: re.Pattern[str]) -> list[str]:
    """Return the tokens, each one the group of the pattern that has matched. Raises Unreadable."""
    tokens, at = [], 0
    while at < len(text.rstrip()):
        found = pattern.match(text, at)
        if found is None:
            raise Unreadable(text[at:])
        tokens.append(next(value for value in found.groups() if value is not None))
        at = found.end()
    return tokens


class TokenReader:
    """Reads from left to right. `refusal` is raised, with what is missing, where the text ends too early."""

    def __init__(self, text: str, tokens: list[str], refusal: type[Exception]) -> None:
        self._text, self._tokens, self._refusal = text, tokens, refusal
        self._at = 0

    @property
    def next(self) -> str | None:
        """What is read next; None at the end."""
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def take(self, expected: str | None = None) -> str:
        """Read the next token, which has to be the expected one, if one is."""
        word = self.next
        if word is None or expected not in (None, word):
            raise self._refusal(f"{expected or 'something'} is missing in {self._text!r}")
        self._at += 1
        return word
