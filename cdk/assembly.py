"""From settings to the folder that the CDK deploys and the rehearsal runs."""

import json
from collections.abc import Callable
from pathlib import Path

from aws_cdk import App

from cdk.settings import load_settings
from cdk.stacks import EnvironmentStack

_ROOT = Path(__file__).parent.parent
SETTINGS_FOLDER = _ROOT / "environments"


def synthesize(
    outdir: Path | str,
    environments: tuple[str, ...] | None = None,
    settings_dir: Path | None = None,
    prepare: Callable[[App], None] = lambda _: None,
) -> Path:
    """
    Write the cloud assembly of the named environments, or of all that have settings, and return its folder.

    Nothing is asked of AWS. `-c environment=production`, given to the CDK CLI, picks one environment too, and
    `-c settings=folder` another folder of settings. `prepare` may still change the app, or add what looks at it, before
    it is written.

    Raises SettingsError when an environment's settings cannot be used.
    """
    app = App(outdir=str(outdir), context=_context(), analytics_reporting=False)
    picked = app.node.try_get_context("environment")
    folder = settings_dir or Path(app.node.try_get_context("settings") or SETTINGS_FOLDER)
    for settings in load_settings(folder, environments or ((picked,) if picked else None)):
        EnvironmentStack(app, settings)
    prepare(app)
    return Path(app.synth().directory)


def _context() -> dict[str, object]:
    """Return the context of cdk.json, which the CDK CLI would read: the same template comes out without it."""
    context: dict[str, object] = json.loads((_ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
    return context
