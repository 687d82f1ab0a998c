"""
Runs one PostgreSQL server, and ends it when its parent ends: PostgreSQL itself would go on.

SIGTERM stops it in an orderly way without waiting for its clients, SIGQUIT as a crash would.
https://www.postgresql.org/docs/18/server-shutdown.html
"""

import argparse
import signal
import subprocess
import sys

from rehearsal.world.processes import end_with_parent

_PASSED_ON = {signal.SIGTERM: signal.SIGINT, signal.SIGQUIT: signal.SIGQUIT}
_AWAITED = {*_PASSED_ON, signal.SIGCHLD}


def main() -> None:
    """Exit as the server exits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--user", type=int, help="numeric id of the user to run as")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    # A handler could miss its signal: one that another thread gets does not interrupt a wait for the server.
    signal.signal(signal.SIGCHLD, lambda *_: None)  # one that is ignored, as by default, could not be awaited
    signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)  # PostgreSQL unblocks for itself what it needs
    groups: list[int] | None = None if options.user is None else []
    with subprocess.Popen(
        options.command, stdin=subprocess.DEVNULL, user=options.user, group=options.user, extra_groups=groups
    ) as server:
        end_with_parent()
        while server.poll() is None:
            received = signal.sigwait(_AWAITED)
            if received in _PASSED_ON:
                server.send_signal(_PASSED_ON[signal.Signals(received)])
    sys.exit(server.returncode)


if __name__ == "__main__":
    main()
