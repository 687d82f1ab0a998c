"""What a restore of the database did, in the sentences that an operator would use. All pure."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from lambdas.reports.history_rules import History, Visit

FREEZE, THAW = "freeze-traffic", "thaw-traffic"
_COUNT = "count-lost-writes"
_CHANGES = ("inserted", "changed", "deleted")

RESTORE_PARTS: Mapping[str, str] = {
    "Wait for writers": "Fence writers",
    "Wait for safety snapshot": "Take safety snapshot",
    "Check safety snapshot": "Take safety snapshot",
    "Wait for restored instance": "Restore instance",
    "Check restored instance": "Restore instance",
    "Wait for another refresh": "Restart application",
    "Wait for restart": "Restart application",
    "Check restart": "Restart application",
    "Wait for another refresh again": "Restart application again",
    "Wait for restart again": "Restart application again",
    "Check restart again": "Restart application again",
}
"""The states that an operator takes for a part of another one: those that wait and look again."""

_OUTCOMES: Mapping[str, str] = {
    "restored": "The record says that the restored instance serves.",
    "restore_failed": "The record says that the instance from before serves.",
    "frozen": "The record says that traffic stays frozen, until somebody goes on with the restore or gives it up.",
    "over": "The environment is free.",
    "rejected": "The restore was rejected, and nothing was changed.",
    "expired": "Nobody approved the restore in time, and nothing was changed.",
    "refused": "The restore did not begin, and nothing was changed.",
}


def lost_rows(lost: Mapping[str, Mapping[str, Any]]) -> str:
    """Say how many rows of each table a restore takes from users, by what had happened to them."""
    tables = [f"{table}: {_changes(counts)}" for table, counts in lost.items() if any(counts.values())]
    return "; ".join(tables) or "none"


def losses_of(histories: Sequence[History]) -> list[str]:
    """Return for each execution that has counted to its end what it takes from users."""
    counted = [
        [visit.answer for visit in each.visits if visit.function == _COUNT and visit.answer.get("done")]
        for each in histories
    ]
    return [lost_rows(answers[-1]["lost"]) for answers in counted if answers]


def frozen_for(histories: Sequence[History]) -> timedelta | None:
    """Return how long users were shut out, all in all; None where they never were, or are still."""
    visits = [visit for each in histories for visit in each.visits if visit.function in (FREEZE, THAW)]
    total, since = timedelta(), None
    for visit in sorted(visits, key=lambda each: each.entered):
        if visit.answered and visit.function == FREEZE:
            since = since or visit.answered
        elif visit.answered and since:
            total, since = total + (visit.answered - since), None
    return total if total and since is None else None


def _changes(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{int(counts[change]):,} {change}" for change in _CHANGES if counts.get(change))


def _planned(visit: Visit) -> str:
    if not visit.answer["plan"]:
        return str(visit.answer["reason"])
    plan = visit.answer["plan"]
    return (
        f"{plan['restored_instance']} is to serve, with the data of {plan['recovery_point']}, in place of"
        f" {plan['forward_instance']}, which is kept."
    )


def answered(visit: Visit) -> str:
    """Say how a human has answered."""
    verb = "approved" if visit.answer["approved"] else "rejected"
    by = visit.answer["by"]
    # of an order in the console it is known later who has given it
    who = by if by.startswith("arn:") and ":execution:" not in by else "A human"
    return f"{who} has {verb} it: {visit.answer['reason']}"


def _fenced(visit: Visit) -> str:
    if visit.answer["fenced"]:
        return "Nobody can write to the database any more."
    return f"Somebody writes still: {visit.answer['still_writing']}"


def _counted(visit: Visit) -> str:
    answer = visit.answer
    if not answer["done"]:
        return ""
    return f"Rows that users lose: {lost_rows(answer['lost'])}. They are exported to {answer['exported']}"


def _swapped(visit: Visit) -> str:
    if visit.given["undo"]:
        return "The application's secret names the instance from before."
    return f"The application's secret names {visit.given['restored_instance']}."


def _verified(visit: Visit) -> str:
    passed = ", ".join(visit.answer["checked"])
    return f"The application can go on with the restored data; passed: {passed}. Sequences are ahead of the old ones."


Sentence = Callable[[Visit], str]

RESTORE_SENTENCES: Mapping[str, Sentence] = {
    "plan-restore": _planned,
    "ask-approval": answered,
    "copy-snapshot": lambda visit: f"The copy {visit.answer['snapshot_id']} of a shared snapshot was begun.",
    "check-copied-snapshot": lambda visit: "The copy is complete." if visit.answer["available"] else "",
    "claim-restore": lambda visit: f"The environment was claimed for the restore: {visit.answer['active']} serves.",
    "hold-capacity": lambda visit: f"The size of {', '.join(sorted(visit.answer['held']))} is held.",
    FREEZE: lambda _: "Traffic is frozen: users get 503.",
    "fence-writers": _fenced,
    "lift-fence": lambda visit: f"The application may log in to {visit.given['host']}.",
    "take-safety-snapshot": lambda visit: f"The safety snapshot {visit.answer['snapshot_id']} was begun.",
    "check-safety-snapshot": lambda visit: "The safety snapshot is complete." if visit.answer["available"] else "",
    "restore-instance": lambda visit: f"{visit.answer['instance']} is to have the restored data.",
    "check-restored-instance": lambda visit: (
        "The restored instance is there, with the settings of the one that serves." if visit.answer["available"] else ""
    ),
    "set-master-password": lambda visit: f"{visit.given['restored_instance']} gets the master password of today.",
    "verify-restored-data": _verified,
    _COUNT: _counted,
    "swap-connection": _swapped,
    "restart-application": lambda visit: (
        f"{str(visit.given['color']).capitalize()} is restarted." if visit.answer["started"] else ""
    ),
    "check-restart": lambda visit: "Every instance was launched since." if visit.answer["restarted"] else "",
    THAW: lambda _: "Traffic flows again.",
    "give-capacity-back": lambda visit: (
        f"{', '.join(visit.answer['given_back'])} may be scaled again." if visit.answer["given_back"] else ""
    ),
    "record-restore": lambda visit: _OUTCOMES[visit.given["outcome"]],
}
"""By function: says what it has done; empty when it was nothing that anybody wants to hear of."""
