"""What was counted in the application's log."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.checks.application_log import ApplicationLog
from lambdas.checks.rules import Count, LogRules
from lambdas.judge.evidence_rules import Evidence, Span, Tally
from lambdas.observability import logger

_MOST_READINGS = 3


@dataclass(frozen=True)
class LogCounts:
    """Requests, errors and slow requests of versions, by the patterns of settings."""

    log: ApplicationLog
    rules: LogRules

    def readable_evidence(self, new: str, old: str, span: Span) -> Evidence | None:
        """Count as `evidence` does, or say that it cannot be done: a release must not end because a reading does."""
        try:
            return self.evidence(new, old, span)
        except (ClientError, BotoCoreError):
            logger.warning("The application's log could not be read", exc_info=True)
            return None

    def evidence(self, new: str, old: str, span: Span) -> Evidence | None:
        """
        Count the requests to two versions over the same time; None when that is not possible.

        A log that is too large to be read in time is judged by its beginning, for both versions.
        """
        for _ in range(_MOST_READINGS):
            if span.is_empty:
                return None
            counts = [self._count(pattern, version, span) for version in (new, old) for pattern in self._patterns()]
            read = [each.until_ms for each in counts if each.until_ms is not None]
            if not read:
                requests = [each.events for each in counts]
                return Evidence(Tally.counted(*requests[:3]), Tally.counted(*requests[3:]))
            span = replace(span, until=datetime.fromtimestamp(min(read) / 1000, UTC))
        return None

    def _patterns(self) -> tuple[str, str, str]:
        return self.rules.request_pattern, self.rules.error_pattern, str(self.rules.slow_pattern)

    def _count(self, pattern: str, version: str, span: Span) -> Count:
        until_ms = round(span.until.timestamp() * 1000) - 1
        return self.log.count(pattern.replace("{version}", version), round(span.since.timestamp() * 1000), until_ms)
