"""
What CloudWatch says of an alarm that changes: why, in an event, and in a message.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html
The words of a reason are those of AWS's examples there; its messages to SNS have no page of their own, and are as they
are known from those who received them.
"""

import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from moto.cloudwatch.models import Alarm

from rehearsal.engine.alarms.evaluation import COMPARISONS, Conditions, State, Window
from rehearsal.engine.alarms.watched import CompositeAlarm, MetricAlarm, Told, Watched

Json = dict[str, Any]

MOST_SUBJECT_CHARACTERS = 100
"""https://docs.aws.amazon.com/sns/latest/api/API_Publish.html"""


def timestamp(at: datetime) -> str:
    """Write a time as in events of alarms: `2019-10-02T17:20:48.554+0000`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}+0000"


# -- why


def reason_of(state: State, window: Window, begins: Sequence[datetime], conditions: Conditions) -> str:
    """Tell in CloudWatch's words why a metric alarm is in a state."""
    if state == "INSUFFICIENT_DATA":
        return f"Insufficient Data: {_datapoints(conditions.evaluation_periods)} unknown."
    counted = _counted(window, begins, conditions)
    is_on = state == "ALARM"
    deciding = [(at, value) for at, value in counted if conditions.breaches(value) == is_on]
    missing = conditions.evaluation_periods - len(counted)
    parts = []
    if not counted:
        periods = conditions.evaluation_periods
        parts.append(f"no datapoints were received for {periods} period{_s(periods)}")
    elif deciding:
        parts.append(_crossing(deciding, conditions, is_on=is_on))
    if missing and conditions.treat_missing_data in ("breaching", "notBreaching"):
        treated = "Breaching" if conditions.treat_missing_data == "breaching" else "NonBreaching"
        parts.append(f"{missing} missing datapoint{_s(missing)} {_were(missing)} treated as [{treated}]")
    return f"Threshold Crossed: {' and '.join(parts)}."


def reason_data_of(watched: MetricAlarm, window: Window, begins: Sequence[datetime], now: datetime) -> str:
    """Tell the same for programs."""
    counted = _counted(window, begins, watched.conditions)
    statistic = watched.alarm.statistic or watched.alarm.extended_statistic
    return _compact(
        {
            "version": "1.0",
            "queryDate": timestamp(now),
            **({"startDate": timestamp(counted[-1][0])} if counted else {}),
            **({"statistic": statistic} if statistic else {}),
            "period": watched.period,
            "recentDatapoints": [value for _, value in reversed(counted)],
            "threshold": watched.conditions.threshold,
        }
    )


def reason_of_composite(watched: CompositeAlarm, state: State, child: tuple[Alarm, datetime] | None) -> str:
    """Tell which of its alarms made it change, None when it is judged for the first time."""
    if child is None:
        return f"{watched.alarm.alarm_arn} was created and its alarm rule evaluates to {state}"
    alarm, at = child
    return f"{alarm.alarm_arn} transitioned to {alarm.state_value} at {at.astimezone(UTC):%A %d %B, %Y %H:%M:%S} UTC"


def reason_data_of_composite(children: Sequence[tuple[Alarm, datetime]]) -> str:
    """Tell the same for programs."""
    return _compact({"triggeringAlarms": [_child(alarm, at, lower=True) for alarm, at in children]})


def _counted(window: Window, begins: Sequence[datetime], conditions: Conditions) -> list[tuple[datetime, float]]:
    """Return the values that are judged, the newest one first, as CloudWatch tells them; but for assumed ones."""
    found = [(at, value) for at, value in zip(begins, window, strict=True) if value is not None]
    return [(at, value) for at, value in found[-conditions.evaluation_periods :][::-1] if isfinite(value)]


def _crossing(deciding: Sequence[tuple[datetime, float]], conditions: Conditions, *, is_on: bool) -> str:
    values = ", ".join(f"{value} ({at:%d/%m/%y %H:%M:%S})" for at, value in deciding)
    most, needed = conditions.evaluation_periods, conditions.datapoints_to_alarm
    minimum, change = (needed, "OK -> ALARM") if is_on else (most - needed + 1, "ALARM -> OK")
    return (
        f"{len(deciding)} out of the last {most} datapoints [{values}] {_were(len(deciding))} "
        f"{'' if is_on else 'not '}{COMPARISONS[conditions.comparison][1]} the threshold ({conditions.threshold}) "
        f"(minimum {minimum} datapoint{_s(minimum)} for {change} transition)"
    )


def _datapoints(count: int) -> str:
    return f"{count} datapoint{_s(count)} {_were(count)}"


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


# -- events


def event_of(watched: Watched, before: Told) -> Json:
    """Tell of a change as EventBridge is told."""
    alarm = watched.alarm
    return {
        "source": "aws.cloudwatch",
        "detail-type": "CloudWatch Alarm State Change",
        "resources": [alarm.alarm_arn],
        "detail": {
            "alarmName": alarm.name,
            "state": _state(watched.told),
            "previousState": _state(before),
            "configuration": _configuration(watched),
        },
    }


def _state(told: Told) -> Json:
    state: Json = {"value": told.value, "reason": told.reason, "timestamp": timestamp(told.at)}
    if told.data is not None:
        state["reasonData"] = told.data
    if told.withheld is not None:
        state |= {"actionsSuppressedBy": told.withheld.by, "actionsSuppressedReason": told.withheld.reason}
    return state


