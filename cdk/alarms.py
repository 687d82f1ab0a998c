"""
Which alarms an environment has: a table of values first, then what makes them in CloudWatch.

No alarm has an action. Of a critical one EventBridge tells the rollback machine, which goes back or pages; of a warning
it tells a function that writes to people. So nobody is paged twice, and what happens is decided in one place, with the
record at hand.

How long something must last is the same trade everywhere. Metrics of a load balancer are absent without traffic, and
come a minute or two late; where what is absent is filled up with 0, the newest one or two points are always such
fillings. So more points are looked at than must be breaching: that costs no time, because an alarm goes on with the
last one that it needs. `cdk.budget` adds up what that means in seconds.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from cdk.names import Names
from cdk.settings import COLORS, EnvironmentSettings, Thresholds
from lambdas.checks.rules import PROBE_NAMESPACE
from lambdas.judge.alarm_rules import CRITICAL, AlarmName, Effect

LOAD_BALANCER = "AWS/ApplicationELB"

ABOVE = cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD
BELOW = cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD

QUIET = cloudwatch.TreatMissingData.NOT_BREACHING
"""Nothing measured is nothing wrong: no traffic, or an idle color without instances."""
SILENCE_IS_BAD = cloudwatch.TreatMissingData.BREACHING
"""Somebody always measures this; when nobody does, nobody would see a fault."""

_READ_THE_LOG = "Look into the application's log."
_LOOK_AT_THE_LOAD = "Look at the database's load and at the instances' processors."

Dimensions = tuple[tuple[str, str], ...]
Metrics = Mapping[str, "Measured"]


@dataclass(frozen=True)
class Measured:
    """One metric of CloudWatch, and how its values in a period become one."""

    namespace: str
    name: str
    statistic: str
    dimensions: Dimensions

    def metric(self, period: Duration, **looks: str) -> cloudwatch.Metric:
        """Return it as the CDK knows it; `looks` are label and color of its line in a graph."""
        return cloudwatch.Metric(
            namespace=self.namespace,
            metric_name=self.name,
            statistic=self.statistic,
            dimensions_map=dict(self.dimensions),
            period=period,
            **looks,
        )


@dataclass(frozen=True)
class Lasting:
    """`breaching` of the last `looked_at` periods."""

    period_seconds: int
    breaching: int
    looked_at: int

    def __str__(self) -> str:
        if self.breaching == self.looked_at:
            return f"for {self.looked_at * self.period_seconds} s"
        return f"in {self.breaching} of the last {self.looked_at} periods of {self.period_seconds} s"


BALANCER_CRITICAL = Lasting(60, breaching=1, looked_at=3)
"""
A second minute would be later than the five in which traffic has to be safe; the expressions see to it that one minute
is no bad luck. The newest two of the points looked at may be late.
"""
BALANCER_WARNING = Lasting(60, breaching=3, looked_at=5)
INSTANCES = Lasting(60, breaching=3, looked_at=3)
PROCESSORS = Lasting(300, breaching=1, looked_at=1)
"""EC2 publishes only every five minutes, unless a launch template asks for detailed monitoring."""
DATABASE = Lasting(60, breaching=3, looked_at=3)
PROBE_WARNING = Lasting(60, breaching=2, looked_at=3)
PROBE_CRITICAL = Lasting(60, breaching=1, looked_at=3)
"""Once is enough: the probe itself asks a second time before it says that a check fails."""


_FINEST_ALARM_SECONDS = 10
"""https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html: 10, 30, or minutes."""


def fast(period_seconds: int) -> Lasting:
    """Return how long the application's own metrics must be bad; two of the points looked at may be late."""
    return Lasting(max(period_seconds, _FINEST_ALARM_SECONDS), breaching=3, looked_at=5)


