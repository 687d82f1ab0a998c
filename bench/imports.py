"""How long a function's package takes to import, beside bare boto3 with one client."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench.findings import TIMED, Benchmark, Findings, Goal, Plan, Raw, Table, in_seconds, timed
from bench.measure import CannotMeasure, Spread, interleaved, ratio
from bench.shipped import Shipped, functions_of
from rehearsal.engine.sandbox import Platform, link_runtime
from rehearsal.report import CRITICAL_PATH
from rehearsal.settings import Settings

HOW = """
Each measurement is a fresh process of this Python, started as the rehearsal starts functions: import path of the
function's code, its layers, and a folder with nothing but boto3 and AWS's runtime client; without `site`; compiled
files in a folder that an unmeasured first run has filled. Measured is from the first line of the process's script
until the module of the handler is imported, its clients included. The start of Python itself is left out on both
sides. Bare boto3 is `import boto3` and one DynamoDB client. The two functions between the start of a rollback and
safe traffic take turns with it by themselves, and more often than all functions together.

The first call is measured for those two, with the event that a rollback hands them, until their first AWS request is
refused by a stub on this machine that refuses everything at once: that is what a first call costs whatever AWS does.
What a whole first call takes is in the rollback above. Other functions' first calls wait for what they ask, so that
the figure would be one of the answer.
""".strip()

_SCRIPT = Path(__file__).with_name("import_process.py")
_ENVIRONMENT = "production"
_BARE = "bare boto3, one client"
_MOST_TIMES_AS_LONG = 1.4
_MORE_OFTEN = 4
_COLUMNS = ("what", *TIMED, "times bare boto3")
_MORE_COLUMNS = ("by the processor's time", "its clients")

_NOW = "2024-01-01T00:00:00Z"
_HOLDER = "arn:aws:states:eu-west-1:111122223333:execution:rollback:benchmark"
FIRST_EVENTS: Mapping[str, Mapping[str, Any]] = {
    "claim-rollback": {"input": {}, "execution": _HOLDER, "asked_at": _NOW, "now": _NOW},
    "switch-listener": {
        "lease": {"holder": _HOLDER, "token": 1},
        "release_id": "1a2b3c4-benchmark",
        "color": "blue",
        "percent": 100,
        "before_percent": 100,
        "wanted_healthy": 1,
        "last_healthy": 0,
        "last_healthy_at": "",
        "now": _NOW,
        "back": True,
    },
}
"""What the rollback machine hands to the functions of its critical path."""


class Fresh:
    """Starts processes in which a function, or bare boto3, is imported."""

    def __init__(self, folder: Path, region: str, endpoint_url: str) -> None:
        self._platform = Platform(region, endpoint_url, link_runtime(folder / "runtime"), folder / "bytecode")

    def imported(self, function: Shipped) -> Callable[[], dict[str, Any]]:
        """Return what imports a function, and calls it where its first event is known."""
        events = [json.dumps(FIRST_EVENTS[function.name])] if function.name in FIRST_EVENTS else []
        return lambda: self._run(self._environment(function), "function", function.version.handler, *events)

    def bare(self, like: Shipped, services: Sequence[str]) -> Callable[[], dict[str, Any]]:
        """Return what imports boto3 and makes clients, with no package of ours on its way."""
        environment = self._environment(like) | {"PYTHONPATH": str(self._platform.runtime_dir)}
        return lambda: self._run(environment, "boto3", *services)

    def clients_of(self, function: Shipped) -> list[str]:
        """Name the services for which a function makes clients when it is imported."""
        return list(self._run(self._environment(function), "clients", function.version.handler)["clients"])

    def _environment(self, function: Shipped) -> dict[str, str]:
        return self._platform.environment(function.version, "127.0.0.1:1")

    def _run(self, environment: Mapping[str, str], *arguments: str) -> dict[str, Any]:
        python = (sys.executable, "-S", "-P", "-X", f"pycache_prefix={self._platform.bytecode_dir}")
        done = subprocess.run(
            (*python, str(_SCRIPT), *arguments),
            env=dict(environment),
            cwd=os.sep,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CannotMeasure(f"{' '.join(arguments)} did not import:\n{done.stderr.strip()}")
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer


class _Refusing(BaseHTTPRequestHandler):
    """Refuses whatever it is asked, in the protocol in which it was asked."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "X-Amz-Target" in self.headers:
            kind, body = "application/x-amz-json-1.0", b'{"__type": "AccessDeniedException", "message": "no"}'
        else:
            kind = "text/xml"
            body = b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
        self.send_response(400)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  as its base has it
        del format, args


