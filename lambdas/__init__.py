"""Everything that runs in Lambda: one room per capability, one file per function."""

import gc
import os

IS_STARTING = "AWS_LAMBDA_FUNCTION_NAME" in os.environ and gc.isenabled()
"""A function begins to be imported, in Lambda."""

if IS_STARTING:
    # What imports make stays: to look through it for garbage finds none, and takes a fifth of a cold start.
    gc.disable()  # until `observability.step` finds all imported
