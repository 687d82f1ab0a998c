"""What a scenario is: it plays, and then keeps its promises or says which one it broke."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from rehearsal.circumstances import LATER_VERSIONS, Circumstances
from rehearsal.report import Report
from rehearsal.scenarios.promises import Promise, enough_traffic
from rehearsal.stage import Stage

OLD_VERSION = "1a2b3c4"
NEW_VERSION, OTHER_VERSION = LATER_VERSIONS


@dataclass(frozen=True)
class Scenario:
    """
    `expected` is the outcome of the release; `promises` are what else must be true afterwards.

    `environment` names the settings, if it is to be rehearsed on others than a user asks for; `beside` those of another
    environment of the service, which is in the same account, with users of its own.
    """

    name: str
    summary: str
    expected: str
    play: Callable[[Stage], None]
    promises: tuple[Promise, ...] = ()
    circumstances: Circumstances = field(default_factory=Circumstances)
    environment: str = ""
    beside: str = ""

    def broken_promises(self, report: Report) -> Iterator[str]:
        """Name everything that is not as this scenario promises."""
        if report.outcome != self.expected:
            yield f"the release ended as {report.outcome}, not as {self.expected}"
        if report.lease_holder is not None:
            yield f"the environment is still held by {report.lease_holder}"
        for each in report.beside:
            if each.lease_holder is not None:
                yield f"{each.environment} is still held by {each.lease_holder}"
        for violation in report.invariants["violated"]:
            yield f"invariant broken by {violation['call']}: {violation['invariant']}: {violation['found']}"
        for call in report.unsupported:
            yield f"the emulator cannot answer {call}, so nothing is proven"
        for denied in report.judgement.denied:
            yield f"denied on AWS: {denied}"
        for malformed in report.judgement.malformed:
            yield f"no request that AWS's model accepts: {malformed}"
        yield from filter(None, (promise(report) for promise in (enough_traffic, *self.promises)))
