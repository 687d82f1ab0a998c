"""What a message says: what happened, which release, and what to do, with the input to paste. All pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from lambdas.release.rules import explain_failure


class Kind(StrEnum):
    """The occasions on which Runback speaks up."""

    PROMOTED = "promoted"
    PLAN_REFUSED = "plan_refused"
    INFRASTRUCTURE_CHANGED = "infrastructure_changed"
    INFRASTRUCTURE_NOT_BACK = "infrastructure_not_back"
    INFRASTRUCTURE_BACK = "infrastructure_back"
    NOT_RELEASED_AGAIN = "not_released_again"
    REFUSED = "refused"
    ABORTED = "aborted"
    ROLLED_BACK = "rolled_back"
    NOT_VERIFIED = "not_verified"
    ESCALATED = "escalated"
    RECORD_UNREACHABLE = "record_unreachable"
    CLEAN_UP_FAILED = "clean_up_failed"
    PAUSED = "paused"
    RESUMED = "resumed"
    PROMOTE_ORDERED = "promote_ordered"
    ABORT_ORDERED = "abort_ordered"
    WINDOW_ENDED = "window_ended"
    ENVIRONMENT_FREED = "environment_freed"
    MAINTENANCE_BEGUN = "maintenance_begun"
    MAINTENANCE_ENDED = "maintenance_ended"
    CRITICAL_ALARM = "critical_alarm"
    UNDECIDED = "undecided"
    HELD = "held"
    SCHEMA_CHANGED = "schema_changed"
    RESTORE_ASKED = "restore_asked"
    RESTORE_APPROVED = "restore_approved"
    RESTORE_OWN_APPROVAL = "restore_own_approval"
    RESTORE_REJECTED = "restore_rejected"
    RESTORE_EXPIRED = "restore_expired"
    RESTORE_REFUSED = "restore_refused"
    DATABASE_RESTORED = "database_restored"
    RESTORE_FAILED = "restore_failed"
    RESTORE_GIVEN_UP = "restore_given_up"
    RESTORE_FROZEN = "restore_frozen"
    CAPACITY_HELD = "capacity_held"
    SCALING_HELD = "scaling_held"
    PUSH_FAILED = "push_failed"
    GATES_FAILED = "gates_failed"
    GATES_WARNED = "gates_warned"
    EMERGENCY = "emergency"
    RELEASE_ASKED = "release_asked"
    RELEASE_APPROVED = "release_approved"
    RELEASE_REJECTED = "release_rejected"
    RELEASE_EXPIRED = "release_expired"
    RELEASE_OWN_APPROVAL = "release_own_approval"


@dataclass(frozen=True)
class Message:
    """An SNS message. The subject has at most 100 ASCII characters, or SNS refuses it."""

    subject: str
    body: str


_HEADLINES: Mapping[Kind, str] = {
    Kind.PROMOTED: "Release {release_id} is live",
    Kind.PLAN_REFUSED: "Plan of {release_id} was refused, nothing changed",
    Kind.INFRASTRUCTURE_CHANGED: "ACTION NEEDED: {release_id} is gone, its infrastructure is not",
    Kind.INFRASTRUCTURE_NOT_BACK: "ACTION NEEDED: infrastructure of {release_id} is not back",
    Kind.INFRASTRUCTURE_BACK: "The infrastructure of {release_id} was taken back",
    Kind.NOT_RELEASED_AGAIN: "ACTION NEEDED: no new release of what {release_id} replaced",
    Kind.REFUSED: "Release {release_id} was refused, nothing changed",
    Kind.ABORTED: "Release {release_id} was aborted, traffic never moved",
    Kind.ROLLED_BACK: "Release {release_id} was rolled back",
    Kind.NOT_VERIFIED: "ACTION NEEDED: after rollback of {release_id} a check fails",
    Kind.ESCALATED: "ACTION NEEDED: {release_id} could not be brought to an end",
    Kind.RECORD_UNREACHABLE: "ACTION NEEDED: no rollback yet, the record cannot be reached",
    Kind.CLEAN_UP_FAILED: "ACTION NEEDED: the clean-up after {release_id} failed",
    Kind.PAUSED: "Release {release_id} is paused by an operator",
    Kind.RESUMED: "Release {release_id} goes on",
    Kind.PROMOTE_ORDERED: "Release {release_id} skips its bakes",
    Kind.ABORT_ORDERED: "Release {release_id} is given up by an operator",
    Kind.WINDOW_ENDED: "Release {release_id} can no longer be rolled back",
    Kind.ENVIRONMENT_FREED: "The environment was freed from {release_id}",
    Kind.MAINTENANCE_BEGUN: "Maintenance has begun",
    Kind.MAINTENANCE_ENDED: "Maintenance is over",
    Kind.CRITICAL_ALARM: "ACTION NEEDED: a critical alarm is on, traffic was not moved",
    Kind.UNDECIDED: "ACTION NEEDED: release {release_id} is held until you decide",
    Kind.HELD: "ACTION NEEDED: release {release_id} needs a decision",
    Kind.SCHEMA_CHANGED: "ACTION NEEDED: {release_id} aborted after breaking migrations",
    Kind.RESTORE_ASKED: "ACTION NEEDED: approve or reject a restore ({release_id})",
    Kind.RESTORE_APPROVED: "The restore before {release_id} is approved",
    Kind.RESTORE_OWN_APPROVAL: "ACTION NEEDED: restore of {release_id} approved by who asked",
    Kind.RESTORE_REJECTED: "The restore before {release_id} is rejected",
    Kind.RESTORE_EXPIRED: "Nobody approved the restore before {release_id}",
    Kind.RESTORE_REFUSED: "The restore before {release_id} could not begin",
    Kind.DATABASE_RESTORED: "Database restored ({release_id}), traffic flows",
    Kind.RESTORE_FAILED: "ACTION NEEDED: the restore before {release_id} failed",
    Kind.RESTORE_GIVEN_UP: "The restore before {release_id} was given up, traffic flows",
    Kind.RESTORE_FROZEN: "ACTION NEEDED: TRAFFIC IS FROZEN, restore of {release_id}",
    Kind.CAPACITY_HELD: "ACTION NEEDED: capacity is held after a restore ({release_id})",
    Kind.SCALING_HELD: "ACTION NEEDED: what serves cannot scale ({release_id})",
    Kind.PUSH_FAILED: "ACTION NEEDED: pushes are not released",
    Kind.GATES_FAILED: "Release {release_id} did not pass its gates, nothing changed",
    Kind.GATES_WARNED: "Release {release_id} goes on in spite of warnings",
    Kind.EMERGENCY: "EMERGENCY: release {release_id} goes without some gates",
    Kind.RELEASE_ASKED: "ACTION NEEDED: approve or reject release {release_id}",
    Kind.RELEASE_APPROVED: "Release {release_id} is approved",
    Kind.RELEASE_REJECTED: "Release {release_id} is rejected, nothing changed",
    Kind.RELEASE_EXPIRED: "Nobody approved release {release_id}, nothing changed",
    Kind.RELEASE_OWN_APPROVAL: "ACTION NEEDED: {release_id} approved by who asked",
}

_ADVICE: Mapping[Kind, str] = {
    Kind.PROMOTED: "To go back, start {rollback_machine} with the input {{}}.",
    Kind.PLAN_REFUSED: (
        "Nothing was changed, and no environment was held. Mend the configuration in a new commit, or do by hand what a"
        " release may not. To release the version without its infrastructure, start {deploy_machine} with"
        ' {{"version": "…", "infrastructure": false}}.'
    ),
    Kind.INFRASTRUCTURE_CHANGED: (
        "The old version serves, on infrastructure that was changed for another one. If it works, leave it so until the"
        ' next release. To take the infrastructure back, start {rollback_machine} with the input {{"infrastructure":'
        ' true, "release_id": "{release_id}", "reason": "…"}}; it is limited to what settings name as'
        " rollback_targets. What else is to go back, apply with Terraform by hand."
    ),
    Kind.INFRASTRUCTURE_NOT_BACK: (
        "The traffic is safe, and was not touched for this. Look into the log of the build. Once the cause above is"
        ' removed, start {rollback_machine} with the input {{"infrastructure": true, "reason": "…"}}, or apply the old'
        " configuration with Terraform by hand."
    ),
    Kind.INFRASTRUCTURE_BACK: (
        "What is not among rollback_targets of the settings stays as the release has left it. After a rollback of the"
        " traffic the version that serves is released anew by itself; otherwise that takes a start of"
        ' {deploy_machine} with {{"version": "…", "infrastructure": false}}.'
    ),
    Kind.NOT_RELEASED_AGAIN: (
        "The old version serves, and its infrastructure is back. To have its instances made anew on it, start"
        ' {deploy_machine} with its version and "infrastructure": false.'
    ),
    Kind.REFUSED: "Remove the reason above, then start {deploy_machine} again.",
    Kind.ABORTED: (
        "The old version serves as before. Remove the cause above: mend the release in a new commit, or, if it was not"
        " to blame, start {deploy_machine} again."
    ),
    Kind.ROLLED_BACK: "The previous version has all traffic again. Going forward again is a new deployment.",
    Kind.NOT_VERIFIED: (
        "All traffic is on the old version, and stays there. Look for what both versions need and do not have: the"
        " database, the cache, a service beside them."
    ),
    Kind.ESCALATED: (
        "Look at the listener and at the execution first. If traffic should go back, start {rollback_machine} with the"
        " input {{}} once the cause above is removed."
    ),
    Kind.RECORD_UNREACHABLE: (
        "Switch the traffic back by hand now, with these commands:\n\n{commands}\n\nThe execution goes on trying for"
        " ten minutes; what you have done by then it finds done."
    ),
    Kind.CLEAN_UP_FAILED: (
        "No traffic was moved; the old color may keep instances that nobody needs. Once the cause above is removed,"
        " start {clean_up_machine} with the input {{}}: it may be repeated at any time."
    ),
    Kind.PAUSED: (
        'To let it go on, start {operate_machine} with the input {{"action": "resume", "release_id": "{release_id}",'
        ' "reason": "…"}}; to give it up, with {{"action": "abort", "release_id": "{release_id}", "reason": "…"}}.'
    ),
    Kind.RESUMED: (
        'To hold it again, start {operate_machine} with the input {{"action": "pause", "release_id": "{release_id}",'
        ' "reason": "…"}}.'
    ),
    Kind.PROMOTE_ORDERED: (
        'To hold it after all, start {operate_machine} with the input {{"action": "pause", "release_id":'
        ' "{release_id}", "reason": "…"}}; to go back, start {rollback_machine} with the input {{}}.'
    ),
    Kind.ABORT_ORDERED: "Watch {rollback_machine}: its own message says how the release ended.",
    Kind.WINDOW_ENDED: "To go back from here, deploy the old version. The next release may begin at once.",
    Kind.ENVIRONMENT_FREED: (
        "Nothing was scaled and no traffic was moved: look after the size of both colors before the next release"
        " begins (operator guide, The size of the live color)."
    ),
    Kind.MAINTENANCE_BEGUN: (
        'To end it before its time, start {operate_machine} with the input {{"action": "end-maintenance", "reason":'
        ' "…"}}.'
    ),
    Kind.MAINTENANCE_ENDED: "The next release may begin.",
    Kind.CRITICAL_ALARM: (
        "Runback does not move traffic for it. Look at the environment's dashboard. If traffic should go back to the"
        " old version, start {rollback_machine} with the input {{}}; it changes nothing when there is no way back."
    ),
    Kind.UNDECIDED: (
        'Look at it yourself. If it is good, start {operate_machine} with the input {{"action": "promote",'
        ' "release_id": "{release_id}", "reason": "…"}}, or with "resume" to have it observed further; if not, with'
        ' {{"action": "abort", "release_id": "{release_id}", "reason": "…"}}. If nobody decides before the deadline, it'
        " is rolled back."
    ),
    Kind.HELD: (
        "Traffic stays where it is. To send it back to the old version all the same, start {rollback_machine} with the"
        ' input {{"release_id": "{release_id}", "reason": "…"}}; to have the database of before the release with it,'
        ' with {{"release_id": "{release_id}", "database": true, "reason": "…"}}: that asks for an approval, and loses'
        " what was written since. To keep the release and mend it with the next one, start {operate_machine} with"
        ' {{"action": "end-window", "release_id": "{release_id}", "reason": "…"}} once its execution has ended.'
    ),
    Kind.SCHEMA_CHANGED: (
        "Traffic never moved, and nothing undoes migrations. Look at once whether the old version works. If it does"
        " not, either release a version that works with this schema, or bring the database of before the release back,"
        ' where settings have [restore]: start {restore_machine} with the input {{"release_id": "{release_id}",'
        ' "reason": "…"}}.'
    ),
    Kind.RESTORE_ASKED: (
        "Nothing is changed before somebody approves, and what is written since that moment is lost then. To approve,"
        ' start {operate_machine} with the input {{"action": "approve", "release_id": "{release_id}", "reason": "…"}};'
        ' to reject, with {{"action": "reject", "release_id": "{release_id}", "reason": "…"}}. Writes to tables that'
        ' settings do not name end the restore, unless the approval also has "accept_unaccounted": true.'
    ),
    Kind.RESTORE_APPROVED: "Watch {restore_machine}: its own message says how it ended.",
    Kind.RESTORE_OWN_APPROVAL: (
        "The restore goes on, and nothing stops it: ask both why. To go back when it is done, start {restore_machine}"
        ' with the input {{"release_id": "{release_id}", "undo": true, "reason": "…"}}. So that this cannot happen,'
        " take the right to start {operate_machine} from who asks for restores; approvers do not need it."
    ),
    Kind.RESTORE_REJECTED: "Nothing was changed. To ask again, start {restore_machine}.",
    Kind.RESTORE_EXPIRED: "Nothing was changed. If it is needed still, start {restore_machine} again.",
    Kind.RESTORE_REFUSED: (
        "Nothing was changed. Remove the reason above, then start {restore_machine} again; it has to be approved again."
    ),
    Kind.DATABASE_RESTORED: (
        "The instance that served before is kept, with what was written since, and nobody can write to it. Before the"
        " next deployment of infrastructure put the new instance into settings, Terraform and alarms, which name the"
        ' old one still. To go back to it, start {restore_machine} with the input {{"release_id": "{release_id}",'
        ' "undo": true, "reason": "…"}}.'
    ),
    Kind.RESTORE_FAILED: (
        "The instance that served before serves again, and traffic flows. No data are lost; what was made for the"
        " restore is kept. Remove the cause above, then start {restore_machine} again."
    ),
    Kind.RESTORE_GIVEN_UP: "The instance that served before serves again. No data are lost.",
    Kind.RESTORE_FROZEN: (
        "Users get 503, and nothing lets traffic flow by itself: the databases may be exchanged by half. Remove the"
        " cause above. To go on with the restore, start {restore_machine} with the input"
        ' {{"release_id": "{release_id}", "reason": "…"}}; to have the instance back that served before, with'
        ' {{"release_id": "{release_id}", "undo": true, "reason": "…"}}. Neither needs an approval.'
    ),
    Kind.CAPACITY_HELD: (
        "Traffic flows, and nothing fails for it: but the groups that serve cannot scale in, nor run their scheduled"
        " actions. How large each may be stands in the record, in the item release#{release_id}, as held_capacity. Give"
        " each its bounds back with aws autoscaling update-auto-scaling-group, and let it go on with aws autoscaling"
        " resume-processes --scaling-processes ScheduledActions."
    ),
    Kind.SCALING_HELD: (
        "Traffic is where it should be, and nothing fails for it: but the group that serves cannot scale in, nor run"
        " its scheduled actions. How large it may be stands in the record, in the item release#{release_id}, in"
        " rollback_point as capacity. Give it its bounds back with aws autoscaling update-auto-scaling-group, and let"
        " it go on with aws autoscaling resume-processes --scaling-processes ScheduledActions."
    ),
    Kind.PUSH_FAILED: (
        "What serves is not affected, and what waits is written down. Once the cause above is removed, start"
        " {push_machine} with the input {{}}, or push again; every half hour it is tried again anyway."
    ),
    Kind.GATES_FAILED: (
        "No environment was held. All results are in the record, in the item request#{release_id}. Once the reasons"
        " are removed, start {deploy_machine} again."
    ),
    Kind.GATES_WARNED: (
        "Settings only warn about these gates. All results are in the record, in the item request#{release_id}. To"
        ' give the release up, start {operate_machine} with the input {{"action": "abort", "release_id":'
        ' "{release_id}", "reason": "…"}} once it holds the environment.'
    ),
    Kind.EMERGENCY: (
        "Whoever started the release has skipped these gates, and the reason is in the record, in the item"
        " request#{release_id}, and in the release's report. Ask the person who did it if you did not expect this."
    ),
    Kind.RELEASE_ASKED: (
        "Nothing is changed before somebody approves, and nobody else is kept from releasing meanwhile. To approve,"
        ' start {operate_machine} with the input {{"action": "approve", "release_id": "{release_id}", "reason": "…"}};'
        ' to reject, with {{"action": "reject", "release_id": "{release_id}", "reason": "…"}}.'
    ),
    Kind.RELEASE_APPROVED: "Watch {deploy_machine}: its own message says how it ended.",
    Kind.RELEASE_REJECTED: "Nothing was changed. To ask again, start {deploy_machine} with the same version.",
    Kind.RELEASE_EXPIRED: "Nothing was changed. If it is wanted still, start {deploy_machine} with the same version.",
    Kind.RELEASE_OWN_APPROVAL: (
        "The release goes on, and nothing stops it for this: ask both why. To give it up, start {operate_machine} with"
        ' the input {{"action": "abort", "release_id": "{release_id}", "reason": "…"}}. So that this cannot happen,'
        " take the right to start {operate_machine} from who starts releases; approvers do not need it."
    ),
}


_REPORTED = frozenset(
    {
        Kind.PROMOTED,
        Kind.ABORTED,
        Kind.ROLLED_BACK,
        Kind.NOT_VERIFIED,
        Kind.ESCALATED,
        Kind.CLEAN_UP_FAILED,
    }
)
"""What is said near the end of an execution that worked on a release: its report is there minutes later."""


def waits_for_somebody(kind: Kind) -> bool:
    """Say whether a message asks its reader to act now."""
    return _HEADLINES[kind].startswith("ACTION NEEDED")


@dataclass(frozen=True)
class Notice:
    """
    What happened.

    `commands` are the AWS CLI commands of the way back, where they are needed, and `report` is where the release's
    report is, or will be. `approval_url` is where approvers send an answer, if settings name any.
    """

    kind: Kind
    release_id: str
    reason: str
    execution: str
    commands: str = ""
    report: str = ""
    approval_url: str = ""

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Self:
        """Read {"kind", "release_id", "reason", "failure": of a Catch block or {}, "execution"}."""
        return cls(
            kind=Kind(event["kind"]),
            release_id=event["release_id"],
            reason=explain_failure(event["failure"]) or event["reason"],
            execution=event["execution"],
        )


def compose(notice: Notice, service: str, environment: str) -> Message:
    """Write the message that a human gets."""
    words = {
        "release_id": notice.release_id or "a release",
        "deploy_machine": f"{service}-{environment}-deploy",
        "rollback_machine": f"{service}-{environment}-rollback",
        "clean_up_machine": f"{service}-{environment}-clean-up",
        "operate_machine": f"{service}-{environment}-operate",
        "push_machine": f"{service}-{environment}-push",
        "restore_machine": f"{service}-{environment}-restore-database",
        "commands": notice.commands or "(their copy in SSM cannot be read either: see the runbook, Quick Rollback)",
    }
    headline = _HEADLINES[notice.kind].format(**words)
    lines = [
        f"{headline} ({service}, {environment}).",
        f"Why: {notice.reason.strip()}" if notice.reason else "",
        _ADVICE[notice.kind].format(**words),
        _by_url(notice),
        f"Execution: {notice.execution}",
        f"Report: {notice.report}" if notice.report and notice.release_id and notice.kind in _REPORTED else "",
    ]
    subject = f"[{service} {environment}] {headline}"
    return Message(
        subject=subject.encode("ascii", "replace").decode()[:100], body="\n\n".join(line for line in lines if line)
    )


def _by_url(notice: Notice) -> str:
    """Tell approvers what to send where: there the caller is known at once, and must be another one than who asks."""
    if notice.kind not in (Kind.RESTORE_ASKED, Kind.RELEASE_ASKED) or not notice.approval_url:
        return ""
    return (
        "Approvers who have not asked for it themselves can send the same JSON, signed with their own credentials, as"
        f" a POST to {notice.approval_url} (operator guide, Approve as somebody else). That proves who has approved it."
    )
