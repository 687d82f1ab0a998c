"""Alarms as moto keeps them, read once into what their evaluation needs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol, Self

from moto.cloudwatch.models import Alarm, MetricDataQuery

from rehearsal.engine.alarms import metric_math
from rehearsal.engine.alarms.composite import Rule, Suppressor, Withheld
from rehearsal.engine.alarms.evaluation import Conditions, State, Window
from rehearsal.engine.alarms.metric_math import Expression, Series
from rehearsal.engine.metrics import Metric

STANDARD_STEP_SECONDS, FAST_STEP_SECONDS = 60, 10
"""How often an alarm is evaluated: the fast ones are those with a period of less than a minute."""

STATES: tuple[State, ...] = ("OK", "ALARM", "INSUFFICIENT_DATA")
_ONLY = "only"
"""The id of the metric of an alarm that is on a metric, not on metric math."""


class Source(NamedTuple):
    """What is asked of the metrics."""

    metric: Metric
    statistic: str
    period: int


class Values(Protocol):
    """What knows the metrics, as far as alarms need it."""

    def values(
        self, metric: Metric, statistic: str, period: int, start: datetime, end: datetime
    ) -> dict[datetime, float]:
        """Return a statistic of each period that has a value by now, by the period's beginning."""
        ...


@dataclass
class Told:
    """A state as it was told: what an event calls `state`, and the next one `previousState`."""

    value: State
    reason: str
    data: str | None
    at: datetime
    withheld: Withheld | None = None


@dataclass
class MetricAlarm:
    """An alarm on a metric, or on metric math over some."""

    alarm: Alarm
    told: Told
    conditions: Conditions
    period: int
    sources: Mapping[str, Source]
    expressions: Sequence[tuple[str, Expression]]
    """With their ids, each after those that it is made of."""
    result: str
    """The id of the metric or expression that is compared with the threshold."""
    well_until: datetime | None = None
    """Periods that began before are taken to have been well, whatever the metrics tell."""
    seen: tuple[Window, ...] | None = None
    """What the sources told when it was last judged; None if that is out of date."""

    @classmethod
    def of(cls, alarm: Alarm, told: Told) -> Self:
        """Read an alarm. Raises NotImplementedError, or what metric math raises, for one that cannot be evaluated."""
        _refuse(alarm, _unknown_of(alarm))
        sources, expressions, result = _plain(alarm) if not alarm.metric_data_queries else _math(alarm)
        periods = {source.period for source in sources.values()}
        if len(periods) != 1:
            _refuse(alarm, [f"periods {sorted(periods)} at once"])
        conditions = Conditions(
            alarm.comparison_operator,
            float(alarm.threshold),
            int(alarm.evaluation_periods),
            int(alarm.datapoints_to_alarm or alarm.evaluation_periods),
            alarm.treat_missing_data or "missing",  # ty: ignore[invalid-argument-type]  Conditions looks itself
        )
        return cls(alarm, told, conditions, periods.pop(), sources, expressions, result)

    @property
    def step_seconds(self) -> int:
        """How often it is evaluated."""
        return FAST_STEP_SECONDS if self.period < STANDARD_STEP_SECONDS else STANDARD_STEP_SECONDS

    def window(self, moment: "Moment") -> Window | None:
        """Return the newest values of what is compared with the threshold; None if nothing is new since last time."""
        count = self.conditions.range
        found = tuple(moment.window(source, count) for source in self.sources.values())
        periods = moment.periods(self.period, count)
        assumed = self._assumed(periods)
        if found == self.seen and not assumed:
            return None
        self.seen = None if assumed else found
        return [*assumed, *self._window(found, periods)[len(assumed) :]]

    def _assumed(self, periods: Sequence[datetime]) -> list[float]:
        """Return a value for each of the first periods of which all is taken to have been well."""
        if self.well_until is None or periods[0] >= self.well_until:
            return []
        return [self.conditions.well for at in periods if at < self.well_until]

    def _window(self, found: Sequence[Window], periods: Sequence[datetime]) -> Window:
        if not self.expressions:
            return found[list(self.sources).index(self.result)]
        series: dict[str, Series] = {
            name: {at: value for at, value in zip(periods, window, strict=True) if value is not None}
            for name, window in zip(self.sources, found, strict=True)
        }
        for name, expression in self.expressions:
            series[name] = expression.over(series, periods)
        return [series[self.result].get(at) for at in periods]


@dataclass
class CompositeAlarm:
    """An alarm on other alarms."""

    alarm: Alarm
    told: Told
    rule: Rule
    suppressor: Suppressor | None
    was_suppressor_on: bool = False
    seen: tuple[State, ...] | None = None
    """The states by which it was last judged: it is judged again only when one of them has changed."""
    change_withheld_from: State = "INSUFFICIENT_DATA"
    """From which state it came when its actions were last kept back."""


