"""
The histories of executions: by far the largest answers, and read again and again while they grow.

Nobody changes an event once it is in a history, and every answer is made for one reader alone.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from moto.core.responses import ActionContext, ActionResult
from moto.stepfunctions.parser.asl.eval.event.event_manager import EventManager
from moto.stepfunctions.responses import StepFunctionResponse

from rehearsal.engine.shortcuts.shortcut import Shortcut, own

_BEGIN, _BETWEEN, _END = '{"events": [', ", ", "]}"
_DECODER = json.JSONDecoder()


def shortcuts() -> Iterator[Shortcut]:
    """Yield what to replace."""
    yield Shortcut(EventManager, "get_event_history", _listing_events)
    yield Shortcut(StepFunctionResponse, "get_execution_history", _telling_events_once())


@dataclass
class ToldEvent:
    """An event as it is sent, and as the SDK has read it by the shape that is there, too."""

    text: str
    content: Any
    """The text, read."""
    shape: Any = None
    read: Any = None

    def read_by(self, parser: Any, shape: Any) -> Any:
        """Read it once, and let each reader have his own."""
        if self.shape is not shape:
            self.shape, self.read = shape, parser._parse_shape(shape, self.content)
        return own(self.read)


class ToldHistory(str):
    """An answer's whole text, which knows the events in it."""

    __slots__ = ("events",)
    events: list[ToldEvent]


def _listing_events(manager: Any) -> list[Any]:
    """Copy the list, and not what is in it: who asks either writes it down or only reads it."""
    with manager._mutex:
        return list(manager._history_event_list)


def _telling_events_once() -> Any:
    """Let moto write down each event once, and put the answer together from what it wrote."""
    really_get = StepFunctionResponse.get_execution_history
    told: dict[int, tuple[Any, ToldEvent]] = {}

    def get(response: StepFunctionResponse) -> ActionResult:
        result: Any = really_get(response).result
        is_history = type(result) is dict and result.keys() == {"events"}
        return _History(result, told) if is_history else ActionResult(result)

    return get


class _History(ActionResult):
    def __init__(self, result: Any, told: dict[int, tuple[Any, ToldEvent]]) -> None:
        super().__init__(result)
        self._events = result["events"]
        self._told = told

    def execute_result(self, context: ActionContext) -> Any:
        status, headers, body = ActionResult({"events": []}).execute_result(context)
        if body != _BEGIN + _END:
            return super().execute_result(context)
        self._tell([event for event in self._events if id(event) not in self._told], context)
        events = [self._told[id(event)][1] for event in self._events]
        history = ToldHistory(_BEGIN + _BETWEEN.join(event.text for event in events) + _END)
        history.events = events
        return status, headers, history

    def _tell(self, events: list[Any], context: ActionContext) -> None:
        """Have moto write down new events, all at once, and take what it wrote apart."""
        body: Any = ActionResult({"events": events}).execute_result(context)[2]
        begin = len(_BEGIN)
        for event in events:
            content, end = _DECODER.raw_decode(body, begin)
            self._told[id(event)] = (event, ToldEvent(body[begin:end], content))  # which keeps the event's id
            begin = end + len(_BETWEEN)