@dataclass(frozen=True)
class AlarmSpec:
    """
    One alarm. `expression` is metric math on `metrics` by their ids, or one id alone.

    `description` is for the human who is paged, or told.
    """

    name: AlarmName
    metrics: Metrics
    expression: str
    comparison: cloudwatch.ComparisonOperator
    threshold: float
    lasting: Lasting
    missing: cloudwatch.TreatMissingData
    description: str

    @property
    def is_critical(self) -> bool:
        """Whether it starts the rollback machine."""
        return self.name.effect in CRITICAL

    def metric(self, number: int | None = None, **looks: str) -> cloudwatch.IMetric:
        """Return what it watches; `number` keeps its ids apart from those of others in the same graph."""
        period = Duration.seconds(self.lasting.period_seconds)
        if self.expression in self.metrics:
            return self.metrics[self.expression].metric(period, **looks)
        suffix = "" if number is None else f"_{number}"
        return cloudwatch.MathExpression(
            expression=re.sub(r"\b[a-z]\w*", rf"\g<0>{suffix}", self.expression),  # functions are in capitals
            using_metrics={f"{each}{suffix}": self.metrics[each].metric(period) for each in self.metrics},
            period=period,
            **{"label": self.name.subject, **looks},
        )


def alarm_specs(settings: EnvironmentSettings) -> tuple[AlarmSpec, ...]:
    """Return all alarms on what an environment's users and colors get; a setting is a threshold of the runbook."""
    rows = _Rows(settings)
    return (
        *rows.of_routes(),
        *rows.of_load_balancers(),
        *rows.of_the_application(),
        *rows.of_instances(),
        *rows.of_the_database(),
        *rows.of_the_probe(),
    )


def critical_alarms(settings: EnvironmentSettings) -> int:
    """Return how many critical alarms there must be; whoever reads them and finds fewer knows that one is gone."""
    return sum(spec.is_critical for spec in alarm_specs(settings))


@dataclass(frozen=True)
class _Watched:
    """Something that is measured, and what it means to whoever is woken by it."""

    subject: str
    color: str
    metrics: Metrics
    expression: str
    what: str
    unit: str
    advice: str
    going_back_helps: bool = True


