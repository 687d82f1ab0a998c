"""How a function looks at its gates: at every one, whatever the others say, and without ever failing for one."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from lambdas.errors import RunbackError
from lambdas.gates.gate_rules import Found, GateSettings, error, without_looking
from lambdas.observability import FAILED_REQUEST, describe, logger
from lambdas.release.request_rules import GateResult, as_dicts


def look_at_gates(
    settings: GateSettings, looks: Mapping[str, Callable[[], Found]], skips: Sequence[str]
) -> dict[str, list[dict[str, str]]]:
    """
    Return {"results": …} with one for each gate, by its level and what its look has found.

    What could not be looked at is an error, whatever the reason: it never passes, and keeps no other gate from being
    looked at.
    """
    return {"results": as_dicts(list(_results(settings, looks, skips)))}


def _results(
    settings: GateSettings, looks: Mapping[str, Callable[[], Found]], skips: Sequence[str]
) -> Iterator[GateResult]:
    for gate, look in looks.items():
        level = settings.level(gate)
        yield without_looking(gate, level, skips) or _safely(gate, look).at(gate, level)


def _safely(gate: str, look: Callable[[], Found]) -> Found:
    """An error of our own may quote what it was about, which can be secret: only its kind is told."""
    try:
        return look()
    except RunbackError as refused:
        return error(str(refused))
    except FAILED_REQUEST as failed:
        return error(describe(failed))
    except Exception as unforeseen:  # noqa: BLE001  whatever it was, the gate was not looked at
        logger.exception("A gate could not be looked at", gate=gate)
        return error(f"Looking at it failed with {type(unforeseen).__name__}.")
