"""Packaged code runs as it would on Lambda, down to how it fails."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.server import ThreadedMotoServer

from rehearsal.clock import TwoSpeedClock
from rehearsal.engine.calls import Calls
from rehearsal.engine.functions import FunctionService, Moment
from rehearsal.engine.sandbox import Processes
from tests.waiting import eventually

REGION, ACCOUNT = "eu-west-1", "123456789012"
SESSION = boto3.Session(region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test")
"""Of the module: reading the services' models is most of what a client costs."""
ROLE = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@dataclass
class Lambda:
    """The service under test with a boto3 client in front, and a way to deploy a few lines of code."""

    service: FunctionService
    calls: Calls
    folder: Path
    client: Any

    def deploy(self, name: str, code: str, *, timeout_seconds: float = 5.0, **configuration: Any) -> str:
        code_dir = self.folder / name
        code_dir.mkdir()
        (code_dir / "app.py").write_text(textwrap.dedent(code))
        role = f"arn:aws:iam::{ACCOUNT}:role/functions"
        arn = self.client.create_function(
            FunctionName=name, Role=role, Runtime="python3.13", Handler="app.handler", Code={"ZipFile": b"not read"}
        )["FunctionArn"]
        layers = configuration.pop("layers", [])
        environment = configuration.pop("environment", {})
        self.service.create(name, code_dir, layers, "app.handler", environment, timeout_seconds, 128)
        return str(arn)

    def invoke(self, name: str, event: Any = None, **parameters: Any) -> tuple[Any, str | None]:
        answer = self.client.invoke(FunctionName=name, Payload=json.dumps(event or {}).encode(), **parameters)
        return json.loads(answer["Payload"].read() or b"null"), answer.get("FunctionError")


@pytest.fixture(scope="module")
def build_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared, as between runs of the rehearsal: compiled files are worth keeping."""
    return tmp_path_factory.mktemp("build")


@pytest.fixture(scope="module")
def endpoint_url() -> Iterator[str]:
    """Serve moto over HTTP, on the same backends as in process; each test's `mock_aws` empties them."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def functions(tmp_path: Path, build_dir: Path, endpoint_url: str) -> Iterator[Lambda]:
    clock = TwoSpeedClock(speed=1000)
    with (
        mock_aws(),
        Calls(clock) as calls,
        FunctionService(
            clock,
            calls,
            Processes(build_dir, REGION, endpoint_url),
            account=ACCOUNT,
            session=SESSION,
            log_dir=tmp_path / "logs",
        ) as service,
    ):
        SESSION.client("iam").create_role(RoleName="functions", AssumeRolePolicyDocument=json.dumps(ROLE))
        client = SESSION.client("lambda", config=Config(retries={"max_attempts": 0}))
        yield Lambda(service, calls, tmp_path, client)


ECHO = """
    def handler(event, context):
        print("saw", event)
        return {"event": event, "request": context.aws_request_id, "arn": context.invoked_function_arn}
"""


def test_a_function_answers_by_name_arn_version_and_qualifier(functions: Lambda) -> None:
    """Machines invoke published version ARNs, people and rules use names."""
    arn = functions.deploy("echo", ECHO)
    version = functions.client.publish_version(FunctionName="echo")["Version"]
    functions.service.publish("echo", version)

    assert functions.invoke("echo", {"n": 1})[0]["event"] == {"n": 1}
    assert functions.invoke("echo")[0]["arn"] == arn
    assert functions.invoke(arn)[0]["arn"] == arn
    assert functions.invoke(f"{arn}:{version}")[0]["arn"] == f"{arn}:{version}"
    assert functions.invoke("echo", Qualifier=version)[0]["arn"] == f"{arn}:{version}"


def test_a_function_of_the_customers_answers_and_fails_as_one_of_ours(functions: Lambda) -> None:
    """It is in no template; whoever calls it cannot tell."""
    functions.deploy("migrate", ECHO)

    def migrate(event: Any) -> Any:
        if event.get("fails"):
            raise ValueError("no table invoices")
        return {"saw": event}

    functions.service.stand_in("migrate", migrate)

    assert functions.invoke("migrate", {"n": 1}) == ({"saw": {"n": 1}}, None)
    told = {"errorType": "ValueError", "errorMessage": "no table invoices"}
    assert functions.invoke("migrate", {"fails": True}) == (told, "Unhandled")