@dataclass(frozen=True)
class _Rows:
    """The rows, in the order of the path that a request takes."""

    settings: EnvironmentSettings

    def of_routes(self) -> Iterator[AlarmSpec]:
        """Say what each target group answers."""
        alarms = self.settings.alarms
        for route, color, dimensions in _target_groups(self.settings):
            of = f"route {route} on {color}"
            requests = _counted("RequestCount", dimensions)
            failed = _Watched(
                f"error-rate-{route}",
                color,
                {
                    "requests": requests,
                    "errors": _counted("HTTPCode_Target_5XX_Count", dimensions),
                    "connections": _counted("TargetConnectionErrorCount", dimensions),
                },
                self._if_enough_fail("FILL(errors, 0) + FILL(connections, 0)"),
                f"The share of requests to {of} that fail",
                " %",
                _READ_THE_LOG,
            )
            yield from self._rates(failed, alarms.error_rate_percent)
            slow = _Watched(
                f"response-time-{route}",
                color,
                {
                    "requests": requests,
                    "seconds": Measured(LOAD_BALANCER, "TargetResponseTime", self._percentile, dimensions),
                },
                f"IF(FILL(requests, 0) >= {self._requests_to_be_slow}, FILL(seconds, 0), 0)",
                f"The response time ({self._percentile}) of {of}",
                " s",
                _LOOK_AT_THE_LOAD,
            )
            yield from self._rates(slow, alarms.response_time_seconds)
            # An idle color gets no requests, so it may have no instance; one that gets some must have one. In the
            # minute in which a listener lets go of it, it had requests, and nobody counts its hosts any more.
            alive = _Watched(
                f"healthy-hosts-{route}",
                color,
                {"requests": requests, "hosts": Measured(LOAD_BALANCER, "HealthyHostCount", "Minimum", dimensions)},
                self._if_enough("FILL(hosts, 1)", otherwise=1),
                f"The number of healthy instances of {of}, which gets requests,",
                "",
                "Look at the target group's health checks and at the instances.",
            )
            yield self._alarm(alive, Effect.ROLLS_BACK, BELOW, 1, BALANCER_CRITICAL, QUIET)

    def of_load_balancers(self) -> Iterator[AlarmSpec]:
        """
        Say what users get: errors that are the load balancer's own are of no target group.

        A request that it refuses before it has chosen a target (500, 503) is not in its RequestCount.
        """
        for name, dimension in _load_balancers(self.settings).items():
            own = {
                f"elb{status}": _counted(f"HTTPCode_ELB_{status}_Count", dimension) for status in (500, 502, 503, 504)
            }
            failed = " + ".join(f"FILL({each}, 0)" for each in ("errors", *own))
            refused = "FILL(elb500, 0) + FILL(elb503, 0)"
            watched = _Watched(
                f"balancer-error-rate-{name}",
                "",
                {
                    "requests": _counted("RequestCount", dimension),
                    "errors": _counted("HTTPCode_Target_5XX_Count", dimension),
                    **own,
                },
                self._if_enough_fail(failed, f" + {refused}"),
                f"The share of requests to load balancer {name} that fail",
                " %",
                "Look which target group fails, and at the instances' health.",
            )
            yield from self._rates(watched, self.settings.alarms.error_rate_percent)

    def of_the_application(self) -> Iterator[AlarmSpec]:
        """Say the same as of routes, from what the application publishes of itself, and minutes earlier."""
        metrics, alarms = self.settings.judge.metrics, self.settings.alarms
        if metrics is None:
            return
        lasting = fast(metrics.period_seconds)
        for color in COLORS:
            dimension = ((metrics.dimension, self.settings.colors.of(color).auto_scaling_group),)
            requests = Measured(metrics.namespace, metrics.requests, "Sum", dimension)
            failed = _Watched(
                "fast-error-rate",
                color,
                {"requests": requests, "errors": Measured(metrics.namespace, metrics.errors, "Sum", dimension)},
                self._if_enough("100 * FILL(errors, 0) / FILL(requests, 1)"),
                f"The share of requests that the application on {color} says it failed to serve",
                " %",
                _READ_THE_LOG,
            )
            slow = _Watched(
                "fast-response-time",
                color,
                {
                    "requests": requests,
                    "seconds": Measured(metrics.namespace, metrics.response_time, self._percentile, dimension),
                },
                self._if_enough("FILL(seconds, 0)"),
                f"The response time ({self._percentile}) of the application on {color}",
                " s",
                _LOOK_AT_THE_LOAD,
            )
            for watched, thresholds in ((failed, alarms.error_rate_percent), (slow, alarms.response_time_seconds)):
                yield self._alarm(watched, Effect.ROLLS_BACK, ABOVE, thresholds.critical, lasting, QUIET)

    def of_instances(self) -> Iterator[AlarmSpec]:
        """Say how full the instances are: all together of processors, and the fullest one of what does not share."""
        alarms = self.settings.alarms
        resources = (
            ("cpu", "AWS/EC2", "CPUUtilization", "Average", alarms.cpu_percent, PROCESSORS),
            ("memory", "CWAgent", "mem_used_percent", "Maximum", alarms.memory_percent, INSTANCES),
            ("disk", "CWAgent", "disk_used_percent", "Maximum", alarms.disk_percent, INSTANCES),
        )
        for color in COLORS:
            group = self.settings.colors.of(color).auto_scaling_group
            for resource, namespace, name, statistic, thresholds, lasting in resources:
                watched = _Watched(
                    resource,
                    color,
                    {"used": Measured(namespace, name, statistic, (("AutoScalingGroupName", group),))},
                    "used",
                    f"The use of {resource} ({statistic.lower()}) in Auto Scaling group {group}",
                    " %",
                    "Give the group more or larger instances.",
                )
                yield self._alarm(watched, Effect.WARNS, ABOVE, thresholds.warning, lasting, QUIET)
                yield self._alarm(watched, Effect.PAGES, ABOVE, thresholds.critical, lasting, QUIET)

    def of_the_database(self) -> Iterator[AlarmSpec]:
        """Say how many of the database's connections are taken. RDS publishes that every minute."""
        database, thresholds = self.settings.database, self.settings.alarms.database_connections_percent
        dimension = (("DBInstanceIdentifier", database.instance),)
        watched = _Watched(
            "database-connections",
            "",
            {"connections": Measured("AWS/RDS", "DatabaseConnections", "Maximum", dimension)},
            f"100 * connections / {database.maximum_connections}",
            f"The share of the {database.maximum_connections} connections of database {database.instance} in use",
            " %",
            "Look in pg_stat_activity who holds them.",
        )
        yield self._alarm(watched, Effect.WARNS, ABOVE, thresholds.warning, DATABASE, QUIET)
        yield self._alarm(watched, Effect.PAGES, ABOVE, thresholds.critical, DATABASE, QUIET)

    def of_the_probe(self) -> Iterator[AlarmSpec]:
        """
        Say what a user would find, whether there are users or not.

        Silence of the probe is a fault of Runback's, not of a release: it warns, and pages through the database's
        alarm, but nothing is rolled back for it.
        """
        alarms, here = self.settings.alarms, self._here
        promised = {"login": alarms.login_success_percent, "upload": alarms.upload_success_percent}
        for check in self.settings.checks.probed:
            watched = _Watched(
                f"probe-{check.name}",
                "",
                {"success": Measured(PROBE_NAMESPACE, "Success", "Average", (*here, ("Check", check.name)))},
                "success",
                f"The success of the probe's check {check.name}",
                " %",
                "Try it by hand, and look into the probe's log.",
            )
            bound = promised.get(check.name, 100)
            yield self._alarm(watched, Effect.WARNS, BELOW, bound, PROBE_WARNING, SILENCE_IS_BAD)
            yield self._alarm(watched, Effect.ROLLS_BACK, BELOW, bound, PROBE_CRITICAL, QUIET)
        queries = _Watched(
            "query-time",
            "",
            {"milliseconds": Measured(PROBE_NAMESPACE, "QueryMilliseconds", "Average", here)},
            "milliseconds",
            "The time of the probe's query",
            " ms",
            "Look at the database's load.",
        )
        yield self._alarm(queries, Effect.WARNS, ABOVE, alarms.query_milliseconds, DATABASE, QUIET)
        reachable = _Watched(
            "database",
            "",
            {"reachable": Measured(PROBE_NAMESPACE, "DatabaseReachable", "Minimum", here)},
            "reachable",
            "What the probe says of whether it reaches the database (1 or 0)",
            "",
            "Look at the RDS instance, its security group and the probe's log.",
            going_back_helps=False,
        )
        yield self._alarm(reachable, Effect.PAGES, BELOW, 1, PROBE_WARNING, SILENCE_IS_BAD)

    @property
    def _percentile(self) -> str:
        return f"p{self.settings.alarms.response_time_percentile:g}"

    @property
    def _here(self) -> Dimensions:
        return (("Service", self.settings.service), ("Environment", self.settings.environment))

    def _if_enough(self, value: str, otherwise: int = 0) -> str:
        """Two of ten requests prove nothing, however bad a share that is."""
        return f"IF(FILL(requests, 0) >= {self.settings.alarms.minimum_requests}, {value}, {otherwise})"

    def _if_enough_fail(self, failed: str, more_requests: str = "") -> str:
        """Return the percentage of requests that failed, if both are enough to be no bad luck of one minute."""
        alarms = self.settings.alarms
        many = f"FILL(requests, 0){more_requests} >= {alarms.minimum_requests}"
        return (
            f"IF({many} AND {failed} >= {alarms.minimum_failures},"
            f" 100 * ({failed}) / (FILL(requests, 1){more_requests}), 0)"
        )

    @property
    def _requests_to_be_slow(self) -> int:
        """Of so many requests, those beyond the percentile are as many as must fail."""
        beyond = 1 - self.settings.alarms.response_time_percentile / 100
        return max(
            self.settings.alarms.minimum_requests, ceil(round(self.settings.alarms.minimum_failures / beyond, 6))
        )

    def _rates(self, watched: _Watched, thresholds: Thresholds) -> Iterator[AlarmSpec]:
        yield self._alarm(watched, Effect.WARNS, ABOVE, thresholds.warning, BALANCER_WARNING, QUIET)
        yield self._alarm(watched, Effect.ROLLS_BACK, ABOVE, thresholds.critical, BALANCER_CRITICAL, QUIET)

    def _alarm(
        self,
        watched: _Watched,
        effect: Effect,
        comparison: cloudwatch.ComparisonOperator,
        threshold: float,
        lasting: Lasting,
        missing: cloudwatch.TreatMissingData,
    ) -> AlarmSpec:
        side = "above" if comparison is ABOVE else "below"
        finding = f"{watched.what} is {side} {threshold:g}{watched.unit}, {lasting}."
        return AlarmSpec(
            name=AlarmName(effect, watched.subject, watched.color),
            metrics=watched.metrics,
            expression=watched.expression,
            comparison=comparison,
            threshold=threshold,
            lasting=lasting,
            missing=missing,
            description=f"{finding} {self._what_to_do(watched, effect)}",
        )

    def _what_to_do(self, watched: _Watched, effect: Effect) -> str:
        by_hand = f"To go one release back, start {Names(self.settings).named('rollback')} with {{}}."
        match effect:
            case Effect.WARNS:
                return f"This is a warning: nothing is rolled back for it. {watched.advice}"
            case Effect.PAGES if not watched.going_back_helps:
                return f"Both colors depend on it, so going back does not help. {watched.advice}"
            case Effect.PAGES:
                return f"Nothing is rolled back for it. {watched.advice} {by_hand}"
            case Effect.ROLLS_BACK:
                return f"A release that may be the cause is rolled back. If none was: {watched.advice} {by_hand}"


