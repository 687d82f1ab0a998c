"""What is uploaded for the functions runs on any machine, and is the same whoever builds it."""

import json
from collections.abc import Mapping
from importlib.metadata import distributions, requires
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from cdk import packaging
from tests.infrastructure.template import Resources, of_type

ROOT = Path(__file__).parents[2]
CERTIFIED = (
    ("production", "certify-rollback", "rollback"),
    ("production", "certify-restore", "restore-database"),
    ("staging", "certify-rollback", "rollback"),
)
"""In which environment which function certifies which machine."""


@pytest.fixture
def code(assembly: Path, resources: Resources) -> Path:
    """Return the folder that is uploaded as the code of all functions but those that have a certificate beside it."""
    return _asset(assembly, _key(resources, "switch-listener"))


@pytest.fixture
def layers(assembly: Path, resources: Resources) -> dict[str, Path]:
    """Return the folders that are uploaded as the functions' layers, by a word of their description."""
    found = of_type(resources, "AWS::Lambda::LayerVersion").values()
    return {each["Description"].partition(" ")[0]: _asset(assembly, each["Content"]["S3Key"]) for each in found}


@pytest.fixture
def drivers(layers: dict[str, Path]) -> Path:
    """Return the layer of what checks ask the product with."""
    return layers["Clients"] / "python"


def test_the_code_is_the_lambdas_package_and_the_files_of_settings_and_nothing_else(code: Path) -> None:
    """Settings themselves name accounts, and no function needs them."""
    shipped = {path.relative_to(code) for path in code.rglob("*") if path.is_file()}
    files = {path.relative_to(ROOT) for path in (ROOT / "environments" / "files").iterdir()}

    assert {path.relative_to(ROOT) for path in (ROOT / "lambdas").rglob("*.py")} | files == shipped
    assert {"rds-eu-west-1.pem", "test-receipt.jpg"} == {path.name for path in files}


def test_who_certifies_has_the_same_code_with_the_certificate_of_its_environment_beside_it(
    assembly: Path, templates: Mapping[str, dict[str, Any]]
) -> None:
    """So what staging has seen is what production gets, also of these functions."""
    for environment, function, machine in CERTIFIED:
        resources = templates[environment]["Resources"]
        common = _files(_asset(assembly, _key(resources, "switch-listener")))
        certifying = _files(_asset(assembly, _key(resources, function)))
        certificate = json.loads(certifying.pop(Path("environments/certificate.json")))

        assert common == certifying
        assert certificate["machine"].endswith(f"stateMachine:receipt-vault-{environment}-{machine}")


def test_functions_find_the_files_of_settings_where_they_are_uploaded(code: Path) -> None:
    """Here they would find them anyway."""
    for module in ("product", "check_data_stores", "probe_database"):
        shipped = code / "lambdas" / "checks" / f"{module}.py"
        assert '_FILES = Path(__file__).parents[2] / "environments" / "files"' in shipped.read_text(encoding="utf-8")
        assert (shipped.parents[2] / "environments" / "files" / "test-receipt.jpg").is_file()


def test_layers_hold_the_libraries_and_no_trace_of_who_installed_them(layers: dict[str, Path]) -> None:
    """Such a trace would make another template out of the same commit."""
    assert (layers["Powertools"] / "python" / "aws_lambda_powertools" / "__init__.py").is_file()
    for name in ("pg8000", "redis", "urllib3"):
        assert (layers["Clients"] / "python" / name / "__init__.py").is_file()
    for layer in layers.values():
        assert {"python"} == {path.name for path in layer.iterdir()}
        names = {path.name for path in layer.rglob("*")}
        assert names.isdisjoint({".lock", "INSTALLER", "RECORD", "REQUESTED", "__pycache__", "bin"})


