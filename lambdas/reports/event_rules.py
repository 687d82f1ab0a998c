"""What an execution did, in the sentences and names that an operator would use. All pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from re import fullmatch
from typing import Any

from lambdas.release.rules import Migrations, explain_failure, other_color, parse_moment
from lambdas.reports.history_rules import History, Visit, plain
from lambdas.reports.infrastructure_event_rules import INFRASTRUCTURE_PARTS, INFRASTRUCTURE_SENTENCES
from lambdas.reports.restore_event_rules import FREEZE, RESTORE_PARTS, RESTORE_SENTENCES, THAW, answered
from lambdas.reports.story import Decision, Event, Stretch, Tone, Weights

SWITCH = "switch-listener"
TELL = "notify"
_LOSER_STOPPED = "RolledBack"
"""The error with which a rollback stops the deployment whose place it takes."""
_FULL = 100

_ENDS: Mapping[str, tuple[str, Tone]] = {
    "Succeeded": ("Ended well", Tone.GOOD),
    "Failed": ("Ended as", Tone.BAD),
    "Aborted": ("Was stopped", Tone.BAD),
    "TimedOut": ("Ran out of its time", Tone.BAD),
}
_SOURCES: Mapping[str, str] = {
    "operator": "an operator",
    "deployment": "the deployment",
    "execution-status": "the rule on executions that end early",
    "watchdog": "the watchdog",
    "alarm": "a critical alarm",
}
_CHECKED: Mapping[str, str] = {
    "system": "The system was healthy before the release",
    "new_version": "Smoke checks passed before any traffic",
    "live": "Checks of the live version passed",
    "rolled_back": "Checks of the old version passed",
    "restored": "Checks of the restarted application passed",
}
AGAIN = ("", " after approval")
"""What tells the names of the states of both looks at the gates apart."""

_PART_OF: Mapping[str, str] = {
    "Wait for snapshot": "Take snapshot",
    "Check snapshot": "Take snapshot",
    "Wait for idle color": "Prepare idle color",
    "Check idle color": "Prepare idle color",
    "Wait for migrations": "Run migrations",
    "Check migrations": "Run migrations",
    "Wait for their end": "Look at migrations",
    "Check for hold": "Hold before shift",
    "Wait for load balancer": "Validate live version",
    **{f"{name}{again}": f"Check gates{again}" for name in ("Decide gates", "Wait for gates") for again in AGAIN},
    "Check live database and cache": "Validate live version",
    "Wait for late writes": "Settle listener",
    "Wait for its last step": "Stop preparation",
    "Claim clean-up": "Wait until it is time",
    **INFRASTRUCTURE_PARTS,
    **RESTORE_PARTS,
}
"""The states that an operator takes for a part of another one: those that wait and look again."""


def stretches_of(history: History) -> list[Stretch]:
    """Return what the machine was doing for how long; states in a row that mean one thing are one."""
    busy = [visit for visit in history.visits if visit.kind in ("Task", "Wait", "Parallel") and visit.function != TELL]
    return [_stretch(history, name, list(visits)) for name, visits in groupby(busy, key=_name)]


def _name(visit: Visit) -> str:
    bake = fullmatch(r"(?:Judge|Bake) at (\d+ %)", visit.state)
    return f"Bake at {bake.group(1)}" if bake else _PART_OF.get(visit.state, visit.state)


def _stretch(history: History, name: str, visits: Sequence[Visit]) -> Stretch:
    if any(visit.failure for visit in visits):
        tone = Tone.BAD
    else:
        tone = Tone.WARNING if any(visit.failures for visit in visits) else Tone.PLAIN
    return Stretch(history.execution.machine, name, visits[0].entered, visits[-1].left, tone)


def weights_of(history: History) -> list[Weights]:
    """Return how the traffic was divided from each change of the listener on, by the color that it names."""
    return [
        Weights(visit.answered, _shares(str(visit.given["color"]), int(visit.given["percent"])))
        for visit in history.visits
        if visit.function == SWITCH and visit.answered and visit.given
    ]


def _shares(color: str, percent: int) -> dict[str, int]:
    return {color: percent, other_color(color): _FULL - percent}


def decisions_of(history: History) -> list[Decision]:
    """Return the moments from which on something was different, with what a plot has room for."""
    found = [decision for visit in history.visits for decision in _decided(visit)]
    if history.execution.machine == "rollback" and not _did_nothing(history):
        found.insert(0, Decision(history.began, "rollback", Tone.WARNING))
    if history.end in ("Aborted", "TimedOut") and history.error != _LOSER_STOPPED:
        label = "stopped" if history.end == "Aborted" else "timed out"
        found.append(Decision(history.ended, label, Tone.BAD))
    return found


def _did_nothing(history: History) -> bool:
    """Say whether a rollback found that there is nothing to do, or that a human decides."""
    actions = {visit.answer["action"] for visit in history.visits if visit.answer.get("action")}
    return bool(actions) and actions <= {"nothing", "page", "hold", "page_hold"}


def _decided(visit: Visit) -> Iterator[Decision]:
    if visit.failure and visit.failure.error != "LeaseLost":
        yield Decision(visit.failure.at, "failed", Tone.BAD)
    if visit.answered is None or not visit.given:
        return
    if visit.function == SWITCH and visit.given["back"]:
        yield Decision(visit.answered, f"back on {visit.given['color']}", Tone.GOOD)
    elif visit.function == SWITCH:
        yield Decision(visit.answered, f"{visit.given['percent']} %")
    elif visit.function == FREEZE:
        yield Decision(visit.answered, "frozen", Tone.WARNING)
    elif visit.function == THAW:
        yield Decision(visit.answered, "thawed", Tone.GOOD)
    elif visit.function == "promote":
        yield Decision(visit.answered, "promoted", Tone.GOOD)
    elif visit.function == "release-environment" and visit.given["phase"] in ("aborted", "escalated"):
        tone = Tone.BAD if visit.given["phase"] == "escalated" else Tone.WARNING
        yield Decision(visit.answered, visit.given["phase"], tone)


def events_of(history: History) -> list[Event]:
    """Return what happened, oldest first."""
    who = history.execution.machine
    found = [Event(history.began, who, request_of(history))]
    said: set[str] = set()
    for visit in history.visits:
        found += [replace(event, who=who) for event in _happened(visit, history) if event.text not in said]
        said |= {event.text for event in found}
    return [*found, *_end(history)]


def request_of(history: History) -> str:
    """Say what an execution was started for, and by whom if its input tells."""
    given = history.given
    if history.execution.machine == "deploy":
        return f"Version {given.get('version', 'unknown')} was asked for."
    if history.execution.machine == "clean-up":
        return "The clean-up began."
    if history.execution.machine == "restore-database":
        wanted = "An undo of the restore" if given.get("undo") else "A restore of the database"
        return _sentence(f"{wanted} was asked for: {given.get('reason', 'nobody knows why')}")
    failure = {"Error": str(given["reason"]), "Cause": str(given.get("cause", ""))} if given.get("reason") else {}
    if given.get("alarm"):
        name = str(given["alarm"]).removeprefix(f"{history.execution.prefix}-")
        points = str(given.get("reason", "")).partition(" [")[0]  # their values stand behind
        return _sentence(f"Alarm {name} turned on: {points}")
    why = explain_failure(failure) or (f"the execution has {given['status']}" if given.get("status") else "")
    source = _SOURCES.get(str(given.get("source", "operator")), "somebody")
    return _sentence(
        f"A rollback was asked for by {source}{f': {plain(why, history.execution.prefix)}' if why else ''}"
    )


def _end(history: History) -> Iterator[Event]:
    if not history.end:
        return
    words, tone = _ENDS[history.end]
    if history.end == "Succeeded":
        words = f"{words}: {history.visits[-1].state}" if history.visits else words
    elif history.error == _LOSER_STOPPED:
        words, tone = f"Was stopped: {history.why.partition(': ')[2]}", Tone.WARNING
    elif history.end == "Failed":
        words = f"{words} {history.error}"
    elif history.why:
        words = f"{words}: {history.why}"
    yield Event(history.ended, history.execution.machine, _sentence(words), tone)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _happened(visit: Visit, history: History) -> Iterator[Event]:
    if visit.failures:
        yield _failed(visit)
    if visit.answered is None:
        return
    at, tone = visit.answered, _tone(visit)
    try:
        text = _SENTENCES.get(visit.function, _nothing)(visit)
    except (KeyError, TypeError, ValueError):
        text = f"{visit.state}: done."
    if visit.function == SWITCH and visit.given.get("back"):
        seconds = (at - history.began).total_seconds()
        text = f"{text} That was {seconds:.1f} s after this rollback began."
    yield from [Event(at, "", plain(text, history.execution.prefix), tone)] if text else []


def _failed(visit: Visit) -> Event:
    first, *more = visit.failures
    times = f" {len(visit.failures)} times" if more else ""
    if visit.failure:
        return Event(visit.failure.at, "", f"{visit.state} failed{times}: {visit.failure.why}", Tone.BAD)
    return Event(first.at, "", f"{visit.state} failed{times}, and then worked: {first.why}", Tone.WARNING)


def _tone(visit: Visit) -> Tone:
    if visit.function == SWITCH and visit.given.get("back"):
        return Tone.WARNING if visit.answer.get("concern") else Tone.GOOD
    if visit.function == FREEZE:
        return Tone.WARNING
    if visit.function in ("promote", THAW):
        return Tone.GOOD
    if visit.function == "certify-rollback" and visit.answer.get("concern"):
        return Tone.WARNING
    return Tone.PLAIN


Sentence = Callable[[Visit], str]
"""Says what a function has done; empty when it was nothing that anybody wants to hear of."""


def _nothing(visit: Visit) -> str:
    del visit
    return ""


def _claimed(visit: Visit) -> str:
    if visit.answer["again_at"]:
        return "The release waits until the live one cannot be rolled back any more."
    active, idle = visit.answer["active"], visit.answer["idle"]
    return f"The environment was claimed: {active} serves, and {idle} is to get {visit.given['version']}."


def _way_back(visit: Visit) -> str:
    return (
        f"The way back was recorded: {visit.answer['version']} on {visit.given['active']},"
        f" {_count(visit.answer['capacity'], 'instance')}."
    )


def _checked(visit: Visit) -> str:
    return f"{_CHECKED[visit.given['scope']]}: {', '.join(visit.answer['passed'])}."


def _prepared(visit: Visit) -> str:
    return f"{_color(visit)} is brought up with {visit.given['version']}."


def _is_up(visit: Visit) -> str:
    healthy = _count(visit.answer["healthy"], "healthy target")
    return f"{_color(visit)} is ready, with {healthy}." if visit.answer["ready"] else ""


def _migrated(visit: Visit) -> str:
    kind = visit.given["migrations"]
    begun = f"The {kind} migrations of the database were begun."
    return f"{begun} The release is not rolled back by itself." if kind == Migrations.BREAKING else begun


def _left_by_migrations(visit: Visit) -> str:
    if visit.answer["running"]:
        return "Migrations of the database still run, and are waited for."
    return str(visit.answer["concern"]) or "No migrations of the database are under way."


def _switched(visit: Visit) -> str:
    if not visit.given["back"]:
        return f"{visit.given['percent']} % of the traffic goes to {visit.given['color']}."
    return " ".join(filter(None, [f"All traffic is back on {visit.given['color']}.", visit.answer.get("concern")]))


def _alarms(visit: Visit) -> str:
    on = visit.answer["on"]
    return f"It was released although {', '.join(on)} was on." if on else "No critical alarm was on."


def _certified(visit: Visit) -> str:
    checks, concern = visit.answer["checks"], str(visit.answer["concern"])
    return concern or f"A rollback is possible: {checks} checks of its rights and of all that it needs have passed."


def _restorable(visit: Visit) -> str:
    """What was unproven before is not told again."""
    checks, concern = visit.answer["checks"], str(visit.answer["concern"])
    own = concern.removeprefix(str(visit.given["concern"])).strip()
    return (
        own or f"The database can be restored: {checks} checks of rights, and of all that it is made of, have passed."
    )


def _held(visit: Visit) -> str:
    return "" if visit.answer["done"] else "The release is paused before its first shift."


def _judged(visit: Visit) -> str:
    percent, answer = visit.given["percent"], visit.answer
    if answer["asks"]:
        return f"A human was asked at {percent} %: {answer['reason']}"
    return f"Bake at {percent} % is over: {answer['reason']}" if answer["done"] else f"Bake at {percent} % began."


def _counted(visit: Visit) -> str:
    return (
        f"The log of {visit.given['version']} has {_count(visit.answer['errors'], 'error')}"
        f" in {_count(visit.answer['requests'], 'request')}."
    )


def _promoted(visit: Visit) -> str:
    ends_at = parse_moment(visit.answer["window_ends_at"])
    return f"Promoted: the release is live, and can be rolled back until {ends_at:%Y-%m-%d %H:%M:%S} UTC."


def _gates(visit: Visit) -> str:
    """Say what was decided; each result stands in the report's table of gates."""
    warnings = str(visit.answer["warnings"]).replace("\n", "; ")
    skipped = ", ".join(visit.given["emergency_skips"])
    emergency = f" An emergency goes without {skipped}: {visit.given['emergency']}." if skipped else ""
    reason = str(visit.answer["reason"]).partition("\nRemove the reasons")[0].replace("\n- ", " ")
    return f"{reason}{emergency}{f' In spite of: {warnings}' if warnings else ''}"


