"""An instance's application as a process of its own."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from rehearsal.world.application import Behaviour, Identity, Services
from rehearsal.world.processes import ChildProcess
from rehearsal.world.request_logs import request_log_of


class RunningApplication(Protocol):
    """An application that was started, be it a process or a model in this one."""

    def is_running(self) -> bool:
        """Say whether it has not ended, of itself or because it had to."""
        ...

    def behave(self, behaviour: Behaviour) -> None:
        """Let it behave otherwise, from its next request on. Raises ChildFailed for a process that has ended."""
        ...

    def begin_to_stop(self) -> None:
        """Let it finish what it has in hand, and return at once."""
        ...

    def stop(self) -> None:
        """Return when it has ended; safe to repeat."""
        ...

    def kill(self) -> None:
        """End it as a fault does: whatever it has in hand is lost, and its port refuses connections; safe to repeat."""
        ...


StartApplication = Callable[[int, Identity, Behaviour, Services, Path], RunningApplication]
"""Starts the application of an instance on a port, with its log in a directory; returns before it answers."""


class ApplicationProcess(ChildProcess):
    """A process that can be killed, and told to behave otherwise."""

    def behave(self, behaviour: Behaviour) -> None:
        """Return when it does."""
        self.ask(asdict(behaviour))

    def kill(self) -> None:
        """End it without any warning; safe to repeat."""
        self._process.kill()


def start_process(
    port: int, identity: Identity, behaviour: Behaviour, services: Services, log_directory: Path
) -> RunningApplication:
    """Start a process, which also writes a request log, for a LogShipper."""
    arguments = ["--port", str(port), "--version", identity.version, "--color", identity.color]
    arguments += ["--instance", identity.instance, "--services", services.to_json()]
    arguments += ["--request-log", str(log_directory / request_log_of(identity.instance, identity.environment))]
    arguments += ["--behaviour", behaviour.to_json()]
    return ApplicationProcess("rehearsal.world.application", arguments, log_directory / f"{identity.instance}.log")
