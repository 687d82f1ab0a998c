"""
The building blocks of every machine, and the only place with a retry policy, a poll loop and a convention of naming.

A step's name is an imperative that an operator reads in the console; a choice's name is a question. Every Task has a
time-out, the one retry policy, and a Catch that its machine decides on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from lambdas.errors import AwsCallFailed

# What Lambda may answer although the function is all right, and what a lost or slow function looks like:
# https://docs.aws.amazon.com/step-functions/latest/dg/bp-lambda-serviceexception.html
TRANSIENT_ERRORS = (
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
    "Lambda.Unknown",
    "Sandbox.Timedout",
    "Runtime.ExitError",
    sfn.Errors.TIMEOUT,
    AwsCallFailed.__name__,
)

ALREADY_STARTED = "StepFunctions.ExecutionAlreadyExistsException"
"""The same name and a closed execution: an earlier attempt to start it worked, and its answer was lost."""

NOW = sfn.JsonPath.string_at("$$.State.EnteredTime")
EXECUTION = sfn.JsonPath.string_at("$$.Execution.Id")
STARTED = sfn.JsonPath.string_at("$$.Execution.StartTime")
INPUT = sfn.JsonPath.object_at("$$.Execution.Input")
FAILURE = "$.failure"
NO_FAILURE: Mapping[str, str] = {}
"""What a function is given as its failure when nothing has failed."""

State = sfn.IChainable
Given = Mapping[str, Any]


@dataclass(frozen=True)
class Patience:
    """How long a step may take, and how often it is tried. `seconds` is above the function's own time-out."""

    seconds: int
    attempts: int
    first_pause_seconds: int
    backoff_rate: int = 2


FORWARD = Patience(seconds=35, attempts=5, first_pause_seconds=2)
"""Going forward nothing is urgent: 2, 4, 8 and 16 s of pauses outlast a short throttling."""
FORWARD_SLOW = Patience(seconds=65, attempts=5, first_pause_seconds=2)
"""For functions that may take a minute: they make a dozen requests, or ask others who take their time."""
SWITCH_FORWARD = Patience(seconds=12, attempts=5, first_pause_seconds=2)
"""A writer of the listener may be tried often, but each try is short: a rollback waits for its end."""
JUDGE = Patience(seconds=17, attempts=5, first_pause_seconds=2)
"""A judgement outlasts a short throttling, too; but while it is tried, users meet what it would find."""
FORWARD_DATA = Patience(seconds=915, attempts=3, first_pause_seconds=2)
"""For functions that read whole tables: as long as a function of Lambda may take, and a little more."""
BACK = Patience(seconds=9, attempts=2, first_pause_seconds=1)
"""On the way back two short attempts are better than a long wait: the watchdog starts anew within a minute."""
BACK_AT_LAST = Patience(seconds=9, attempts=41, first_pause_seconds=15, backoff_rate=1)
"""On the way back, after a human was told that it does not work: every 15 s for ten minutes and more."""
BACK_SLOW = Patience(seconds=65, attempts=2, first_pause_seconds=1)
"""On the way back, but after traffic is safe."""


def at(path: str) -> str:
    """Refer to a text or number in the machine's data."""
    return sfn.JsonPath.string_at(path)


def object_at(path: str) -> Any:  # noqa: ANN401  a token of CDK
    """Refer to an object in the machine's data."""
    return sfn.JsonPath.object_at(path)


def under_lease(release_id: str, lease: str) -> Given:
    """Return what every step under the lease is given, by where the machine's data have it."""
    return {"release_id": at(release_id), "lease": object_at(lease)}


CLAIM = under_lease("$.claim.release_id", "$.claim.lease")
"""The same in a machine whose first step claims."""


