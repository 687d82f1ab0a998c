"""
What a report tells, as values: who makes them decides where they come from, and `page` how they look. All pure.

A real release's story comes from its record, the histories of its executions and CloudWatch; a rehearsal's from the
samples of its users. Moments are aware datetimes, shares are percent, latencies are milliseconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Tone(StrEnum):
    """How something is to be taken."""

    PLAIN = "plain"
    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True)
class Traffic:
    """
    What users got in the `seconds` from a moment on. Percentiles are None where nobody was answered.

    `users_seconds` is how long that was for the users, where they live in another time: a rehearsal hurries.
    """

    at: datetime
    seconds: float
    requests: int
    errors: int
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    users_seconds: float | None = None

    @property
    def sent_seconds(self) -> float:
        """Return the seconds to divide requests and errors by, for a rate."""
        return self.seconds if self.users_seconds is None else self.users_seconds


@dataclass(frozen=True)
class Weights:
    """Which share of the traffic each color received from a moment on, by color."""

    at: datetime
    percent: Mapping[str, int]


@dataclass(frozen=True)
class Stretch:
    """What a machine was doing for a while, in an operator's words: a state, or several that mean one thing."""

    machine: str
    name: str
    began: datetime
    ended: datetime
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True)
class Decision:
    """A moment from which on something was different, with a label of a few words: "10 %", "rolled back"."""

    at: datetime
    label: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True)
class Event:
    """What happened, in a sentence, and who did it: a machine, a person, AWS."""

    at: datetime
    who: str
    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True)
class Figure:
    """A measured value in words, with its unit. `target` is what it should be; `met` is None where there is none."""

    name: str
    value: str
    target: str = ""
    met: bool | None = None


@dataclass(frozen=True)
class Gate:
    """What was looked at before the release began: how strictly it is taken, how it was found, and in which words."""

    name: str
    level: str
    result: str
    detail: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True)
class Told:
    """A message to humans. `is_page` says that it asks somebody to act now."""

    at: datetime
    to: str
    subject: str
    body: str
    is_page: bool


@dataclass(frozen=True)
class Story:
    """
    One release from its request to its end.

    `traffic` and `weights` are by color; the color "" holds what the load balancer itself answered. What is not known
    is left empty, and the page then has no such part.
    """

    title: str
    place: str
    """Service and environment."""
    outcome: str
    """One word, such as "promoted"."""
    headline: str
    """What became of it, in a sentence."""
    tone: Tone
    began: datetime
    ended: datetime
    facts: Sequence[tuple[str, str]] = ()
    """Name and value of what identifies the release: version, color, executions."""
    traffic: Mapping[str, Sequence[Traffic]] = field(default_factory=dict)
    weights: Sequence[Weights] = ()
    stretches: Sequence[Stretch] = ()
    decisions: Sequence[Decision] = ()
    events: Sequence[Event] = ()
    gates: Sequence[Gate] = ()
    figures: Sequence[Figure] = ()
    told: Sequence[Told] = ()
    notes: Sequence[str] = ()
    """What a reader must know before he trusts the figures."""
