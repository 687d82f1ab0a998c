"""The Lambda service: moto keeps the functions' configuration, the packaged code runs in processes of its own."""

import json
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self, TextIO, cast
from urllib.parse import parse_qs, unquote

import boto3
from moto.awslambda.exceptions import LambdaClientError
from moto.awslambda.models import LambdaFunction
from moto.awslambda.responses import LambdaResponse

from rehearsal.clock import Clock
from rehearsal.engine.calls import Calls, Reply, access_key_of
from rehearsal.engine.sandbox import FunctionVersion, Outcome, Runtime, Sandbox, exited, timed_out

LATEST = "$LATEST"
ASYNC_RETRY_SECONDS = (60.0, 120.0)
"""https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html: a minute, then two."""
ASYNC_THROTTLE_RETRY_SECONDS = (1.0, 300.0)
"""First and longest pause of the back-off when an asynchronous event is throttled (same source)."""
ASYNC_LONGEST_AGE_SECONDS = 6 * 3600

StandIn = Callable[[Any], Any]
"""Answers the JSON of an event with JSON, or raises what the function fails with."""
LogObserver = Callable[[str, str], None]
OutcomeObserver = Callable[[str, Outcome], None]
LimitObserver = Callable[[str], None]
UrlObserver = Callable[[str, int], None]

Moment = Literal["before its work", "after its work", "in time"]
"""
When an invocation is killed: who invoked it cannot know whether it has done anything.

"In time" is when its time-out is over: it has done its work, and hangs.
"""
Killer = Callable[[str], Moment | None]


class TooManyRequests(LambdaClientError):
    """The function's reserved concurrency is in use."""

    code = 429

    def __init__(self) -> None:
        super().__init__("TooManyRequestsException", "Rate Exceeded.")


