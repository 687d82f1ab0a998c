"""Replacing parts of moto, and putting every one of them back."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import ModuleType
from typing import Self
from unittest import mock

import moto.stepfunctions.parser.models
import moto.stepfunctions.responses  # noqa: F401  - both imports load all modules that are patched

from rehearsal.engine.interpreter.observers import Interpreter

STEP_FUNCTIONS = "moto.stepfunctions."


class Patches:
    """A set of replacements that ends with its context."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def set(self, owner: object, name: str, replacement: object) -> None:
        """Replace one attribute of a class or module."""
        self._stack.enter_context(mock.patch.object(owner, name, replacement))

    def set_everywhere(self, original: object, replacement: object, under: str = STEP_FUNCTIONS) -> None:
        """Replace `original` under whatever name a Step Functions module has imported it."""
        for module in step_functions_modules(under):
            for name, value in list(vars(module).items()):
                if value is original:
                    self.set(module, name, replacement)


Fix = Callable[[Patches, Interpreter], None]
"""Repairs one difference from AWS. Its docstring says what AWS does, where that is documented, and what moto does."""


def step_functions_modules(under: str = STEP_FUNCTIONS) -> Iterator[ModuleType]:
    """List the loaded modules of moto's Step Functions."""
    return (module for name, module in list(sys.modules.items()) if name.startswith(under) and module is not None)
