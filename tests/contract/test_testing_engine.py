"""The engine that tests may use, ours and others'."""

import pytest
from aiohttp import ClientSession

from fairlead.control.errors import PlanRefused
from fairlead.testing.engine import engine
from fairlead.testing.origin import Origin, answer


async def ask(address: str) -> str:
    async with ClientSession() as client, client.get(f"http://{address}/") as got:
        return await got.text()


async def test_a_configuration_serves_until_the_block_ends() -> None:
    async with Origin(answer("one")) as one, Origin(answer("two")) as two:
        configuration = {
            "listeners": {"web": {"bind": "127.0.0.1:0", "pool": "app"}},
            "pools": {"app": {"backends": [one.address]}},
        }
        async with engine(configuration) as running:
            address = running.address("web")
            assert await ask(address) == "one"
            await running.reload(configuration | {"pools": {"app": {"backends": [two.address]}}})
            assert running.address("web") == address
            assert await ask(address) == "two"
            assert (await running.stats()).totals.requests == 2
        with pytest.raises(OSError, match="Connect call failed"):
            await ask(address)


async def test_what_the_engine_refuses_is_raised_and_nothing_is_left() -> None:
    async with Origin(answer("one")) as one:
        configuration = {
            "listeners": {"web": {"bind": one.address, "pool": "app"}},
            "pools": {"app": {"backends": [one.address]}},
        }
        with pytest.raises(PlanRefused, match=r"listeners\.web\.bind"):
            async with engine(configuration):
                pass
