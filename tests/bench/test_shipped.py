"""Functions are read from the template that ships."""

from pathlib import Path

import pytest

from bench.measure import CannotMeasure
from bench.shipped import functions_of
from cdk.functions import FUNCTIONS
from rehearsal.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def settings() -> Settings:
    return Settings.read("production", ROOT / "environments")


def test_every_function_is_found_with_its_code_and_layers(assembly: Path, settings: Settings) -> None:
    found = {function.name: function for function in functions_of(assembly, settings)}

    assert {spec.name for spec in FUNCTIONS} == found.keys()
    for spec in FUNCTIONS:
        function = found[spec.name]
        assert f"lambdas.{spec.module}.lambda_handler" == function.version.handler
        assert set(spec.variables) <= function.version.environment.keys()
        assert (2 if spec.drivers else 1) == len(function.version.layer_dirs)
        assert all(folder.is_dir() for folder in function.folders)


def test_an_assembly_that_is_missing_is_told_with_the_way_out(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(CannotMeasure, match="`make synth` builds it"):
        functions_of(tmp_path, settings)
