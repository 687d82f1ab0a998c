"""Who may import whom. The rooms and their order are what keeps a function's consequences in sight."""

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = {"boto3", "botocore", "pg8000", "redis", "scramp", "urllib3"}
ROOMS = (
    "release",
    "traffic",
    "fleet",
    "database",
    "infrastructure",
    "checks",
    "github",
    "judge",
    "rollback",
    "gates",
    "notices",
    "operate",
    "reports",
)
STANDS_ON = {
    "release": set(),
    "traffic": {"release"},
    "fleet": {"release", "traffic"},
    "database": {"release"},
    "infrastructure": {"release"},
    "checks": {"release", "database"},
    "github": {"release", "checks"},
    "judge": {"release", "traffic", "fleet", "database", "checks"},
    "rollback": {"release", "traffic", "fleet", "database", "checks", "judge"},
    "gates": {"release", "traffic", "checks", "github", "judge", "rollback"},
    "notices": {"release", "judge"},
    "operate": {"release", "traffic", "database", "infrastructure", "rollback", "notices"},
    "reports": {"release", "traffic", "notices"},
}
COMMON = {"lambdas.clients", "lambdas.errors", "lambdas.observability"}


def modules(folder: str) -> list[Path]:
    return sorted(path for path in (ROOT / folder).rglob("*.py") if path.name != "__init__.py")


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def is_function(path: Path) -> bool:
    return "lambda_handler" in path.read_text(encoding="utf-8")


FUNCTIONS = {name_of(path) for path in modules("lambdas") if is_function(path) and path.parent.name in ROOMS}
SPEAKING = {"archive", "histories", "metrics", "write_report"}
PAGE = {name_of(path) for path in modules("lambdas/reports") if path.stem not in SPEAKING}
"""How a report looks is no decision, but as pure as one."""


def is_pure(module: str) -> bool:
    return module in PAGE or module.endswith((".rules", "_rules"))


RULES = [path for path in modules("lambdas") if is_pure(name_of(path))]


@pytest.mark.parametrize("path", RULES, ids=name_of)
def test_rules_are_pure(path: Path) -> None:
    """Decisions can be tested as values only if nothing in them reaches out."""
    for module in imported(path):
        top = module.partition(".")[0]
        is_ours = module.startswith("lambdas.") and is_pure(module)
        assert top in sys.stdlib_module_names or module == "lambdas.errors" or is_ours, module


@pytest.mark.parametrize("path", [p for p in modules("lambdas") if name_of(p) in FUNCTIONS], ids=name_of)
def test_function_speaks_to_the_outside_through_adapters_only(path: Path) -> None:
    assert not {module.partition(".")[0] for module in imported(path)} & OUTSIDE


@pytest.mark.parametrize("path", modules("lambdas"), ids=name_of)
def test_nobody_imports_another_function(path: Path) -> None:
    """What two functions share is a rule or an adapter."""
    assert not imported(path) & FUNCTIONS


SHARED = [path for path in modules("lambdas") if path.parent.name in ROOMS and name_of(path) not in FUNCTIONS]


@pytest.mark.parametrize("path", SHARED, ids=name_of)
def test_what_rooms_share_stands_on_lower_rooms_only(path: Path) -> None:
    """A function's own file may use the adapters and rules of any room: nobody imports it."""
    room = path.parent.name
    for module in imported(path):
        parts = module.split(".")
        if parts[0] == "lambdas" and module not in COMMON:
            assert parts[1] == room or parts[1] in STANDS_ON[room], module


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {
        name_of(path): {
            module
            for module in imported(path)
            if module.startswith(("lambdas", "rehearsal", "cdk", "install", "bench"))
        }
        for folder in ("lambdas", "rehearsal", "cdk", "install", "statemachines", "bench")
        for path in modules(folder)
    }
    assert list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("path", modules("rehearsal"), ids=name_of)
def test_rehearsal_sees_runback_from_outside(path: Path) -> None:
    """It would otherwise agree with the functions about what they got wrong. What a report shows judges nothing."""
    found = {module for module in imported(path) if module.partition(".")[0] in {"cdk", "lambdas", "statemachines"}}
    assert all(module.startswith("lambdas.reports.") and is_pure(module) for module in found), found


@pytest.mark.parametrize("path", modules("install"), ids=name_of)
def test_install_stands_on_settings_and_the_record_alone(path: Path) -> None:
    """What looks at a real account knows what ships by its settings and its table of functions, not by its machines."""
    of_lambdas = {module for module in imported(path) if module.startswith("lambdas")}
    assert of_lambdas <= {"lambdas.release.record", "lambdas.release.rules"}
    assert not {module.partition(".")[0] for module in imported(path)} & {"aws_cdk", "rehearsal", "statemachines"}


@pytest.mark.parametrize("folder", ["cdk", "lambdas", "rehearsal", "statemachines"])
def test_nobody_imports_install(folder: str) -> None:
    """It could be left out, and everything would still work."""
    importers = [path for path in modules(folder) for module in imported(path) if module.split(".")[0] == "install"]
    assert [] == importers


@pytest.mark.parametrize("path", modules("bench"), ids=name_of)
def test_benchmarks_measure_what_ships(path: Path) -> None:
    """They know it as the rehearsal does: from the cloud assembly, and from outside."""
    assert not {module.partition(".")[0] for module in imported(path)} & {"cdk", "install", "lambdas", "statemachines"}


@pytest.mark.parametrize("folder", ["cdk", "install", "lambdas", "rehearsal", "statemachines"])
def test_nobody_imports_benchmarks(folder: str) -> None:
    """They could be left out, and everything would still work."""
    importers = [path for path in modules(folder) for module in imported(path) if module.split(".")[0] == "bench"]
    assert [] == importers


@pytest.mark.parametrize("path", modules("statemachines"), ids=name_of)
def test_machines_take_names_and_constants_only(path: Path) -> None:
    allowed = ("aws_cdk", "constructs", "lambdas.errors", "statemachines")
    for module in imported(path):
        known = module.startswith(allowed) or module.endswith((".rules", "_rules"))
        assert known or module.partition(".")[0] in sys.stdlib_module_names, module


def test_functions_never_read_the_clock() -> None:
    """Time comes with the event, so that a repeated step sees the same time, and a rehearsal its own."""
    readers = [
        name_of(path)
        for path in modules("lambdas")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr)
        in {("time", "time"), ("datetime", "now"), ("datetime", "utcnow"), ("time", "sleep")}
    ]
    assert readers == []
