"""
What is uploaded for the functions: our own code, and a layer with the libraries that they import.

Both are copied into `build/` under a name made of their content, and nothing in them depends on the machine, the time
or what was run before. So the same commit always gives the same template, and a finished copy is never made twice.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

from aws_cdk import aws_lambda as lambda_
from uv import find_uv_bin

_ROOT = Path(__file__).parent.parent
_BUILD = _ROOT / "build"
_REQUIREMENTS = _ROOT / "requirements"
_COMPILED = {".dll", ".dylib", ".pyc", ".pyd", ".so"}
_NOTHING: Mapping[str, str] = {}
# what installers leave beside a package: who installed it, and scripts that name the installer's own Python
_INSTALLER_TRACES = ("**/__pycache__", "*.dist-info/INSTALLER", "*.dist-info/RECORD", "*.dist-info/REQUESTED", "bin")


class PackagingError(RuntimeError):
    """The libraries of the functions could not be put together."""


def function_code(generated: Mapping[str, str] = _NOTHING) -> lambda_.AssetCode:
    """
    Return the code of all functions: the `lambdas` package and the files that settings name.

    Without anything that Python or an editor left beside them. `generated` are the texts of more files, by their path.
    """
    return lambda_.Code.from_asset(str(_code_folder(generated)))


def layer_code(name: str) -> lambda_.AssetCode:
    """Return libraries beside Lambda's own, exactly as pinned by hash in requirements/<name>.txt."""
    return lambda_.Code.from_asset(str(_layer_folder(name)))


def _code_folder(generated: Mapping[str, str] = _NOTHING) -> Path:
    files = [path for path in (_ROOT / "environments" / "files").glob("[!.]*") if path.is_file()]
    sources = sorted(path.relative_to(_ROOT) for path in [*(_ROOT / "lambdas").rglob("*.py"), *files])
    digest = sha256()
    for source in sources:
        content = (_ROOT / source).read_bytes()
        digest.update(f"{source.as_posix()} {len(content)} ".encode() + content)
    for path, text in sorted(generated.items()):
        digest.update(f"{path} {len(text)} {text}".encode())

    def copy(folder: Path) -> None:
        for source in sources:
            (folder / source).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(_ROOT / source, folder / source)
        for path, text in generated.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")

    return _build_once(f"code-{digest.hexdigest()[:16]}", copy)


def _layer_folder(name: str) -> Path:
    requirements = _REQUIREMENTS / f"{name}.txt"
    digest = sha256(requirements.read_bytes() + Path(__file__).read_bytes())
    return _build_once(f"{name}-{digest.hexdigest()[:16]}", lambda folder: _install_layer(requirements, folder))


def _install_layer(requirements: Path, folder: Path) -> None:
    python = folder / "python"
    command = (find_uv_bin(), "pip", "install", "--quiet", "--target", python, "--require-hashes", "--no-deps")
    platform = ("--only-binary", ":all:", "--python-version", "3.13", "--python-platform", "aarch64-manylinux2014")
    done = subprocess.run(
        [*command, *platform, "--no-compile-bytecode", "--link-mode", "copy", "--requirements", requirements],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise PackagingError(
            f"uv could not install requirements/{requirements.name}, which the functions need:\n{done.stderr}"
        )
    (python / ".lock").unlink(missing_ok=True)
    for trace in (path for pattern in _INSTALLER_TRACES for path in list(python.glob(pattern))):
        shutil.rmtree(trace) if trace.is_dir() else trace.unlink()
    compiled = sorted(path.name for path in python.rglob("*") if path.suffix in _COMPILED)
    if compiled:
        raise PackagingError(f"The functions' libraries must be pure Python, to run anywhere, but contain {compiled}.")


def _build_once(name: str, build: Callable[[Path], None]) -> Path:
    """Return the folder of this name, building it first where it is missing; a half-built one never has the name."""
    finished = _BUILD / name
    if not finished.is_dir():
        _BUILD.mkdir(exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=_BUILD, prefix=f"{name}."))
        build(unfinished)
        unfinished.chmod(0o755)
        try:
            unfinished.rename(finished)
        except OSError:
            if not finished.is_dir():
                raise
            shutil.rmtree(unfinished)  # somebody else was faster, with the same content
    return finished
