"""Who has asked for what waits for an answer, as far as the record knows by now."""

from dataclasses import dataclass

from lambdas.operate.trail_rules import Requester, who_asked
from lambdas.operate.waiting_rules import Waiting
from lambdas.release.callers import Callers


@dataclass(frozen=True)
class Requesters:
    """Looks among the `callers` that CloudTrail has told of."""

    callers: Callers

    def of(self, waiting: Waiting) -> Requester:
        """Return who has started a release or a restore, or the rollback that did."""
        asked_by = self.callers.of(waiting.asked_by) if waiting.asked_by else None
        return who_asked(waiting, self.callers.of(waiting.requested_by), asked_by)
