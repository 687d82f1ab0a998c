"""A log of calls to AWS, made up."""

from rehearsal.engine.calls import Call


def call(number: int, caller: str | None, action: str, *, error: str | None = None, machine: str = "") -> Call:
    """Return a call that begins at its number of seconds, and takes half of one."""
    return Call(
        number=number,
        at=0.0,
        stamp=float(number),
        service="any",
        action=action,
        caller=caller,
        parameters={"stateMachineArn": machine} if machine else {},
        mutating=True,
        error=error,
        answered=number + 0.5,
    )
