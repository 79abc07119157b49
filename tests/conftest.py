"""Fixtures of the tests that run Fairlead in processes of its own."""

from support.stage import stage, theatre

__all__ = ["stage", "theatre"]