def test_a_published_version_keeps_its_code(functions: Lambda) -> None:
    """A stack update must not change code under a running execution."""
    functions.deploy("echo", ECHO)
    version = functions.client.publish_version(FunctionName="echo")["Version"]
    functions.service.publish("echo", version)
    newer = functions.folder / "newer"
    newer.mkdir()
    (newer / "app.py").write_text("def handler(event, context): return 'newer'")
    functions.service.create("echo", newer, [], "app.handler", {}, 5.0, 128)

    assert functions.invoke("echo")[0] == "newer"
    assert functions.invoke("echo", {"n": 1}, Qualifier=version)[0]["event"] == {"n": 1}


def test_a_process_stays_warm_and_takes_one_event_at_a_time(functions: Lambda) -> None:
    """Module globals survive between events; a second event at the same time gets a second process."""
    functions.deploy(
        "pid",
        """
        import os, time
        def handler(event, context):
            if "meet" in event:
                open(os.path.join(event["meet"], str(os.getpid())), "w").close()
                while len(os.listdir(event["meet"])) < 2:
                    time.sleep(0.01)
            return os.getpid()
        """,
    )
    first, second = functions.invoke("pid"), functions.invoke("pid")
    assert first == second

    meeting = functions.folder / "meeting"
    meeting.mkdir()
    with ThreadPoolExecutor() as callers:
        pids = set(callers.map(lambda _: functions.invoke("pid", {"meet": str(meeting)})[0], range(2)))
    assert len(pids) == 2
    assert pids == set(functions.service.process_ids("pid"))


def test_reserved_concurrency_throttles(functions: Lambda) -> None:
    """The rollback's first functions reserve concurrency: a rehearsal must show what happens beyond it."""
    functions.deploy(
        "slow",
        """
        import os, time
        def handler(event, context):
            while not os.path.exists(event["until"]):
                time.sleep(0.01)
        """,
    )
    functions.client.put_function_concurrency(FunctionName="slow", ReservedConcurrentExecutions=1)
    until = functions.folder / "until"
    busy = threading.Thread(target=functions.invoke, args=("slow", {"until": str(until)}))
    busy.start()
    eventually(lambda: "START" in functions.service.logs("slow"))

    with pytest.raises(functions.client.exceptions.TooManyRequestsException):
        functions.invoke("slow", {"until": "/"})
    until.touch()
    busy.join()


