"""Backends are checked: when, how, and what follows for their traffic."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from support import metrics
from support.backend import OK, Backend
from support.peer import Peer
from support.process import Running, configuration, engines, run, write

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nready"
BAD = b"HTTP/1.1 503 Sorry\r\nContent-Length: 0\r\n\r\n"
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

OFTEN = {"path": "/health", "interval": "20ms", "fast_interval": "10ms", "timeout": "30s"}
"""Each check follows at once on the answer to the one before, which the test gives."""
NEVER = {"path": "/health", "interval": "1h", "timeout": "30s"}
"""Only what is made at once is made."""


class Patient(Backend):
    """A backend whose answers to checks are given one by one, or are all the same."""

    def __init__(self, *answers: bytes, always: bytes | None = None) -> None:
        super().__init__(self._behave_as_told)
        self.always = always
        self.answers: asyncio.Queue[bytes] = asyncio.Queue()
        self.checks: list[float] = []
        self.seen = asyncio.Event()
        self.answer(*answers)

    def answer(self, *answers: bytes) -> None:
        """What the next checks are answered."""
        for answer in answers:
            self.answers.put_nowait(answer)

    async def checked(self, count: int) -> None:
        """Wait until there were so many checks."""
        async with asyncio.timeout(60):
            while len(self.checks) < count:
                self.seen.clear()
                await self.seen.wait()

    @staticmethod
    async def _behave_as_told(backend: Backend, peer: Peer) -> None:
        assert isinstance(backend, Patient)
        while True:
            request = await peer.request(within=None)
            if request.target == "/health":
                backend.checks.append(time.monotonic())
                backend.seen.set()
                answer = backend.always or await backend.answers.get()
                await peer.send_all(answer)
                return
            backend.requests.append(request)
            peer.send(OK)


@asynccontextmanager
async def serving(directory: Path, *backends: Backend, **pool: object) -> AsyncIterator[Running]:
    file = directory / "fairlead.json"
    write(file, checked(directory, *backends, **pool))
    async with run(file, directory) as fairlead:
        yield fairlead


def checked(directory: Path, *backends: Backend, **pool: object) -> dict[str, Any]:
    return configuration(directory, *(each.address for each in backends), **pool)


async def shown(fairlead: Running, backend: Backend) -> dict[str, Any]:
    """What is known of a backend at this moment."""
    (pool,) = (await fairlead.stats())["pools"]
    (found,) = [each for each in pool["backends"] if each["id"] == backend.address]
    return dict(found)


async def after(fairlead: Running, backend: Backend, results: int) -> str:
    """The state of a backend once so many of its checks have had a result."""
    async with asyncio.timeout(60):
        while True:
            found = await shown(fairlead, backend)
            if found["checks"]["passed"] + found["checks"]["failed"] == results:
                return str(found["state"])


async def becomes(fairlead: Running, backend: Backend, state: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while (found := await shown(fairlead, backend))["state"] != state:
            pass
    return found


async def ask(address: str, count: int) -> set[bytes]:
    """The status lines that so many requests were answered with."""
    found = set()
    for _ in range(count):
        peer = await Peer.connect(address)
        peer.send(REQUEST)
        found.add((await peer.reader.read()).partition(b"\r\n")[0])
        await peer.closed()
    return found


async def test_a_new_backend_gets_nothing_before_its_first_result(tmp_path: Path) -> None:
    async with Patient(GOOD) as old, Patient() as new, serving(tmp_path, old, health_check=NEVER) as fairlead:
        address = await fairlead.address()
        await fairlead.reload(checked(tmp_path, old, new, health_check=NEVER))
        assert (await shown(fairlead, new))["state"] == "unproven"
        assert await ask(address, 20) == {b"HTTP/1.1 200 OK"}
        assert (len(old.requests), len(new.requests)) == (20, 0)
        new.answer(GOOD)
        found = await becomes(fairlead, new, "up")
        assert (found["checks"]["last"]["good"], found["checks"]["last"]["reason"]) == (True, "status 200")
        await ask(address, 20)
        assert len(new.requests) == 10
        # The one that stayed was checked when it came, and not since.
        assert len(old.checks) == 1


async def test_with_initial_up_a_backend_gets_requests_at_once(tmp_path: Path) -> None:
    check = {**NEVER, "initial": "up"}
    async with (
        Patient(GOOD) as old,
        Patient() as new,
        serving(tmp_path, old, health_check=check) as fairlead,
    ):
        await fairlead.reload(checked(tmp_path, old, new, health_check=check))
        assert await ask(await fairlead.address(), 20) == {b"HTTP/1.1 200 OK"}
        assert len(new.requests) == 10
        new.answer(BAD)
        found = await becomes(fairlead, new, "down")
        assert found["reason"] == "its check failed: status 503"


async def test_thresholds_count_results_in_a_row_and_another_port_may_be_asked(tmp_path: Path) -> None:
    async with Patient(GOOD) as checker, Patient() as backend:
        port = int(checker.address.rpartition(":")[2])
        async with serving(tmp_path, backend, health_check={**OFTEN, "port": port}) as fairlead:
            address = await fairlead.address()
            assert await after(fairlead, backend, 1) == "up"
            checker.answer(BAD, BAD)
            assert await after(fairlead, backend, 3) == "up"
            checker.answer(GOOD, BAD, BAD)
            assert await after(fairlead, backend, 6) == "up"
            checker.answer(BAD)
            assert await after(fairlead, backend, 7) == "down"
            assert await ask(address, 1) == {b"HTTP/1.1 503 Service Unavailable"}
            checker.answer(GOOD)
            assert await after(fairlead, backend, 8) == "down"
            checker.answer(BAD, GOOD)
            assert await after(fairlead, backend, 10) == "down"
            checker.answer(GOOD)
            assert await after(fairlead, backend, 11) == "up"
            assert await ask(address, 5) == {b"HTTP/1.1 200 OK"}
            assert (len(backend.checks), len(backend.requests)) == (0, 5)
            page = metrics.parse((await fairlead.admin("/metrics"))[1])
            counts = {
                result: metrics.value(page, "fairlead_health_checks_total", pool="app", result=result)
                for result in ("passed", "failed", "unmade")
            }
            assert counts == {"passed": 5, "failed": 6, "unmade": 0}


async def test_a_check_that_flaps_does_not_flap_the_traffic(tmp_path: Path) -> None:
    async with (
        Patient(GOOD) as flapping,
        Patient(always=GOOD) as steady,
        serving(tmp_path, flapping, steady, health_check=OFTEN) as fairlead,
    ):
        address = await fairlead.address()
        for round_ in range(10):
            flapping.answer(BAD, BAD, GOOD)
            assert await after(fairlead, flapping, 1 + 3 * (round_ + 1)) == "up"
            assert await ask(address, 10) == {b"HTTP/1.1 200 OK"}
        # Two workers' turns aside, each got its half.
        assert 40 <= len(flapping.requests) <= 60


async def test_one_that_keeps_falling_stays_down_until_it_has_been_well_for_longer(tmp_path: Path) -> None:
    # What it takes to be calm: ten intervals, more than a fall after a rise needs on the busiest machine.
    check = {**OFTEN, "interval": "200ms"}
    fall, rise = (BAD,) * 3, (GOOD,) * 2
    async with (
        Patient(GOOD, *fall, *rise, *fall) as flapping,
        Patient(always=GOOD) as steady,
        serving(tmp_path, flapping, steady, health_check=check) as fairlead,
    ):
        address = await fairlead.address()
        assert await after(fairlead, flapping, 9) == "down"
        # It is down for longer than ten intervals, and that makes it no better.
        flapping.answer(*(BAD,) * 12, *rise, BAD, *rise, BAD, *rise)
        assert await after(fairlead, flapping, 9 + 12 + 8) == "down"
        assert await ask(address, 10) == {b"HTTP/1.1 200 OK"}
        assert flapping.requests == []
        # Four in a row, as many again as the last time.
        flapping.answer(*rise)
        assert await after(fairlead, flapping, 9 + 12 + 8 + 2) == "up"
        await ask(address, 10)
        assert len(flapping.requests) == 5


async def test_a_hundred_reloads_leave_the_timers_of_checks_alone(tmp_path: Path) -> None:
    check = {"path": "/health", "interval": "500ms", "fast_interval": "100ms"}
    async with Patient(always=GOOD) as one, serving(tmp_path, one, health_check=check) as fairlead:
        await becomes(fairlead, one, "up")
        begun = len(one.checks)
        since = time.monotonic()
        for number in range(100):
            await fairlead.reload(checked(tmp_path, one, health_check=check, max_in_flight=1000 + number))
        took = time.monotonic() - since
        made = len(one.checks) - begun
        # A timer that starts over makes either one with each reload or none at all.
        assert took / 0.5 - 2 <= made <= took / 0.5 + 2, f"{made} checks in {took:.1f} s"


async def test_a_changed_check_is_made_at_once(tmp_path: Path) -> None:
    async with Patient(always=GOOD) as one, serving(tmp_path, one, health_check=NEVER) as fairlead:
        await becomes(fairlead, one, "up")
        check = {**NEVER, "expect": {"body": {"regex": "^not ready"}}}
        await fairlead.reload(checked(tmp_path, one, health_check=check))
        found = await becomes(fairlead, one, "down")
        assert found["reason"] == "its check failed: body is not as expected"
        await fairlead.reload(checked(tmp_path, one, health_check={"type": "tcp", "interval": "1h"}))
        assert (await becomes(fairlead, one, "up"))["checks"]["last"]["reason"] == "connected"
        await fairlead.reload(checked(tmp_path, one))
        assert (await shown(fairlead, one))["checks"] is None


async def test_a_program_checks_too(tmp_path: Path) -> None:
    flag, program = tmp_path / "flag", tmp_path / "check"
    program.write_text(f'#!/bin/sh\necho "$FAIRLEAD_POOL $FAIRLEAD_ADDRESS:$FAIRLEAD_PORT"\n[ -e {flag} ]\n')
    program.chmod(0o755)
    check = {
        "type": "exec",
        "command": [str(program)],
        "interval": "50ms",
        "fast_interval": "20ms",
        "unhealthy_threshold": 2,
    }
    flag.touch()
    async with Patient() as one, serving(tmp_path, one, health_check=check) as fairlead:
        found = await becomes(fairlead, one, "up")
        assert found["checks"]["last"]["reason"] == f"app {one.address}"
        flag.unlink()
        found = await becomes(fairlead, one, "down")
        assert found["reason"] == f"its check failed: app {one.address}"
        flag.touch()
        await becomes(fairlead, one, "up")


async def test_after_the_death_of_the_engine_all_are_checked_at_once(tmp_path: Path) -> None:
    check = {**NEVER, "unhealthy_threshold": 1}
    async with (
        Patient(always=GOOD) as well,
        Patient(always=BAD) as ill,
        serving(tmp_path, well, ill, health_check=check) as fairlead,
    ):
        address = await fairlead.address()
        await becomes(fairlead, ill, "down")
        (engine,) = engines(tmp_path)
        os.kill(engine, signal.SIGKILL)
        await well.checked(2)
        await ill.checked(2)
        # Both answer before this one's address does.
        await fairlead.said("engine serves again")
        await becomes(fairlead, well, "up")
        assert await ask(address, 10) == {b"HTTP/1.1 200 OK"}
        assert ill.requests == []
