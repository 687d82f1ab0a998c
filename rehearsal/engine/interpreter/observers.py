"""What the interpreter tells the rest of the rehearsal: executions changing status, and states being entered."""

import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any

from rehearsal.clock import Clock

StatusChangeCallback = Callable[[dict[str, Any]], object]
StateEnteredCallback = Callable[[str, str, str, datetime], object]


class Interpreter:
    """The installed interpreter: a source of events about its executions."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.executions: dict[str, Any] = {}
        """Every execution started since the installation, by its ARN, as moto's own objects."""
        self._telling = threading.Lock()
        self._status_subscribers: list[_Subscriber] = []
        self._state_subscribers: list[_Subscriber] = []

    def on_status_change(self, callback: StatusChangeCallback) -> None:
        """
        Call back once per change with the `detail` of "Step Functions Execution Status Change".

        Statuses are RUNNING, then one of SUCCEEDED, FAILED, TIMED_OUT and ABORTED. The callback has a thread of its
        own and gets changes in order, so a slow one delays only itself. Of an execution that was started before, it
        gets the status that it has now.
        """
        subscriber = _Subscriber(self.clock, callback)
        with self._telling:
            self._status_subscribers.append(subscriber)
            for execution in list(self.executions.values()):
                subscriber.put(_status_change_detail(execution))

    def on_state_entered(self, callback: StateEnteredCallback) -> None:
        """Call back with execution ARN, state name, state type ("Task", "Wait", …) and simulated time."""
        self._state_subscribers.append(_Subscriber(self.clock, callback))

    def states_entered(self, execution_arn: str) -> list[str]:
        """Read from its history, where moto keeps it, which states an execution has entered, in their order."""
        events = self.executions[execution_arn].to_history_output()["events"]
        return [event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event]

    def status_changed(self, execution: Any) -> None:
        """Tell that moto's `execution` has the status that it has now."""
        with self._telling:
            for subscriber in self._status_subscribers:
                subscriber.put(_status_change_detail(execution))

    def state_entered(self, execution_arn: str, state_name: str, state_type: str) -> None:
        """Tell that the execution enters this state now, unless an earlier rehearsal of this process has started it."""
        if execution_arn not in self.executions:
            return
        for subscriber in self._state_subscribers:
            subscriber.put(execution_arn, state_name, state_type, self.clock.now())

    def close(self) -> None:
        """Abandon what still runs, and deliver what has happened before."""
        for subscriber in (*self._status_subscribers, *self._state_subscribers):
            subscriber.close()
        self._status_subscribers.clear()
        self._state_subscribers.clear()
        for execution in self.executions.values():
            execution.exec_worker.env.set_stop(stop_date=self.clock.now(), error=None, cause=None)


def _status_change_detail(execution: Any) -> dict[str, Any]:
    """
    Give the same information as DescribeExecution, with dates in epoch milliseconds and null for what is not known.

    https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
    """
    status = execution.exec_status.value
    has_output = status == "SUCCEEDED"
    return {
        "executionArn": execution.exec_arn,
        "stateMachineArn": execution.state_machine.arn,
        "name": execution.name,
        "status": status,
        "startDate": _epoch_milliseconds(execution.start_date),
        "stopDate": _epoch_milliseconds(execution.stop_date) if execution.stop_date else None,
        "input": execution.execution_input,
        "inputDetails": {"included": True},
        "output": execution.output if has_output else None,
        "outputDetails": {"included": True} if has_output else None,
        "error": execution.error,
        "cause": execution.cause,
    }


def _epoch_milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


class _Subscriber:
    """
    One callback with its thread and its queue.

    A callback that raises ends neither the interpreter nor the deliveries after it; the error goes to
    `threading.excepthook`, as that of any other thread.
    """

    def __init__(self, clock: Clock, callback: Callable[..., object]) -> None:
        self._callback = callback
        self._pending: deque[tuple[Any, ...]] = deque()
        self._has_news = clock.event()
        self._is_closed = False
        self._thread = clock.thread(self._deliver, name=f"deliver to {callback!r}", daemon=True)
        self._thread.start()

    def put(self, *arguments: Any) -> None:
        self._pending.append(arguments)
        self._has_news.set()

    def close(self) -> None:
        self._is_closed = True
        self._has_news.set()

    def _deliver(self) -> None:
        while True:
            self._has_news.wait()
            self._has_news.clear()
            while self._pending:
                self._call(self._pending.popleft())
            if self._is_closed and not self._pending:
                return

    def _call(self, arguments: tuple[Any, ...]) -> None:
        try:
            self._callback(*arguments)
        except Exception as error:  # noqa: BLE001  - whatever a subscriber raises is its own failure
            thread = threading.current_thread()
            threading.excepthook(threading.ExceptHookArgs((type(error), error, error.__traceback__, thread)))
