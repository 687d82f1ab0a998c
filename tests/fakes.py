"""Stand-ins that keep what they are told, for AWS things whose emulation would prove nothing more."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from lambdas.traffic.freeze_rules import ListenerRule


@dataclass
class FakeExecutions:
    """Executions of state machines, as `lambdas.rollback.executions.Executions` sees them."""

    running: set[str] = field(default_factory=set)
    stopped: list[str] = field(default_factory=list)
    started: dict[str, dict[str, Any]] = field(default_factory=dict)

    def runs(self, execution_arn: str) -> bool:
        return execution_arn in self.running

    def stop(self, execution_arn: str, cause: str) -> None:
        assert cause
        self.running.discard(execution_arn)
        self.stopped.append(execution_arn)

    def start(self, machine_arn: str, name: str, given: dict[str, Any]) -> None:
        assert machine_arn
        self.started.setdefault(name, given)


@dataclass
class FakeParameters:
    """The runbook's SSM parameters, as `lambdas.release.parameters.Parameters` writes them."""

    active: str = ""
    previous: str = ""
    way_back: str = "/way-back"
    written: dict[str, str] = field(default_factory=dict)

    def write(self, name: str, value: str) -> None:
        self.written[name] = value

    def point_at(self, active: str, previous: str) -> None:
        self.active, self.previous = active, previous


@dataclass
class ShownListener:
    """A load balancer whose only route shows these weights."""

    weights: dict[str, int]

    def forwards(self, arns: Iterable[str]) -> dict[str, dict[str, int]]:
        return dict.fromkeys(arns, self.weights)


@dataclass
class KeptRules:
    """Listeners with these rules, as `lambdas.traffic.listeners.Listeners` reads them."""

    kept: list[ListenerRule] = field(default_factory=list)

    def rules(self, listener: str) -> list[ListenerRule]:
        assert listener
        return self.kept


class LosesAnswers:
    """A client whose next answer to an operation is lost after the request has worked: botocore sends it again."""

    def __init__(self, client: Any, operation: str) -> None:
        self._client = client
        self._operation = operation

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)
        return self._twice(real) if name == self._operation else real

    def _twice(self, real: Any) -> Any:
        def send(**request: Any) -> Any:
            real(**request)
            return real(**request)

        return send
