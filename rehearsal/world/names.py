"""The pretend account's DNS and routes: which process of this machine answers for a host of the settings."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path


class Names:
    """
    Says which port of this machine stands for which host and port of the pretend account.

    With a path it keeps a file that function processes read: `{"host:port": port on this machine}`, see
    engine/sandbox_process.py. A change is seen by processes that run already, and never half: the file is replaced, not
    written over.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Begin without names, in a file if functions have processes of their own."""
        self._path = path.resolve() if path else None
        self._local_ports: dict[str, int] = {}
        self._lock = threading.Lock()
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        self._write()

    @property
    def file(self) -> Path:
        """The file. Raises ValueError for names without one."""
        if self._path is None:
            raise ValueError("these names are known in this process only")
        return self._path

    def routes(self) -> dict[tuple[str, int], int]:
        """Return the ports of this machine, by host and port."""
        with self._lock:
            return {(host, int(port)): local for (host, _, port), local in self._parted()}

    def point(self, host: str, port: int, local_port: int) -> None:
        """Let `host:port` be the local port from now on, whatever it was before."""
        with self._lock:
            self._local_ports[f"{host.lower()}:{port}"] = local_port
            self._write()

    def _parted(self) -> Iterator[tuple[tuple[str, str, str], int]]:
        return ((name.rpartition(":"), local) for name, local in self._local_ports.items())

    def _write(self) -> None:
        if self._path is None:
            return
        replacement = self._path.with_name(f"{self._path.name}.new")
        replacement.write_text(json.dumps(self._local_ports, indent=2, sort_keys=True), encoding="utf-8")
        replacement.replace(self._path)
