"""An event loop whose time jumps: what waits for seconds waits for nothing, in the right order.

When nothing is ready and the loop would sleep until its next timer, it advances its own time to that timer
instead. Real input and output still happen in real time, so use it where only timers are waited for.
"""

from __future__ import annotations

import asyncio
import selectors


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0 if timeout else timeout)
        if timeout and not ready:
            self.skipped += timeout
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """For ``asyncio.Runner(loop_factory=JumpingLoop)``."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Seconds: the real ones and those that were skipped."""
        return super().time() + self._jumping.skipped
