"""
Metrics that somebody publishes: by PutMetricData, or by a line that a function prints in the embedded metric format.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import json
import threading
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Self

from moto.cloudwatch.responses import CloudWatchResponse

from rehearsal.clock import Clock
from rehearsal.engine.metrics import (
    NO_UNIT,
    STANDARD_SECONDS,
    Datapoint,
    Metric,
    Tally,
    aware,
    by_period,
    minutes,
    require_period,
)
from rehearsal.world.overlay import Overlay

PUBLISHED_AFTER_SECONDS = 5.0
"""How long after it came a value can be asked for. AWS names no figure; in practice it is there within seconds."""

_JUST_PUBLISHED = timedelta(seconds=PUBLISHED_AFTER_SECONDS) - timedelta.resolution
"""What came longer ago than this is there."""
_EMBEDDED = '"_aws"'
_HIGH_RESOLUTION_SECONDS = 1


class _Value(NamedTuple):
    at: datetime
    came: datetime
    resolution_seconds: int
    unit: str
    tally: Tally

    def datapoint(self) -> Datapoint:
        """Return it in the second, or the minute, that it counts for."""
        second = self.at.second if self.resolution_seconds < STANDARD_SECONDS else 0
        return Datapoint(self.at.replace(second=second, microsecond=0), self.tally, self.unit)


class CustomMetrics:
    """
    What was published, in whatever namespace, while the context is open.

    A line counts for the simulated time at which it was printed. The time that it names itself is wall time, which is
    all that a function's process knows. Lines are read when somebody asks for a metric: most never are.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._overlay = Overlay()
        self._lock = threading.Lock()  # nobody waits while he holds it
        self._lines: deque[tuple[datetime, str]] = deque()
        self._values: dict[Metric, dict[datetime, list[_Value]]] = {}
        """By the minute that they count for."""
        self._may_be_backdated = False

    def install(self) -> None:
        """Take what PutMetricData puts, once moto has found nothing wrong with it."""
        self._overlay.wrap(CloudWatchResponse, "put_metric_data", self._put_metric_data)

    def uninstall(self) -> None:
        """Give CloudWatch back to moto."""
        self._overlay.uninstall()

    def __enter__(self) -> Self:
        self.install()
        return self

    def __exit__(self, *_: object) -> None:
        self.uninstall()

    def read(self, function: str, line: str) -> None:
        """To be added to the observers of functions' logs."""
        del function
        if _EMBEDDED in line:
            self._lines.append((self._clock.now(), line))

    def datapoints(self, metric: Metric, start: datetime, end: datetime, period: int) -> list[Datapoint]:
        """Return what was published some seconds ago; see MetricSource."""
        with self._lock:
            while self._lines:
                self._keep_line(*self._lines.popleft())
            published = self._clock.now() - timedelta(seconds=PUBLISHED_AFTER_SECONDS)
            values = self._values.get(metric, {})
            near = (value for minute in minutes(start, end) for value in values.get(minute, ()))
            known = [value for value in near if value.came <= published]
        require_period(period, max((value.resolution_seconds for value in known), default=_HIGH_RESOLUTION_SECONDS))
        return by_period((value.datapoint() for value in known), start, end, period)

    def settled_until(self) -> datetime | None:
        """Nobody can tell once somebody has published for another time than that at which he did."""
        return None if self._may_be_backdated else self._clock.now() - _JUST_PUBLISHED

    def _put_metric_data(self, original: Any, response: CloudWatchResponse) -> Any:
        answer = original(response)
        asked, now = response._get_params(), self._clock.now()
        with self._lock:
            for datum in asked["MetricData"]:
                dimensions = frozenset((each["Name"], each["Value"]) for each in datum.get("Dimensions") or [])
                at = aware(datum["Timestamp"]) if datum.get("Timestamp") else now
                self._may_be_backdated |= at != now
                resolution = int(datum.get("StorageResolution") or STANDARD_SECONDS)
                value = _Value(at, now, resolution, datum.get("Unit") or NO_UNIT, _tally_of(datum))
                self._keep(Metric(asked["Namespace"], datum["MetricName"], dimensions), value)
        return answer

    def _keep_line(self, came: datetime, line: str) -> None:
        for metric, resolution, unit, tally in _embedded(line):
            self._keep(metric, _Value(came, came, resolution, unit, tally))

    def _keep(self, metric: Metric, value: _Value) -> None:
        if value.tally.count:
            minute = value.at.replace(second=0, microsecond=0)
            self._values.setdefault(metric, {}).setdefault(minute, []).append(value)


def _tally_of(datum: Mapping[str, Any]) -> Tally:
    if summary := datum.get("StatisticValues"):
        least, greatest, count = (
            float(summary["Minimum"]),
            float(summary["Maximum"]),
            int(float(summary["SampleCount"])),
        )
        return Tally(count, float(summary["Sum"]), Counter({(least, greatest): count}), is_summary=least != greatest)
    values = datum.get("Values") or [datum.get("Value") or 0]
    tally = Tally()
    for value, count in zip(values, datum.get("Counts") or [1] * len(values), strict=True):
        tally.add(Tally.of(float(value), int(float(count))))
    return tally


def _embedded(line: str) -> Iterator[tuple[Metric, int, str, Tally]]:
    """Yield the metrics of a line, once for each of their sets of dimensions; none when it only looks like one."""
    try:
        content = json.loads(line)
        directives = content["_aws"]["CloudWatchMetrics"]
    except (ValueError, KeyError, TypeError):
        return
    for directive in directives:
        for names in directive.get("Dimensions") or [[]]:
            dimensions = frozenset((name, str(content[name])) for name in names)
            for wanted in directive["Metrics"]:
                given = content[wanted["Name"]]
                tally = Tally()
                for value in given if isinstance(given, list) else [given]:
                    tally.add(Tally.of(float(value)))
                metric = Metric(directive["Namespace"], wanted["Name"], dimensions)
                yield metric, int(wanted.get("StorageResolution", STANDARD_SECONDS)), wanted.get("Unit", NO_UNIT), tally