def _decided_by_claim(visit: Visit) -> str:
    return str(visit.answer["reason"])


def _settled(visit: Visit) -> str:
    return "The listener has settled: no late write can come any more." if visit.answer["settled"] else ""


def _freed(visit: Visit) -> str:
    return f"The environment is free; the work on it ended as {visit.given['phase'].replace('_', ' ')}."


def _color(visit: Visit) -> str:
    return str(visit.given["color"]).capitalize()


def _count(number: Any, noun: str) -> str:  # noqa: ANN401  a number of JSON
    return f"{int(number):,} {noun}{'' if int(number) == 1 else 's'}"


_SENTENCES: Mapping[str, Sentence] = {
    **INFRASTRUCTURE_SENTENCES,
    **RESTORE_SENTENCES,
    "decide-gates": _gates,
    "ask-release-approval": answered,
    "end-release-approval": lambda visit: str(visit.answer["reason"]),
    "claim-environment": _claimed,
    "record-rollback-point": _way_back,
    "run-smoke-checks": _checked,
    "check-data-stores": lambda _: "Database and cache answer.",
    "take-snapshot": lambda visit: f"The snapshot {visit.answer['snapshot_id']} was begun.",
    "check-snapshot": lambda visit: "The snapshot is complete." if visit.answer["available"] else "",
    "prepare-idle-color": _prepared,
    "check-idle-color": _is_up,
    "start-migrations": _migrated,
    "check-migrations": lambda visit: "The migrations have ended well." if visit.answer["ready"] else "",
    "look-at-migrations": _left_by_migrations,
    "hold-old-color": lambda visit: f"{_color(visit)} keeps its size, because it is the way back.",
    SWITCH: _switched,
    "check-alarms": _alarms,
    "certify-rollback": _certified,
    "certify-restore": _restorable,
    "check-bake": _held,
    "judge-bake": _judged,
    "check-error-rate": _counted,
    "promote": _promoted,
    "release-environment": _freed,
    "scale-back-idle-color": lambda _: "The idle color was left as it was found.",
    "claim-rollback": _decided_by_claim,
    "claim-clean-up": _decided_by_claim,
    "settle": _settled,
    "record-rollback": lambda _: "The record says that the old version is live again.",
    "scale-in-old-color": lambda visit: (
        f"{_color(visit)} was scaled in to {_count(visit.answer['instances'], 'instance')}."
    ),
}


def in_order(events: Iterable[Event]) -> list[Event]:
    """Return events of several executions, oldest first; those of one moment stay as they are."""
    return sorted(events, key=lambda event: event.at)
