"""What a release's gates look at beside the environment itself, for a scenario to change."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime

import boto3

from rehearsal.clock import Clock
from rehearsal.settings import Settings
from rehearsal.world import earlier_environments, entrances
from rehearsal.world.artifacts import Artifacts
from rehearsal.world.change_calendars import ChangeCalendars
from rehearsal.world.served_certificates import ServedCertificates


@dataclass(frozen=True)
class Surroundings:
    """Of all environments: change calendars, the listeners' certificates, and what versions are made of."""

    calendars: ChangeCalendars
    certificates: ServedCertificates
    artifacts: Artifacts


@contextmanager
def surroundings(
    clock: Clock, environments: Sequence[Settings], versions: Callable[[], Iterable[str]]
) -> Iterator[Surroundings]:
    """Let there be what moto lacks of it. `versions` says which versions there are by now."""
    calendars = list(dict.fromkeys(name for each in environments if each.gates for name in each.gates.calendars))
    with ExitStack() as stack:
        yield Surroundings(
            stack.enter_context(ChangeCalendars(clock, calendars)),
            stack.enter_context(ServedCertificates(clock)),
            stack.enter_context(Artifacts(environments, versions)),
        )


def build(
    session: boto3.Session, environments: Sequence[Settings], of: Surroundings, versions: Sequence[str], now: datetime
) -> None:
    """Make the resources, all as a release wants them. Those of the environments must have been made before."""
    entrances.build(session, environments)
    of.artifacts.make_places(session)
    there = {each.environment for each in environments}
    for settings in environments:
        for before in sorted({each for each in (settings.after, settings.validated_in) if each} - there):
            there.add(before)
            earlier_environments.build(session, settings, before, versions, now)
