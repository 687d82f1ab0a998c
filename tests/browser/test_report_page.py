"""
A report as a real browser shows it: on screens of several widths, in light and dark, and on paper.

Chromium comes from npm and needs no root. `look.mjs` tells what it sees of a page; what is right is said here.
"""

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from lambdas.reports.page import render
from tests.browser.stories import STORIES

ROOT = Path(__file__).parents[2]
LOOK = Path(__file__).with_name("look.mjs")
VIEWS = ("1280-light", "1280-dark", "800-light", "400-light", "400-dark", "700-print")

LEAST_TEXT = 11
"""CSS pixels."""

LEAST_CONTRAST = 4.5
"""WCAG 2, level AA."""

Seen = Mapping[str, Any]

FAULTY = """<!DOCTYPE html><title>Faulty</title><body style="background: white">
<img src="http://127.0.0.1:9/pixel.png"><script>undefined.broken</script>
<p style="width: 3000px; text-align: right">too wide</p>
<p style="color: #aaa">too faint</p>
<svg viewBox="0 0 100 20" role="img" style="width: 200px">
<text x="90" y="10" font-size="6">cut off</text>
<text x="5" y="10" font-size="4">one</text><text x="8" y="10">other</text>
</svg></body>"""


def look(folder: Path, pages: Mapping[str, str]) -> list[Seen]:
    """Return what is seen of pages, by name, in every view."""
    if not (ROOT / "node_modules" / "puppeteer-core").exists():
        pytest.fail("The browser is not installed. Run: scripts/npm.sh ci")
    for name, page in pages.items():
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    node = os.environ.get("JSII_NODE") or "node"
    done = subprocess.run(
        [node, LOOK, folder, *(folder / f"{name}.html" for name in pages)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Seen]:
    """Return what is seen of every story, by story and view, with a single start of the browser."""
    pages = {name: render(make()) for name, make in STORIES.items()}
    found = look(tmp_path_factory.mktemp("pages"), pages)
    return {Path(each["screenshot"]).stem: each for each in found}


EVERY_VIEW = pytest.mark.parametrize("view", [f"{story}-{view}" for story in STORIES for view in VIEWS])


@EVERY_VIEW
def test_nobody_has_to_scroll_sideways(seen: Mapping[str, Seen], view: str) -> None:
    assert seen[view]["scroll_width"] == seen[view]["client_width"], seen[view]["screenshot"]


@EVERY_VIEW
def test_all_text_is_within_the_page_and_its_drawing(seen: Mapping[str, Seen], view: str) -> None:
    assert seen[view]["texts"] > 10
    assert [] == seen[view]["outside"], seen[view]["screenshot"]


@EVERY_VIEW
def test_no_text_of_the_plot_covers_another(seen: Mapping[str, Seen], view: str) -> None:
    assert [] == seen[view]["overlaps"], seen[view]["screenshot"]


@EVERY_VIEW
def test_text_can_be_read(seen: Mapping[str, Seen], view: str) -> None:
    (size, smallest), (contrast, faintest) = seen[view]["smallest"], seen[view]["faintest"]

    assert size >= LEAST_TEXT, smallest
    assert contrast >= LEAST_CONTRAST, faintest


@EVERY_VIEW
def test_a_page_asks_for_nothing_and_has_no_errors(seen: Mapping[str, Seen], view: str) -> None:
    assert [] == seen[view]["requests"]
    assert [] == seen[view]["errors"]


@EVERY_VIEW
def test_one_plot_is_shown_at_a_time(seen: Mapping[str, Seen], view: str) -> None:
    assert len(seen[view]["drawings"]) == (0 if view.startswith("refused") else 1)


@pytest.mark.parametrize("view", VIEWS)
def test_a_page_is_as_dark_as_its_reader_wants_and_white_on_paper(seen: Mapping[str, Seen], view: str) -> None:
    assert (seen[f"good-{view}"]["background"] == "rgb(255, 255, 255)") == (not view.endswith("dark"))


@pytest.mark.parametrize("view", VIEWS)
def test_messages_are_folded_on_screens_and_open_on_paper(seen: Mapping[str, Seen], view: str) -> None:
    assert seen[f"rolled-back-{view}"]["unfolded"] == (2 if view.endswith("print") else 0)


@pytest.mark.parametrize("view", VIEWS)
def test_decisions_are_labelled_on_every_screen(seen: Mapping[str, Seen], view: str) -> None:
    """Five with room have a label each; of twelve within two minutes several share a number."""
    assert seen[f"good-{view}"]["labels"] == 5
    assert 1 <= seen[f"rolled-back-{view}"]["labels"] < 12


@pytest.mark.parametrize(
    ("fault", "is_seen"),
    [
        ("wider than the screen", lambda each: each["scroll_width"] > each["client_width"]),
        ("text outside", lambda each: {"too wide", "cut off"} <= set(each["outside"])),
        ("text over text", lambda each: each["overlaps"] == [["one", "other"]]),
        ("small text in a drawing", lambda each: each["smallest"] == [8, "one"]),
        ("faint text", lambda each: each["faintest"][0] < LEAST_CONTRAST and each["faintest"][1] == "too faint"),
        ("a request", lambda each: each["requests"] == ["http://127.0.0.1:9/pixel.png"]),
        ("an error", lambda each: any("broken" in error for error in each["errors"])),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_with_a_page_is_seen(faulty: Sequence[Seen], fault: str, is_seen: Callable[[Seen], bool]) -> None:
    """The tests above are worth what is looked at: a page with each fault shows that it would be found."""
    assert is_seen(faulty[0]), fault


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Seen]:
    """Return what is seen of a page with one fault of each kind."""
    return look(tmp_path_factory.mktemp("faulty"), {"faulty": FAULTY})
