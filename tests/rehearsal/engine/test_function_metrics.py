"""Lambda tells how often functions ran and failed, a minute late."""

from datetime import datetime, timedelta

import pytest

from rehearsal.engine.function_metrics import NAMESPACE, FunctionMetrics
from rehearsal.engine.metrics import Metric, Metrics
from rehearsal.engine.sandbox import Outcome, exited
from rehearsal.engine.virtual import VirtualTime
from rehearsal.engine.virtual.virtual_time import START

MINUTE = timedelta(minutes=1)
WELL, FAILED = Outcome(b"null"), exited("signal: killed")


def told(metrics: FunctionMetrics, name: str, **dimensions: str) -> dict[datetime, float]:
    registered = Metrics()
    registered.register(NAMESPACE, metrics)
    metric = Metric(NAMESPACE, name, frozenset(dimensions.items()))
    return registered.values(metric, "Sum", 60, START, START + 10 * MINUTE)


def test_invocations_and_errors_are_told_by_function_and_minute() -> None:
    with VirtualTime() as time:
        metrics = FunctionMetrics(time.clock)
        metrics.invoked("watchdog", WELL)
        metrics.invoked("other", FAILED)
        time.sleep(70)
        metrics.invoked("watchdog", FAILED)
        metrics.invoked("watchdog", WELL)
        time.sleep(180)

        assert told(metrics, "Invocations", FunctionName="watchdog") == {START: 1.0, START + MINUTE: 2.0}
        assert told(metrics, "Errors", FunctionName="watchdog") == {START: 0.0, START + MINUTE: 1.0}
        assert told(metrics, "Errors", FunctionName="nobody") == {}
        assert told(metrics, "Errors", FunctionName="watchdog", Resource="watchdog:1") == {}
        with pytest.raises(NotImplementedError, match="Duration"):
            told(metrics, "Duration", FunctionName="watchdog")


def test_a_minute_is_told_a_minute_after_its_end() -> None:
    with VirtualTime() as time:
        metrics = FunctionMetrics(time.clock)
        metrics.invoked("watchdog", WELL)
        time.sleep(119)
        assert told(metrics, "Invocations", FunctionName="watchdog") == {}
        time.sleep(1)
        assert told(metrics, "Invocations", FunctionName="watchdog") == {START: 1.0}


def test_what_was_turned_away_and_what_a_url_answered_is_told() -> None:
    with VirtualTime() as time:
        metrics = FunctionMetrics(time.clock)
        metrics.turned_away("receive")
        for status in (202, 401, 503):
            metrics.answered("receive", status)
        time.sleep(180)

        counts = ("Throttles", "UrlRequestCount", "Url4xxCount", "Url5xxCount")
        found = [told(metrics, name, FunctionName="receive").get(START) for name in counts]

    assert found == [1.0, 3.0, 1.0, 1.0]
