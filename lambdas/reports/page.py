"""A story as one HTML file that needs nothing else: no script, no font, no request to any host. All pure."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from xml.etree.ElementTree import Element

from lambdas.reports.chart import has_plot, plots
from lambdas.reports.chart_plan import color_class, color_name, in_order
from lambdas.reports.markup import Child, document, element, sign, sign_shapes
from lambdas.reports.story import Event, Figure, Gate, Story, Told, Tone
from lambdas.reports.style import STYLE

_NOTHING_FROM_OUTSIDE = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""Content Security Policy: if something got past escaping, a browser would neither run nor fetch it."""

_LONGEST_BESIDE_OTHERS = 60
"""Characters."""

_NONE, _MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def render(story: Story) -> str:
    """Return a story's page. The same story gives the same bytes."""
    parts = (
        _facts(story),
        _over_time(story),
        _gates(story),
        _figures(story),
        _events(story),
        _told(story),
        _notes(story),
    )
    main = element("main", sign_shapes(), _head(story), *parts)
    return document(element("html", _meta(story), element("body", main), lang="en"))


def _meta(story: Story) -> Element:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_NOTHING_FROM_OUTSIDE),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{story.title}: {story.outcome}"),
        element("link", rel="icon", href="data:,"),
        element("style", STYLE),
    )


def _head(story: Story) -> Element:
    return element(
        "header",
        element("h1", story.title),
        element("p", story.place, class_="place"),
        element("p", _badge(story.outcome, story.tone), class_="outcome"),
        element("p", story.headline, class_="headline"),
        _period(story),
    )


def _badge(text: str, tone: Tone) -> Element:
    return element("span", sign(tone), text, class_=f"badge {tone}")


def _period(story: Story) -> Element:
    began, ended = story.began.astimezone(UTC), story.ended.astimezone(UTC)
    end = f"{ended:%H:%M:%S}" if ended.date() == began.date() else f"{_day(ended)}, {ended:%H:%M:%S}"
    return element(
        "p",
        element("span", f"{_day(began)}, {began:%H:%M:%S} to {end} UTC"),
        " ",
        element("span", _duration(ended - began), class_="duration"),
        class_="period",
    )


def _day(moment: date) -> str:
    return f"{_DAYS[moment.weekday()]} {moment:%Y-%m-%d}"


def _duration(time: timedelta) -> str:
    """Say how long something took, by its two largest units."""
    seconds = round(time.total_seconds())
    amounts = (seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60, seconds % 60)
    named = [f"{amount} {unit}" for amount, unit in zip(amounts, ("d", "h", "min", "s"), strict=True)]
    first = next((index for index, amount in enumerate(amounts) if amount), 3)
    return (
        " ".join(each for each, amount in zip(named[first : first + 2], amounts[first:], strict=False) if amount)
        or "0 s"
    )


def _section(heading: str, *children: Child, aside: str = "") -> Element:
    name = heading.lower().replace(" ", "-")
    quiet = element("span", f" {aside}", class_="aside") if aside else None
    return element("section", element("h2", heading, quiet, id=name), *children, aria_labelledby=name)


def _facts(story: Story) -> Element | None:
    if not story.facts:
        return None
    return element("dl", *(_fact(name, value) for name, value in story.facts), class_="facts")


def _fact(name: str, value: str) -> Element:
    """A value that would fill its column for several lines, such as an ARN, gets a line of its own."""
    is_long = len(value) > _LONGEST_BESIDE_OTHERS
    return element("div", element("dt", name), element("dd", value), class_="long" if is_long else None)


def _over_time(story: Story) -> Element | None:
    if not has_plot(story):
        return None
    return _section("Over time", _legend(story), *plots(story), aside="UTC")


def _legend(story: Story) -> Element | None:
    """Name the colors, with all that each was asked and answered wrongly."""
    known = {color: traffic for color, traffic in story.traffic.items() if traffic}
    shared = {color: () for each in story.weights for color in each.percent}
    entries = []
    for color in in_order({**shared, **known}):
        traffic = known.get(color, ())
        requests, errors = sum(each.requests for each in traffic), sum(each.errors for each in traffic)
        counts = [_counted(requests, "request")] if traffic and color else []
        counts += [_counted(errors, "error")] if traffic else []
        sample = element("path", d="M0 6H24", class_=f"line requests {color_class(color)}")
        drawing = element("svg", sample, viewBox="0 0 24 12", width=24, height=12, aria_hidden="true")
        entries.append(element("li", drawing, element("strong", color_name(color)), " " + ", ".join(counts)))
    return element("ul", *entries, class_="legend") if entries else None


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _table(class_: str, columns: Sequence[str], *bodies: Element) -> Element:
    head = element("tr", *(element("th", column, scope="col") for column in columns))
    return element("table", element("thead", head), *bodies, class_=class_)


