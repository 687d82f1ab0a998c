"""The pretend account's DNS and routes: which process of this machine answers for a host of the settings."""

import json
import threading
from pathlib import Path


class Names:
    """
    Keeps a file that function processes read: `{"host:port": port on this machine}`, see engine/sandbox_process.py.

    A change is seen by processes that run already, and never half: the file is replaced, not written over.
    """

    def __init__(self, path: Path) -> None:
        """Begin a file without names."""
        self.file = path.resolve()
        self._local_ports: dict[str, int] = {}
        self._lock = threading.Lock()
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self._write()

    def point(self, host: str, port: int, local_port: int) -> None:
        """Let `host:port` be the local port from now on, whatever it was before."""
        with self._lock:
            self._local_ports[f"{host.lower()}:{port}"] = local_port
            self._write()

    def _write(self) -> None:
        replacement = self.file.with_name(f"{self.file.name}.new")
        replacement.write_text(json.dumps(self._local_ports, indent=2, sort_keys=True), encoding="utf-8")
        replacement.replace(self.file)
