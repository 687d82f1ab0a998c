"""What is committed works for people with another package index, and another machine."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REQUIREMENTS = sorted((ROOT / "requirements").glob("*.txt"))
PACKAGE_FILES = [
    *sorted((ROOT / "requirements").iterdir()),
    *(ROOT / name for name in (".npmrc", "Makefile", "package.json", "package-lock.json", "pyproject.toml")),
    *(ROOT / name for name in (".ci/run", "scripts/bootstrap.sh")),
]

DONATIONS = r"(?:(?:github\.com/sponsors|opencollective\.com)/[\w-]+|github\.com/[\w-]+/[\w-]+\?sponsor=1)"


@pytest.mark.parametrize("path", PACKAGE_FILES, ids=lambda path: path.name)
def test_no_address_of_a_package_index_is_committed(path: Path) -> None:
    """The author's mirror is nobody else's. Where an author of a package takes donations is something else."""
    text = re.sub(f'"url": "https://{DONATIONS}"', "", path.read_text(encoding="utf-8"))

    assert re.findall(r"\w+://\S+|^--?(?:index-url|extra-index-url|find-links|i|f)\b.*", text, re.MULTILINE) == []


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.name)
def test_every_requirement_is_pinned_by_hash(path: Path) -> None:
    requirements = re.split(r"\n(?=\S)", path.read_text(encoding="utf-8"))
    pins = [each for each in requirements if not each.startswith("#")]

    assert pins
    assert all(re.match(r"[\w.\[\]-]+==\S+ ", each) and "--hash=sha256:" in each for each in pins)


@pytest.mark.parametrize("name", ["layer", "drivers"])
def test_what_is_tested_is_what_a_layer_ships(name: str) -> None:
    """They are compiled on their own, for different Pythons."""
    pins = {path.stem: dict(re.findall(r"^([\w.-]+)==(\S+)", path.read_text(), re.MULTILINE)) for path in REQUIREMENTS}

    assert pins[name].items() <= pins["development"].items()
