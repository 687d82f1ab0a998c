"""From settings to the folder that the CDK deploys and the rehearsal runs."""

import json
from collections.abc import Callable
from pathlib import Path

from aws_cdk import App

from cdk.ingress import IngressStack
from cdk.ingress_settings import load_ingress, require_agreement
from cdk.settings import load_settings
from cdk.settings_files import INGRESS
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

    "ingress" is named like an environment, and is where pushes arrive. Nothing is asked of AWS. `-c
    environment=production`, given to the CDK CLI, picks one environment too, and
    `-c settings=folder` another folder of settings. `prepare` may still change the app, or add what looks at it, before
    it is written.

    Raises SettingsError when an environment's settings cannot be used, or do not fit where pushes arrive.
    """
    app = App(outdir=str(outdir), context=_context(), analytics_reporting=False)
    picked = app.node.try_get_context("environment")
    folder = settings_dir or Path(app.node.try_get_context("settings") or SETTINGS_FOLDER)
    named = environments or ((picked,) if picked else None)
    ingress = load_ingress(folder)
    if ingress and (named is None or INGRESS in named):
        IngressStack(app, ingress)
    others = None if named is None else tuple(name for name in named if name != INGRESS)
    settings_of_all = () if others == () else load_settings(folder, others)
    if ingress:
        require_agreement(folder, ingress, settings_of_all)
    for settings in settings_of_all:
        EnvironmentStack(app, settings)
    prepare(app)
    return Path(app.synth().directory)


def _context() -> dict[str, object]:
    """Return the context of cdk.json, which the CDK CLI would read: the same template comes out without it."""
    context: dict[str, object] = json.loads((_ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
    return context
