"""Child processes of the pretend account: one log file each, and none outlives the process that started it."""

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]


class ChildFailed(RuntimeError):
    """A child process ended, or did not answer in time, while the rehearsal needed it: the rehearsal is void."""


class ChildProcess:
    """
    A module of ours, run as its own operating-system process.

    The child's standard input is a pipe that only we hold. However we end, the kernel closes it, and the child ends
    with it: unlike Linux's PR_SET_PDEATHSIG this works on every system, and does not depend on the thread that
    started the child. A child under SIGSTOP would not notice; its siblings continue it, see `continue_siblings`.
    """

    def __init__(self, module: str, arguments: Sequence[str], log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                bufsize=0,
                cwd=_ROOT,
            )
        self._module = module
        self._log = log
        self._conversation = threading.Lock()
        self._unread = b""

    @property
    def pid(self) -> int:
        """For signals: a rehearsal kills and freezes its children."""
        return self._process.pid

    def is_running(self) -> bool:
        """Also true of a process that is frozen, or about to end."""
        return self._process.poll() is None

    def ask(self, question: dict[str, Any], patience_seconds: float = 20.0) -> dict[str, Any]:
        """Send one line of JSON and return the line of JSON that answers it; wall seconds. Raises ChildFailed."""
        assert self._process.stdin is not None
        with self._conversation:
            try:
                _write_all(self._process.stdin.fileno(), json.dumps(question).encode() + b"\n")
            except BrokenPipeError as gone:
                raise self._failed("ended") from gone
            answer: dict[str, Any] = json.loads(self._read_line(time.monotonic() + patience_seconds))
        if "error" in answer:
            raise ChildFailed(f"{self._module}: {answer['error']}")
        return answer

    def begin_to_stop(self) -> None:
        """Ask the child to finish what it has in hand."""
        self._process.send_signal(signal.SIGTERM)
        self._process.send_signal(signal.SIGCONT)  # a stopped process cannot see its SIGTERM

    def stop(self, patience_seconds: float = 5.0) -> None:
        """Let the child finish what it has in hand, for at most this many wall seconds; safe to repeat."""
        self.begin_to_stop()
        try:
            self._process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _read_line(self, deadline: float) -> bytes:
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        while b"\n" not in self._unread:
            readable, _, _ = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
            if not readable:
                raise self._failed("does not answer")
            received = os.read(pipe, 1 << 16)
            if not received:
                raise self._failed("ended")
            self._unread += received
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _failed(self, how: str) -> ChildFailed:
        return ChildFailed(f"{self._module} (process {self.pid}) {how}; its log is {self._log}")


def end_with_parent(obey: Callable[[dict[str, Any]], object] = lambda _: None) -> None:
    """
    To be called by a child: SIGTERM itself when its parent is gone, and leave Ctrl-C to the parent.

    obey: does what the parent asks; its answer is that it was done.

    Reads the file descriptor, not sys.stdin: a thread blocked in that would keep its lock at interpreter exit.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def wait_for_end_of_input() -> None:
        unread = b""
        while received := os.read(0, 1 << 16):
            *lines, unread = (unread + received).split(b"\n")
            for line in lines:
                obey(json.loads(line))
                _write_all(sys.stdout.fileno(), b"{}\n")
        continue_siblings()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait_for_end_of_input, name="end-with-parent", daemon=True).start()


def continue_siblings() -> None:
    """To be called by a child whose parent is gone: children of one parent share its process group."""
    os.killpg(os.getpgrp(), signal.SIGCONT)


def _write_all(pipe: int, data: bytes) -> None:
    while data:
        data = data[os.write(pipe, data) :]
