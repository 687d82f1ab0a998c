"""The plot for terminals shows what the report's does: nothing that matters may get lost in a column."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lambdas.reports.story import Decision, Story, Stretch, Tone, Traffic, Weights
from rehearsal.plot import plot

BEGAN = datetime(2026, 1, 2, 10, tzinfo=UTC)


def after(minutes: float) -> datetime:
    """Return a moment of the release."""
    return BEGAN + timedelta(minutes=minutes)


def users(first: int, last: int, *, requests: int = 600, p99: float = 12.0, errors: int = 0) -> list[Traffic]:
    """Return what a color answered in each minute."""
    return [Traffic(after(n), 60.0, requests, errors, 3.0, 8.0, p99) for n in range(first, last)]


RELEASE = Story(
    title="Release 5d6e7f8",
    place="receipt-vault, production",
    outcome="promoted",
    headline="The release is live.",
    tone=Tone.GOOD,
    began=BEGAN,
    ended=after(100),
    traffic={"blue": users(0, 60), "green": users(50, 100, requests=1200, p99=24.0)},
    weights=[Weights(BEGAN, {"blue": 100, "green": 0}), Weights(after(50), {"blue": 0, "green": 100})],
    stretches=[
        Stretch("deploy", "Prepare", BEGAN, after(50)),
        Stretch("rollback", "Switch listener back", after(99), after(99.01)),
    ],
    decisions=[Decision(after(50), "100 % to green"), Decision(after(99), "back on blue, by an operator", Tone.BAD)],
)


def lines(story: Story = RELEASE, width: int = 80, *, unicode: bool = True) -> dict[str, str]:
    """Return the plot by label."""
    return {line[:12].strip(): line[12:] for line in plot(story, width, unicode=unicode)}


@pytest.mark.parametrize("width", [60, 80, 300])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    drawn = list(plot(RELEASE, width))

    assert max(map(len, drawn)) <= min(width, 120)
    assert "1 10:50:00 100 % to green" in " ".join(" ".join(drawn).split())
    assert "2 11:39:00 back on blue, by an operator" in " ".join(" ".join(drawn).split())


def test_a_color_s_weight_and_requests_begin_where_it_gets_traffic() -> None:
    drawn = lines()

    assert drawn["green %"].rstrip("█ 10") == ""
    assert drawn["green %"].index("█") == drawn["green req/s"].index("█") == drawn["blue %"].rindex("█") + 1
    assert drawn["green req/s"].split()[-1] == drawn["blue req/s"].split()[-1] == "20"
    assert drawn["green p99 ms"].split()[-1] == "24"


def test_a_long_part_of_the_traffic_leaves_no_gap() -> None:
    """Where few requests come, a part is longer than a column."""
    long = Traffic(BEGAN, 1200.0, 12_000, 0, 3.0, 8.0, 12.0)
    drawn = lines(replace(RELEASE, traffic={"blue": [long, *users(20, 100)]}))

    assert "█" * 60 + " " * 6 + "10" == drawn["blue req/s"].rstrip()
    assert "█" * 60 == drawn["blue p99 ms"][:60]


def test_what_took_a_second_is_seen_in_hours() -> None:
    assert lines()["rollback"].strip() == "▬"


def test_one_failed_request_among_thousands_is_seen() -> None:
    one = replace(RELEASE, traffic={"blue": [*users(0, 30), *users(30, 31, errors=1), *users(31, 60)]})

    assert lines()["errors/s"].split() == ["0"]
    assert len(lines(one)["errors/s"].split()[0]) == 1
    assert lines(one)["errors/s"].index("█") == 60 * 30 // 100


def test_users_who_live_in_another_time_send_as_fast_as_they_did() -> None:
    """In a rehearsal a minute of the release may be a second for its users."""
    hurried = [replace(each, users_seconds=1.0, requests=60) for each in users(0, 100)]

    assert lines(replace(RELEASE, traffic={"blue": hurried}))["blue req/s"].split()[-1] == "60"


def test_a_terminal_that_knows_ascii_only_gets_ascii() -> None:
    assert "\n".join(plot(RELEASE, 80, unicode=False)).isascii()


def test_a_story_without_traffic_or_length_is_drawn() -> None:
    drawn = lines(Story("Release", "somewhere", "refused", "Nothing changed.", Tone.BAD, BEGAN, BEGAN))

    assert set(drawn) == {"", "blue %", "green %"}
