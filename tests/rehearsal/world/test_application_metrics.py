"""The application's own metrics are what the targets of a color have answered, ten seconds at a time."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from rehearsal.engine.metrics import Metric, Metrics
from rehearsal.engine.virtual import VirtualTime
from rehearsal.engine.virtual.virtual_time import START
from rehearsal.settings import ApplicationMetrics as Names
from rehearsal.settings import Settings
from rehearsal.world.application_metrics import application_metrics
from rehearsal.world.counter_readings import CounterReadings
from tests.rehearsal.world.conftest import BLUE, GREEN, TEST_LISTENER
from tests.rehearsal.world.test_load_balancer_metrics import DataPlane

SETTINGS = Settings.read("production")
NAMES = Names("Shop", "Group", "Hits", "Faults", "Seconds")
SECOND_BLUE = BLUE.replace("receipts-blue", "uploads-blue")


class Published:
    """What an application publishes that is served by a data plane, in virtual time."""

    def __init__(self, time: VirtualTime, readings: CounterReadings, data_plane: DataPlane) -> None:
        self.time = time
        self.data_plane = data_plane
        route = replace(SETTINGS.routes[0], blue=BLUE, green=GREEN)
        second = replace(route, blue=SECOND_BLUE, green=GREEN.replace("receipts-green", "uploads-green"))
        settings = replace(SETTINGS, routes=(route, second), application_metrics=NAMES)
        self.metrics = Metrics()
        found = application_metrics(time.clock, readings, settings)
        assert found is not None
        self.metrics.register(*found)

    def told(self, name: str, stat: str = "Sum", color: str = "blue", period: int = 10) -> dict[float, float]:
        """Seconds since START → value."""
        dimensions = frozenset({("Group", SETTINGS.colors[color].auto_scaling_group)})
        found = self.metrics.values(Metric("Shop", name, dimensions), stat, period, START, START + timedelta(hours=1))
        return {seconds(at): value for at, value in found.items()}


def seconds(at: datetime) -> float:
    return (at - START).total_seconds()


@pytest.fixture
def published() -> Iterator[Published]:
    with ExitStack() as stack:
        time = stack.enter_context(VirtualTime(seed=1))
        data_plane = DataPlane()
        readings = stack.enter_context(CounterReadings(time.clock, data_plane))
        time.sleep(1)  # what comes just as a period ends is of the one or of the next
        yield Published(time, readings, data_plane)


def test_requests_and_errors_are_counted_by_ten_seconds(published: Published) -> None:
    for statuses in ((200, 500, 503), (), (404, 201)):
        for status in statuses:
            published.data_plane.answer(BLUE, status)
        published.time.sleep(10)
    published.time.sleep(10)

    assert {0: 3.0, 20: 2.0} == published.told("Hits")
    assert {0: 2.0, 20: 0.0} == published.told("Faults")
    assert {0: 5.0} == published.told("Hits", period=60)
    assert {} == published.told("Hits", color="green")


def test_five_seconds_are_told_five_after_their_end(published: Published) -> None:
    published.data_plane.answer(BLUE)
    published.time.sleep(8.9)
    assert {} == published.told("Hits")
    published.time.sleep(0.1)
    assert {0: 1.0} == published.told("Hits")


def test_all_routes_of_a_color_are_one(published: Published) -> None:
    published.data_plane.answer(BLUE, 500)
    published.data_plane.answer(SECOND_BLUE)
    published.data_plane.answer(GREEN)
    published.time.sleep(20)

    assert [{0: 2.0}, {0: 1.0}] == [published.told(name) for name in ("Hits", "Faults")]
    assert {0: 1.0} == published.told("Hits", color="green")


def test_what_nobody_answered_is_not_published(published: Published) -> None:
    """An application that is gone cannot tell of it; the load balancer does."""
    published.data_plane.answer_nothing(BLUE, 502, connected=False)
    published.time.sleep(20)
    assert {} == published.told("Hits")


def test_what_came_through_the_test_listener_is_counted_too(published: Published) -> None:
    published.data_plane.answer(BLUE, listener=TEST_LISTENER)
    published.time.sleep(20)
    assert {0: 1.0} == published.told("Hits")


def test_response_times_are_a_distribution_of_seconds(published: Published) -> None:
    for milliseconds in (*[20.0] * 94, *[4000.0] * 6):
        published.data_plane.answer(BLUE, milliseconds=milliseconds)
    published.time.sleep(10)
    published.data_plane.answer(BLUE, milliseconds=500.0)
    published.time.sleep(20)

    assert published.told("Seconds", "p95") == pytest.approx({0: 4.0, 10: 0.5}, rel=0.1)
    assert published.told("Seconds", "p50") == pytest.approx({0: 0.02, 10: 0.5}, rel=0.1)
    assert {0: 94.0, 10: 1.0} == published.told("Seconds", "TC(:3)")
    assert {0: 6.0, 10: 0.0} == published.told("Seconds", "PR(3:)")


def test_nothing_is_finer_than_five_seconds(published: Published) -> None:
    with pytest.raises(NotImplementedError, match="by 5 s, not 1"):
        published.told("Hits", period=1)


def test_an_application_may_publish_nothing(published: Published) -> None:
    silent = replace(SETTINGS, application_metrics=None)
    readings = CounterReadings(published.time.clock, published.data_plane)
    assert application_metrics(published.time.clock, readings, silent) is None
