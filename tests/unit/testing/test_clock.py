"""Time that jumps."""

import asyncio
import time

from fairlead.testing.clock import JumpingLoop


def test_long_sleeps_take_no_time_and_keep_their_order() -> None:
    woken: list[int] = []

    async def sleeper(seconds: int) -> None:
        await asyncio.sleep(seconds)
        woken.append(seconds)

    async def main() -> float:
        began = asyncio.get_running_loop().time()
        await asyncio.gather(sleeper(3600), sleeper(60), sleeper(1800))
        return asyncio.get_running_loop().time() - began

    began = time.monotonic()
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        passed = runner.run(main())
    assert woken == [60, 1800, 3600]
    assert passed >= 3600
    assert time.monotonic() - began < 60
