"""The child's end of `ChildProcess.ask`, for children that are asyncio programs."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

from rehearsal.world.processes import continue_siblings

_LARGEST_LINE = 1 << 24


async def questions() -> AsyncIterator[dict[str, Any]]:
    """Lines from our parent until it has had enough of us, or is gone; only then what it froze is continued."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_LARGEST_LINE)
    told_to_stop = asyncio.Event()

    def stop() -> None:
        told_to_stop.set()
        reader.feed_eof()

    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    loop.add_signal_handler(signal.SIGTERM, stop)
    while line := await reader.readline():
        yield json.loads(line)
    if not told_to_stop.is_set():
        continue_siblings()


def answer(content: dict[str, Any]) -> None:
    """Answer the question that came last."""
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()
