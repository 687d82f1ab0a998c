"""Health checks of model applications."""

from rehearsal.clock import Clock
from rehearsal.model.applications import ModelApplications
from rehearsal.world.health import HEALTHY, TIMED_OUT, UNREACHABLE, CheckSettings, Probe, TargetHealth, answered_with

_HEADERS = {"User-Agent": "ELB-HealthChecker/2.0"}


def probe_of(applications: ModelApplications) -> Probe:
    """Return what asks the application on a port. A slow answer, or none in time, takes its simulated seconds."""

    def probe(port: int | None, settings: CheckSettings, clock: Clock) -> TargetHealth:
        path = settings.path.partition("?")[0]
        reply = None if port is None else applications.ask(port, "GET", path, _HEADERS, b"")
        if reply is None:
            return UNREACHABLE
        if reply.seconds:
            clock.sleep(min(reply.seconds, settings.timeout_seconds))
        if reply.seconds > settings.timeout_seconds:
            return TIMED_OUT
        return HEALTHY if settings.accepts(reply.answer.status) else answered_with(int(reply.answer.status))

    return probe