def _gates(story: Story) -> Element | None:
    if not story.gates:
        return None
    rows = element("tbody", *(_gate(each) for each in story.gates))
    return _section("Gates", _table("gates", ("Gate", "Level", "Result", "What was found"), rows))


def _gate(gate: Gate) -> Element:
    return element(
        "tr",
        element("th", gate.name, scope="row"),
        element("td", gate.level),
        element("td", element("span", _silent_sign(gate.tone), gate.result, class_=f"verdict {gate.tone}")),
        element("td", gate.detail or _NONE),
    )


def _figures(story: Story) -> Element | None:
    if not story.figures:
        return None
    rows = element("tbody", *(_figure(each) for each in story.figures))
    return _section("Figures", _table("figures", ("Figure", "Value", "Target", "Result"), rows))


def _figure(figure: Figure) -> Element:
    return element(
        "tr",
        element("th", figure.name, scope="row"),
        element("td", figure.value, class_="value"),
        element("td", figure.target or _NONE),
        element("td", _verdict(figure.met)),
    )


def _verdict(met: bool | None) -> Child:  # noqa: FBT001
    if met is None:
        return _NONE
    tone, word = (Tone.GOOD, "met") if met else (Tone.BAD, "missed")
    return element("span", _silent_sign(tone), word, class_=f"verdict {tone}")


def _silent_sign(tone: Tone) -> Element | None:
    drawn = sign(tone)
    return drawn[0] if drawn is not None else None


def _events(story: Story) -> Element | None:
    if not story.events:
        return None
    ordered = sorted(story.events, key=lambda each: each.at)
    days = groupby(ordered, lambda each: each.at.astimezone(UTC).date())
    bodies = [[_event(each, story.began) for each in group] for _, group in days]
    named = [_day(moment) for moment in dict.fromkeys(each.at.astimezone(UTC).date() for each in ordered)]
    return _section(
        "What happened",
        _table(
            "events",
            ("Time, UTC", "Who", "What"),
            *(
                element("tbody", _day_row(name) if len(bodies) > 1 else None, *rows)
                for name, rows in zip(named, bodies, strict=True)
            ),
        ),
    )


def _day_row(day: str) -> Element:
    return element("tr", element("th", day, scope="rowgroup", colspan=3), class_="day")


def _event(event: Event, began: datetime) -> Element:
    at = event.at.astimezone(UTC)
    return element(
        "tr",
        element("td", _time(at), " ", element("span", _elapsed(at - began), class_="elapsed")),
        element("td", event.who),
        element("td", sign(event.tone), event.text, class_=f"what {event.tone}"),
    )


def _time(moment: datetime) -> Element:
    return element("time", f"{moment:%H:%M:%S}", datetime=f"{moment:%Y-%m-%dT%H:%M:%SZ}")


def _elapsed(time: timedelta) -> str:
    seconds = round(time.total_seconds())
    hours, rest = divmod(abs(seconds), 3600)
    return f"{_MINUS if seconds < 0 else '+'}{hours}:{rest // 60:02}:{rest % 60:02}"


def _told(story: Story) -> Element | None:
    if not story.told:
        return None
    ordered = sorted(story.told, key=lambda each: each.at)
    summary = None if any(each.is_page for each in ordered) else element("p", "Nobody was paged.", class_="nobody")
    return _section("Who was told", summary, element("ul", *(_message(each) for each in ordered), class_="told"))


def _message(told: Told) -> Element:
    at = told.at.astimezone(UTC)
    kind = element("span", _silent_sign(Tone.WARNING), "Page", class_="badge warning") if told.is_page else "Message"
    return element(
        "li",
        element("p", kind, " to ", element("strong", told.to), ", ", _time(at), " UTC", class_="addressed"),
        element("p", told.subject, class_="subject"),
        element("details", element("summary", "Text"), element("div", told.body, class_="text")) if told.body else None,
        class_="page" if told.is_page else None,
    )


def _notes(story: Story) -> Element | None:
    if not story.notes:
        return None
    return _section("Notes", element("ul", *(element("li", note) for note in story.notes), class_="notes"))
