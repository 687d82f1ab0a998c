"""Whatever stands in a settings file, whoever wrote it is told where; nothing else comes of it."""

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdk.assembly import SETTINGS_FOLDER
from cdk.ingress_settings import load_ingress
from cdk.settings import SettingsError, load_settings

RARELY = settings(
    max_examples=40, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
STRANGE = ["nan", '"ä"', '"\\u0000"', "[[]]", "1e400", "9" * 50, f'"{"x" * 9999}"']
VALUES = st.sampled_from(["", "1", "-1", "true", '""', "[]", "{}", *STRANGE])


def _edited(draw: st.DrawFn, text: str) -> str:
    lines = text.splitlines()
    for _ in range(draw(st.integers(1, 3))):
        number = draw(st.integers(0, len(lines) - 1))
        name, equals, _ = lines[number].partition("=")
        lines[number] = f"{name}{equals} {draw(VALUES)}" if equals and draw(st.booleans()) else draw(VALUES)
    return "\n".join(lines)


@st.composite
def almost(draw: st.DrawFn, name: str) -> str:
    """Return a shipped file in which one to three lines were mistyped or lost."""
    return _edited(draw, (SETTINGS_FOLDER / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["production.toml", "staging.toml", "ingress.toml"])
def test_any_settings_are_read_or_refused(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "environments"
    shutil.copytree(SETTINGS_FOLDER, folder)

    @RARELY
    @given(almost(name) | st.text(max_size=40))
    def read_or_refused(text: str) -> None:
        (folder / name).write_text(text, encoding="utf-8", errors="replace")
        try:
            load_settings(folder)
            load_ingress(folder)
        except SettingsError as refusal:
            assert name.removesuffix(".toml") in str(refusal)  # noqa: PT017  both ways are right

    read_or_refused()