def test_nothing_compiled_is_shipped(code: Path, layers: dict[str, Path]) -> None:
    """What is compiled here does not load there: another Python, another processor."""
    suffixes = {path.suffix for folder in (code, *layers.values()) for path in folder.rglob("*") if path.is_file()}

    assert suffixes.isdisjoint({".dll", ".dylib", ".pyc", ".pyd", ".so"})


def test_lambda_s_botocore_accepts_what_a_layer_puts_before_its_own(drivers: Path) -> None:
    """Python finds a layer's packages first, also when it is Lambda's botocore that looks for them."""
    wanted = {Requirement(each).name: Requirement(each).specifier for each in requires("botocore") or []}
    shipped = {found.name: found.version for found in distributions(path=[str(drivers)])}
    shared = wanted.keys() & shipped.keys()

    assert {"python-dateutil", "urllib3"} <= shared
    assert {name: shipped[name] for name in shared if shipped[name] not in wanted[name]} == {}


def test_layers_hold_nothing_twice(layers: dict[str, Path]) -> None:
    """Which of two versions is found would depend on the order of layers."""
    found = [{each.name for each in distributions(path=[str(layer / "python")])} for layer in layers.values()]

    assert len(found) == 2
    assert set.intersection(*found) <= {"typing_extensions"}


def test_functions_share_one_code_and_their_layers(templates: Mapping[str, dict[str, Any]]) -> None:
    """So what staging has seen is what production gets; it restores no database."""
    shipped = [
        {
            each["FunctionName"].removeprefix(f"receipt-vault-{name}-"): (
                each["Code"]["S3Key"],
                [template["Resources"][layer["Ref"]]["Properties"]["Content"]["S3Key"] for layer in each["Layers"]],
            )
            for each in of_type(template["Resources"], "AWS::Lambda::Function").values()
        }
        for name, template in templates.items()
    ]

    for each in shipped:
        certifying = [each.pop(function)[0] for function in ("certify-rollback", "certify-restore") if function in each]
        assert not {code for code, _ in each.values()} & set(certifying)
        assert len(certifying) == len(set(certifying))
    ingress, production, staging = shipped
    assert staging == {name: each for name, each in production.items() if name in staging}
    assert len({code for code, _ in production.values()}) == 1
    assert len({layer for _, found in production.values() for layer in found}) == 2
    # anybody can call the only function of the ingress, whose libraries are as few as possible
    assert [*ingress.values()] == [production["switch-listener"]]


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
    (tmp_path / "drivers.txt").write_text("pg8000\n", encoding="utf-8")
    monkeypatch.setattr(packaging, "_BUILD", tmp_path / "build")
    monkeypatch.setattr(packaging, "_REQUIREMENTS", tmp_path)

    with pytest.raises(packaging.PackagingError, match=r"requirements/drivers\.txt(.|\n)*pg8000"):
        packaging.layer_code("drivers")


def test_files_of_settings_are_part_of_what_names_a_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another certificate with the old code would not be uploaded."""
    files = tmp_path / "environments" / "files"
    (files / "folder").mkdir(parents=True)
    (files / ".hidden").touch()
    monkeypatch.setattr(packaging, "_ROOT", tmp_path)
    monkeypatch.setattr(packaging, "_BUILD", tmp_path / "build")
    built = []
    for content in ("old", "new"):
        (files / "rds.pem").write_text(content, encoding="utf-8")
        built.append(packaging._code_folder())

    assert ["old", "new"] == [(each / "environments/files/rds.pem").read_text(encoding="utf-8") for each in built]
    assert {"rds.pem"} == {path.name for each in built for path in each.rglob("*") if path.is_file()}


def _key(resources: Resources, function: str) -> str:
    (key,) = {
        str(each["Code"]["S3Key"])
        for each in of_type(resources, "AWS::Lambda::Function").values()
        if each["FunctionName"].endswith(f"-{function}")
    }
    return key


def _files(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _asset(assembly: Path, key: str) -> Path:
    return assembly / f"asset.{key.removesuffix('.zip')}"
