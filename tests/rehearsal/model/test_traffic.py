"""Users that are a model: what they send, what they see, and that both follow from the seed."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from rehearsal.clock import TwoSpeedClock
from rehearsal.engine.virtual import VirtualTime
from rehearsal.model.traffic import ModelTraffic
from rehearsal.world.traffic import MIX, Sample, colors_by_client, read_samples, summarise
from tests.rehearsal.model.planes import HOUR, LISTENER, Plane, modelled
from tests.waiting import eventually


class Users:
    """Blue and green behind a listener, in virtual time, and users who send to it."""

    def __init__(self, virtual: VirtualTime, folder: Path, seed: int = 0) -> None:
        self.virtual = virtual
        self.folder, self.seed = folder, seed
        self.plane = two_colors(folder, virtual.clock, seed)

    def start(self, **more: Any) -> ModelTraffic:
        return start(self.plane, self.virtual.clock, self.folder, seed=self.seed, **more)


def two_colors(folder: Path, clock: Any, seed: int = 0) -> Plane:
    plane = modelled(folder, clock, seed)
    plane.start("blue")
    plane.start("green")
    plane.forward(blue=1)
    return plane


def start(plane: Plane, clock: Any, folder: Path, **more: Any) -> ModelTraffic:
    return ModelTraffic.start(clock, plane.data_plane, LISTENER, folder / "users" / "samples.jsonl", **more)


@pytest.fixture
def users(tmp_path: Path) -> Iterator[Users]:
    with VirtualTime() as virtual:
        yield Users(virtual, tmp_path)


def test_users_send_the_mix_as_time_passes(users: Users) -> None:
    traffic = users.start(requests_per_second=2.5)
    users.virtual.sleep(100)
    samples = traffic.so_far()
    assert 250 == len(samples)
    assert {f"{each.method} {each.path}" for each in MIX} == {f"{each.method} {each.path}" for each in samples}
    assert "/auth/login" == samples[1].path  # nobody lists receipts before he has logged in
    assert {200, 201} == {each.status for each in samples}
    assert Counter({"blue": 250}) == Counter(each.color for each in samples)
    sent = [each.sent_seconds for each in samples]
    assert sorted(sent) == sent
    assert len(set(sent)) == 100
    assert not [each for each in sent if each.is_integer()]  # calls are made at round seconds


def test_users_send_until_they_are_stopped_and_leave_a_complete_file(users: Users) -> None:
    traffic = users.start()
    assert traffic.is_running()
    users.virtual.sleep(10)
    traffic.stop()
    traffic.stop()
    assert not traffic.is_running()
    users.virtual.sleep(10)
    samples = traffic.so_far()
    assert 50 == len(samples)
    assert samples == list(read_samples(traffic.samples_path))
    first = json.loads(traffic.samples_path.read_text(encoding="utf-8").splitlines()[0])
    assert list(asdict(samples[0]).items()) == list(first.items())


def test_live_figures_go_on_from_the_last_ones(users: Users) -> None:
    traffic = users.start()
    assert 0 == traffic.live().requests
    users.virtual.sleep(10)
    users.plane.running["blue"].kill()
    users.virtual.sleep(10)
    live = traffic.live()
    assert (100, 50, {"blue": 0, "": 50}) == (live.requests, live.failed, live.failed_by_color)
    assert {"": 5} == live.last_second
    assert live == traffic.live()


def test_a_killed_color_at_ten_percent_is_seen_as_502(users: Users) -> None:
    users.plane.forward(blue=90, green=10)
    traffic = users.start()
    users.virtual.sleep(100)
    assert 0 == summarise(traffic.so_far()).failed
    users.plane.running["green"].kill()
    killed = users.virtual.clock.stamp()
    users.virtual.sleep(100)
    after = summarise(traffic.so_far(), after_seconds=killed)
    assert after.failed == after.by_status[502] == after.by_color[""].requests
    assert 0.03 < after.failed / after.requests < 0.25


def test_a_slow_version_shows_in_the_latencies(users: Users) -> None:
    users.plane.start("slow", delay_seconds={"/health": 0.25, "/auth/login": 3.0})
    users.plane.forward(slow=1)
    traffic = users.start()
    users.virtual.sleep(10)
    found = {(each.path, each.status, each.latency_milliseconds) for each in traffic.so_far()}
    assert {("/health", 200, 250.0), ("/auth/login", 504, 500.0)} == found


def test_sticky_clients_stick(users: Users) -> None:
    """They keep their color through a change of weights, and all come back when there is only one group left."""
    users.plane.forward(HOUR, blue=50, green=50)
    traffic = users.start(sticky_share=0.5)
    users.virtual.sleep(100)
    met = users.virtual.clock.stamp()
    users.plane.forward(HOUR, blue=100, green=0)
    users.virtual.sleep(100)
    switched = users.virtual.clock.stamp()
    users.plane.forward(HOUR, blue=1)
    users.virtual.sleep(100)
    samples = traffic.so_far()
    held = colors_by_client(each for each in samples if each.sent_seconds < switched)
    back = colors_by_client(each for each in samples if each.sent_seconds > switched)
    assert {("blue",), ("green",)} == {tuple(colors) for colors in held.values()}
    assert [["blue"]] * len(back) == list(back.values())
    assert {"blue"} == {each.color for each in samples if not each.client and met < each.sent_seconds}
    assert 0.4 < sum(bool(each.client) for each in samples) / len(samples) < 0.6


def test_the_same_seed_gives_the_same_samples(tmp_path: Path) -> None:
    def samples(seed: int) -> list[Sample]:
        with VirtualTime(seed) as virtual:
            users = Users(virtual, tmp_path, seed)
            users.plane.start("bad", error_rates={"/health": 0.3})
            users.plane.forward(HOUR, blue=50, bad=50)
            traffic = users.start(sticky_share=0.2)
            virtual.sleep(50)
            return traffic.so_far()

    assert samples(1) == samples(1) != samples(2)


def test_users_in_simulated_time_keep_their_rate(tmp_path: Path) -> None:
    """On a clock that hurries every request has its moment, too, and the stamps are the wall's."""
    clock = TwoSpeedClock(speed=1000.0)
    traffic = start(two_colors(tmp_path, clock), clock, tmp_path)
    before = clock.seconds()
    eventually(lambda: clock.seconds() > before + 200)
    traffic.stop()
    samples = traffic.so_far()
    assert 950 < len(samples) < (clock.seconds() + 2) * 5
    assert samples[-1].sent_seconds - samples[0].sent_seconds < 100
    assert not [each for each in samples if each.failed]
