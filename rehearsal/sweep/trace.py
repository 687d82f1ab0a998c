"""What happened in a run, for people: who changed what, which states were entered, and what people were told."""

from collections.abc import Iterator

from rehearsal.report import _moves
from rehearsal.stage import Stage
from rehearsal.sweep.moments import own_name

_NOISE = frozenset({"Invoke", "Publish"})
_LONGEST = 160


def trace_of(stage: Stage) -> list[str]:
    """Return a line for each thing that happened, in its order."""
    account = stage.account
    lines = [*_states(stage), *_calls(stage)]
    lines += [
        (move.at_seconds, f"LISTENER  {move.route}: {move.percent}, by {own_name(account, move.by)}")
        for move in _moves(account)
    ]
    ends = [
        f"END       {each.machine} {each.status} {each.error or ''} {(each.cause or '')[:_LONGEST]}"
        for each in stage.executions.values()
    ]
    return [*(f"{at:9.2f}  {text}" for at, text in sorted(lines)), *ends]


def _states(stage: Stage) -> Iterator[tuple[float, str]]:
    began = stage.account.clock.now().timestamp() - stage.account.clock.seconds()
    for step in stage.steps:
        yield (
            round(step.at.timestamp() - began, 3),
            f"STATE     {step.machine}: {step.state}  [{step.execution[-12:]}]",
        )


def _calls(stage: Stage) -> Iterator[tuple[float, str]]:
    account = stage.account
    for call in list(account.calls.log):
        if call.action == "Publish":
            yield call.at, f"MESSAGE   {call.parameters.get('Subject')} {call.error or ''}"
        elif ((call.mutating and call.caller) or call.error) and call.action not in _NOISE:
            who = own_name(account, call.caller) if call.caller else "somebody"
            yield call.at, f"CALL      {who}: {call.service}:{call.action} {call.error or ''}"
