"""How much instances and the database bear, by the metrics that AWS and the CloudWatch agent would publish of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rehearsal.engine.metrics import Metric
from rehearsal.settings import Settings
from rehearsal.world.fleet import Fleet, RunningInstance
from rehearsal.world.gauge_metrics import Reading

EC2, AGENT, RDS = "AWS/EC2", "CWAgent", "AWS/RDS"
_FULL_PERCENT = 100.0


@dataclass(frozen=True)
class Load:
    """What each instance of a color bears, in percent."""

    cpu: float = 30.0
    memory: float = 40.0
    disk: float = 50.0


class Strain:
    """
    Quiet as long as no scenario says otherwise; what it says is in the next minute's metrics.

    Versions whose behaviour has a `memory_percent_per_minute` need that much more every minute, on each instance.
    """

    def __init__(self, settings: Settings, fleet: Fleet) -> None:
        self._settings = settings
        self._fleet = fleet
        self._loads = {color: Load() for color in settings.colors}
        self._connections_percent = 10.0
        self._grown: dict[str, float] = {}

    def cpu(self, color: str, percent: float) -> None:
        """Let the instances of a color compute so much from now on."""
        self._loads[color] = replace(self._loads[color], cpu=percent)

    def memory(self, color: str, percent: float) -> None:
        """Let the instances of a color need so much of their memory from now on."""
        self._loads[color] = replace(self._loads[color], memory=percent)

    def disk(self, color: str, percent: float) -> None:
        """Let the instances of a color have so much on their disks from now on."""
        self._loads[color] = replace(self._loads[color], disk=percent)

    def connections(self, percent: float) -> None:
        """Let so much of the connections that the database allows be in use from now on."""
        self._connections_percent = percent

    def look(self) -> Iterator[Reading]:
        """Measure; to be called once a minute. A color without instances is not told."""
        running = self._fleet.instances()
        self._grow(running)
        for name, color in self._settings.colors.items():
            group, load = color.auto_scaling_group, self._loads[name]
            instances = [each for each in running if each.group == group]
            memory = tuple(min(load.memory + self._grown[each.instance_id], _FULL_PERCENT) for each in instances)
            dimensions = frozenset({("AutoScalingGroupName", group)})
            yield Reading(Metric(EC2, "CPUUtilization", dimensions), (load.cpu,) * len(instances), "Percent")
            yield Reading(Metric(AGENT, "mem_used_percent", dimensions), memory, "Percent")
            yield Reading(Metric(AGENT, "disk_used_percent", dimensions), (load.disk,) * len(instances), "Percent")
        database = self._settings.database
        of_database = frozenset({("DBInstanceIdentifier", database.instance)})
        connections = round(self._connections_percent / 100 * database.maximum_connections)
        yield Reading(Metric(RDS, "DatabaseConnections", of_database), (float(connections),), "Count")

    def _grow(self, running: Sequence[RunningInstance]) -> None:
        self._grown = {
            each.instance_id: self._grown.get(each.instance_id, 0.0)
            + self._fleet.behaviour(each.version).memory_percent_per_minute
            for each in running
        }
