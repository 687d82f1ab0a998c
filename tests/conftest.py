"""What tests of several kinds share: the stacks' templates, built once for a whole run."""

import fcntl
import gc
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from app import synthesize

# read when lambdas are first imported, by whichever test comes first
os.environ |= {"POWERTOOLS_SERVICE_NAME": "receipts-test", "POWERTOOLS_METRICS_NAMESPACE": "Runback"}
os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"  # no test needs a thousand images, which take a second to read


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say here what tests/rehearsal may be asked for: pytest reads options from no other conftest.py for all paths."""
    parser.addoption(
        "--packaged",
        choices=("some", "all"),
        default="some",
        help="which scenarios tests/rehearsal/test_scenarios.py plays packaged, under real load (default: %(default)s)",
    )


def pytest_collection_finish() -> None:
    """Exempt what is imported by now from garbage collection: it stays anyway, and looking through it takes a sixth."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)  # before xdist looks for groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Keep together what shares something costly: a file's tests, and all tests of one rehearsed scenario.

    A second worker would only wait for the first one; different scenarios can be played at the same time. What belongs
    to a rehearsal that another file's or another test's group plays, too, says so with a mark of its own.
    """
    for item in items:
        parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        if item.get_closest_marker("xdist_group") is None:
            file = item.path.relative_to(item.config.rootpath).as_posix()
            item.add_marker(pytest.mark.xdist_group(parameters.get("kept", file)))


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """
    Return the cloud assembly of the shipped settings.

    Building it takes seconds, so whichever worker comes first builds it for all of them.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    folder = shared / "assembly"
    with (shared / "assembly.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "manifest.json").exists():
            synthesize(folder)
    return folder


@pytest.fixture(scope="session")
def templates(assembly: Path) -> Mapping[str, dict[str, Any]]:
    """Return the template of each environment, by its name, and that of the ingress, which is called so."""
    found = assembly.glob("*.template.json")
    read = {path.name.split(".")[0].rpartition("-")[2]: json.loads(path.read_text(encoding="utf-8")) for path in found}
    return dict(sorted(read.items()))
