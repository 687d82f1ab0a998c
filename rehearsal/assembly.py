"""Which cloud assembly is rehearsed: the one that ships, or one of settings that only a rehearsal has."""

import json
import os
import subprocess
import sys
from pathlib import Path

from rehearsal.settings import OWN_FOLDER

SHIPPED = Path("cdk.out")


class NotBuilt(Exception):
    """The assembly could not be built; the message is what its builder said."""


def assembly_of(environment: str, folder: Path) -> Path:
    """Return cdk.out, or build an assembly below `folder` from the rehearsal's own settings. Raises NotBuilt."""
    if not (OWN_FOLDER / f"{environment}.toml").exists():
        return SHIPPED
    built = folder / f"assembly-{environment}"
    context = json.dumps({"settings": str(OWN_FOLDER), "environment": environment})
    done = subprocess.run(
        [sys.executable, "app.py"],
        env={**os.environ, "CDK_OUTDIR": str(built), "CDK_CONTEXT_JSON": context},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NotBuilt(done.stderr.strip())
    return built
