"""The functions play against a world in memory; what they would ask of AWS besides meets an empty pretend account."""

from tests.unit.conftest import pretend_account

__all__ = ["pretend_account"]
