"""Runs a scenario with one algorithm after the other, as many at once as there are cores."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from fairlead._engine import simulate
from fairlead.errors import UsageError
from fairlead.simulate.outcome import Outcome, Report

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fairlead.simulate.preparation import Prepared

__all__ = ["run"]


class _StoppedError(Exception):
    """Nobody wants the result any more."""


def run(
    prepared: Prepared,
    algorithms: Sequence[str],
    *,
    seed: int = 1,
    progress: Callable[[str, float], None] | None = None,
) -> tuple[Outcome, ...]:
    """Simulate each of the algorithms; all of them meet the same requests.

    ``progress`` is called from other threads with an algorithm and how much of it is done, of 1.

    Raises:
        UsageError: the scenario does not fit the pool.
    """
    stopped = False

    def tell(name: str, part: float) -> None:
        if stopped:
            raise _StoppedError
        if progress is not None:
            progress(name, part)

    def one(name: str) -> Outcome:
        description = json.dumps(prepared.compared(name))
        try:
            said = simulate(description, prepared.pool, scenario, seed, lambda part: tell(name, part))
        except ValueError as error:
            raise UsageError(str(error)) from None
        tell(name, 1.0)
        report = Report.model_validate_json(said)
        return Outcome(algorithm=name, configured=name == prepared.own, report=report)

    scenario = json.dumps(prepared.scenario)
    with ThreadPoolExecutor(min(len(algorithms), len(os.sched_getaffinity(0)))) as threads:
        try:
            return tuple(threads.map(one, algorithms))
        except BaseException:
            stopped = True
            threads.shutdown(cancel_futures=True)
            raise
