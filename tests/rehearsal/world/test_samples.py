"""The figures of a report: each is computed from the samples, and none from a counter of somebody else's."""

import json
from dataclasses import asdict, replace
from pathlib import Path

from rehearsal.world.traffic import Sample, Traffic, colors_by_client, summarise


def sample(sent: float, status: int = 200, color: str = "blue") -> Sample:
    return Sample(sent, 10.0 * sent, status, color, f"{color}-sha" if color else "", color, "GET", "/health")


def test_a_summary_counts_a_stretch_of_time_and_every_failure_in_it() -> None:
    samples = [sample(1.0, 500), sample(2.0), sample(3.0, 503, ""), sample(4.0, 0, ""), sample(5.0, 200, "green")]
    found = summarise(samples, after_seconds=2.0, until_seconds=4.5)
    assert (found.requests, found.failed) == (3, 2)
    assert found.by_status == {200: 1, 503: 1, 0: 1}
    assert {key: (each.requests, each.failed) for key, each in found.by_color.items()} == {"blue": (1, 0), "": (2, 2)}
    assert (found.p50_milliseconds, found.p99_milliseconds) == (30.0, 40.0)


def test_whom_the_load_balancer_has_turned_away_is_told_apart() -> None:
    """A freeze answers for no color: what it answers is no fault of a version, which may answer 503 itself."""
    samples = [sample(1.0, 503, ""), sample(2.0, 503, ""), sample(3.0, 503), sample(4.0, 502, ""), sample(5.0)]
    found = summarise(samples)
    assert (found.failed, found.turned_away) == (4, 2)
    assert found.by_color["blue"].failed == 1


def test_a_summary_of_nothing_is_zero() -> None:
    assert summarise([]).requests == 0


def test_live_figures_wait_for_a_line_that_is_still_being_written(tmp_path: Path) -> None:
    line = json.dumps(asdict(sample(1.0)))
    path = tmp_path / "samples.jsonl"
    path.write_text(line + "\n" + line[:20], encoding="utf-8")
    traffic = Traffic(process=None, samples_path=path, requests_per_second=50.0)  # type: ignore[arg-type]
    assert traffic.live().requests == 1
    path.write_text(line + "\n" + line + "\n", encoding="utf-8")
    assert traffic.live().requests == 2


def test_clients_that_keep_cookies_are_told_apart() -> None:
    """By when they sent, not by when they were answered; users without cookies stick to nothing."""
    colors = ["blue", "blue", "green", "", "blue"]
    one = [replace(sample(sent, color=color), client="one") for sent, color in enumerate(colors)]
    other = replace(sample(1.5, color="green"), client="other")
    assert {"one": ["blue", "green", "blue"], "other": ["green"]} == colors_by_client(
        [*reversed(one), other, sample(9.0)]
    )