class Steps:
    """Makes the states of one machine. `functions` are published versions, by module such as "release.promote"."""

    def __init__(self, scope: Construct, functions: Mapping[str, lambda_.IFunction]) -> None:
        self._scope = scope
        self._functions = functions

    def task(
        self,
        name: str,
        module: str,
        comment: str,
        *,
        given: Given,
        returns: Iterable[str] = (),
        into: str = "",
        starts_anew: bool = False,
        patience: Patience = FORWARD,
    ) -> tasks.LambdaInvoke:
        """
        Call a function. What it `returns` is kept below `$.<into>`; without `into` it is dropped.

        `starts_anew` replaces the data by the answer, which a first state needs: its input may be any JSON.
        """
        kept = {field: sfn.JsonPath.object_at(f"$.Payload.{field}") for field in returns}
        selector: dict[str, Any] | None = ({into: kept} if starts_anew else kept) or None
        path = sfn.JsonPath.DISCARD if not into else "$" if starts_anew else f"$.{into}"
        task = tasks.LambdaInvoke(
            self._scope,
            name,
            comment=comment,
            lambda_function=self._functions[module],
            payload=sfn.TaskInput.from_object({**given, "now": NOW}),
            result_selector=selector if into else None,
            result_path=path,
            retry_on_service_exceptions=False,
            task_timeout=sfn.Timeout.duration(Duration.seconds(patience.seconds)),
        )
        task.add_retry(
            errors=list(TRANSIENT_ERRORS),
            interval=Duration.seconds(patience.first_pause_seconds),
            max_attempts=patience.attempts - 1,
            backoff_rate=patience.backoff_rate,
        )
        return task

    def ask_human(
        self, name: str, module: str, comment: str, *, given: Given, into: str, minutes: int
    ) -> tasks.LambdaInvoke:
        """
        Call a function that keeps a task token, and wait until somebody has used it, whose answer is kept.

        A human who does not answer in time is no lost function, so the time-out is not tried again.
        """
        task = tasks.LambdaInvoke(
            self._scope,
            name,
            comment=comment,
            lambda_function=self._functions[module],
            integration_pattern=sfn.IntegrationPattern.WAIT_FOR_TASK_TOKEN,
            payload=sfn.TaskInput.from_object({**given, "task_token": sfn.JsonPath.task_token, "now": NOW}),
            result_path=f"$.{into}",
            retry_on_service_exceptions=False,
            task_timeout=sfn.Timeout.duration(Duration.minutes(minutes)),
        )
        task.add_retry(
            errors=[each for each in TRANSIENT_ERRORS if each != sfn.Errors.TIMEOUT],
            interval=Duration.seconds(FORWARD.first_pause_seconds),
            max_attempts=FORWARD.attempts - 1,
            backoff_rate=FORWARD.backoff_rate,
        )
        return task

    def tell(
        self,
        name: str,
        kind: str,
        release_id: str,
        *,
        reason: str = "",
        failure: object = NO_FAILURE,
        comment: str = "Sends a message to the people on call. A message that cannot be sent changes nothing.",
    ) -> tasks.LambdaInvoke:
        """Send a message: why is either a `reason` in words, or the `failure` of a Catch."""
        given = {"kind": kind, "release_id": release_id, "reason": reason, "failure": failure, "execution": EXECUTION}
        return self.task(name, "notices.notify", comment, given=given)

    def page_scaling(self, name: str, release_id: str, then: State) -> tasks.LambdaInvoke:
        """Tell that what serves has not got its bounds back, which costs money alone: nothing waits for a human."""
        comment = "Tells the people on call what keeps the group that serves from scaling, and how to let it."
        page = self.tell(name, "scaling_held", release_id, failure=object_at(FAILURE), comment=comment)
        on_error(page, then, result_path=sfn.JsonPath.DISCARD)
        page.next(then)
        return page

    def release_environment(
        self, name: str, comment: str, holder: Given, phase: str, *, failure: object = NO_FAILURE, into: str = ""
    ) -> tasks.LambdaInvoke:
        """Give the lease back, with how the work ended. Why is kept in words below `$.<into>.issue`."""
        return self.task(
            name,
            "release.release_environment",
            comment,
            given={**holder, "phase": phase, "failure": failure},
            returns=("issue",) if into else (),
            into=into,
        )

    def reject(self, problem: str) -> sfn.Fail:
        """End an execution whose input is not understood; where the data have the problem in words."""
        return self.fail(
            "Reject request",
            "The input is not valid. The cause names the field, what is wrong with it, and an example."
            " Nothing was changed.",
            "InvalidRequest",
            cause_path=problem,
        )

    def wait(self, name: str, comment: str, seconds: int) -> sfn.Wait:
        """Wait for a fixed time."""
        return sfn.Wait(self._scope, name, comment=comment, time=sfn.WaitTime.duration(Duration.seconds(seconds)))

    def wait_until(self, name: str, comment: str, moment: str) -> sfn.Wait:
        """Wait until a timestamp in the machine's data, such as "2026-01-02T03:04:06Z"; not at all if it is over."""
        return sfn.Wait(self._scope, name, comment=comment, time=sfn.WaitTime.timestamp_path(moment))

    def ask(self, name: str, comment: str) -> sfn.Choice:
        """Ask a question about the machine's data."""
        return sfn.Choice(self._scope, name, comment=comment)

    def remember(self, name: str, comment: str, into: str, facts: Given) -> sfn.Pass:
        """Work a value out of the machine's data, and keep it below `$.<into>`."""
        return sfn.Pass(self._scope, name, comment=comment, parameters=dict(facts), result_path=f"$.{into}")

    def answer(self, name: str, comment: str, facts: Given) -> sfn.Pass:
        """Put the answer of a branch together, in place of its data."""
        return sfn.Pass(self._scope, name, comment=comment, parameters=dict(facts))

    def at_once(self, name: str, comment: str, into: str, branches: Iterable[State]) -> sfn.Parallel:
        """Go several ways at the same time. What each answers is kept below `$.<into>`, in their order."""
        parallel = sfn.Parallel(self._scope, name, comment=comment, result_path=f"$.{into}")
        for branch in branches:
            parallel.branch(branch)
        return parallel

    def start(
        self, name: str, comment: str, machine: sfn.IStateMachine, execution: str, given: Given
    ) -> tasks.StepFunctionsStartExecution:
        """Start another machine under a derived name, and do not wait for it: stopping this one must not stop it."""
        task = tasks.StepFunctionsStartExecution(
            self._scope,
            name,
            comment=comment,
            state_machine=machine,
            name=execution,
            input=sfn.TaskInput.from_object(dict(given)),
            result_path=sfn.JsonPath.DISCARD,
            task_timeout=sfn.Timeout.duration(Duration.seconds(10)),
        )
        task.add_retry(errors=[ALREADY_STARTED], max_attempts=0)
        task.add_retry(
            errors=[sfn.Errors.ALL],
            interval=Duration.seconds(BACK.first_pause_seconds),
            max_attempts=3,
            backoff_rate=2,
        )
        return task

    def poll(
        self, wait: sfn.Wait, check: sfn.TaskStateBase, question: sfn.Choice, done: sfn.Condition, then: State
    ) -> sfn.Wait:
        """Wait, check, ask; again until it is done. Returns where the loop begins."""
        self.repeat(wait, check, question, done, yes=then, no=wait)
        return wait

    def repeat(
        self,
        wait: sfn.Wait,
        check: sfn.TaskStateBase,
        question: sfn.Choice,
        condition: sfn.Condition,
        *,
        yes: State,
        no: State,
    ) -> sfn.TaskStateBase:
        """Check and ask, and check again after a wait, which is where `yes` or `no` leads. Returns where it begins."""
        wait.next(check)
        check.next(question)
        question.when(condition, yes).otherwise(no)
        return check

    def fail(self, name: str, comment: str, error: str, *, cause: str = "", cause_path: str = "") -> sfn.Fail:
        """End the execution in failure. The error's name is static, so that rules and people can rely on it."""
        return sfn.Fail(
            self._scope, name, comment=comment, error=error, cause=cause or None, cause_path=cause_path or None
        )

    def succeed(self, name: str, comment: str) -> sfn.Succeed:
        """End the execution in success."""
        return sfn.Succeed(self._scope, name, comment=comment)


def on_error(task: sfn.TaskStateBase, then: State, *errors: type[Exception] | str, result_path: str = FAILURE) -> None:
    """Decide where a step's error leads; without `errors`, every error that no earlier decision took."""
    names = [error if isinstance(error, str) else error.__name__ for error in errors]
    task.add_catch(then, errors=names or [sfn.Errors.ALL], result_path=result_path)
