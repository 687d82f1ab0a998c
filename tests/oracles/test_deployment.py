"""The CDK's command line, as it is pinned, deploys what it is asked to: to an emulated account, over HTTP."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.responses import ActionResult
from moto.server import ThreadedMotoServer

from cdk.assembly import SETTINGS_FOLDER
from cdk.settings import EnvironmentSettings, load_settings
from install import __main__ as command
from install.bootstrap import bootstrap_command

ROOT = Path(__file__).parents[2]
STACK = "Runback-receipt-vault-staging"
INGRESS = "Runback-receipt-vault-ingress"


@pytest.fixture
def settings() -> EnvironmentSettings:
    (found,) = load_settings(SETTINGS_FOLDER, ("staging",))
    return found


@pytest.fixture
def aws(settings: EnvironmentSettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve an empty account, and return its address. The CDK protects stacks, which moto does not know."""
    monkeypatch.setattr(
        CloudFormationResponse,
        "update_termination_protection",
        lambda _: ActionResult({"StackId": STACK}),
        raising=False,
    )
    monkeypatch.setenv("MOTO_ACCOUNT_ID", settings.account)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    environment = {
        "AWS_ACCESS_KEY_ID": "TESTING0000000000000",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": settings.region,
        "AWS_DEFAULT_REGION": settings.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": f"http://localhost:{port}",  # by its name: moto finds the template's bucket only then
        "CDK_DISABLE_CLI_TELEMETRY": "true",
    }
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    yield environment["AWS_ENDPOINT_URL"]
    server.stop()


def stacks(region: str) -> dict[str, Any]:
    found = boto3.client("cloudformation", region_name=region).describe_stacks()["Stacks"]
    return {stack["StackName"]: stack["StackStatus"] for stack in found}


@pytest.mark.filterwarnings("ignore:Tried to parse .* but it's not supported by moto")
@pytest.mark.usefixtures("aws")
def test_bootstrap_refusal_difference_and_deployment(
    settings: EnvironmentSettings, capfd: pytest.CaptureFixture[str]
) -> None:
    """One way through all of it, because each run of the command line takes seconds."""
    deployment = ["deploy", "--environment", "staging", "--yes"]
    ingress = ["deploy", "--environment", "ingress", "--yes"]
    assert 1 == command.main(deployment)
    assert bootstrap_command(settings) in capfd.readouterr().err

    subprocess.run(bootstrap_command(settings).split(), cwd=ROOT, check=True, capture_output=True)
    assert {"CDKToolkit": "CREATE_COMPLETE"} == stacks(settings.region)
    assert 1 == command.main(deployment)
    assert "there is no bus receipt-vault-github yet" in capfd.readouterr().err

    assert 0 == command.main(ingress)
    assert "[+] AWS::Events::EventBus " in "".join(capfd.readouterr())
    assert 0 == command.main(deployment)
    shown = "".join(capfd.readouterr())
    assert "[+] AWS::StepFunctions::StateMachine" in shown
    assert {STACK: "CREATE_COMPLETE", INGRESS: "CREATE_COMPLETE"}.items() <= stacks(settings.region).items()
