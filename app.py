"""Builds the stacks: run by the CDK CLI, by `make synth`, and from tests as `synthesize`."""

import os
import sys

from cdk.assembly import synthesize
from cdk.packaging import PackagingError
from cdk.settings import SettingsError

__all__ = ["main", "synthesize"]


def main() -> int:
    """Write the cloud assembly where the CDK CLI wants it, or else to cdk.out, and say what is wrong if it cannot."""
    try:
        folder = synthesize(os.environ.get("CDK_OUTDIR", "cdk.out"))
    except (PackagingError, SettingsError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stderr.write(f"The stacks' templates are in {folder}.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
