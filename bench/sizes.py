"""How large what is uploaded for the functions is."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.findings import Benchmark, Findings, Goal, Plan, Raw, Table, in_kilobytes
from bench.shipped import Shipped, functions_of
from rehearsal.report import CRITICAL_PATH
from rehearsal.settings import Settings

HOW = """
Every asset of production's template is zipped with deflate at zlib's default level; the CDK's own zip file may differ
by a little. Zipped is what is uploaded, unpacked is what Lambda loads, code and layers together. Sizes are in KB of
1024 bytes, and do not depend on the machine.
""".strip()

_ENVIRONMENT = "production"
_CODE_AT_MOST = 200 * 1024
_WITH_LAYERS_AT_MOST = 2 * 1024 * 1024
_FEW = 3


def zipped_size(folder: Path) -> int:
    """Return the bytes of a folder's files as a zip file. Times and owners are left out, so it is always the same."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in _files(folder):
            archive.writestr(
                zipfile.ZipInfo(path.relative_to(folder).as_posix()), path.read_bytes(), zipfile.ZIP_DEFLATED
            )
    return len(packed.getvalue())


def unpacked_size(folder: Path) -> int:
    """Return the bytes of a folder's files."""
    return sum(path.stat().st_size for path in _files(folder))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def measure(plan: Plan) -> Raw:
    """Zip each asset once: it is the same every time."""
    functions = functions_of(plan.assembly, Settings.read(_ENVIRONMENT))
    folders = sorted({folder for function in functions for folder in function.folders})
    plan.say(f"zipping {len(folders)} assets")
    return {
        "assets": {
            folder.name: {"zipped": zipped_size(folder), "unpacked": unpacked_size(folder)} for folder in folders
        },
        "functions": {function.name: _assets(function) for function in functions},
    }


def _assets(function: Shipped) -> dict[str, object]:
    code, *layers = (folder.name for folder in function.folders)
    return {"code": code, "layers": layers}


def findings(raw: Raw) -> Findings:
    """Add up, for each function, its code and its layers."""
    assets: Mapping[str, Mapping[str, int]] = raw["assets"]
    functions: Mapping[str, Mapping[str, Any]] = raw["functions"]
    sizes = {name: _sizes(assets, each) for name, each in functions.items()}
    alike: dict[tuple[int, ...], list[str]] = {}
    for name, size in sizes.items():
        alike.setdefault(size, []).append(name)
    return Findings(
        tables=[
            Table(
                "What is uploaded for a function",
                ("functions", "code, zipped", "layers, zipped", "both, zipped", "code, unpacked", "both, unpacked"),
                [[_named(names), *map(in_kilobytes, size)] for size, names in sorted(alike.items())],
            ),
            Table(
                "Each asset",
                ("asset", "zipped", "unpacked"),
                [
                    [_used(asset, functions), in_kilobytes(size["zipped"]), in_kilobytes(size["unpacked"])]
                    for asset, size in assets.items()
                ],
            ),
        ],
        goals=[
            Goal(
                f"the code of every function is at most {in_kilobytes(_CODE_AT_MOST)} zipped",
                f"at most {in_kilobytes(max(size[0] for size in sizes.values()))}",
                all(size[0] <= _CODE_AT_MOST for size in sizes.values()),
            ),
            *(
                Goal(
                    f"{name}: code and layers are at most {in_kilobytes(_WITH_LAYERS_AT_MOST)} zipped",
                    f"{in_kilobytes(sizes[name][2])} zipped, {in_kilobytes(sizes[name][4])} unpacked",
                    sizes[name][2] <= _WITH_LAYERS_AT_MOST,
                )
                for name in CRITICAL_PATH
            ),
        ],
    )


def _used(asset: str, functions: Mapping[str, Mapping[str, Any]]) -> str:
    """Say what an asset is by what uses it: its own name is a hash."""
    of_code = [name for name, function in functions.items() if function["code"] == asset]
    of_layer = [name for name, function in functions.items() if asset in function["layers"]]
    return f"the code of {_named(of_code)}" if of_code else f"a layer of {_named(of_layer)}"


def _named(functions: Sequence[str]) -> str:
    if len(functions) <= _FEW:
        return ", ".join(functions)
    critical = [name for name in CRITICAL_PATH if name in functions]
    also = f", among them {' and '.join(critical)}" if critical else ""
    return f"{len(functions)} functions{also}"


def _sizes(assets: Mapping[str, Mapping[str, int]], function: Mapping[str, Any]) -> tuple[int, ...]:
    """Return code, layers and both zipped, then code and both unpacked."""
    code, layers = assets[function["code"]], [assets[name] for name in function["layers"]]
    in_layers = {form: sum(layer[form] for layer in layers) for form in ("zipped", "unpacked")}
    return (
        code["zipped"],
        in_layers["zipped"],
        code["zipped"] + in_layers["zipped"],
        code["unpacked"],
        code["unpacked"] + in_layers["unpacked"],
    )


BENCHMARK = Benchmark("sizes", "Size of functions", HOW, rounds=1, measure=measure, findings=findings)
