"""However a scenario is staged, it is the same scenario: real processes, this process and virtual time agree."""

import json
import re
from itertools import groupby
from typing import Any

import pytest

from tests.rehearsal.conftest import PACKAGED, Keep, Kept

pytestmark = pytest.mark.rehearsed

TIMES_AND_IDS = re.compile(
    r"\d{4}-\d{2}-\d{2}T[\d:.]+(Z|\+00:00)"  # a time
    r"|(?<=[0-9a-f]{7}-)[0-9a-f]{8}\b"  # what a release's id has after its version
)
SIDE_BY_SIDE = re.compile(r"Check (commit|foundations|operations)\b")
"""The states of the gates' branches, which are entered at the same moment."""


@pytest.mark.parametrize("staging", ["modelled", "virtual"])
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.xdist_group(f"packaged {name}")) for name in PACKAGED]
)
def test_what_happens_does_not_depend_on_the_staging(name: str, staging: str, keep: Keep) -> None:
    """What a thousand rehearsals in virtual time find holds for the functions that ship."""
    assert _what_happened(keep("packaged", name)) == _what_happened(keep(staging, name))


def _what_happened(kept: Kept) -> dict[str, Any]:
    """
    Return the release's end, the record, and what executions did, without how often they looked after something.

    Deployment, rule and watchdog may all start a rollback: who comes too late to do anything is left to chance. So is
    where among the others the reports stand, which nobody waits for, and which of the gates' branches comes first.
    """
    return {
        "outcome": kept.report["outcome"],
        "final": kept.report["final"],
        "live": json.loads(TIMES_AND_IDS.sub("*", json.dumps(kept.record["live"]))),
        "executions": _once(
            [each["machine"], each["status"], each["error"], _once(_in_order(each["states"]))]
            for each in sorted(kept.executions, key=_is_report)
            if each["states"][-1] != "Nothing to roll back"
        ),
    }


def _is_report(execution: dict[str, Any]) -> bool:
    return bool(execution["machine"] == "report")


def _in_order(states: list[str]) -> list[str]:
    """Bring what runs side by side into one order."""
    runs = groupby(states, key=lambda state: bool(SIDE_BY_SIDE.match(state)))
    return [state for is_beside, run in runs for state in (sorted(run) if is_beside else run)]


def _once(values: Any) -> list[Any]:
    """Leave out what has come before."""
    known: list[Any] = []
    for value in values:
        if value not in known:
            known.append(value)
    return known
