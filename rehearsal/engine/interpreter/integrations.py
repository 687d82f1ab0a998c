"""What Task states call: Step Functions itself, Lambda, and answers that come back by task token."""

import threading
from datetime import datetime
from functools import cache
from typing import Any

from botocore.exceptions import ClientError
from moto.core.responses import ActionResult, EmptyResult
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.state.exec.state_task.credentials import StateCredentials
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_sfn import (
    StateTaskServiceSfn,
)
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.utils.boto_client import boto_client_for
from moto.stepfunctions.responses import StepFunctionResponse

from rehearsal.engine.calls import access_key_of
from rehearsal.engine.interpreter.observers import Interpreter
from rehearsal.engine.interpreter.patching import Fix, Patches


def start_execution_takes_and_gives_pascal_case(patches: Patches, _: Interpreter) -> None:
    """
    Translate between the casing of States Language and that of boto3.

    AWS: parameters and results of `states:startExecution` are in Pascal case, dates in epoch milliseconds:
    `{"ExecutionArn": …, "StartDate": …}`.
    https://docs.aws.amazon.com/step-functions/latest/dg/connect-stepfunctions.html
    moto: hands the parameters to boto3 as they are, which knows them in camel case only.
    """
    normalise_parameters = StateTaskServiceSfn._normalise_parameters

    def to_camel_case(self: StateTaskServiceSfn, parameters: dict[str, Any], **more: Any) -> None:
        normalise_parameters(self, parameters, **more)
        for key in list(parameters):
            parameters[key[0].lower() + key[1:]] = parameters.pop(key)

    def to_pascal_case(_self: StateTaskServiceSfn, response: Any, **_more: Any) -> None:
        for key in list(response):
            response[key[0].upper() + key[1:]] = _result_value(response.pop(key))

    patches.set(StateTaskServiceSfn, "_normalise_parameters", to_camel_case)
    patches.set(StateTaskServiceSfn, "_normalise_response", to_pascal_case)


def error_names_end_in_exception_once(patches: Patches, _: Interpreter) -> None:
    """
    End error names in `Exception`, once.

    AWS: an error of `states:startExecution` is `StepFunctions.` and its code, ending in `Exception`:
    `StepFunctions.ExecutionAlreadyExistsException`, `StepFunctions.ValidationException`.
    https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
    moto: always appends, so that the latter becomes `…ExceptionException`.
    """
    original = StateTaskServiceSfn._from_error

    def from_error(self: StateTaskServiceSfn, env: Environment, ex: Exception) -> Any:
        event: Any = original(self, env, ex)
        if isinstance(ex, ClientError) and event.error_name.error_name.endswith("ExceptionException"):
            name = event.error_name.error_name.removesuffix("Exception")
            event.error_name = CustomErrorName(name)
            event.event_details["taskFailedEventDetails"]["error"] = name
        return event

    patches.set(StateTaskServiceSfn, "_from_error", from_error)


def task_failures_keep_their_cause(patches: Patches, _: Interpreter) -> None:
    """
    Pass the cause of SendTaskFailure on.

    AWS: the cause given to SendTaskFailure is the cause of the task's error.
    https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskFailure.html
    moto: reads the error only.
    """

    def send_task_failure(self: StepFunctionResponse) -> ActionResult:
        backend: Any = self.stepfunction_backend
        backend.send_task_failure(
            self._get_param("taskToken"), error=self._get_param("error"), cause=self._get_param("cause")
        )
        return EmptyResult()

    patches.set(StepFunctionResponse, "send_task_failure", send_task_failure)


def clients_are_made_once(patches: Patches, interpreter: Interpreter) -> None:
    """
    Make each AWS client once per role, at real speed, and let it sign as that role.

    AWS: a Task costs no client, and calls with its machine's role.
    moto: makes a boto3 client per Task, which takes tens of milliseconds, and which boto3 allows in one thread at a
    time only; it signs the same for every role.
    https://boto3.amazonaws.com/v1/documentation/api/latest/guide/clients.html
    """
    lock = threading.Lock()

    @cache
    def make(region: str, service: str, role_arn: str) -> Any:
        made: Any = boto_client_for(region, service)
        made._get_credentials().access_key = access_key_of(role_arn)
        return made

    def client(region: str, service: str, state_credentials: StateCredentials | None = None) -> Any:
        with lock, interpreter.clock.at_real_speed():
            return make(region, service, state_credentials.role_arn if state_credentials else "none")

    patches.set_everywhere(boto_client_for, client)


FIXES: tuple[Fix, ...] = (
    start_execution_takes_and_gives_pascal_case,
    error_names_end_in_exception_once,
    task_failures_keep_their_cause,
    clients_are_made_once,
)


def _result_value(value: Any) -> Any:
    return int(value.timestamp() * 1000) if isinstance(value, datetime) else value
