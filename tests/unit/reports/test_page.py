import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest

from lambdas.reports.page import render
from lambdas.reports.story import Decision, Event, Figure, Gate, Story, Stretch, Told, Tone, Traffic, Weights
from lambdas.reports.style import STYLE
from tests.browser.stories import good, long_names, rolled_back
from tests.unit.reports.pages import of_class, read, text, wide

ROOT = Path(__file__).parents[3]
BEGAN = datetime(2026, 11, 23, 1, 30, tzinfo=UTC)
HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)></style></title><!--&amp;"


def after(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def story(seconds: float = 600, **parts: object) -> Story:
    bare = Story("Release 1", "shop, staging", "promoted", "It is live.", Tone.GOOD, BEGAN, after(seconds))
    return replace(bare, **parts)  # type: ignore[arg-type]


def page_of(seconds: float = 600, **parts: object) -> Element:
    return read(render(story(seconds, **parts)))


def path_of(tree: Element, *classes: str) -> str:
    """Return what a path draws. Samples in a key, which are all alike, come before it."""
    return of_class(wide(tree), *classes)[-1].attrib["d"]


def steady(count: int, every: float = 10, errors: int = 0) -> list[Traffic]:
    return [Traffic(after(index * every), every, 100, errors, 5, 9, 12) for index in range(count)]


def hostile() -> Story:
    return Story(
        title=HOSTILE,
        place=HOSTILE,
        outcome=HOSTILE,
        headline=HOSTILE,
        tone=Tone.BAD,
        began=BEGAN,
        ended=after(600),
        facts=[(HOSTILE, HOSTILE)],
        traffic={HOSTILE: steady(3, errors=1)},
        weights=[Weights(BEGAN, {HOSTILE: 100})],
        stretches=[Stretch(HOSTILE, HOSTILE, BEGAN, after(600))],
        decisions=[Decision(BEGAN, HOSTILE), Decision(after(300), "x<y>")],
        events=[Event(BEGAN, HOSTILE, HOSTILE)],
        gates=[Gate(HOSTILE, HOSTILE, HOSTILE, HOSTILE)],
        figures=[Figure(HOSTILE, HOSTILE, HOSTILE, met=True)],
        told=[Told(BEGAN, HOSTILE, HOSTILE, HOSTILE, is_page=True)],
        notes=[HOSTILE],
    )


def test_nothing_from_outside_becomes_markup() -> None:
    tree = read(render(hostile()))

    assert not {each.tag for each in tree.iter()} & {"script", "img", "iframe", "object", "embed", "a", "form"}
    assert [] == [name for each in tree.iter() for name in each.attrib if name.startswith("on")]
    assert [STYLE] == ["".join(each.itertext()) for each in tree.iter("style")]
    for shown in ("h1", "dt", "dd", "td"):
        assert HOSTILE in ["".join(each.itertext()) for each in tree.iter(shown)]


@pytest.mark.parametrize("make", [hostile, good, rolled_back])
def test_a_browser_has_nothing_to_load(make: object) -> None:
    tree = read(render(make()))  # type: ignore[operator]

    loaded = {"src", "srcset", "href", "xlink:href", "data", "poster", "action", "background", "style"}
    values = [value for each in tree.iter() for name, value in each.attrib.items() if name in loaded]
    assert {value.partition("-")[0] for value in values} <= {"#sign", "data:,"}
    urls = [found for each in tree.iter() for value in each.attrib.values() for found in re.findall(r"url\((.)", value)]
    assert set(urls) <= {"#"}
    assert not re.search(r"url\(|@import|expression", STYLE)
    (policy,) = (each.get("content", "") for each in tree.iter("meta") if each.get("http-equiv"))
    assert policy.startswith("default-src 'none';")


def test_what_html_or_utf8_cannot_hold_is_marked() -> None:
    page = render(story(notes=["half \ud83d, nul \x00, bell \x07, tab\tand line\nstay"]))

    assert "half \ufffd, nul \ufffd, bell \ufffd, tab and line stay" in text(read(page))
    assert page.encode("utf-8")


def test_the_same_story_is_the_same_page_in_every_process() -> None:
    command = (
        "from lambdas.reports.page import render; from tests.browser.stories import *; print(render(rolled_back()))"
    )
    pages = {
        subprocess.run(
            [sys.executable, "-c", command],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert len(pages) == 1


PARTS = {
    "Over time": {"weights": [Weights(BEGAN, {"blue": 100})]},
    "Gates": {"gates": [Gate("backup", "required", "passed", "It is young.", Tone.GOOD)]},
    "Figures": {"figures": [Figure("Requests", "12")]},
    "What happened": {"events": [Event(BEGAN, "alice", "asked.")]},
    "Who was told": {"told": [Told(BEGAN, "topic", "live", "text", is_page=False)]},
    "Notes": {"notes": ["by the minute"]},
}


def headings(tree: Element) -> list[str]:
    return [(each.text or "").strip() for each in tree.iter("h2")]


@pytest.mark.parametrize("heading", PARTS)
def test_a_part_that_nothing_is_known_about_is_left_out(heading: str) -> None:
    assert [heading] == headings(page_of(**PARTS[heading]))


def test_parts_come_in_the_order_of_reading() -> None:
    everything = {name: value for part in PARTS.values() for name, value in part.items()}

    assert list(PARTS) == headings(page_of(**everything))


def test_a_story_of_which_nothing_is_known_is_a_page() -> None:
    tree = page_of(0)

    assert "Release 1" in text(tree)
    assert [] == headings(tree)
    assert [] == of_class(tree, "facts")


@pytest.mark.parametrize("part", ["Over time"])
@pytest.mark.parametrize("seconds", [0, 0.2])
def test_a_story_without_length_has_a_plot(part: str, seconds: float) -> None:
    stretches = [Stretch("deploy", "Validate", BEGAN, BEGAN)]

    tree = page_of(seconds, stretches=stretches, traffic={"blue": steady(1, every=0)}, **PARTS[part])

    assert "01:30:00 01:30:10" in " ".join(text(each) for each in of_class(wide(tree), "tick"))


def test_decisions_without_anything_that_took_time_are_no_plot() -> None:
    assert [] == headings(page_of(0, decisions=[Decision(BEGAN, "refused")]))


def test_moments_are_told_in_utc_whatever_zone_they_came_in() -> None:
    elsewhere = timezone(timedelta(hours=9))
    events = [Event(after(65).astimezone(elsewhere), "alice", "asked.")]

    tree = page_of(began=BEGAN.astimezone(elsewhere), events=events, weights=[Weights(BEGAN, {"blue": 100})])

    (period,) = of_class(tree, "period")
    assert "Monday 2026-11-23, 01:30:00 to 01:40:00 UTC 10 min" == text(period)
    assert "01:31:05 +0:01:05 alice asked." in text(tree)
    assert "01:32" in [text(each) for each in of_class(wide(tree), "tick")]
    assert "From 2026-11-23 01:30 to 2026-11-23 01:40 UTC." == text(next(wide(tree).iter("desc")))


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (43.4, "43 s"),
        (120, "2 min"),
        (754, "12 min 34 s"),
        (6138, "1 h 42 min"),
        (3605, "1 h"),
        (90_000, "1 d 1 h"),
    ],
)
def test_a_duration_is_said_by_its_two_largest_units(seconds: float, said: str) -> None:
    (duration,) = of_class(page_of(seconds), "duration")
    assert said == text(duration)


def test_events_are_in_order_of_time_and_say_their_day_where_there_are_several() -> None:
    late, early = Event(after(86_400), "AWS", "late."), Event(after(-5), "alice", "early.", Tone.WARNING)

    tree = page_of(86_400, events=[late, early])

    (table,) = of_class(tree, "events")
    rows = [text(row) for row in table.iter("tr")]
    assert rows == [
        "Time, UTC Who What",
        "Monday 2026-11-23",
        "01:29:55 \N{MINUS SIGN}0:00:05 alice Warning: early.",
        "Tuesday 2026-11-24",
        "01:30:00 +24:00:00 AWS late.",
    ]


def test_a_figure_says_in_a_word_whether_it_is_met() -> None:
    figures = [
        Figure("errors", "2", "at most 1", met=False),
        Figure("time", "5 s", "at most 9 s", met=True),
        Figure("requests", "7"),
    ]

    (table,) = of_class(page_of(figures=figures), "figures")

    rows = [[text(cell) for cell in row] for row in table.iter("tr")]
    assert ["errors", "2", "at most 1", "missed"] in rows
    assert ["time", "5 s", "at most 9 s", "met"] in rows
    assert ["requests", "7", "\N{EN DASH}", "\N{EN DASH}"] in rows


def test_a_gate_says_how_strictly_it_is_taken_and_what_was_found() -> None:
    gates = [
        Gate("backup", "required", "passed", "It is young.", Tone.GOOD),
        Gate("cdn", "warn", "failed", "It is disabled.", Tone.BAD),
        Gate("dns", "off", "off", ""),
    ]

    (table,) = of_class(page_of(gates=gates), "gates")

    rows = [[text(cell) for cell in row] for row in table.iter("tr")]
    assert ["backup", "required", "passed", "It is young."] in rows
    assert ["cdn", "warn", "failed", "It is disabled."] in rows
    assert ["dns", "off", "off", "\N{EN DASH}"] in rows


def test_tables_say_what_heads_what() -> None:
    assert all(each.get("scope") in {"col", "row", "rowgroup"} for each in read(render(long_names())).iter("th"))


def test_pages_stand_out_from_messages() -> None:
    message, page = Told(BEGAN, "topic", "live", "text", is_page=False), Told(BEGAN, "bob", "act", "now", is_page=True)

    assert "Nobody was paged." in text(page_of(told=[message]))
    both = page_of(told=[message, page])
    assert "Nobody was paged." not in text(both)
    assert ["Page to bob, 01:30:00 UTC act Text now"] == [text(each) for each in of_class(both, "page")]


def moves(path: str) -> int:
    return path.count("M")


def test_a_gap_in_traffic_is_a_gap_and_no_line() -> None:
    traffic = steady(30)

    whole = page_of(traffic={"green": traffic})
    parted = page_of(traffic={"green": [*traffic[:10], *traffic[12:]]})

    assert (1, 2) == tuple(moves(path_of(each, "line", "requests", "color-green")) for each in (whole, parted))
    assert (1, 2) == tuple(moves(path_of(each, "area", "color-green")) for each in (whole, parted))


def test_a_latency_that_is_not_known_is_a_gap() -> None:
    traffic = steady(30)
    traffic[10] = replace(traffic[10], p99=None)

    tree = page_of(traffic={"blue": traffic})

    assert (1, 2) == (moves(path_of(tree, "line", "p50")), moves(path_of(tree, "line", "p99")))


@pytest.mark.parametrize("color", ["blue", "green", ""])
def test_a_single_error_among_ten_thousand_intervals_is_seen(color: str) -> None:
    traffic = steady(10_000, every=1)
    traffic[5000] = replace(traffic[5000], errors=1)
    also = {"blue": steady(10_000, every=1, errors=90)} if color != "blue" else {}

    tree = page_of(10_000, traffic={**also, color: traffic})

    bar = path_of(tree, "errors", f"color-{color or 'balancer'}")
    found = re.fullmatch(r"M[\d.]+ 36v-([\d.]+)h([\d.]+)v[\d.]+z", bar)
    assert found, bar
    assert all(float(length) >= least for length, least in zip(found.groups(), (4, 2), strict=True))


def test_an_interval_too_short_for_a_pixel_still_shows_its_error() -> None:
    tree = page_of(10_000, traffic={"blue": [Traffic(after(5000), 0.5, 1, 1)]})

    assert path_of(tree, "errors", "color-blue").endswith("h2v36z")


def test_counts_are_those_given_however_much_is_merged() -> None:
    tree = page_of(10_000, traffic={"blue": steady(10_000, every=1, errors=2), "": [Traffic(BEGAN, 60, 1, 1)]})

    (legend,) = of_class(tree, "legend")
    assert ["blue 1,000,000 requests, 20,000 errors", "load balancer 1 error"] == [text(each) for each in legend]
    assert "blue: 1000000 requests, 20000 errors." in text(next(wide(tree).iter("desc")))


def test_no_errors_are_said_to_be_none() -> None:
    assert "Errors per second: none" in text(wide(page_of(traffic={"blue": steady(3)})))
    assert "Errors" not in text(wide(page_of(weights=[Weights(BEGAN, {"blue": 100})])))


def heights(path: str) -> list[tuple[float, float]]:
    boxes = re.findall(r"M[\d.]+ ([\d.]+)H[\d.]+V([\d.]+)H[\d.]+z", path)
    return [(float(top), float(bottom)) for top, bottom in boxes]


def test_shares_of_the_traffic_are_stacked() -> None:
    weights = [Weights(BEGAN, {"blue": 100}), Weights(after(300), {"green": 10, "blue": 90})]

    tree = page_of(weights=weights)

    assert [(0, 56), (5.6, 56)] == heights(path_of(tree, "share", "color-blue"))
    assert [(0, 5.6)] == heights(path_of(tree, "share", "color-green"))


def test_a_decision_has_its_label_where_there_is_room() -> None:
    decisions = [Decision(after(100), "10 %"), Decision(after(110), "50 %"), Decision(after(600), "rolled back")]

    plot = wide(page_of(decisions=decisions, **PARTS["Over time"]))

    labels = [each.findtext("text") for each in of_class(plot, "label")]
    assert ["10 %", "50 %", "rolled back"] == labels
    assert 3 == len(of_class(plot, "decision"))
    assert [] == of_class(plot, "key")


@pytest.mark.parametrize("label", ["as they come", "longer than half of the plot, " * 4 + "and"])
def test_decisions_are_numbered_where_there_is_no_room(label: str) -> None:
    decisions = [Decision(after(100 + index), f"{label} {index}") for index in range(9)]

    plot = wide(page_of(decisions=decisions, **PARTS["Over time"]))

    assert ["1\N{EN DASH}9"] == [each.findtext("text") for each in of_class(plot, "label")]
    (key,) = of_class(plot, "key")
    assert [f"01:31:4{index} {label} {index}" for index in range(9)] == [text(each) for each in key]
    assert 9 == len(of_class(plot, "decision"))


def test_a_label_longer_than_half_of_the_plot_is_explained_below_it() -> None:
    label = "somebody moved the listener by hand while the release was under way, and it was left as it is"

    plot = wide(page_of(decisions=[Decision(after(10), label)], **PARTS["Over time"]))

    assert ["1"] == [each.findtext("text") for each in of_class(plot, "label")]
    assert label in text(of_class(plot, "key")[0])


def bars(plot: Element) -> Sequence[tuple[float, float, float]]:
    return [
        (float(each.attrib["x"]), float(each.attrib["x"]) + float(each.attrib["width"]), float(each.attrib["y"]))
        for each in of_class(plot, "bar")
    ]


def test_what_a_machine_does_at_once_is_below_each_other() -> None:
    stretches = [Stretch("deploy", "Bake", after(0), after(300)), Stretch("deploy", "Bake", after(200), after(600))]

    (first, second) = bars(wide(page_of(stretches=stretches)))

    assert second[0] < first[1]
    assert second[2] >= first[2] + 24


def test_a_stretch_that_is_too_short_for_its_name_still_says_it() -> None:
    plot = wide(page_of(stretches=[Stretch("deploy", "Check health", after(3), after(4), Tone.BAD)]))

    (bar,) = of_class(plot, "bar", "bad")
    assert "deploy: × Check health, 01:30:03 to 01:30:04 UTC" == bar.findtext("title")
    assert [] == of_class(plot, "bar-name")


def test_a_page_of_twenty_thousand_intervals_can_be_mailed() -> None:
    traffic = {color: list(long_names().traffic["green"]) * 2 for color in ("blue", "green")}

    assert sum(len(each) for each in traffic.values()) > 20_000
    assert len(render(replace(rolled_back(), traffic=traffic)).encode("utf-8")) < 400_000