@contextmanager
def _refusing_everything() -> Iterator[str]:
    """Serve a stub of AWS, and yield its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Refusing)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def measure(plan: Plan) -> Raw:
    """Import every function of production as shipped, once a round."""
    settings = Settings.read(_ENVIRONMENT)
    functions = functions_of(plan.assembly, settings)
    with _refusing_everything() as endpoint_url:
        fresh = Fresh(plan.folder.resolve(), settings.region, endpoint_url)
        plan.say("before the first round: everything once")
        clients = {function.name: fresh.clients_of(function) for function in functions}
        bare = {_BARE: fresh.bare(functions[0], ["dynamodb"])}
        alike = {_bare_with(clients[name]): fresh.bare(functions[0], clients[name]) for name in CRITICAL_PATH}
        every = {function.name: fresh.imported(function) for function in functions}
        for side in (*bare.values(), *alike.values(), *every.values()):
            side()
        critical = bare | alike | {name: every[name] for name in CRITICAL_PATH}
        return {
            "clients": clients,
            "critical": interleaved(critical, _MORE_OFTEN * plan.rounds, plan.say),
            "every": interleaved(bare | every, plan.rounds, plan.say),
        }


def _bare_with(services: Sequence[str]) -> str:
    return f"bare boto3, clients: {', '.join(services)}"


def findings(raw: Raw) -> Findings:
    """Compare the medians."""
    critical, every = (_seconds(raw[part], "import") for part in ("critical", "every"))
    calls = _seconds(raw["critical"], "first_call")
    return Findings(
        tables=[
            Table(
                "Import of what stands between the start of a rollback and safe traffic",
                (*_COLUMNS, *_MORE_COLUMNS),
                _with_more(_compared(critical), raw["critical"], raw["clients"]),
            ),
            Table("Their first call, until AWS refuses its first request", _COLUMNS, _compared(calls)),
            Table(
                "Import of every function",
                (*_COLUMNS, *_MORE_COLUMNS),
                _with_more(_compared(every), raw["every"], raw["clients"]),
            ),
        ],
        goals=[_goal(name, critical[name], critical[_BARE]) for name in CRITICAL_PATH],
        notes=[_note(name, critical, raw["clients"][name]) for name in CRITICAL_PATH],
    )


def _seconds(runs: Mapping[str, Sequence[Mapping[str, float]]], what: str) -> dict[str, list[float]]:
    measured = {name: [each[what] for each in of_one if what in each] for name, of_one in runs.items()}
    return {name: seconds for name, seconds in measured.items() if seconds}


def _compared(seconds: Mapping[str, Sequence[float]]) -> list[list[str]]:
    """Make a row of each, the quickest first."""
    times = {name: ratio(each, seconds[_BARE]) for name, each in seconds.items()}
    return [[name, *timed(seconds[name]), f"{times[name]:.2f}"] for name in sorted(times, key=lambda name: times[name])]


def _with_more(
    rows: Sequence[Sequence[str]],
    runs: Mapping[str, Sequence[Mapping[str, float]]],
    clients: Mapping[str, Sequence[str]],
) -> list[list[str]]:
    """Add to each row the ratio by the processor's time, which other work on the machine hardly changes."""
    at_work = _seconds(runs, "processor")
    return [[*row, f"{ratio(at_work[row[0]], at_work[_BARE]):.2f}", ", ".join(clients.get(row[0], ()))] for row in rows]


def _note(name: str, seconds: Mapping[str, Sequence[float]], clients: Sequence[str]) -> str:
    """Say how much of what a function has more than bare boto3 is no client of AWS."""
    of_all, of_clients, bare = (Spread.of(seconds[side]).median for side in (name, _bare_with(clients), _BARE))
    return (
        f"{name} takes {in_seconds(of_all - bare)} more than bare boto3 with one client, and"
        f" {in_seconds(of_all - of_clients)} more than bare boto3 with the clients that it makes"
        f" ({', '.join(clients)}): that is Powertools and our own code."
    )


def _goal(name: str, seconds: Sequence[float], bare: Sequence[float]) -> Goal:
    times = round(ratio(seconds, bare), 2)
    wanted = f"{name} imports within {_MOST_TIMES_AS_LONG} times bare boto3 with one client"
    return Goal(wanted, f"{times:.2f} times", times <= _MOST_TIMES_AS_LONG)


BENCHMARK = Benchmark("imports", "Import of functions", HOW, rounds=5, measure=measure, findings=findings)
