"""What a message says: what happened, which release, and what to do, with the input to paste. All pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The occasions on which Runback speaks up."""

    PROMOTED = "promoted"
    REFUSED = "refused"
    ABORTED = "aborted"
    ROLLED_BACK = "rolled_back"
    NOT_VERIFIED = "not_verified"
    ESCALATED = "escalated"
    RECORD_UNREACHABLE = "record_unreachable"
    CLEAN_UP_FAILED = "clean_up_failed"


@dataclass(frozen=True)
class Message:
    """An SNS message. The subject has at most 100 ASCII characters, or SNS refuses it."""

    subject: str
    body: str


_HEADLINES: Mapping[Kind, str] = {
    Kind.PROMOTED: "Release {release_id} is live",
    Kind.REFUSED: "Release {release_id} was refused, nothing changed",
    Kind.ABORTED: "Release {release_id} was aborted, traffic never moved",
    Kind.ROLLED_BACK: "Release {release_id} was rolled back",
    Kind.NOT_VERIFIED: "ACTION NEEDED: after rollback of {release_id} a check fails",
    Kind.ESCALATED: "ACTION NEEDED: {release_id} could not be brought to an end",
    Kind.RECORD_UNREACHABLE: "ACTION NEEDED: rollback impossible, the record cannot be reached",
    Kind.CLEAN_UP_FAILED: "ACTION NEEDED: the clean-up after {release_id} failed",
}

_ADVICE: Mapping[Kind, str] = {
    Kind.PROMOTED: "To go back, start {rollback_machine} with the input {{}}.",
    Kind.REFUSED: "Remove the reason above, then start {deploy_machine} again.",
    Kind.ABORTED: "The old version serves as before. Mend the release, and deploy a new commit.",
    Kind.ROLLED_BACK: "The previous version has all traffic again. Going forward again is a new deployment.",
    Kind.NOT_VERIFIED: (
        "All traffic is on the old version, and stays there. Look for what both versions need and do not have: the"
        " database, the cache, a service beside them."
    ),
    Kind.ESCALATED: (
        "Look at the listener and at the execution first. If traffic should go back, start {rollback_machine} with the"
        " input {{}} once the cause above is removed."
    ),
    Kind.RECORD_UNREACHABLE: "Switch the traffic back by hand now, with these commands:\n\n{commands}",
    Kind.CLEAN_UP_FAILED: (
        "No traffic was moved; the old color may keep instances that nobody needs. Once the cause above is removed,"
        " start {clean_up_machine} with the input {{}}: it may be repeated at any time."
    ),
}


@dataclass(frozen=True)
class Notice:
    """What happened. `commands` are the AWS CLI commands of the way back, where they are needed."""

    kind: Kind
    release_id: str
    reason: str
    execution: str
    commands: str = ""


def compose(notice: Notice, service: str, environment: str) -> Message:
    """Write the message that a human gets."""
    words = {
        "release_id": notice.release_id or "a release",
        "deploy_machine": f"{service}-{environment}-deploy",
        "rollback_machine": f"{service}-{environment}-rollback",
        "clean_up_machine": f"{service}-{environment}-clean-up",
        "commands": notice.commands or "(their copy in SSM cannot be read either: see the runbook, Quick Rollback)",
    }
    headline = _HEADLINES[notice.kind].format(**words)
    lines = [
        f"{headline} ({service}, {environment}).",
        f"Why: {notice.reason}" if notice.reason else "",
        _ADVICE[notice.kind].format(**words),
        f"Execution: {notice.execution}",
    ]
    subject = f"[{service} {environment}] {headline}"
    return Message(
        subject=subject.encode("ascii", "replace").decode()[:100], body="\n\n".join(line for line in lines if line)
    )
