"""What an operator sees of an environment at one glance."""

from collections import Counter
from collections.abc import Iterator, Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from cdk.alarms import Alarms, AlarmSpec
from cdk.names import Names
from cdk.settings import EnvironmentSettings

_ROW = 4
"""Four rows of this height are as much as a screen shows without scrolling."""
_QUARTER = 6
"""Of the 24 columns of a dashboard."""
_SHADES = {
    "blue": ("#1f77b4", "#aec7e8", "#17becf", "#9edae5"),
    "green": ("#2ca02c", "#98df8a", "#bcbd22", "#dbdb8d"),
    "": ("#7f7f7f", "#9467bd", "#8c564b", "#e377c2"),
}
"""Lines of a color have its color, lines of all traffic neither."""
_FROM_ZERO = cloudwatch.YAxisProps(min=0, show_units=False)
_ENDS = ("ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted")


def machines(settings: EnvironmentSettings) -> tuple[str, ...]:
    """Return the machines of an environment: not each restores its database, nor releases pushes."""
    restores = ("restore-database",) if settings.restore else ()
    pushes = ("push",) if settings.pushes else ()
    return ("deploy", "rollback", "clean-up", "operate", "report", *pushes, *restores)


class Dashboard(Construct):
    """
    One screen: all alarms, then what users get, then what the application stands on, then its instances.

    Graphs draw exactly what the alarms watch, with their thresholds as lines: whoever is paged sees the reason.
    """

    def __init__(self, scope: Construct, construct_id: str, settings: EnvironmentSettings, alarms: Alarms) -> None:
        super().__init__(scope, construct_id)
        self._settings = settings
        self._specs = alarms.specs
        cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=settings.prefix,
            default_interval=Duration.hours(3),
            widgets=[
                [
                    _states("Any alarm", alarms.composites, 4),
                    _states("Critical", alarms.critical, 12),
                    _states("Warnings", alarms.warning, 8),
                ],
                [
                    self._raw("Requests a minute", "error-rate-", "requests"),
                    self._graph("Failed requests (%)", "error-rate-", "balancer-error-rate-", "fast-error-rate"),
                    self._graph("Response time (s)", "response-time-", "fast-response-time"),
                    self._raw("Healthy instances", "healthy-hosts-", "hosts"),
                ],
                [
                    self._graph("Success of the probe (%)", "probe-"),
                    self._graph("Query of the probe (ms)", "query-time"),
                    self._graph("Database connections (%)", "database-connections"),
                    self._executions(),
                ],
                [
                    self._graph("Processors (%)", "cpu", width=8),
                    self._graph("Memory (%)", "memory", width=8),
                    self._graph("Disk (%)", "disk", width=8),
                ],
            ],
        )

    def _graph(self, title: str, *subjects: str, width: int = _QUARTER) -> cloudwatch.GraphWidget:
        """Draw what these alarms watch; a subject that ends with a hyphen is the beginning of several."""
        shades = _Shades()
        return cloudwatch.GraphWidget(
            title=title,
            left=[
                spec.metric(number, label=_label(spec), color=shades.next(spec.name.color))
                for number, spec in enumerate(self._watching(*subjects))
            ],
            left_annotations=list(_bounds([spec for spec in self._specs if _is_about(spec, subjects)])),
            left_y_axis=_FROM_ZERO,
            width=width,
            height=_ROW,
        )

    def _raw(self, title: str, subject: str, metric: str) -> cloudwatch.GraphWidget:
        """Draw one of the metrics that these alarms compute with; an alarm makes something of it when it is absent."""
        shades = _Shades()
        return cloudwatch.GraphWidget(
            title=title,
            left=[
                spec.metrics[metric].metric(
                    Duration.seconds(spec.lasting.period_seconds),
                    label=_label(spec).removeprefix(subject),
                    color=shades.next(spec.name.color),
                )
                for spec in self._watching(subject)
            ],
            left_y_axis=_FROM_ZERO,
            width=_QUARTER,
            height=_ROW,
        )

    def _watching(self, *subjects: str) -> list[AlarmSpec]:
        """Return one alarm for each thing that is watched: a warning and a critical one watch the same."""
        found = {(spec.name.subject, spec.name.color): spec for spec in self._specs if _is_about(spec, subjects)}
        return list(found.values())

    def _executions(self) -> cloudwatch.GraphWidget:
        """Draw how executions of the machines ended: well on the left, otherwise on the right."""
        return cloudwatch.GraphWidget(
            title="Executions that succeeded (left), or did not (right)",
            left=[self._count(machine, "ExecutionsSucceeded") for machine in machines(self._settings)],
            right=[self._count(machine, end) for machine in machines(self._settings) for end in _ENDS],
            left_y_axis=_FROM_ZERO,
            right_y_axis=_FROM_ZERO,
            width=_QUARTER,
            height=_ROW,
        )

    def _count(self, machine: str, end: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace="AWS/States",
            metric_name=end,
            dimensions_map={"StateMachineArn": Names(self._settings).machine_arn(machine)},
            statistic="Sum",
            period=Duration.minutes(5),
            label=f"{machine} {end.removeprefix('Executions').lower()}",
        )


class _Shades:
    """Gives each line of a graph a shade of its color that no other one has, as long as there are enough."""

    def __init__(self) -> None:
        self._used: Counter[str] = Counter()

    def next(self, color: str) -> str:
        shades = _SHADES[color]
        self._used[color] += 1
        return shades[(self._used[color] - 1) % len(shades)]


def _is_about(spec: AlarmSpec, subjects: Sequence[str]) -> bool:
    found = spec.name.subject
    return any(found.startswith(each) if each.endswith("-") else found == each for each in subjects)


def _label(spec: AlarmSpec) -> str:
    return f"{spec.name.subject} {spec.name.color}".strip()


def _bounds(specs: Sequence[AlarmSpec]) -> Iterator[cloudwatch.HorizontalAnnotation]:
    """Yield a line for each threshold; where a warning and a critical alarm share one, it is critical."""
    critical = {spec.threshold: spec.is_critical for spec in sorted(specs, key=lambda spec: spec.is_critical)}
    for threshold, is_critical in sorted(critical.items()):
        yield cloudwatch.HorizontalAnnotation(
            value=threshold,
            label="critical" if is_critical else "warning",
            color=cloudwatch.Color.RED if is_critical else cloudwatch.Color.ORANGE,
        )


def _states(title: str, alarms: Sequence[cloudwatch.IAlarm], width: int) -> cloudwatch.AlarmStatusWidget:
    return cloudwatch.AlarmStatusWidget(title=title, alarms=list(alarms), width=width, height=_ROW)