@pytest.mark.parametrize(
    ("code", "expected_type", "expected_message"),
    [
        ("import absent", "Runtime.ImportModuleError", "Unable to import module 'app': No module named 'absent'"),
        ("import moto", "Runtime.ImportModuleError", "Unable to import module 'app': No module named 'moto'"),
        ("x = 1", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'"),
        (
            "import os\ndef handler(event, context): os._exit(3)",
            "Runtime.ExitError",
            "Error: Runtime exited with error: exit status 3",
        ),
        (
            "import time\ndef handler(event, context): time.sleep(30)",
            "Sandbox.Timedout",
            "Error: Task timed out after 0.50 seconds",
        ),
        ("def handler(event, context): raise KeyError('color')", "KeyError", "'color'"),
    ],
)
def test_failures_carry_lambdas_own_error_names(
    functions: Lambda, code: str, expected_type: str, expected_message: str
) -> None:
    """The machines' one retry policy is written against these names; `moto` proves that our venv is out of reach."""
    functions.deploy("faulty", code, timeout_seconds=0.5)

    payload, function_error = functions.invoke("faulty")

    assert function_error == "Unhandled"
    assert payload["errorType"] == expected_type
    assert payload["errorMessage"].endswith(expected_message)


def test_who_observes_outcomes_is_told_of_every_invocation(functions: Lambda) -> None:
    """Metrics of functions count them."""
    seen: list[tuple[str, str | None]] = []
    functions.service.add_outcome_observer(lambda name, outcome: seen.append((name, outcome.function_error)))
    functions.deploy("echo", ECHO)
    functions.deploy("faulty", "def handler(event, context): raise KeyError('color')")
    functions.invoke("echo")
    functions.invoke("faulty")
    assert seen == [("echo", None), ("faulty", "Unhandled")]


def test_a_handlers_exception_tells_where_it_was_raised(functions: Lambda) -> None:
    """Step Functions passes this payload on as the error's cause."""
    functions.deploy("faulty", "def handler(event, context): raise ValueError('no color')")

    payload, _ = functions.invoke("faulty")

    assert set(payload) == {"errorMessage", "errorType", "requestId", "stackTrace"}
    assert "app.py" in payload["stackTrace"][-1]


@pytest.mark.rehearsed
def test_after_a_time_out_the_process_is_gone_and_the_next_event_gets_a_fresh_one(functions: Lambda) -> None:
    """Lambda kills the sandbox: a handler that timed out does not go on writing."""
    functions.deploy(
        "slow", "import time\ndef handler(event, context): time.sleep(event['seconds'])", timeout_seconds=0.5
    )
    functions.invoke("slow", {"seconds": 0})
    [pid] = functions.service.process_ids("slow")

    functions.invoke("slow", {"seconds": 30})

    assert not Path(f"/proc/{pid}").exists()
    assert functions.invoke("slow", {"seconds": 0}) == (None, None)
    eventually(lambda: "Task timed out after 0.50 seconds" in functions.service.logs("slow"))


def test_a_function_sees_its_own_variables_and_lambdas_and_nothing_else(
    functions: Lambda, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting that works only because the developer's shell has it would fail on AWS."""
    monkeypatch.setenv("RUNBACK_SECRET_OF_THE_SHELL", "leak")
    functions.deploy(
        "env", "import os\ndef handler(event, context): return dict(os.environ)", environment={"TABLE": "t"}
    )

    seen, _ = functions.invoke("env")

    assert seen["TABLE"] == "t"
    assert seen["AWS_LAMBDA_FUNCTION_NAME"] == "env"
    assert seen["AWS_REGION"] == REGION
    assert {name for name in seen if not name.startswith(("AWS_", "LAMBDA_", "_", "LC_"))} == {
        "TABLE", "PATH", "PYTHONPATH", "LANG", "TZ",
    }  # fmt: skip


def test_a_variable_that_lambda_reserves_is_refused(functions: Lambda, tmp_path: Path) -> None:
    """CloudFormation would fail to deploy it."""
    with pytest.raises(ValueError, match="AWS_REGION"):
        functions.service.create("env", tmp_path, [], "app.handler", {"AWS_REGION": "x"}, 1.0, 128)


def test_layers_are_importable_and_assets_stay_clean(functions: Lambda, tmp_path: Path) -> None:
    """The code's hash names the asset: running it must not add files to cdk.out."""
    (tmp_path / "layer/python").mkdir(parents=True)
    (tmp_path / "layer/python/shared.py").write_text("WORD = 'shared'")
    functions.deploy(
        "layered", "import shared\ndef handler(event, context): return shared.WORD", layers=[tmp_path / "layer"]
    )

    assert functions.invoke("layered") == ("shared", None)
    assert not list(tmp_path.rglob("__pycache__"))


def test_calls_of_a_function_reach_moto_and_are_known_as_its_own(functions: Lambda) -> None:
    """Invariants ask which function made a change."""
    functions.deploy(
        "writer",
        """
        import boto3
        ssm = boto3.client("ssm")
        def handler(event, context):
            ssm.put_parameter(Name="/color", Value="green", Type="String")
        """,
    )

    assert functions.invoke("writer") == (None, None)

    assert SESSION.client("ssm").get_parameter(Name="/color")["Parameter"]["Value"] == "green"
    [put] = [call for call in functions.calls.log if call.action == "PutParameter"]
    assert put.caller == "writer"


def test_an_unknown_function_is_not_found_as_on_aws(functions: Lambda) -> None:
    with pytest.raises(functions.client.exceptions.ResourceNotFoundException):
        functions.invoke("nobody")


def test_a_function_that_no_template_deployed_fails_the_rehearsal(functions: Lambda) -> None:
    """Left alone, moto would make up an answer for it."""
    functions.client.create_function(
        FunctionName="stray", Role=f"arn:aws:iam::{ACCOUNT}:role/functions", Runtime="python3.13",
        Handler="app.handler", Code={"ZipFile": b"x"},
    )  # fmt: skip
    with pytest.raises(ClientError, match="was not deployed from the template"):
        functions.invoke("stray")
    assert [unsupported.call.action for unsupported in functions.calls.unsupported] == ["Invoke"]


def test_an_asynchronous_event_is_accepted_at_once_and_printed_lines_can_be_read(functions: Lambda) -> None:
    """EventBridge invokes this way; metrics travel as log lines."""
    functions.deploy("echo", ECHO)
    lines: list[tuple[str, str]] = []
    functions.service.add_log_observer(lambda name, line: lines.append((name, line)))

    answer = functions.client.invoke(FunctionName="echo", InvocationType="Event", Payload=b'{"n": 7}')

    assert answer["StatusCode"] == 202
    eventually(lambda: ("echo", "saw {'n': 7}") in lines)
    eventually(lambda: "saw {'n': 7}" in functions.service.logs("echo"))


def test_an_asynchronous_event_is_tried_three_times_and_then_told_to_the_destination(functions: Lambda) -> None:
    """AWS retries after one and two minutes; without a destination the event would be lost in silence."""
    arn = functions.deploy("faulty", "def handler(event, context): raise ValueError(event['n'])")
    sqs = SESSION.client("sqs")
    url = sqs.create_queue(QueueName="failed")["QueueUrl"]
    functions.client.put_function_event_invoke_config(
        FunctionName="faulty",
        DestinationConfig={"OnFailure": {"Destination": f"arn:aws:sqs:{REGION}:{ACCOUNT}:failed"}},
    )

    functions.client.invoke(FunctionName="faulty", InvocationType="Event", Payload=b'{"n": 7}')

    message = eventually(lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=0).get("Messages"))[0]
    record = json.loads(message["Body"])
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 3
    assert record["requestContext"]["functionArn"] == f"{arn}:$LATEST"
    assert record["requestPayload"] == {"n": 7}
    assert record["responsePayload"]["errorType"] == "ValueError"
    assert ["faulty"] == [call.caller for call in functions.calls.log if call.action == "SendMessage"]


def test_warm_up_starts_what_the_machines_will_invoke(functions: Lambda) -> None:
    functions.deploy("echo", ECHO)
    version = functions.client.publish_version(FunctionName="echo")["Version"]
    functions.service.publish("echo", version)

    functions.service.warm_up()
    warm = functions.service.process_ids("echo")
    functions.invoke("echo", Qualifier=version)

    assert len(warm) == 1
    assert functions.service.process_ids("echo") == warm


def test_stop_leaves_no_process(functions: Lambda) -> None:
    functions.deploy("echo", ECHO)
    functions.deploy("busy", "import time\ndef handler(event, context): time.sleep(30)", timeout_seconds=60)
    functions.invoke("echo")
    functions.client.invoke(FunctionName="busy", InvocationType="Event")
    eventually(lambda: "START" in functions.service.logs("busy"))
    pids = functions.service.process_ids("echo") + functions.service.process_ids("busy")

    functions.service.stop()

    assert len(pids) == 2
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_what_comes_after_the_stop_is_not_begun(functions: Lambda) -> None:
    """A handler that outlives its account would work in the next one."""
    functions.deploy("echo", ECHO)
    functions.service.stop()

    functions.client.invoke(FunctionName="echo", InvocationType="Event")

    assert "event for echo" not in [thread.name for thread in threading.enumerate()]
    assert "START" not in functions.service.logs("echo")


COUNTS = """
    from pathlib import Path
    def handler(event, context):
        with Path(event["marks"]).open("a") as marks:
            marks.write("x")
"""


@pytest.mark.parametrize(
    ("moment", "marks", "error"),
    [
        ("before its work", "", "Runtime.ExitError"),
        ("after its work", "x", "Runtime.ExitError"),
        ("in time", "x", "Sandbox.Timedout"),
    ],
)
def test_a_killer_ends_an_invocation_before_or_after_its_work(
    functions: Lambda, tmp_path: Path, moment: Moment, marks: str, error: str
) -> None:
    """Who has invoked it cannot know which of them it was."""
    functions.deploy("counts", COUNTS, timeout_seconds=2)
    functions.service.add_killer(lambda name: moment if name == "counts" else None)
    file = tmp_path / "marks"
    file.touch()

    answer, failed = functions.invoke("counts", {"marks": str(file)})

    assert (answer["errorType"], failed) == (error, "Unhandled")
    assert file.read_text() == marks


@pytest.mark.rehearsed
def test_processes_die_with_the_rehearsal_even_when_it_is_killed(tmp_path: Path, build_dir: Path) -> None:
    """A rehearsal that crashed must not leave functions behind, not even one in an endless handler."""
    (tmp_path / "app.py").write_text(
        "import time\ndef handler(event, context):\n    print('here', flush=True)\n    time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(
            """
            import sys
            from pathlib import Path
            import boto3
            from rehearsal.clock import TwoSpeedClock
            from rehearsal.engine.calls import Calls
            from rehearsal.engine.functions import FunctionService
            from rehearsal.engine.sandbox import Processes
            folder, build = map(Path, sys.argv[1:])
            clock = TwoSpeedClock()
            runtime = Processes(build, "eu-west-1", "http://127.0.0.1:1")
            service = FunctionService(clock, Calls(clock), runtime, account="1",
                                      session=boto3.Session(region_name="eu-west-1"), log_dir=folder)
            def tell(name, line):
                if line == "here":
                    print(*service.process_ids(name), flush=True)
            service.add_log_observer(tell)
            service.create("endless", folder, [], "app.handler", {}, 60, 128)
            service.invoke("endless", b"{}")
            """
        ), str(tmp_path), str(build_dir)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
    )  # fmt: skip
    assert parent.stdout is not None
    with parent.stdout as output:
        pid = int(output.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()

    eventually(lambda: not _running(pid))


def _running(pid: int) -> bool:
    """A zombie waits for whoever adopted it; it runs no more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
