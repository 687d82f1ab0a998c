"""States Language: paths, Choice, error names, and times in the context object."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from jsonpath_ng.ext.parser import parse as parse_json_path
from moto.stepfunctions.parser.api import HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.error_equals_decl import ErrorEqualsDecl
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.state import state as state_module
from moto.stepfunctions.parser.asl.component.state.choice.comparison.comparison_func import ComparisonFuncValue
from moto.stepfunctions.parser.asl.component.state.choice.comparison.variable import NoSuchVariable
from moto.stepfunctions.parser.asl.component.state.choice.state_choice import StateChoice
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.timestamp import Timestamp
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.states import ExecutionData, StateData
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.utils import json_path
from moto.stepfunctions.parser.backend import execution_worker

from rehearsal.engine.interpreter.observers import Interpreter
from rehearsal.engine.interpreter.patching import Fix, Patches

SINGLE_NODE_PATH = re.compile(r"\$(\.[A-Za-z_][\w-]*|\['[^']*'\]|\[\d+\])*")
RUNTIME_COMPONENTS = "moto.stepfunctions.parser.asl.component.state."


def paths_through_a_list_give_one_value(patches: Patches, _: Interpreter) -> None:
    """
    Give one value for a path that can only name one node: `$.List[0].field`.

    AWS: so, also for a Choice's Variable.
    https://docs.aws.amazon.com/step-functions/latest/dg/amazon-states-language-paths.html
    moto: wraps it in a list, so that a Choice on it silently takes its Default.
    """
    parse = lru_cache(maxsize=1024)(parse_json_path)
    original = json_path.extract_json

    def extract_json(path: str, data: Any) -> Any:
        if SINGLE_NODE_PATH.fullmatch(path) and (matches := parse(path).find(data)):
            return matches[0].value
        return original(path, data)

    patches.set_everywhere(original, extract_json)


def wildcards_catch_what_aws_lets_them_catch(patches: Patches, _: Interpreter) -> None:
    """
    Let States.ALL and States.TaskFailed catch what they catch on AWS.

    AWS: States.ALL catches neither States.Runtime nor States.DataLimitExceeded; States.TaskFailed catches whatever
    States.ALL does, except States.Timeout.
    https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
    moto: States.ALL catches everything, which rehearses rollbacks that AWS would never start; States.TaskFailed
    catches no error of the States family, such as States.Permissions.
    """
    never = {"States.Runtime", "States.DataLimitExceeded"}
    wildcards = {"States.ALL": never, "States.TaskFailed": never | {"States.Timeout"}}

    def evaluate(self: ErrorEqualsDecl, env: Environment) -> None:
        reported: str | None = env.stack.pop().error_name
        names = {str(name.error_name) for name in self.error_names}
        caught_by_wildcard = any(reported not in wildcards[name] for name in names & wildcards.keys())
        env.stack.append(reported in names or caught_by_wildcard)

    patches.set(ErrorEqualsDecl, "_eval_body", evaluate)


def states_errors_keep_their_name(patches: Patches, _: Interpreter) -> None:
    """
    Keep the names of the States family.

    AWS: an error that leaves a Parallel branch, or that a Fail state names through ErrorPath, keeps its name, also
    when that is `States.Timeout`.
    https://docs.aws.amazon.com/step-functions/latest/dg/state-parallel.html
    moto: refuses names that begin with `States.` there, and ends the execution with States.Runtime, uncaught.
    """

    class ReportedErrorName(CustomErrorName):
        def __init__(self, error_name: str | None) -> None:
            ErrorName.__init__(self, error_name=error_name)

    patches.set_everywhere(CustomErrorName, ReportedErrorName, under=RUNTIME_COMPONENTS)


def choices_without_a_match_say_so(patches: Patches, _: Interpreter) -> None:
    """
    Fail with States.NoChoiceMatched.

    AWS: a Choice that matches no rule and has no Default fails the execution with States.NoChoiceMatched.
    https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
    moto: States.Runtime, with the text of a Python exception.
    """
    original = StateChoice._eval_state

    def evaluate(self: StateChoice, env: Environment) -> None:
        try:
            original(self, env)
        except RuntimeError as error:
            if self.default_state is not None or not str(error.args[0]).startswith("No branching option reached"):
                raise
            cause = f"No rule of the Choice state '{self.name}' matched, and it has no Default."
            raise _failure(env, StatesErrorNameType.StatesNoChoiceMatched, cause) from error

    patches.set(StateChoice, "_eval_state", evaluate)


def comparing_what_is_not_there_fails(patches: Patches, _: Interpreter) -> None:
    """
    Fail when a Choice compares what its input does not hold.

    AWS: comparing a variable that the input does not hold fails the execution with States.Runtime; only the Is…
    operators may look at one. https://docs.aws.amazon.com/step-functions/latest/dg/state-choice.html
    moto: takes the rule for not matched, so that a misspelt path silently leads to Default.
    """
    original = ComparisonFuncValue._eval_body

    def evaluate(self: ComparisonFuncValue, env: Environment) -> None:
        variable = env.stack[-1]
        if isinstance(variable, NoSuchVariable) and not self.operator_type.name.startswith("Is"):
            path = variable.path.partition(",")[0]
            cause = f"Invalid path '{path}': The choice state's condition path references an invalid value."
            raise _failure(env, StatesErrorNameType.StatesRuntime, cause)
        original(self, env)

    patches.set(ComparisonFuncValue, "_eval_body", evaluate)


def times_are_written_as_on_aws(patches: Patches, _: Interpreter) -> None:
    """
    Write times in the context object with milliseconds and Z.

    AWS: times in the context object read `2026-01-02T03:04:05.678Z`.
    https://docs.aws.amazon.com/step-functions/latest/dg/input-output-contextobject.html
    moto: EnteredTime has microseconds and `+00:00`; StartTime is a Python object, and using it breaks
    DescribeExecution.
    """

    def with_time(original: Callable[..., Any], key: str) -> Callable[..., Any]:
        def build(**values: Any) -> Any:
            return original(**{**values, key: _aws_time(values[key])})

        return build

    patches.set(state_module, "StateData", with_time(StateData, "EnteredTime"))
    patches.set(execution_worker, "ExecutionData", with_time(ExecutionData, "StartTime"))


def waits_end_at_their_timestamp(patches: Patches, _: Interpreter) -> None:
    """
    Let a Wait with a timestamp go on when that has come, and not before.

    AWS: waits until the time; a numeric offset may stand in place of `Z`.
    https://docs.aws.amazon.com/step-functions/latest/dg/state-wait.html
    moto: cuts the seconds that remain to a whole number, so that it goes on up to a second too early; and it takes
    `Z` only.
    """
    pattern = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})")

    def from_timestamp_string(timestamp: str) -> datetime | None:
        if not pattern.fullmatch(timestamp):
            return None
        try:
            moment = datetime.fromisoformat(timestamp).astimezone(UTC)
        except ValueError:
            return None
        return (moment + timedelta(seconds=1, microseconds=-1)).replace(tzinfo=None)

    patches.set(Timestamp, "_from_timestamp_string", staticmethod(from_timestamp_string))


def definitions_are_parsed_once(patches: Patches, _: Interpreter) -> None:
    """
    Parse a definition once.

    AWS: StartExecution takes some milliseconds.
    moto: parses the definition again for every execution, about 1.5 ms per state. Parsed definitions hold no state
    of an execution, so executions can share one.
    """
    parse = lru_cache(maxsize=64)(AmazonStateLanguageParser.parse)
    patches.set(AmazonStateLanguageParser, "parse", staticmethod(parse))


FIXES: tuple[Fix, ...] = (
    paths_through_a_list_give_one_value,
    wildcards_catch_what_aws_lets_them_catch,
    states_errors_keep_their_name,
    choices_without_a_match_say_so,
    comparing_what_is_not_there_fails,
    times_are_written_as_on_aws,
    waits_end_at_their_timestamp,
    definitions_are_parsed_once,
)


def _failure(env: Environment, error: StatesErrorNameType, cause: str) -> FailureEventException:
    details: Any = {"executionFailedEventDetails": {"error": error.to_name(), "cause": cause}}
    return FailureEventException(
        FailureEvent(
            env=env,
            error_name=StatesErrorName(typ=error),
            event_type=HistoryEventType.ExecutionFailed,
            event_details=details,
        )
    )


def _aws_time(moment: datetime | str) -> str:
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
