"""Whether the color to go back to has been failing, too, a moment ago."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lambdas.judge.evidence_rules import JudgeSettings, Source, added_up, queries, span_of
from lambdas.judge.metrics import Metrics
from lambdas.judge.rules import looks_bad
from lambdas.release.rules import later
from lambdas.traffic.rules import Route

_WITHIN_SECONDS: Mapping[Source, int] = {Source.APPLICATION: 60, Source.LOAD_BALANCER: 180}
"""Long enough for a few periods, and short enough that a fault of half a minute is not lost among what was well."""


@dataclass(frozen=True)
class OldColor:
    """`groups` is color → Auto Scaling group. A release that is judged by its log is looked at by the load balancer."""

    metrics: Metrics
    settings: JudgeSettings
    routes: Sequence[Route]
    groups: Mapping[str, str]

    def trouble(self, color: str, now: str) -> str:
        """Say how a color fails, or is slow, with its numbers; empty when it does not, or nobody can say."""
        source = Source.APPLICATION if self.settings.metrics else Source.LOAD_BALANCER
        settings = replace(self.settings, source=source)
        span = span_of(settings, later(now, -_WITHIN_SECONDS[source]), now)
        asked = queries(settings, self.routes, self.groups[color], color)
        sums = self.metrics.readable_sums(asked, span)
        return "; ".join(looks_bad(color, added_up(asked, sums), settings)) if sums else ""
