"""What is uploaded for the functions runs on any machine, and is the same whoever builds it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cdk import packaging
from tests.infrastructure.template import Resources, of_type, only

ROOT = Path(__file__).parents[2]


@pytest.fixture
def code(assembly: Path, resources: Resources) -> Path:
    """Return the folder that is uploaded as the code of all functions."""
    (key,) = {each["Code"]["S3Key"] for each in of_type(resources, "AWS::Lambda::Function").values()}
    return _asset(assembly, key)


@pytest.fixture
def layer(assembly: Path, resources: Resources) -> Path:
    """Return the folder that is uploaded as the functions' layer."""
    return _asset(assembly, only(resources, "AWS::Lambda::LayerVersion")["Content"]["S3Key"])


def test_the_code_is_the_lambdas_package_and_nothing_else(code: Path) -> None:
    shipped = {path.relative_to(code) for path in code.rglob("*") if path.is_file()}

    assert {path.relative_to(ROOT) for path in (ROOT / "lambdas").rglob("*.py")} == shipped


def test_the_layer_holds_the_libraries_and_no_trace_of_who_installed_them(layer: Path) -> None:
    """Such a trace would make another template out of the same commit."""
    assert (layer / "python" / "aws_lambda_powertools" / "__init__.py").is_file()
    assert {"python"} == {path.name for path in layer.iterdir()}
    names = {path.name for path in layer.rglob("*")}
    assert names.isdisjoint({".lock", "INSTALLER", "RECORD", "REQUESTED", "__pycache__", "bin"})


def test_nothing_compiled_is_shipped(code: Path, layer: Path) -> None:
    """What is compiled here does not load there: another Python, another processor."""
    suffixes = {path.suffix for folder in (code, layer) for path in folder.rglob("*") if path.is_file()}

    assert suffixes.isdisjoint({".dll", ".dylib", ".pyc", ".pyd", ".so"})


def test_functions_share_one_code_and_one_layer(templates: Mapping[str, dict[str, Any]]) -> None:
    """So what staging has seen is what production gets."""
    keys = {
        (each["Code"]["S3Key"], json.dumps(template["Resources"][each["Layers"][0]["Ref"]]["Properties"]["Content"]))
        for template in templates.values()
        for each in of_type(template["Resources"], "AWS::Lambda::Function").values()
    }

    assert len(keys) == 1


def test_a_build_that_was_interrupted_is_never_taken_for_a_finished_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packaging, "_BUILD", tmp_path)

    def interrupted(folder: Path) -> None:
        (folder / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        packaging._build_once("code", interrupted)
    finished = packaging._build_once("code", lambda folder: (folder / "whole").touch())

    assert [path.name for path in finished.iterdir()] == ["whole"]


def test_whoever_is_slower_takes_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two test runs in one checkout build the same thing at the same time."""
    monkeypatch.setattr(packaging, "_BUILD", tmp_path)

    def overtaken(folder: Path) -> None:
        (folder / "mine").touch()
        (tmp_path / "code").mkdir()
        (tmp_path / "code" / "theirs").touch()

    finished = packaging._build_once("code", overtaken)

    assert [path.name for path in finished.iterdir()] == ["theirs"]
    assert [path.name for path in tmp_path.iterdir()] == ["code"]


def test_libraries_that_cannot_be_installed_are_told_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpinned = tmp_path / "layer.txt"
    unpinned.write_text("aws-lambda-powertools\n", encoding="utf-8")
    monkeypatch.setattr(packaging, "_BUILD", tmp_path / "build")
    monkeypatch.setattr(packaging, "_LAYER_REQUIREMENTS", unpinned)

    with pytest.raises(packaging.PackagingError, match="aws-lambda-powertools"):
        packaging.layer_code()


def _asset(assembly: Path, key: str) -> Path:
    return assembly / f"asset.{key.removesuffix('.zip')}"
