"""State machines: what they are, under which role they act, and which functions they call."""

from collections.abc import Iterator
from dataclasses import dataclass
from json import loads
from typing import TYPE_CHECKING, Any

from lambdas.rollback.certificate_rules import MachineState, name_of_function

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


@dataclass(frozen=True)
class Machines:
    """`stepfunctions` is a boto3 client."""

    stepfunctions: "SFNClient"

    def describe(self, arn: str) -> MachineState:
        """Read a machine's state, role and calls."""
        found = self.stepfunctions.describe_state_machine(stateMachineArn=arn)
        calls = {name_of_function(arn): arn for arn in _functions(loads(found["definition"]))}
        return MachineState(found.get("status", ""), found["roleArn"], calls)


def _functions(part: Any) -> Iterator[str]:  # noqa: ANN401  a part of a definition can be any JSON
    """Yield the ARN of every function that a definition calls, however deep the call stands."""
    if isinstance(part, dict):
        called = part.get("FunctionName")
        if isinstance(called, str):
            yield called
        for each in part.values():
            yield from _functions(each)
    elif isinstance(part, list):
        for each in part:
            yield from _functions(each)
