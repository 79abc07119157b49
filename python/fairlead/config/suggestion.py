"""What was probably meant by a word that is not known."""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["suggestion"]

_MOST = 5_000
"""Candidates that are compared, so that a large file of wrong names is still refused at once."""


def suggestion(word: str, candidates: Iterable[str]) -> str:
    """`` (did you mean "…"?)``, or nothing if no candidate is near."""
    known = list(candidates)[:_MOST]
    folded = {each.lower().replace("-", "_"): each for each in known}
    near = get_close_matches(word.lower().replace("-", "_"), folded, n=1, cutoff=0.6)
    return f' (did you mean "{folded[near[0]]}"?)' if near else ""
