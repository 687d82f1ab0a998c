"""
The applications' request logs in CloudWatch Logs: what the CloudWatch agent does on every real instance.

A line's event has the simulated time of its shipping, up to SHIP_EVERY_WALL_SECONDS of wall time after the request:
functions search by simulated times. The `timestamp` inside the line is the application's own, and wall time.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Self

from moto.logs.models import LogGroup, LogsBackend, LogStream, logs_backends

from rehearsal.clock import Clock
from rehearsal.world.log_patterns import matcher_of
from rehearsal.world.overlay import Overlay

REQUEST_LOG = "{instance}.requests.jsonl"
"""Where in the log directory an instance's request log is, in the environment that is rehearsed."""

SHIP_EVERY_WALL_SECONDS = 0.3


def request_log_of(instance: str, environment: str = "") -> str:
    """Return where in the log directory an instance's request log is; `environment` is that of another environment."""
    return REQUEST_LOG.format(instance=f"{instance}.{environment}" if environment else instance)


class RequestLogGroup:
    """
    The log group that all request logs are in, with a stream per instance, while its context is open.

    Events go into moto's backend, under the account's lock, not through PutLogEvents: that refuses what lies more than
    two hours in its future, and simulated time does.
    """

    def __init__(self, account: str, region: str, name: str, account_lock: AbstractContextManager[Any]) -> None:
        self.account_lock = account_lock
        self._account, self._region = account, region
        self._name = name
        self._overlay = Overlay()

    def install(self, before_reading: Callable[[], None] | None = None) -> None:
        """
        Let FilterLogEvents understand JSON patterns; the group is made when there is none.

        before_reading: called, under the account's lock, before anybody reads events of any group.
        """
        self._overlay.replace(LogStream, "filter_log_events", _filter_log_events)
        self._overlay.wrap(LogGroup, "filter_log_events", _interleaving)
        if before_reading is not None:
            for name in ("filter_log_events", "get_log_events", "describe_log_streams"):
                self._overlay.wrap(LogGroup, name, _after(before_reading))
        with self.account_lock:
            if self._name not in self._backend.groups:
                self._backend.create_log_group(self._name, tags={})

    def uninstall(self) -> None:
        """Leave the group and its events to moto."""
        self._overlay.uninstall()

    def put(self, stream: str, events: list[dict[str, Any]]) -> None:
        """Append events, `{"timestamp": milliseconds, "message"}`; under the account's lock."""
        group = self._backend.groups[self._name]
        if stream not in group.streams:
            group.create_log_stream(stream)
        group.put_log_events(stream, events)

    @property
    def _backend(self) -> LogsBackend:
        return logs_backends[self._account][self._region]


class LogShipper:
    """
    Follows all request logs of an environment in `directory`, into one log group.

    On wall time, because applications write in wall time.
    """

    def __init__(
        self,
        clock: Clock,
        account: str,
        region: str,
        *,
        account_lock: AbstractContextManager[Any],
        group: str,
        directory: Path,
        environment: str = "",
    ) -> None:
        self._clock = clock
        self._group = RequestLogGroup(account, region, group, account_lock)
        self._directory, self._environment = directory, environment
        self._shipping = threading.Lock()
        self._shipped_to: dict[Path, int] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-shipper", daemon=True)

    def install(self) -> None:
        """Begin to ship."""
        self._group.install()
        self._thread.start()

    def uninstall(self) -> None:
        """Ship what is left."""
        self._stopped.set()
        self._thread.join()
        self.ship()
        self._group.uninstall()

    def __enter__(self) -> Self:
        self.install()
        return self

    def __exit__(self, *_: object) -> None:
        self.uninstall()

    def ship(self) -> None:
        """Ship all complete lines that were written up to now."""
        with self._shipping:
            new = {path: self._new_lines(path) for path in self._logs()}
            if not any(new.values()):
                return
            with self._group.account_lock:
                timestamp = int(self._clock.now().timestamp() * 1000)
                for path, lines in new.items():
                    self._group.put(_stream_of(path), [{"timestamp": timestamp, "message": line} for line in lines])

    def _logs(self) -> list[Path]:
        """Name those of the environment: an instance's id has no dot, but what follows it in another one's."""
        found = self._directory.glob(request_log_of("*"))
        return [path for path in found if path.name == request_log_of(_stream_of(path), self._environment)]

    def _run(self) -> None:
        while not self._stopped.wait(SHIP_EVERY_WALL_SECONDS):
            self.ship()

    def _new_lines(self, path: Path) -> list[str]:
        begin = self._shipped_to.get(path, 0)
        with path.open("rb") as log:
            log.seek(begin)
            written, newline, _ = log.read().rpartition(b"\n")  # the last line may be half-written
        self._shipped_to[path] = begin + len(written) + len(newline)
        return written.decode().splitlines()


def _after(first: Callable[[], None]) -> Callable[..., Any]:
    """Around a method that must see what `first` does."""

    def method(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        first()
        return original(*args, **kwargs)

    return method


def _stream_of(path: Path) -> str:
    return path.name.partition(".")[0]


def _interleaving(original: Callable[..., Any], group: LogGroup, *args: Any) -> Any:
    """
    Put the events of all streams in the order of their times, before they are divided into pages.

    AWS ignores the parameter `interleaved`, the last of `args`, and takes it for true; moto takes it for false.
    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
    """
    *others, _ = args
    return original(group, *others, True)  # noqa: FBT003  moto's own signature


def _filter_log_events(
    stream: LogStream, start_time: int | None, end_time: int | None, filter_pattern: str | None
) -> list[dict[str, Any]]:
    """
    Return the events from start_time to end_time, both included, that match.

    Raises UnsupportedPattern, which makes the rehearsal void: moto's own method matches everything.
    """
    matches = matcher_of(filter_pattern or "")
    return [
        {**event.to_filter_dict(), "logStreamName": stream.log_stream_name}
        for event in sorted(stream.events, key=lambda each: each.timestamp)
        if (start_time is None or event.timestamp >= start_time)
        and (end_time is None or event.timestamp <= end_time)
        and matches(event.message)
    ]
