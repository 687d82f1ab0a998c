"""Who has asked for a restore, as far as the record knows by now."""

from dataclasses import dataclass

from lambdas.operate.trail_rules import Requester, who_asked
from lambdas.release.callers import Callers
from lambdas.release.restore_rules import Restore


@dataclass(frozen=True)
class Requesters:
    """Looks among the `callers` that CloudTrail has told of."""

    callers: Callers

    def of(self, restore: Restore) -> Requester:
        """Return who has started a restore, or the rollback that did."""
        asked_by = self.callers.of(restore.asked_by) if restore.asked_by else None
        return who_asked(restore, self.callers.of(restore.requested_by), asked_by)
