"""A sample backend: prints its address and answers every request with its name until it is told to end."""

import argparse
import asyncio
import signal
import sys

from fairlead.testing.origin import Origin, after, answer


async def _main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m fairlead.testing", description=__doc__)
    arguments.add_argument("--name", default="origin", help="what it calls itself")
    arguments.add_argument("--port", type=int, default=0, help="0 takes a free one")
    arguments.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    given = arguments.parse_args()
    behaviour = answer(f"{given.name}\n", headers={"X-Backend": given.name})
    if given.delay:
        behaviour = after(given.delay, behaviour)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with Origin(behaviour, port=given.port, remember=False) as origin:
        sys.stdout.write(f"{origin.address}\n")
        sys.stdout.flush()
        await stopped.wait()


if __name__ == "__main__":
    asyncio.run(_main())
