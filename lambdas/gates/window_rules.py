"""When the windows of settings are open, by the local clock of their time zone. All pure."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from io import BytesIO
from zoneinfo import ZoneInfo

from lambdas.gates.gate_rules import Found, GateSettings, Window, passed, pending
from lambdas.release.rules import as_timestamp, parse_moment

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""As settings name them; Monday is 0."""

_MIDNIGHT_AFTER = "24:00"
_DAYS_OF_A_WEEK = 7


def zone_of(name: str, rule: str) -> ZoneInfo:
    """
    Return a time zone that changes its clock by a rule as POSIX writes it, such as "CET-1CEST,M3.5.0,M10.5.0/3".

    It is read from the smallest file of a time zone, made here: one without a list of past changes, with the rule at
    its end. Functions thereby need no table of time zones, which Lambda does not promise to have.
    https://www.rfc-editor.org/rfc/rfc8536
    """
    header = b"TZif2" + bytes(15) + b"".join(count.to_bytes(4, "big") for count in (0, 0, 0, 0, 1, 4))
    block = bytes(6) + b"UTC\0"  # one kind of local time, which no moment has: the rule is for all of them
    return ZoneInfo.from_file(BytesIO(header + block + header + block + f"\n{rule}\n".encode()), key=name)


def look_at_windows(settings: GateSettings, now: str) -> Found:
    """Say whether a window of settings is open, and when the next one opens. Without windows it always is."""
    if not settings.windows:
        return passed("Settings have no windows.")
    zone = zone_of(settings.time_zone, settings.zone_rule)
    moment = parse_moment(now)
    local = moment.astimezone(zone)
    for window in settings.windows:
        begins, ends = _bounds(window, local)
        if local.weekday() in window.days and begins <= moment < ends:
            return passed(f"The window is open until {_named(ends, zone)}.")
    opens = next_opening(settings.windows, zone, moment)
    return pending(f"No window is open; the next one opens {_named(opens, zone)}.", as_timestamp(opens.isoformat()))


def next_opening(windows: Sequence[Window], zone: ZoneInfo, moment: datetime) -> datetime:
    """Return when the first window opens after a moment; every window opens once a week at least."""
    today = moment.astimezone(zone)
    found = [
        begins
        for ahead in range(_DAYS_OF_A_WEEK + 1)
        for window in windows
        if (day := today + timedelta(days=ahead)).weekday() in window.days
        and (begins := _bounds(window, day)[0]) > moment
    ]
    return min(found)


def _bounds(window: Window, day: datetime) -> tuple[datetime, datetime]:
    """Return when a window opens and closes on a local day, in UTC: only so moments can be compared across changes."""
    return _at(day, window.begins), _at(day, window.ends)


def _at(day: datetime, clock: str) -> datetime:
    if clock == _MIDNIGHT_AFTER:
        day, clock = day + timedelta(days=1), "00:00"
    return datetime.combine(day.date(), time.fromisoformat(clock), day.tzinfo).astimezone(UTC)


def _named(moment: datetime, zone: ZoneInfo) -> str:
    local = moment.astimezone(zone)
    return f"{DAYS[local.weekday()].capitalize()} {local:%Y-%m-%d %H:%M} ({zone.key})"


def look_at_calendars(states: Sequence[tuple[str, bool, str]], now: str) -> Found:
    """
    Say whether every change calendar is open: (its ARN, whether it is open, when that changes or "").

    A closed one is pending until it opens, if its calendar says when.
    """
    closed = [(arn, until) for arn, is_open, until in states if not is_open]
    if not closed:
        return passed(f"{len(states)} change {'calendar is' if len(states) == 1 else 'calendars are'} open.")
    latest = max((until for _, until in closed if until), key=parse_moment, default="")
    names = ", ".join(f"{arn.rpartition('/')[2]}{f' until {until}' if until else ''}" for arn, until in closed)
    again_at = latest if latest and parse_moment(latest) > parse_moment(now) else ""
    return pending(f"Changes are frozen by the change calendar {names}.", again_at)
