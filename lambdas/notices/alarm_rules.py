"""What is said about an alarm: what is wrong, since when, what is live, what to do with which input. All pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from lambdas.judge.alarm_rules import AlarmName
from lambdas.notices.rules import Message
from lambdas.release.rules import EnvironmentRecord, Live, Phase, RollbackPoint

_RELEASING = {
    Phase.PREPARING: "is being prepared and receives no traffic",
    Phase.SHIFTING: "receives a part of the traffic",
    Phase.BAKING: "has all traffic and is observed",
    Phase.COMMITTED: "is promoted",
}


@dataclass(frozen=True)
class AlarmNews:
    """
    An alarm that is on since some moment, and why, in CloudWatch's words.

    `meaning` is its description in CloudWatch, as settings have it; empty where that is not told.
    """

    full_name: str
    since: str
    reason: str
    meaning: str = ""

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Self:
        """
        Read EventBridge's event "CloudWatch Alarm State Change".

        https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html
        """
        detail = event["detail"]
        state = detail["state"]
        meaning = detail.get("configuration", {}).get("description", "")
        return cls(detail["alarmName"], state["timestamp"], state.get("reason", ""), meaning)

    def headline(self, prefix: str) -> str:
        """Return what the alarm is about, from its name: "error-rate-api on green"."""
        name = AlarmName.read(self.full_name, prefix)
        if name is None:
            return self.full_name
        return f"{name.subject} on {name.color}" if name.color else name.subject


def compose_warning(news: AlarmNews, service: str, environment: str, record: EnvironmentRecord, now: str) -> Message:
    """Write the message about an alarm that only warns."""
    headline = f"Warning: {news.headline(f'{service}-{environment}')}"
    subject = f"[{service} {environment}] {headline}"
    return Message(
        subject=subject.encode("ascii", "replace").decode()[:100],
        body="\n\n".join(
            [f"{headline} ({service}, {environment}).", describe_alarm(news, f"{service}-{environment}", record, now)]
        ),
    )


def describe_alarm(news: AlarmNews, prefix: str, record: EnvironmentRecord, now: str) -> str:
    """
    Say since when an alarm is on and why, which release is live or on its way, and what to do.

    `prefix` is what the names of the environment's alarms and machines begin with. For warnings, and for a critical
    alarm that moves no traffic.
    """
    lines = [
        news.meaning,
        f"Alarm {news.full_name} is on since {news.since}. {news.reason}".strip(),
        _what_is_live(record.live),
        _what_is_on_its_way(record),
        _what_to_do(AlarmName.read(news.full_name, prefix), prefix, record, now),
    ]
    return "\n\n".join(line for line in lines if line)


def _what_is_live(live: Live | None) -> str:
    if live is None:
        return "Runback has released nothing here yet."
    return f"Live: release {live.release_id}, version {live.version} on {live.color}, since {live.since}."


def _what_is_on_its_way(record: EnvironmentRecord) -> str:
    work = record.work
    if work.holder is None or work.phase is None:
        return ""
    if work.phase in _RELEASING:
        return f"On its way: release {work.release_id}, which {_RELEASING[work.phase]}."
    return f"At work: {work.phase.replace('_', ' ')}, release {work.release_id}, execution {work.holder}."


def _what_to_do(name: AlarmName | None, prefix: str, record: EnvironmentRecord, now: str) -> str:
    live = record.live
    point = live.rollback_point if live else None
    if maintenance := record.maintained(now):
        return f"Maintenance is under way until {maintenance.until} ({maintenance.reason}): it may come from that."
    if record.work.holder and record.work.phase is Phase.ROLLING_BACK:
        return "A rollback is under way. Look again when it has ended."
    if live is None or point is None or not point.in_window(now):
        return "No release can be taken back for it: look for the cause, and deploy a version that mends it."
    if name and name.color == point.color:
        return (
            f"It is of {point.color}, to which release {live.release_id} would go back: a rollback would not help."
            f" Look for the cause."
        )
    return _way_back(live, point, prefix)


def _way_back(live: Live, point: RollbackPoint, prefix: str) -> str:
    until = f"until {point.window_ends_at}" if point.window_ends_at else "as long as it is not promoted, and after that"
    return (
        f"If release {live.release_id} is the cause, it can go back to version {point.version} on {point.color}"
        f" {until}: start {prefix}-rollback with the input {live.input_to_go_back}."
    )