def _counted(name: str, dimensions: Dimensions) -> Measured:
    return Measured(LOAD_BALANCER, name, "Sum", dimensions)


def _target_groups(settings: EnvironmentSettings) -> Iterator[tuple[str, str, Dimensions]]:
    """Yield route, color and dimensions of every target group."""
    for route in settings.routes:
        for color in COLORS:
            target_group = getattr(route, color).rpartition(":")[2]
            balancer = _load_balancer(route.listener_arn or route.rule_arn or "")
            yield route.name, color, (("LoadBalancer", balancer), ("TargetGroup", target_group))


def _load_balancers(settings: EnvironmentSettings) -> dict[str, Dimensions]:
    """Return the dimension of each load balancer that users come through, by its name."""
    found = [_load_balancer(route.listener_arn or route.rule_arn or "") for route in settings.routes]
    return {each.split("/")[1]: (("LoadBalancer", each),) for each in found}


def _load_balancer(arn: str) -> str:
    """Read "app/<name>/<id>" from the ARN of a listener, or of a rule."""
    return "/".join(arn.rpartition(":")[2].split("/")[1:4])


class Alarms(Construct):
    """
    All alarms of an environment, and two that show the state of all: `<prefix>-critical` and `<prefix>-warning`.

    Those two are for dashboards and for other tools, and do nothing either: one that is on because of a processor would
    not change when errors come, and who is paged by the rollback machine needs no second page.
    """

    def __init__(self, scope: Construct, construct_id: str, settings: EnvironmentSettings) -> None:
        super().__init__(scope, construct_id)
        self._prefix = settings.prefix
        self.specs = alarm_specs(settings)
        critical = [spec for spec in self.specs if spec.is_critical]
        warning = [spec for spec in self.specs if not spec.is_critical]
        self.critical = [self._alarm(spec) for spec in critical]
        self.warning = [self._alarm(spec) for spec in warning]
        self.composites = [
            self._composite("critical", critical, self.critical),
            self._composite("warning", warning, self.warning),
        ]

    def _alarm(self, spec: AlarmSpec) -> cloudwatch.Alarm:
        return cloudwatch.Alarm(
            self,
            spec.name.full("alarm"),
            alarm_name=spec.name.full(self._prefix),
            alarm_description=spec.description,
            metric=spec.metric(),
            threshold=spec.threshold,
            comparison_operator=spec.comparison,
            evaluation_periods=spec.lasting.looked_at,
            datapoints_to_alarm=spec.lasting.breaching,
            treat_missing_data=spec.missing,
        )

    def _composite(
        self, kind: str, specs: Sequence[AlarmSpec], alarms: Sequence[cloudwatch.Alarm]
    ) -> cloudwatch.CompositeAlarm:
        """Refer to alarms by name, which is half as long as an ARN; CloudFormation must be told what to make first."""
        composite = cloudwatch.CompositeAlarm(
            self,
            kind,
            composite_alarm_name=f"{self._prefix}-{kind}",
            alarm_description=f"At least one {kind} alarm of this environment is on. Nothing is started by this.",
            alarm_rule=cloudwatch.AlarmRule.from_string(
                " OR ".join(f'ALARM("{spec.name.full(self._prefix)}")' for spec in specs)
            ),
        )
        composite.node.add_dependency(*alarms)
        return composite
