"""Put our own methods in the place of moto's, and take them back out."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

_ABSENT = object()


class Overlay:
    """Methods replaced together; `uninstall` leaves moto exactly as it was."""

    def __init__(self) -> None:
        self._installed = ExitStack()

    def replace(self, owner: type, name: str, method: Callable[..., Any] | property) -> None:
        """A method that moto lacks is added."""
        self._installed.enter_context(_replaced(owner, name, method))

    def wrap(self, owner: type, name: str, around: Callable[..., Any]) -> None:
        """`around` gets moto's own method as its first argument, then the call's arguments."""
        original = getattr(owner, name)

        def method(*args: Any, **kwargs: Any) -> Any:
            return around(original, *args, **kwargs)

        self.replace(owner, name, method)

    def uninstall(self) -> None:
        """Undo the replacements, the last one first."""
        self._installed.close()


@contextmanager
def _replaced(owner: type, name: str, replacement: object) -> Iterator[None]:
    original = owner.__dict__.get(name, _ABSENT)
    setattr(owner, name, replacement)
    try:
        yield
    finally:
        if original is _ABSENT:
            delattr(owner, name)
        else:
            setattr(owner, name, original)
