"""The settings that these tests are about."""

import pytest

from cdk.assembly import SETTINGS_FOLDER
from cdk.settings import EnvironmentSettings, load_settings


@pytest.fixture(scope="session")
def settings() -> EnvironmentSettings:
    """Return the shipped settings of staging."""
    (found,) = load_settings(SETTINGS_FOLDER, ("staging",))
    return found