class FunctionService:
    """
    Runs packaged functions in sandboxes of a runtime; boto3's `lambda.invoke` reaches them by name, ARN or version.

    Cold on the first invocation, warm afterwards, one event at a time per sandbox; concurrent events get further
    sandboxes up to the reserved concurrency. Every invocation holds the clock at real speed. Logs go to `log_dir`.
    """

    def __init__(
        self,
        clock: Clock,
        calls: Calls,
        runtime: Runtime,
        *,
        account: str,
        session: boto3.Session,
        log_dir: Path,
    ) -> None:
        self._clock = clock
        self._calls = calls
        self._account = account
        self._region = str(session.region_name)
        self._session = session
        self._runtime = runtime
        self._log_dir = log_dir
        self._log_observers: list[LogObserver] = []
        self._outcome_observers: list[OutcomeObserver] = []
        self._limit_observers: list[LimitObserver] = []
        self._url_observers: list[UrlObserver] = []
        self._log_lock = threading.Lock()
        self._logs: dict[str, TextIO] = {}
        self._lock = threading.Lock()
        self._versions: dict[tuple[str, str], FunctionVersion] = {}
        self._idle: dict[FunctionVersion, list[Sandbox]] = defaultdict(list)
        self._sandboxes: set[Sandbox] = set()
        self._running: Counter[str] = Counter()
        self._asynchronous: list[threading.Thread] = []
        self._crashes: dict[str, Moment] = {}
        self._killers: list[Killer] = []
        self._stand_ins: dict[str, StandIn] = {}
        self._stopped = False
        self._stopping = clock.event()
        self._moto_invoke = LambdaResponse.invoke

    def install(self) -> None:
        """Answer boto3's `lambda.invoke` from here, in process and over HTTP."""
        service = self

        def invoke(response: LambdaResponse) -> Reply:
            return service._answer(response)

        LambdaResponse.invoke = invoke  # type: ignore[method-assign]

    def uninstall(self) -> None:
        """Let moto answer `lambda.invoke` again; processes live on until `stop`."""
        LambdaResponse.invoke = self._moto_invoke  # type: ignore[method-assign]

    def __enter__(self) -> Self:
        self.install()
        return self

    def __exit__(self, *_: object) -> None:
        self.uninstall()
        self.stop()

    def create(
        self,
        name: str,
        code_dir: Path,
        layer_dirs: Sequence[Path],
        handler: str,
        environment: Mapping[str, str],
        timeout_seconds: float,
        memory_megabytes: int,
        *,
        in_vpc: bool = False,
    ) -> None:
        """Deploy `$LATEST`. Raises ValueError for a variable that Lambda reserves."""
        access_key = access_key_of(name)
        self._calls.register_caller(access_key, name)
        self._versions[name, LATEST] = FunctionVersion(
            name=name,
            version=LATEST,
            code_dir=code_dir.resolve(),
            layer_dirs=tuple(layer.resolve() for layer in layer_dirs),
            handler=handler,
            environment=dict(environment),
            timeout_seconds=timeout_seconds,
            memory_megabytes=memory_megabytes,
            access_key=access_key,
            in_vpc=in_vpc,
        )

    def stand_in(self, name: str, answer: StandIn) -> None:
        """Let a function that moto knows, and no template has brought, be this: one of the customer's own."""
        self._stand_ins[name] = answer

    def publish(self, name: str, version: str) -> None:
        """Freeze what `$LATEST` is now: later changes to the function do not reach this version."""
        self._versions[name, version] = replace(self._versions[name, LATEST], version=version)

    def redeploy(self, changed: Callable[[FunctionVersion], FunctionVersion]) -> None:
        """Let every version be what `changed` makes of it, from its next invocation on; one that is another is cold."""
        with self._lock:
            self._versions = {key: changed(version) for key, version in self._versions.items()}

    def invoke(
        self, name: str, payload: bytes, qualifier: str | None = None, *, reserved: int | None = None
    ) -> tuple[bytes, str | None]:
        """
        Payload and function error (None or "Unhandled"), as AWS answers a synchronous invocation.

        Raises TooManyRequests when as many run as are `reserved` for the function.
        """
        outcome = self._run(self._versions[name, qualifier or LATEST], payload, self._arn(name, qualifier), reserved)
        return outcome.payload, outcome.function_error

    def warm_up(self) -> None:
        """Start one sandbox per published version, or per function without one, before the scenario begins."""
        published = {name for name, version in self._versions if version != LATEST}
        wanted = [f for f in self._versions.values() if f.version != LATEST or f.name not in published]
        with self._clock.at_real_speed(), ThreadPoolExecutor(max_workers=2) as starters:
            every = map if self._runtime.is_this_process else starters.map
            sandboxes = list(every(self._start, wanted))
            for sandbox, failed in zip(sandboxes, every(_initialise, sandboxes), strict=True):
                self._give_back(sandbox)
                if failed:
                    raise RuntimeError(f"{sandbox.function.name} does not start: {failed.payload.decode()}")

    def names(self) -> list[str]:
        """Return the names of all functions."""
        return sorted({name for name, _ in self._versions})

    def kill_next(self, name: str, moment: Moment) -> None:
        """Let the function's next invocation end as if its machine had failed."""
        with self._lock:
            self._crashes[name] = moment

    def add_killer(self, killer: Killer) -> None:
        """Ask `killer` before every invocation, by the function's name, whether and when to kill it."""
        self._killers.append(killer)

    def logs(self, name: str) -> str:
        """What the function has printed so far, with Lambda's START and REPORT lines."""
        path = self._log_dir / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def add_log_observer(self, observer: LogObserver) -> None:
        """Call `observer(function_name, line)` for every line that a function prints."""
        self._log_observers.append(observer)

    def add_outcome_observer(self, observer: OutcomeObserver) -> None:
        """Call `observer(function_name, outcome)` after every invocation, of whatever kind."""
        self._outcome_observers.append(observer)

    def add_limit_observer(self, observer: LimitObserver) -> None:
        """Call `observer(function_name)` for every invocation that is turned away."""
        self._limit_observers.append(observer)

    def add_url_observer(self, observer: UrlObserver) -> None:
        """Call `observer(function_name, status)` for every answer of a function URL."""
        self._url_observers.append(observer)

    def answered_by_url(self, name: str, status: int) -> None:
        """Let it be known what the URL of a function has answered."""
        for observer in self._url_observers:
            observer(name, status)

    def log_to(self, directory: Path) -> None:
        """Let all logs be in another directory from now on."""
        with self._log_lock:
            self._log_dir = directory
            while self._logs:
                self._logs.popitem()[1].close()

    def process_ids(self, name: str) -> list[int]:
        """The processes now alive for this function, of whatever version."""
        with self._lock:
            return [s.process_id for s in self._sandboxes if s.function.name == name and s.alive]

    def stop(self) -> None:
        """Kill every process and drop the asynchronous events that still wait for a retry."""
        with self._lock:
            self._stopped = True
            sandboxes, asynchronous = list(self._sandboxes), list(self._asynchronous)
        self._stopping.set()
        with ThreadPoolExecutor(max_workers=8) as killers:
            list(killers.map(_kill, sandboxes))
        for thread in asynchronous:
            thread.join()
        for log in self._logs.values():
            log.close()

    def _answer(self, response: LambdaResponse) -> Reply:
        named = unquote(response.path.rsplit("/", 2)[-2])
        qualifier = parse_qs(response.parsed_url.query).get("Qualifier", [None])[0]
        function = response.backend.get_function(named, qualifier)  # answers ResourceNotFoundException as AWS does
        if stand_in := self._stand_ins.get(function.function_name):
            return _answered(stand_in, cast("bytes", response.raw_body or b"{}"))
        key = (function.function_name, str(function.version))
        if key not in self._versions:
            raise NotImplementedError(f"{key[0]} version {key[1]} was not deployed from the template")
        version, payload = self._versions[key], cast("bytes", response.raw_body or b"{}")
        arn = self._arn(function.function_name, None if key[1] == LATEST else key[1])
        match response.headers.get("X-Amz-Invocation-Type"):
            case "Event":
                self._accept(version, payload, arn, function)
                return 202, {"status": "202"}, ""
            case "DryRun":
                return 204, {"status": "204"}, ""
        outcome = self._run(version, payload, arn, function.reserved_concurrency)
        headers = {"status": "200", "Content-Type": "application/json", "X-Amz-Executed-Version": key[1]}
        if outcome.function_error:
            headers["X-Amz-Function-Error"] = outcome.function_error
        return 200, headers, outcome.payload

    def _run(self, function: FunctionVersion, event: bytes, arn: str, reserved: int | None) -> Outcome:
        self._admit(function.name, reserved)
        try:
            with self._clock.at_real_speed():
                sandbox = self._borrow(function)
                outcome = self._invoke(sandbox, event, arn)
            self._give_back(sandbox)
            for observer in self._outcome_observers:
                observer(function.name, outcome)
            return outcome
        finally:
            with self._lock:
                self._running[function.name] -= 1

    def _invoke(self, sandbox: Sandbox, event: bytes, arn: str) -> Outcome:
        with self._lock:
            crash = self._crashes.pop(sandbox.function.name, None)
        for killer in self._killers:
            crash = killer(sandbox.function.name) or crash
        if crash is None:
            return sandbox.invoke(event, arn)
        began = self._clock.seconds()
        if crash != "before its work":
            sandbox.invoke(event, arn)
        sandbox.kill()
        if crash != "in time":
            return exited("signal: killed")
        left = sandbox.function.timeout_seconds - (self._clock.seconds() - began)
        self._clock.sleep(max(0.0, left))
        return timed_out(sandbox.function.timeout_seconds)

    def _admit(self, name: str, reserved: int | None) -> None:
        with self._lock:
            is_admitted = reserved is None or self._running[name] < int(reserved)
            self._running[name] += is_admitted
        if not is_admitted:
            for observer in self._limit_observers:
                observer(name)
            raise TooManyRequests

    def _borrow(self, function: FunctionVersion) -> Sandbox:
        with self._lock:
            while idle := self._idle[function]:
                sandbox = idle.pop()
                if sandbox.alive:
                    return sandbox
                self._sandboxes.discard(sandbox)
        return self._start(function)

    def _start(self, function: FunctionVersion) -> Sandbox:
        sandbox = self._runtime.start(function, lambda line: self._write_log(function.name, line))
        with self._lock:
            self._sandboxes.add(sandbox)
            stopped = self._stopped
        if stopped:
            sandbox.kill()
        return sandbox

    def _give_back(self, sandbox: Sandbox) -> None:
        with self._lock:
            if sandbox.alive:
                self._idle[sandbox.function].append(sandbox)
            else:
                self._sandboxes.discard(sandbox)

    def _accept(self, function: FunctionVersion, event: bytes, arn: str, configured: LambdaFunction) -> None:
        """Queue an asynchronous event: the caller has its 202 whatever comes of it. Nobody waits for one too late."""
        thread = self._clock.thread(
            self._deliver, (function, event, arn, configured), name=f"event for {function.name}", daemon=True
        )
        with self._lock:
            if self._stopped:
                return
            self._asynchronous = [*filter(threading.Thread.is_alive, self._asynchronous), thread]
            thread.start()

    def _deliver(self, function: FunctionVersion, event: bytes, arn: str, configured: LambdaFunction) -> None:
        """Retry as AWS does, then hand what could not be processed to the on-failure destination."""
        settings: dict[str, Any] = configured.event_invoke_config[0].config if configured.event_invoke_config else {}
        retries = settings.get("MaximumRetryAttempts", len(ASYNC_RETRY_SECONDS))
        give_up_at = self._clock.seconds() + settings.get("MaximumEventAgeInSeconds", ASYNC_LONGEST_AGE_SECONDS)
        throttle_pause, longest_throttle_pause = ASYNC_THROTTLE_RETRY_SECONDS
        attempts, condition, outcome = 0, "RetriesExhausted", Outcome(b"")
        while attempts <= retries:
            try:
                outcome = self._run(function, event, arn, configured.reserved_concurrency)
            except TooManyRequests:
                pause, throttle_pause = throttle_pause, min(2 * throttle_pause, longest_throttle_pause)
            else:
                attempts += 1
                if outcome.function_error is None or self._stopped:
                    return
                pause = ASYNC_RETRY_SECONDS[attempts - 1] if attempts <= retries else 0.0
            if self._clock.seconds() + pause > give_up_at:
                condition = "EventAgeExceeded"
                break
            if pause and self._stopping.wait(pause):
                return
        if destination := settings.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination"):
            self._report_failure(destination, function, event, arn, outcome, condition, attempts)

    def _report_failure(
        self,
        destination: str,
        function: FunctionVersion,
        event: bytes,
        arn: str,
        outcome: Outcome,
        condition: str,
        attempts: int,
    ) -> None:
        """Write the record of https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html."""
        record = {
            "version": "1.0",
            "timestamp": self._clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "requestContext": {
                "requestId": outcome.request_id,
                "functionArn": f"{arn}:{LATEST}" if function.version == LATEST else arn,
                "condition": condition,
                "approximateInvokeCount": attempts,
            },
            "requestPayload": json.loads(event),
            "responseContext": {
                "statusCode": 200,
                "executedVersion": function.version,
                "functionError": outcome.function_error,
            },
            "responsePayload": json.loads(outcome.payload) if outcome.payload else None,
        }
        service, name = destination.split(":")[2], destination.rsplit(":", 1)[-1]
        if service == "sqs":
            url = self._client("sqs").get_queue_url(QueueName=name)["QueueUrl"]
            self._client("sqs", function.access_key).send_message(QueueUrl=url, MessageBody=json.dumps(record))
        elif service == "sns":
            self._client("sns", function.access_key).publish(TopicArn=destination, Message=json.dumps(record))
        else:
            raise NotImplementedError(
                f"{function.name} has a destination that the rehearsal cannot reach: {destination}"
            )

    def _client(self, service: str, access_key: str | None = None) -> Any:
        """Lambda sends what failed with the function's role, which is known by its access key."""
        secret = "rehearsal" if access_key else None
        with self._lock:  # sessions are not made for threads, clients are
            return self._session.client(service, aws_access_key_id=access_key, aws_secret_access_key=secret)

    def _arn(self, name: str, qualifier: str | None) -> str:
        arn = f"arn:aws:lambda:{self._region}:{self._account}:function:{name}"
        return f"{arn}:{qualifier}" if qualifier else arn

    def _write_log(self, name: str, line: str) -> None:
        with self._log_lock:
            if name not in self._logs:
                self._log_dir.mkdir(parents=True, exist_ok=True)
                self._logs[name] = (self._log_dir / f"{name}.log").open("a", buffering=1)
            self._logs[name].write(line + "\n")
        for observer in self._log_observers:
            observer(name, line)


def _initialise(sandbox: Sandbox) -> Outcome | None:
    return sandbox.initialise()


def _kill(sandbox: Sandbox) -> None:
    sandbox.kill()


def _answered(stand_in: StandIn, event: bytes) -> Reply:
    """Return what Lambda answers, whatever the function raises."""
    headers = {"status": "200", "Content-Type": "application/json", "X-Amz-Executed-Version": LATEST}
    try:
        answer = stand_in(json.loads(event))
    except Exception as error:  # noqa: BLE001  as Lambda does
        headers["X-Amz-Function-Error"] = "Unhandled"
        answer = {"errorMessage": str(error), "errorType": type(error).__name__}
    return 200, headers, json.dumps(answer).encode()
