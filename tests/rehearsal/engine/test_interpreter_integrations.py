"""What Task states call, as on AWS. Each test also shows that moto still needs the repair."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.stepfunctions.parser.asl.component.state.exec.state_task.credentials import StateCredentials
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service_sfn

from rehearsal.engine.calls import access_key_of
from tests.rehearsal.engine.state_machines import PASS, Json, StateMachines, repaired_and_stock, state_machines

START = "arn:aws:states:::states:startExecution"


def start_task(machine: str, resource: str = START, **parameters: Json) -> dict[str, Any]:
    parameters = {"StateMachineArn": machine, "Input": {"release_id": "r-1"}, **parameters}
    return {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True}


def test_a_machine_can_start_another_and_gets_its_arn() -> None:
    """So the deploy machine starts the rollback machine."""

    def observe(account: StateMachines) -> dict[str, Any]:
        child = account.create({"Only": PASS})
        return account.run({"Start": start_task(child, Name="r-1-rollback")})

    repaired, stock = repaired_and_stock(observe)

    output = json.loads(repaired["output"])
    assert set(output) == {"ExecutionArn", "StartDate"}
    assert output["ExecutionArn"].endswith(":r-1-rollback")
    assert abs(output["StartDate"] - repaired["startDate"].timestamp() * 1000) < 60_000
    assert stock["error"] == "States.Runtime"


def test_a_started_machine_gets_its_input_as_json() -> None:
    """An object in the parameters becomes JSON text on the way."""
    with state_machines() as account:
        child = account.create({"Only": PASS})
        arn = account.output({"Start": start_task(child)})["ExecutionArn"]

        assert json.loads(account.ended(arn)["output"]) == {"release_id": "r-1"}


def test_a_machine_can_wait_for_another() -> None:
    """`.sync:2` gives the other's output as an object."""
    with state_machines() as account:
        child = account.create({"Only": PASS})
        output = account.output({"Start": start_task(child, resource=f"{START}.sync:2")})

    assert (output["Status"], output["Output"]) == ("SUCCEEDED", {"release_id": "r-1"})


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("taken", "StepFunctions.ExecutionAlreadyExistsException"),
        ("r 1", "StepFunctions.InvalidNameException"),
        ("r" * 81, "StepFunctions.ValidationException"),
    ],
)
def test_a_refused_start_has_the_error_name_of_aws(name: str, error: str) -> None:
    """Two ways to start the same rollback meet: the second must be recognised by this name."""

    def observe(account: StateMachines) -> str:
        child = account.create({"Only": PASS})
        account.client.start_execution(stateMachineArn=child, name="taken", input='{"other": 1}')
        return account.run({"Start": start_task(child, Name=name)})["error"]

    assert repaired_and_stock(observe) == (error, "States.Runtime")


def test_error_names_end_in_exception_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checked at the source, because moto as it comes does not get as far as a refused start."""
    service = state_task_service_sfn.StateTaskServiceSfn
    refusal = {
        "Error": {"Code": "ValidationException", "Message": "no"},
        "ResponseMetadata": {"HTTPStatusCode": 400, "RequestId": "1"},
    }

    def refuse(*_: object, **__: object) -> None:
        raise ClientError(refusal, "StartExecution")  # type: ignore[arg-type]

    def observe(account: StateMachines) -> str:
        with monkeypatch.context() as patch:
            patch.setattr(service, "_eval_service_task", refuse)
            return account.run({"Start": start_task(account.create({"Only": PASS}))})["error"]

    assert repaired_and_stock(observe) == (
        "StepFunctions.ValidationException",
        "StepFunctions.ValidationExceptionException",
    )


def test_a_failure_sent_by_token_keeps_its_cause() -> None:
    """The cause is what the operator wrote when rejecting a release."""
    parameters = {"FunctionName": "ask", "Payload": {"token.$": "$$.Task.Token"}}
    ask = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": parameters,
        "End": True,
    }

    def observe(account: StateMachines) -> tuple[str, str | None]:
        tokens: list[str] = []
        account.functions["ask"] = lambda payload: tokens.append(payload["token"])
        arn = account.start({"Ask": ask})
        account.until_last_event("TaskSubmitted", arn)
        account.client.send_task_failure(taskToken=tokens[0], error="Rejected", cause="not before the holiday")
        ended = account.ended(arn)
        return ended["error"], ended.get("cause")

    assert repaired_and_stock(observe) == (("Rejected", "not before the holiday"), ("Rejected", None))


def test_clients_are_made_once() -> None:
    """boto3 makes clients in one thread at a time only, and slowly."""

    def observe(_: StateMachines) -> bool:
        make = state_task_service_sfn.boto_client_for
        return make(region="eu-west-1", service="stepfunctions") is make(region="eu-west-1", service="stepfunctions")

    assert repaired_and_stock(observe) == (True, False)


def test_a_task_signs_as_the_role_of_its_machine() -> None:
    """Or nobody could say whose policy has to allow it."""

    def observe(_: StateMachines) -> str:
        make = state_task_service_sfn.boto_client_for
        made: Any = make(region="eu-west-1", service="sns", state_credentials=StateCredentials("arn:aws:iam::1:role/a"))
        return str(made._get_credentials().access_key)

    assert repaired_and_stock(observe) == (access_key_of("arn:aws:iam::1:role/a"), "ak")
