"""The life of an execution: how it gets its name, starts, ends exactly once, and is described."""

import threading
from collections.abc import Callable
from typing import Any, cast

from moto.core.exceptions import AWSError
from moto.core.responses import ActionResult
from moto.moto_api._internal import mock_random
from moto.stepfunctions.parser import api as parser_api
from moto.stepfunctions.parser.api import (
    ExecutionStatus,
    HistoryEventType,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_parallel.branch_worker import BranchWorker
from moto.stepfunctions.parser.asl.component.state.state import CommonStateField
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.event.event_manager import EventHistoryContext, EventManager
from moto.stepfunctions.parser.asl.eval.program_state import (
    ProgramEnded,
    ProgramError,
    ProgramRunning,
    ProgramStopped,
    ProgramTimedOut,
)
from moto.stepfunctions.parser.asl.utils.encoding import to_json_str
from moto.stepfunctions.parser.backend.execution import BaseExecutionWorkerCommunication, Execution
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker
from moto.stepfunctions.parser.models import StepFunctionsParserBackend
from moto.stepfunctions.responses import StepFunctionResponse

from rehearsal.engine.interpreter.observers import Interpreter
from rehearsal.engine.interpreter.patching import Fix, Patches

LAST_EVENTS = {
    HistoryEventType.ExecutionSucceeded,
    HistoryEventType.ExecutionFailed,
    HistoryEventType.ExecutionTimedOut,
    HistoryEventType.ExecutionAborted,
}


def names_are_made_and_checked(patches: Patches, _: Interpreter) -> None:
    """
    Make the missing names, and refuse the bad ones.

    AWS: StartExecution without a name makes a UUID; a name with a forbidden character is InvalidName, one of more
    than 80 characters a ValidationException. Two starts with one name never make two executions.
    https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
    moto: calls every unnamed execution "None", checks no name, and looks for and adds a name in two steps.
    """
    original = StepFunctionsParserBackend.start_execution
    lock = threading.Lock()

    def start_execution(
        self: StepFunctionsParserBackend, arn: str, name: str | None = None, execution_input: str = "{}", *more: Any
    ) -> Execution:
        name = name or str(mock_random.uuid4())
        self._validate_name(name)
        with lock:
            return original(self, arn, name, execution_input, *more)

    patches.set(StepFunctionsParserBackend, "start_execution", start_execution)


def errors_carry_their_code(patches: Patches, _: Interpreter) -> None:
    """
    Answer with the code of the error.

    AWS: input that is no JSON is refused with InvalidExecutionInput, a bad definition with InvalidDefinition.
    https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html#API_StartExecution_Errors
    moto: the errors of its interpreter answer with an empty code.
    """
    for name, error in list(vars(parser_api).items()):
        if isinstance(error, type) and issubclass(error, AWSError) and error is not AWSError:
            patches.set(error, "TYPE", name)


def started_means_running(patches: Patches, interpreter: Interpreter) -> None:
    """
    Have the execution running before StartExecution answers.

    AWS: once StartExecution has answered, the execution runs: it has a history, and can be stopped.
    https://docs.aws.amazon.com/step-functions/latest/apireference/API_StopExecution.html
    moto: prepares it in a thread; a StopExecution that comes sooner is lost or crashes.
    """

    def start(self: ExecutionWorker) -> None:
        details, communication = self._evaluation_details, cast("Any", self._execution_communication)
        with interpreter.clock.at_real_speed():
            program: Any = self._get_evaluation_entrypoint()
        env: Any = self._get_evaluation_environment()
        self.env = env
        started: Any = {
            "input": to_json_str(details.execution_details.inpt),
            "inputDetails": {"truncated": False},
            "roleArn": details.aws_execution_details.role_arn,
        }
        env.event_manager.add_event(
            context=env.event_history_context,
            event_type=HistoryEventType.ExecutionStarted,
            event_details={"executionStartedEventDetails": started},
            update_source_event_id=False,
        )
        env.next_state_name = program.start_at.start_at_name
        execution = communication.execution
        interpreter.executions[execution.exec_arn] = execution
        interpreter.status_changed(execution)

        def run() -> None:
            if env.is_running():  # unless it was stopped before it had its first turn
                program.eval(env)
            communication.terminated()

        interpreter.clock.thread(run, name=execution.exec_arn, daemon=True).start()

    patches.set(ExecutionWorker, "start", start)


def the_first_end_is_the_end(patches: Patches, _: Interpreter) -> None:
    """
    Ignore whatever would end an execution again.

    AWS: an execution ends once. A task that fails after StopExecution or a time-out changes nothing.
    https://docs.aws.amazon.com/step-functions/latest/apireference/API_StopExecution.html
    moto: the late failure turns ABORTED into FAILED.
    """

    def only_while_running(original: Callable[..., None]) -> Callable[..., None]:
        def end(self: Environment, *args: Any, **kwargs: Any) -> None:
            with self._state_mutex:
                if isinstance(self._program_state, ProgramRunning):
                    original(self, *args, **kwargs)

        return end

    for name in ("set_error", "set_timed_out"):
        patches.set(Environment, name, only_while_running(getattr(Environment, name)))


def an_end_shows_at_once_and_in_full(patches: Patches, interpreter: Interpreter) -> None:
    """
    Show at once that, how and why an execution has ended.

    AWS: status, stop date, error and cause are there as soon as an execution ends, its output as JSON text, and a
    time-out or stop is an event of its history, whatever a task of it still does.
    https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html
    moto: writes a time-out into the history only when the running task has returned, and gives an output that is a
    string without quotes.
    """
    original: Any = BaseExecutionWorkerCommunication._reflect_execution_status
    add = EventManager.add_event
    lock = threading.Lock()

    def reflect(self: BaseExecutionWorkerCommunication) -> None:
        if interpreter.executions.get(self.execution.exec_arn) is self.execution:
            _finish(self.execution, interpreter)
        else:  # abandoned by an earlier rehearsal of this process, and none of this one's business
            original(self)

    def add_event(self: EventManager, context: EventHistoryContext, event_type: HistoryEventType, **more: Any) -> int:
        with lock:
            history = self._history_event_list
            if history and history[-1]["type"] in LAST_EVENTS:  # a handler that outlives its execution adds nothing
                return history[-1]["id"]
            return add(self, context, event_type, **more)

    patches.set(BaseExecutionWorkerCommunication, "_reflect_execution_status", reflect)
    patches.set(EventManager, "add_event", add_event)


def stopping_works_at_once(patches: Patches, interpreter: Interpreter) -> None:
    """
    Stop in the middle of whatever the execution does.

    AWS: StopExecution ends the execution in the middle of a Task, a Wait or a Retry's pause, keeps error and cause,
    and answers the stop date. A Lambda function that is running goes on.
    https://docs.aws.amazon.com/step-functions/latest/apireference/API_StopExecution.html
    moto: waits until the task or the pause is over, and drops error and cause.
    """

    def stop_execution(self: StepFunctionResponse) -> ActionResult:
        execution: Any = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
        stop_date = interpreter.clock.now()
        execution.exec_worker.env.set_stop(
            stop_date=stop_date, error=self._get_param("error"), cause=self._get_param("cause")
        )
        _finish(execution, interpreter)
        return ActionResult({"stopDate": execution.stop_date or stop_date})

    patches.set(StepFunctionResponse, "stop_execution", stop_execution)


def a_branch_that_was_stopped_does_not_begin(patches: Patches, _: Interpreter) -> None:
    """
    Let a branch whose execution was stopped before its first turn do nothing.

    AWS: StopExecution ends the execution wherever it is.
    https://docs.aws.amazon.com/step-functions/latest/apireference/API_StopExecution.html
    moto: the branch's thread begins all the same, and dies of an error.
    """
    begin = BranchWorker._thread_routine

    def begin_if_running(self: BranchWorker) -> None:
        if self.env.is_running():
            begin(self)
        else:
            self._branch_worker_comm.on_terminated(env=self.env)

    patches.set(BranchWorker, "_thread_routine", begin_if_running)


def timed_out_executions_have_a_stop_date(patches: Patches, _: Interpreter) -> None:
    """
    Give the stop date of executions that timed out, too.

    AWS: DescribeExecution and ListExecutions give the stop date of every execution that has ended.
    https://docs.aws.amazon.com/step-functions/latest/apireference/API_ExecutionListItem.html
    moto: leaves it out for TIMED_OUT.
    """
    describe, list_all = StepFunctionResponse.describe_execution, StepFunctionResponse.list_executions

    def with_stop_date(response: StepFunctionResponse, item: dict[str, Any]) -> None:
        execution = response.stepfunction_backend.describe_execution(item["executionArn"])
        if item["status"] != ExecutionStatus.RUNNING and execution.stop_date:
            item["stopDate"] = execution.stop_date

    def describe_execution(self: StepFunctionResponse) -> ActionResult:
        answer = describe(self)
        with_stop_date(self, cast("dict[str, Any]", answer.result))
        return answer

    def list_executions(self: StepFunctionResponse) -> ActionResult:
        answer = list_all(self)
        for item in cast("dict[str, Any]", answer.result)["executions"]:
            with_stop_date(self, item)
        return answer

    patches.set(StepFunctionResponse, "describe_execution", describe_execution)
    patches.set(StepFunctionResponse, "list_executions", list_executions)


def tell_entered_states(patches: Patches, interpreter: Interpreter) -> None:
    """Repair nothing, but let the live screen follow an execution as the console does."""
    original = CommonStateField._eval_body

    def evaluate(self: CommonStateField, env: Environment) -> None:
        execution_arn = env.states.context_object.context_object_data["Execution"]["Id"]
        interpreter.state_entered(execution_arn, self.name, str(self.state_type.name))
        original(self, env)

    patches.set(CommonStateField, "_eval_body", evaluate)


FIXES: tuple[Fix, ...] = (
    names_are_made_and_checked,
    errors_carry_their_code,
    started_means_running,
    the_first_end_is_the_end,
    an_end_shows_at_once_and_in_full,
    stopping_works_at_once,
    a_branch_that_was_stopped_does_not_begin,
    timed_out_executions_have_a_stop_date,
)


def _finish(execution: Any, interpreter: Interpreter) -> None:
    """Write down how moto's `execution` ended, and tell it, unless it still runs or that is done already."""
    env = execution.exec_worker.env
    with env._state_mutex:
        if execution.stop_date is None and not isinstance(env._program_state, ProgramRunning):
            execution.stop_date = interpreter.clock.now()
            execution.exec_status = _written_down_end(execution, env)  # last: who polls it may read all the rest
            interpreter.status_changed(execution)


def _written_down_end(execution: Any, env: Any) -> ExecutionStatus:
    match env._program_state:
        case ProgramEnded():
            execution.output = to_json_str(env.states.get_input(), separators=(",", ":"))
            return ExecutionStatus.SUCCEEDED
        case ProgramError(error=failure):
            execution.error, execution.cause = (failure or {}).get("error"), (failure or {}).get("cause")
            return ExecutionStatus.FAILED
        case ProgramTimedOut():
            _add_last_event(env, HistoryEventType.ExecutionTimedOut, "executionTimedOutEventDetails", {})
            return ExecutionStatus.TIMED_OUT
        case ProgramStopped(error=error, cause=cause):
            execution.error, execution.cause = error, cause
            given = {"error": error, "cause": cause}
            _add_last_event(env, HistoryEventType.ExecutionAborted, "executionAbortedEventDetails", given)
            return ExecutionStatus.ABORTED
        case other:
            raise AssertionError(f"an execution cannot end as {other!r}")


def _add_last_event(env: Any, event_type: HistoryEventType, key: str, details: dict[str, str | None]) -> None:
    env.event_manager.add_event(
        context=EventHistoryContext.of_program_start(),
        event_type=event_type,
        event_details={key: {name: text for name, text in details.items() if text is not None}},
    )
