"""Medians with intervals; ratios are taken within a round, because the machine drifts between them."""

import random
import statistics
from dataclasses import dataclass

RESAMPLES = 2000


@dataclass(frozen=True)
class Figure:
    """A median with the bounds of its 95 % interval."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        """As it stands in the table."""
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def figure(values: list[float]) -> Figure:
    """The median of the values, its interval by the bootstrap."""
    chooser = random.Random(1)  # noqa: S311 - repeatable, not secret
    medians = sorted(statistics.median(chooser.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return Figure(statistics.median(values), medians[RESAMPLES // 40], medians[-RESAMPLES // 40])


def ratio(ours: list[float], theirs: list[float]) -> Figure:
    """Round by round."""
    return figure([our / their for our, their in zip(ours, theirs, strict=True)])
