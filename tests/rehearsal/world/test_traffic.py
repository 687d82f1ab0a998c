"""The data plane and the users, without any control plane: both must lose nothing, and hide nothing."""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal.world.application import Behaviour
from rehearsal.world.data_plane import DataPlane
from rehearsal.world.network import Network
from rehearsal.world.processes import ChildFailed, ChildProcess
from rehearsal.world.traffic import Summary, Traffic, read_samples, summarise
from tests.waiting import eventually

pytestmark = pytest.mark.rehearsed

REQUESTS_PER_SECOND = 100


class TwoColors:
    """An application of each color behind one listener."""

    def __init__(self, data_plane: DataPlane, folder: Path) -> None:
        self.data_plane = data_plane
        self.folder = folder
        self.network = Network()
        self.processes: dict[str, ChildProcess] = {}

    def start(self, color: str, behaviour: Behaviour | None = None) -> None:
        port = self.network.reserve(color)
        arguments = ["--port", str(port), "--version", f"{color}-sha", "--color", color, "--instance", color]
        arguments += ["--behaviour", (behaviour or Behaviour()).to_json()]
        process = ChildProcess("rehearsal.world.application", arguments, self.folder / f"{color}.log")
        self.processes[color] = process
        eventually(lambda: self.network.answers(color))

    def replace(self, color: str, behaviour: Behaviour) -> None:
        self.processes[color].stop()
        self.network.release(color)
        self.start(color, behaviour)

    def route(self, sticky_seconds: int | None = None, **weights: int) -> None:
        rule = {"conditions": [], "action": {"forward": list(weights.items()), "sticky_seconds": sticky_seconds}}
        targets = {
            color: [{"instance": color, "port": self.network.port_of(color), "healthy": True}] for color in weights
        }
        self.data_plane.configure({"listeners": {"listener": [rule]}, "target_groups": targets})

    def traffic(self, sticky_share: float = 0.0) -> Traffic:
        url = self.data_plane.url("listener")
        return Traffic.start(url, REQUESTS_PER_SECOND, self.folder / "samples.jsonl", sticky_share)

    def stop(self) -> None:
        for color, process in self.processes.items():
            process.stop()
            self.network.release(color)


@pytest.fixture
def colors(data_plane: DataPlane, tmp_path: Path) -> Iterator[TwoColors]:
    two = TwoColors(data_plane, tmp_path)
    two.start("blue")
    two.start("green")
    yield two
    two.stop()


def summary(traffic: Traffic) -> Summary:
    traffic.stop()
    return summarise(read_samples(traffic.samples_path))


def test_no_request_fails_while_weights_change(colors: TwoColors) -> None:
    colors.route(blue=1)
    traffic = colors.traffic()
    for step in itertools.count():
        colors.route(blue=100 - step % 101, green=step % 101)
        assert traffic.is_running()
        if step > 100 and traffic.live().requests >= 3 * REQUESTS_PER_SECOND:
            break
    seen = summary(traffic)
    assert seen.failed == 0
    assert {"blue", "green"} == set(seen.by_color)
    assert {"blue-sha", "green-sha"} == set(seen.by_version)


def test_a_drained_application_loses_no_request(colors: TwoColors) -> None:
    """What scaling in does: take it out of the routing, wait until nobody waits for it, stop it."""
    colors.route(blue=50, green=50)
    traffic = colors.traffic()
    eventually(lambda: traffic.live().last_second.get("green", 0) > 10)
    colors.route(blue=1)
    eventually(lambda: colors.data_plane.in_flight("green") == 0)
    colors.processes["green"].stop()
    stopped_at = traffic.live().requests
    eventually(lambda: traffic.live().requests > stopped_at + REQUESTS_PER_SECOND / 2)
    assert summary(traffic).failed == 0