def _configuration(watched: Watched) -> Json:
    alarm = watched.alarm
    configuration: Json = {"description": alarm.description} if alarm.description else {}
    if isinstance(watched, MetricAlarm):
        return configuration | {"metrics": _metrics(watched)}
    configuration["alarmRule"] = watched.rule.text
    if suppressor := watched.suppressor:
        configuration |= {
            "actionsSuppressor": suppressor.alarm,
            "actionsSuppressorWaitPeriod": suppressor.wait_seconds,
            "actionsSuppressorExtensionPeriod": suppressor.extension_seconds,
        }
    return configuration


def _metrics(watched: MetricAlarm) -> list[Json]:
    alarm = watched.alarm
    if not alarm.metric_data_queries:
        [source] = watched.sources.values()
        dimensions = dict(source.metric.dimensions)
        identity = str(uuid.uuid5(uuid.NAMESPACE_URL, alarm.alarm_arn))
        stat = _stat(source.metric.namespace, source.metric.name, dimensions, source.period, source.statistic)
        return [{"id": identity, "metricStat": stat, "returnData": True}]
    told = []
    for query in alarm.metric_data_queries:
        metric: Json = {"id": query.id, "returnData": query.return_data is not False}
        if query.label:
            metric["label"] = query.label
        if query.expression is not None:
            metric["expression"] = query.expression
        elif (stat := query.metric_stat) is not None:
            dimensions = {str(each.name): str(each.value) for each in stat.metric.dimensions}
            metric["metricStat"] = _stat(
                stat.metric.namespace, stat.metric.metric_name, dimensions, int(stat.period), stat.stat
            )
        told.append(metric)
    return told


def _stat(namespace: str, name: str, dimensions: dict[str, str], period: int, statistic: str) -> Json:
    return {
        "metric": {"dimensions": dimensions, "name": name, "namespace": namespace},
        "period": period,
        "stat": statistic,
    }


# -- messages


def subject_of(watched: Watched, region_name: str) -> str:
    """Return the subject of a message; SNS takes no longer one."""
    before, after = f'{watched.told.value}: "', f'" in {region_name}'
    room = MOST_SUBJECT_CHARACTERS - len(before) - len(after)
    name = watched.alarm.name
    return before + (name if len(name) <= room else f"{name[: room - 3]}...") + after


def message_of(
    watched: Watched, before: State, children: Sequence[tuple[Alarm, datetime]], *, account: str, region_name: str
) -> Json:
    """Tell of a change as subscribers of a topic are told; `children` are what made a composite change."""
    alarm, told = watched.alarm, watched.told
    message: Json = {
        "AlarmName": alarm.name,
        "AlarmDescription": alarm.description,
        "AWSAccountId": account,
        "AlarmConfigurationUpdatedTimestamp": timestamp(alarm.configuration_updated_timestamp),
        "NewStateValue": told.value,
        "NewStateReason": told.reason,
        "StateChangeTime": timestamp(told.at),
        "Region": region_name,
        "AlarmArn": alarm.alarm_arn,
        "OldStateValue": before,
        "OKActions": alarm.ok_actions,
        "AlarmActions": alarm.alarm_actions,
        "InsufficientDataActions": alarm.insufficient_data_actions,
    }
    if isinstance(watched, MetricAlarm):
        return message | {"Trigger": _trigger(watched)}
    return message | {
        "AlarmRule": watched.rule.text,
        "TriggeringChildren": [_child(child, at, lower=False) for child, at in children],
    }


def _trigger(watched: MetricAlarm) -> Json:
    alarm, conditions = watched.alarm, watched.conditions
    trigger: Json = {
        "Period": watched.period,
        "EvaluationPeriods": conditions.evaluation_periods,
        "DatapointsToAlarm": conditions.datapoints_to_alarm,
        "ComparisonOperator": conditions.comparison,
        "Threshold": conditions.threshold,
        "TreatMissingData": conditions.treat_missing_data,
        "EvaluateLowSampleCountPercentile": alarm.evaluate_low_sample_count_percentile or "",
    }
    if alarm.metric_data_queries:
        return trigger | {"Metrics": [_capitalized(metric) for metric in _metrics(watched)]}
    [source] = watched.sources.values()
    kind = "Statistic" if alarm.statistic else "ExtendedStatistic"
    return trigger | {
        "MetricName": source.metric.name,
        "Namespace": source.metric.namespace,
        "StatisticType": kind,
        kind: source.statistic.upper() if alarm.statistic else source.statistic,
        "Unit": None,
        "Dimensions": _listed(dict(source.metric.dimensions)),
    }


def _capitalized(metric: Json) -> Json:
    """Write a metric as messages do, where events begin names with a small letter."""
    written = {name[0].upper() + name[1:]: value for name, value in metric.items() if name != "metricStat"}
    if stat := metric.get("metricStat"):
        of = stat["metric"]
        written["MetricStat"] = {
            "Metric": {
                "Dimensions": _listed(of["dimensions"]),
                "MetricName": of["name"],
                "Namespace": of["namespace"],
            },
            "Period": stat["period"],
            "Stat": stat["stat"],
        }
    return written


def _listed(dimensions: dict[str, str]) -> list[Json]:
    return [{"value": value, "name": name} for name, value in sorted(dimensions.items())]


def _child(alarm: Alarm, at: datetime, *, lower: bool) -> Json:
    names = ("arn", "state", "value", "timestamp") if lower else ("Arn", "State", "Value", "Timestamp")
    arn, state, value, time = names
    return {arn: alarm.alarm_arn, state: {value: alarm.state_value, time: timestamp(at)}}


def _compact(data: Json) -> str:
    return json.dumps(data, separators=(",", ":"))
