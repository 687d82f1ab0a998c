"""Reading the synthesized template of production."""

from collections.abc import Mapping
from typing import Any

import pytest

Resources = dict[str, dict[str, Any]]


@pytest.fixture(scope="session")
def resources(templates: Mapping[str, dict[str, Any]]) -> Resources:
    """Return production's resources by logical id."""
    found: Resources = templates["production"]["Resources"]
    return found
