"""Health checks of model applications."""

from rehearsal.clock import Clock
from rehearsal.model.applications import ModelApplications
from rehearsal.world.health import HEALTHY, TIMED_OUT, UNREACHABLE, CheckSettings, Found, Probe, answered_with

_HEADERS = {"User-Agent": "ELB-HealthChecker/2.0"}


def probe_of(applications: ModelApplications) -> Probe:
    """Return what asks the application on a port. A slow answer, or none in time, takes its simulated seconds."""

    def probe(port: int | None, settings: CheckSettings, clock: Clock) -> Found:
        del clock
        path = settings.path.partition("?")[0]
        reply = None if port is None else applications.ask(port, "GET", path, _HEADERS, b"")
        if reply is None:
            return Found(UNREACHABLE)
        if reply.seconds > settings.timeout_seconds:
            return Found(TIMED_OUT, settings.timeout_seconds)
        health = HEALTHY if settings.accepts(reply.answer.status) else answered_with(int(reply.answer.status))
        return Found(health, reply.seconds)

    return probe
