"""The cache's process: a server that speaks Redis's protocol over TCP and keeps everything in memory."""

import argparse
import signal
import threading

from fakeredis import TcpFakeServer

from rehearsal.world.network import HOST
from rehearsal.world.processes import end_with_parent


def main() -> None:
    """Serve until SIGTERM or the parent's end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    server = TcpFakeServer((HOST, options.port))
    # shutdown() waits for serve_forever to return: called in this thread, it would wait for itself
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    end_with_parent()
    server.serve_forever(poll_interval=0.1)
    server.server_close()


if __name__ == "__main__":
    main()
