"""The page of evidence: how much was tried, how it ended, and what nothing has gone through."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rehearsal.sweep.coverage import Edge
from rehearsal.sweep.faults import Fault
from rehearsal.sweep.playing import Result

EVIDENCE = Path("docs/evidence.md")

TWO_FAULTS = "two faults"
_MEANINGS: Mapping[str, str] = {
    Fault.FAILS_BEFORE: "a request to AWS, and its repetition by the client, fail with an internal error",
    Fault.ANSWER_LOST: "a request is done, and the connection breaks before the answer",
    Fault.THROTTLED_ONCE: "a request is throttled once",
    Fault.THROTTLED_FOR_LONG: "all such requests of the function are throttled for three minutes",
    Fault.ACCESS_DENIED: "all such requests of the function are denied for a quarter of an hour",
    Fault.KILLED_BEFORE: "a function is killed before its work",
    Fault.KILLED_AFTER: "a function is killed after its work, and nobody hears what came of it",
    Fault.TIMED_OUT: "a function has done its work, and hangs until its time-out",
    Fault.STOPPED: "an operator stops the execution in this state",
    Fault.EVENT_TWICE: "an event is delivered twice",
    Fault.EVENT_LATE: "an event is delivered four minutes late",
    Fault.EVENT_LOST: "an event is never delivered",
    TWO_FAULTS: "two of those on the way from the claim of a rollback to its record",
}


@dataclass(frozen=True)
class Section:
    """A part of the page: a heading and Markdown."""

    title: str
    text: str


@dataclass(frozen=True)
class Swept:
    """What was played on one path: `there_are` counts all cases, `results` are of those that were played."""

    path: str
    summary: str
    moments: int
    there_are: int
    results: Sequence[Result]
    clean_cpu_seconds: float = 0.0


def violated(results: Iterable[Result]) -> list[Result]:
    """Return the results in which something did not hold."""
    return [each for each in results if each.problems]


def sweep_section(swept: Sequence[Swept]) -> Section:
    """Count cases and how they ended, by path and by fault."""
    results = [result for each in swept for result in each.results]
    cpu = sum(each.cpu_seconds for each in results)
    missed = sum(not each.struck for each in results)
    lines = [
        (
            f"{len(results)} runs with a fault, each a whole path from its beginning to its end and some minutes on, at"
            f" {cpu / max(1, len(results)):.1f} s of a processor each. {len(violated(results))} of them left something"
            " that must not be."
        ),
        "",
        "| path |  | moments | cases there are | played | violated | ended |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- |",
    ]
    lines += [
        f"| {each.path} | {each.summary} | {each.moments} | {each.there_are} | {len(each.results)} |"
        f" {len(violated(each.results))} | {_ends(each.results)} |"
        for each in swept
    ]
    lines += ["", "| fault |  | played | violated | ended |", "| --- | --- | ---: | ---: | --- |"]
    for fault, meaning in _MEANINGS.items():
        of_fault = [each for each in results if each.case.fault == fault]
        if of_fault:
            lines.append(f"| {fault} | {meaning} | {len(of_fault)} | {len(violated(of_fault))} | {_ends(of_fault)} |")
    lines += [
        "",
        "*Escalated* is an end in which a human was paged to act; what is left is what that page is about.",
    ]
    if missed:
        lines.append(f"In {missed} of the runs the second fault's moment never came, because of the first one.")
    return Section("Every fault at every moment", "\n".join(lines))


def violations_section(results: Iterable[Result]) -> Section:
    """Name what did not hold, with what plays it again."""
    lines = [
        f"- `{replay_command(str(each.case))}`: {'; '.join(_first_line(problem) for problem in each.problems)}"
        for each in violated(results)
    ]
    return Section("Violations", "\n".join(lines) or "None.")


def coverage_section(edges: Iterable[Edge], defined: Mapping[str, frozenset[Edge]]) -> Section:
    """Count states and edges of the machines' definitions that were gone through, and name the others."""
    taken = set(edges)
    lines = ["| machine | states | gone through | edges | gone through |", "| --- | ---: | ---: | ---: | ---: |"]
    never: list[str] = []
    for machine, all_edges in sorted(defined.items()):
        states = {each.after for each in all_edges}
        entered = {each.after for each in taken & all_edges}
        lines.append(f"| {machine} | {len(states)} | {len(entered)} | {len(all_edges)} | {len(taken & all_edges)} |")
        if missing := sorted(states - entered):
            never.append(f"- States of {machine} that nothing entered: {', '.join(missing)}.")
        between = sorted(each for each in all_edges - taken if each.after in entered)
        if between:
            shown = ", ".join(f"{each.before or 'Start'} → {each.after}" for each in between)
            never.append(f"- Edges of {machine} that nothing took, between states that were entered: {shown}.")
    return Section("States and edges", "\n".join([*lines, "", *never]))


def page(sections: Sequence[Section], how: str) -> str:
    """Return the whole page. `how` says what it was made by."""
    head = [
        "# Evidence",
        "",
        (
            f"Made by {how}: do not edit it. Everything here was played on the shipped definitions with the shipped"
            " functions, in a pretended account, in virtual time. It proves nothing about latency, permissions or"
            " propagation of real AWS. After each run hold: every invariant; all traffic is on one color, which is"
            " healthy and answers; no lease is held; nothing is left that the record does not know; the old database"
            " is there, with its rows; and a human has heard of every execution that ended badly. What Runback could"
            " not bring to such an end, it must have paged a human for."
        ),
        "",
    ]
    return "\n".join([*head, *(f"## {each.title}\n\n{each.text}\n" for each in sections)])


def replay_command(name: str) -> str:
    """Return what plays one case again."""
    return f".venv/bin/python -m rehearsal.sweep replay '{name}'"


def _ends(results: Sequence[Result]) -> str:
    counted = Counter(each.ending for each in results)
    return ", ".join(f"{number} {ending}" for ending, number in counted.most_common())


def _first_line(problem: str) -> str:
    return problem.strip().splitlines()[-1][:300]
