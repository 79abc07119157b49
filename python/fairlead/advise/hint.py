"""One hint."""

from fairlead.errors import Step

__all__ = ["Hint"]

Hint = tuple[tuple[Step, ...], str]
"""The path of what it is about, and what to do."""