Watched = MetricAlarm | CompositeAlarm


@dataclass
class Moment:
    """What the metrics tell at one moment, each asked once, however many alarms want to know."""

    metrics: Values
    now: datetime
    counts: Mapping[Source, int]
    """Of how many periods any alarm wants to know, by source."""
    _windows: dict[Source, list[float | None]] = field(default_factory=dict)
    _periods: dict[tuple[int, int], list[datetime]] = field(default_factory=dict)

    def window(self, source: Source, count: int) -> tuple[float | None, ...]:
        """Return the values of the last `count` periods that are over."""
        if source not in self._windows:
            periods = self.periods(source.period, self.counts[source])
            end = periods[-1] + timedelta(seconds=source.period)
            values = self.metrics.values(source.metric, source.statistic, source.period, periods[0], end)
            self._windows[source] = [values.get(at) for at in periods] if values else [None] * len(periods)
        return tuple(self._windows[source][-count:])

    def periods(self, period: int, count: int) -> list[datetime]:
        """Return the beginnings of the last `count` periods; they end with a step, not on the hour or the like."""
        if (period, count) not in self._periods:
            step = FAST_STEP_SECONDS if period < STANDARD_STEP_SECONDS else STANDARD_STEP_SECONDS
            end = self.now.replace(microsecond=0) - timedelta(seconds=self.now.second % step)
            self._periods[period, count] = [end - timedelta(seconds=period * ago) for ago in range(count, 0, -1)]
        return self._periods[period, count]


def counts_of(alarms: Iterable[MetricAlarm]) -> dict[Source, int]:
    """Tell of how many periods each source is asked at most."""
    counts: dict[Source, int] = {}
    for alarm in alarms:
        for source in alarm.sources.values():
            counts[source] = max(counts.get(source, 0), alarm.conditions.range)
    return counts


def _plain(alarm: Alarm) -> tuple[dict[str, Source], list[tuple[str, Expression]], str]:
    metric = Metric(alarm.namespace, alarm.metric_name, _dimensions(alarm.dimensions))
    statistic = alarm.statistic or alarm.extended_statistic
    if not statistic:
        raise NotImplementedError(f"the alarm {alarm.name} has no statistic")
    return {_ONLY: Source(metric, statistic, int(alarm.period))}, [], _ONLY


def _math(alarm: Alarm) -> tuple[dict[str, Source], list[tuple[str, Expression]], str]:
    queries: list[MetricDataQuery] = list(alarm.metric_data_queries)
    sources = {query.id: _source(query.metric_stat) for query in queries if query.metric_stat is not None}
    expressions = {query.id: metric_math.parse(query.expression) for query in queries if query.expression is not None}
    returned = [query.id for query in queries if query.return_data in (None, True)]
    if len(returned) != 1:
        _refuse(alarm, [f"{len(returned)} results instead of one"])
    ordered: list[tuple[str, Expression]] = []
    known = set(sources)
    while len(ordered) < len(expressions):
        ready = [name for name, each in expressions.items() if name not in known and each.ids <= known]
        if not ready:
            _refuse(alarm, ["expressions with unknown ids or in a circle"])
        ordered += [(name, expressions[name]) for name in ready]
        known |= set(ready)
    return sources, ordered, returned[0]


def _source(stat: Any) -> Source:
    metric = Metric(stat.metric.namespace, stat.metric.metric_name, _dimensions(stat.metric.dimensions))
    if stat.unit is not None:
        raise NotImplementedError(f"the rehearsal does not choose values of {metric} by their unit")
    return Source(metric, stat.stat, int(stat.period))


def _dimensions(dimensions: Iterable[Any]) -> frozenset[tuple[str, str]]:
    return frozenset((each.name, each.value) for each in dimensions)


def _unknown_of(alarm: Alarm) -> list[str]:
    """Name what AWS would heed, and we do not."""
    unknown = []
    if alarm.unit is not None:
        unknown.append("Unit")
    if alarm.threshold_metric_id is not None or alarm.threshold is None:
        unknown.append("an anomaly as its threshold")
    if alarm.evaluate_low_sample_count_percentile not in (None, "evaluate"):
        unknown.append("EvaluateLowSampleCountPercentile")
    return unknown


def _refuse(alarm: Alarm, what: Sequence[str]) -> None:
    if what:
        raise NotImplementedError(f"the rehearsal cannot evaluate the alarm {alarm.name} with {' and '.join(what)}")