def test_a_killed_color_at_ten_percent_is_seen_as_502(colors: TwoColors) -> None:
    """Neither the data plane nor the users retry: a fault must show, or "0 failed" means nothing."""
    colors.route(blue=90, green=10)
    traffic = colors.traffic()
    eventually(lambda: traffic.live().last_second.get("green"))
    assert traffic.live().failed == 0
    os.kill(colors.processes["green"].pid, signal.SIGKILL)
    eventually(lambda: not colors.processes["green"].is_running())
    killed = time.monotonic()
    eventually(lambda: traffic.live().failed > 10)
    traffic.stop()
    after = summarise(read_samples(traffic.samples_path), after_seconds=killed)
    assert after.failed == after.by_status[502] == after.by_color[""].requests
    assert 0.03 < after.failed / after.requests < 0.25


def test_a_declared_error_rate_is_what_users_see(colors: TwoColors) -> None:
    colors.replace("green", Behaviour(error_rates={"/api/v2/receipts": 1.0}))
    colors.route(green=1)
    traffic = colors.traffic()
    eventually(lambda: traffic.live().requests >= 50)
    traffic.stop()
    samples = list(read_samples(traffic.samples_path))
    assert {500} == {sample.status for sample in samples if sample.path == "/api/v2/receipts"}
    assert {200} == {sample.status for sample in samples if sample.path != "/api/v2/receipts"}


def test_a_target_that_does_not_answer_is_a_504(tmp_path: Path) -> None:
    data_plane = DataPlane(tmp_path, target_timeout_seconds=0.3)
    two = TwoColors(data_plane, tmp_path)
    two.start("green")
    os.kill(two.processes["green"].pid, signal.SIGSTOP)
    two.route(green=1)
    traffic = two.traffic()
    eventually(lambda: traffic.live().requests > 0)
    assert {504} == set(summary(traffic).by_status)
    assert {"504"} == set(data_plane.report()["listeners"]["listener"]["elb"])
    two.stop()
    data_plane.stop()


def test_children_are_gone_when_their_parent_is_killed(tmp_path: Path) -> None:
    """Even one that hangs: a rehearsal that was killed must leave nothing behind."""
    script = (
        "import os, signal, sys, pathlib\n"
        "from rehearsal.world.data_plane import DataPlane\n"
        "from rehearsal.world.traffic import Traffic\n"
        "from rehearsal.world.processes import ChildProcess\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "plane = DataPlane(folder)\n"
        "plane.configure({'listeners': {'l': []}, 'target_groups': {}})\n"
        "traffic = Traffic.start(plane.url('l'), 10, folder / 'samples')\n"
        "options = ['--port', '0', '--version', 'v', '--color', 'c', '--instance', 'i']\n"
        "application, hung = (ChildProcess('rehearsal.world.application', options, folder / 'log') for _ in range(2))\n"
        "os.kill(hung.pid, signal.SIGSTOP)\n"
        "while not traffic.live().requests: pass\n"
        "print(plane.pid, traffic.pid, application.pid, hung.pid, flush=True)\n"
        "signal.pause()\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 4
        parent.kill()
    eventually(lambda: not any(_is_alive(pid) for pid in pids))


def test_a_data_plane_that_is_stopped_leaves_frozen_what_is_frozen(colors: TwoColors, tmp_path: Path) -> None:
    """Rehearsals at the same time share a process group: the end of one must not mend a fault of the other."""
    frozen = colors.processes["green"].pid
    os.kill(frozen, signal.SIGSTOP)
    eventually(lambda: _state(frozen) == "T")
    other = DataPlane(tmp_path)
    assert other.report()["listeners"] == {}
    other.stop()
    assert _state(frozen) == "T"


def _is_alive(pid: int) -> bool:
    """Whether a process is there and not merely a zombie that nobody has fetched yet."""
    return _state(pid) not in {"", "Z"}


def _state(pid: int) -> str:
    """One letter, as in proc(5); empty for a process that is not there."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""


def test_a_child_that_ended_is_a_failed_rehearsal(tmp_path: Path) -> None:
    """Not a load balancer that silently keeps its old weights."""
    data_plane = DataPlane(tmp_path)
    os.kill(data_plane.pid, signal.SIGKILL)
    with pytest.raises(ChildFailed, match=r"data-plane\.log"):
        data_plane.report()
    data_plane.stop()
