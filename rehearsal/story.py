"""
The story of a rehearsal, for the page that a real release gets, too, and for the terminal.

What the machines did is told by the code that ships, out of the same histories and the same record. What users got
comes from their own samples instead of from CloudWatch, whose minutes are too long for a rollback of seconds.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from lambdas.reports.history_rules import REPORTED, Execution, History, read_history
from lambdas.reports.page import render
from lambdas.reports.recovery_rules import recovery_of
from lambdas.reports.rules import Evidence, tell
from lambdas.reports.story import Figure, Story, Told, Tone, Weights
from rehearsal.account import Account
from rehearsal.clock import Clock
from rehearsal.measured import figures, traffic
from rehearsal.report import PAGE, Report
from rehearsal.scenarios import Scenario
from rehearsal.stage import Stage
from rehearsal.staging import VIRTUAL

_SHOWN_AFTER = timedelta(minutes=2)
"""How much is shown of what came after the end: that nothing came is a part of the story."""

_HONESTY = "Rehearsed on an emulated account: this proves nothing about latency or permissions on real AWS."
_TWO_SPEEDS = (
    "The release lives in simulated time, which runs ahead while everything waits. Users and functions live in this"
    " machine's time: rates and latencies are what the users measured by their own clock."
)
_VIRTUAL_TIME = "Users, applications and database are models in virtual time: no figure is one of this machine's."
_PAGE = "ACTION NEEDED"
_MOST_SECONDS_UNNOTICED = 240
"""What an alarm of the load balancer may need; with the way back, traffic is safe within the runbook's five minutes."""


def tell_rehearsal(scenario: Scenario, report: Report, stage: Stage) -> Story:
    """Write the page of a rehearsal that is over into its folder, and return what it tells."""
    story = _story(scenario, report, stage)
    (stage.account.folder / PAGE).write_text(render(story), encoding="utf-8")
    return story


def _story(scenario: Scenario, report: Report, stage: Stage) -> Story:
    broken = list(scenario.broken_promises(report))
    settings, clock = stage.account.settings, stage.account.clock
    known = _evidence(stage)
    title, place = (
        f"Rehearsal of {report.scenario}",
        f"{settings.service}, {settings.environment}, on a pretend account",
    )
    notes = (_HONESTY, _VIRTUAL_TIME if report.clock["mode"] == VIRTUAL else _TWO_SPEEDS)
    if known.histories:
        began, ended = known.began, known.ended + _SHOWN_AFTER
        changes = [_moment(clock, move.at_seconds) for move in report.moves]
        users = traffic(report.samples, clock, began, ended, changes)
        told = tell(replace(known, traffic=users), "", settings.service, settings.environment)
    else:
        began, ended = _moment(clock, 0.0), clock.now()
        told = Story(title, place, report.outcome, "", Tone.PLAIN, began, ended)
    return replace(
        told,
        title=title,
        place=place,
        outcome=report.outcome.replace("_", " "),
        headline=f"{scenario.summary}. {told.headline if known.record else ''}".strip(),
        tone=Tone.BAD if broken else told.tone,
        ended=ended,
        facts=[*told.facts, *_facts(report)],
        weights=[Weights(began, {"blue": 100, "green": 0}), *_weights(report, stage.account)],
        figures=[*figures(report, broken), *_detection(scenario, report, stage, known), *told.figures],
        told=list(_told(stage.account)),
        notes=notes,
    )


def _detection(scenario: Scenario, report: Report, stage: Stage, known: Evidence) -> Iterator[Figure]:
    """Tell what no real release knows: how long a fault was there before anybody noticed."""
    recovery = recovery_of(known.histories)
    is_bad_from_the_start = bool(scenario.circumstances.behaviours and report.moves)
    first_shift = _moment(stage.account.clock, report.moves[0].at_seconds) if is_bad_from_the_start else None
    fault_at = stage.fault_at or first_shift
    if recovery and fault_at and recovery.noticed >= fault_at:
        took = (recovery.noticed - fault_at).total_seconds()
        target = f"at most {_MOST_SECONDS_UNNOTICED} s"
        yield Figure("Fault to detection", f"{took:.0f} s", target, met=took <= _MOST_SECONDS_UNNOTICED)


def _histories(account: Account) -> Iterator[History]:
    """Read the history of every execution that can be part of a release, as whoever may read them can."""
    pages = account.client("stepfunctions").get_paginator("get_execution_history")
    prefix = f"{account.settings.service}-{account.settings.environment}"
    for arn in list(account.interpreter.executions):
        if arn.split(":")[6].removeprefix(f"{prefix}-") not in REPORTED:
            continue
        events = (event for page in pages.paginate(executionArn=arn) for event in page["events"])
        history = read_history(Execution.from_arn(arn, prefix), events, account.clock.now())
        if history is not None:
            yield history


def _evidence(stage: Stage) -> Evidence:
    ordered = sorted(_histories(stage.account), key=lambda each: each.began)
    asked_for = [each.release_id for each in ordered if each.release_id]
    release_id = str(stage.record.lease.get("release_id") or next(iter(asked_for), ""))
    return Evidence(release_id, stage.record.release(release_id), ordered, stage.account.clock.now())


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    if "seed" in report.clock:
        yield "Seed", str(report.clock["seed"])
    else:
        speeds = ", ".join(f"{speed:,.0f} while {doing}" for doing, speed in report.clock["speeds"].items())
        yield "Simulated seconds in a second", speeds
    yield "SHA-256 of the template that ships", report.template_sha256


def _weights(report: Report, account: Account) -> Iterator[Weights]:
    """Yield every change of the first route, whoever made it."""
    first = account.settings.routes[0].name
    for move in report.moves:
        if move.route == first:
            yield Weights(_moment(account.clock, move.at_seconds), move.percent)


def _told(account: Account) -> Iterator[Told]:
    for call in account.calls.log:
        if call.action == "Publish" and not call.error:
            subject, body = call.parameters["Subject"], call.parameters["Message"]
            yield Told(
                _moment(account.clock, call.at),
                _subscribers(account, call.parameters["TopicArn"]),
                subject,
                body,
                _PAGE in subject,
            )


def _subscribers(account: Account, topic: str) -> str:
    found = account.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    return ", ".join(each["Endpoint"] for each in found) or "nobody: the topic has no subscription"


def _moment(clock: Clock, seconds: float) -> datetime:
    """Return the time of day of a simulated second."""
    return clock.now() + timedelta(seconds=seconds - clock.seconds())
