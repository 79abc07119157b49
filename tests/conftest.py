"""Fixtures of the tests that run Fairlead in processes of its own."""

import pytest

from support.stage import stage, theatre

__all__ = ["pytest_generate_tests", "stage", "theatre"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a module's tests over everything that it says they hold for."""
    over = getattr(metafunc.module, "OVER", ())
    if over and "theatre" in metafunc.fixturenames:
        metafunc.parametrize("theatre", over, indirect=True, scope="module")
