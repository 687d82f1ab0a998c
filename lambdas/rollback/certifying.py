"""What all do alike who certify a machine: ask what its actors may do, and write down what came of all their checks."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from lambdas.errors import AwsCallFailed, RunbackError
from lambdas.observability import FAILED_REQUEST, describe, logger
from lambdas.release.record import ReleaseRecord
from lambdas.rollback.certificate_rules import (
    Actor,
    Certificate,
    Finding,
    Kind,
    Need,
    Outcome,
    Starter,
    as_record,
    check_function,
    check_machine,
    check_rights,
    check_starter,
    explain,
    name_of_function,
    not_checked,
    questions,
    unproven,
    verdict,
)
from lambdas.rollback.event_bus import EventBus
from lambdas.rollback.lambda_functions import LambdaFunctions
from lambdas.rollback.machines import Machines
from lambdas.rollback.policy_simulator import PolicySimulator

T = TypeVar("T")


def checked(subject: str, check: Callable[[T], Iterable[Finding]], about: T) -> Iterator[Finding]:
    """Make a check. One that AWS does not let us make proves nothing, and keeps no other from being made."""
    try:
        yield from list(check(about))
    except (*FAILED_REQUEST, RunbackError, LookupError) as error:
        yield not_checked(subject, describe(error))


@dataclass(frozen=True)
class Rights:
    """
    Walks from what starts a machine to its functions, and asks what each of them may do.

    `calls` are the versions of the functions as machine and rules call them, by name: their roles are those that count.
    """

    certificate: Certificate
    machines: Machines
    event_bus: EventBus
    lambda_functions: LambdaFunctions
    simulator: PolicySimulator
    calls: dict[str, str] = field(default_factory=dict)

    def findings(self) -> Iterator[Finding]:
        """Check machine, rules and functions."""
        for machine in self.certificate.of_kind(Kind.MACHINE):
            yield from checked(machine.name, self._of_machine, machine)
        for starter in self.certificate.starters:
            yield from checked(f"rule {starter.name}", self._of_starter, starter)
        for function in self.certificate.of_kind(Kind.FUNCTION):
            yield from checked(function.name, self._of_function, function)

    def _of_machine(self, machine: Actor) -> Iterator[Finding]:
        found = self.machines.describe(self.certificate.machine)
        self.calls.update(found.calls)
        yield check_machine(machine.name, found, self.certificate.actors)
        yield self._rights(machine, found.role)

    def _of_starter(self, starter: Starter) -> Iterator[Finding]:
        found = self.event_bus.rule(starter.name)
        yield check_starter(starter, found)
        for arn, role in found.targets.items() if found else ():
            if starter.calls(arn):
                self.calls.setdefault(name_of_function(arn), arn)
                for rule in self.certificate.of_kind(Kind.RULE):
                    if rule.name == starter.name:
                        yield self._rights(rule, role)

    def _of_function(self, function: Actor) -> Iterator[Finding]:
        if function.name not in self.calls:
            yield not_checked(function.name, "which version of it is called is not known")
            return
        found = self.lambda_functions.describe(self.calls[function.name])
        yield check_function(function, found)
        if found:
            yield self._rights(function, found.role)

    def _rights(self, actor: Actor, role: str) -> Finding:
        """A rule without a role may do nothing."""
        decisions: dict[Need, str] = {}
        for question in questions(actor.needs) if role else ():
            decisions |= self.simulator.decide(role, question)
        return check_rights(actor, decisions)


@dataclass(frozen=True)
class Conclusion:
    """
    What follows from the checks for a release.

    `about` is what was to be proven, in words; `kept_as` is the field of the release's history. A machine of which
    something is missing raises `refusal`, one of which something could not be seen AwsCallFailed: trying again may
    help. Both only where settings enforce it.
    """

    about: str
    kept_as: str
    refusal: type[RunbackError]
    enforced: bool

    def write(
        self, record: ReleaseRecord, release_id: str, certificate: Certificate, findings: Sequence[Finding], now: str
    ) -> str:
        """Write everything into the release's history; return what did not pass, in words, or raise it."""
        concern = explain(findings, self.about)
        noted = as_record(findings, unproven(certificate), now, enforced=self.enforced)
        record.note_release(release_id, {self.kept_as: noted})
        if concern:
            logger.warning("Not everything is proven", about=self.about, findings=noted["findings"])
        if not self.enforced or not concern:
            return concern
        raise (self.refusal if verdict(findings) is Outcome.FAILED else AwsCallFailed)(concern)
