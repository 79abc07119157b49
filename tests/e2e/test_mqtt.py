"""An MQTT broker behind Fairlead: devices stay connected, and go to another broker when theirs is gone."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fairlead.admin.client import Client as Admin
from support.mqtt import Broker, Client, broker
from support.process import configuration, run, write

DEVICES = 10
MIDDLE = 40


def _configuration(folder: Path, one: Broker, two: Broker) -> dict[str, Any]:
    # One has all, since brokers don't tell each other what was published.
    wanted = configuration(
        folder,
        {"address": one.address, "name": "one"},
        {"address": two.address, "name": "two", "backup": True},
        health_check={"type": "tcp", "interval": "500ms", "fast_interval": "200ms"},
        passive_health={"cooldown": "500ms"},
    )
    wanted["listeners"]["web"]["protocol"] = "tcp"
    return wanted


class Device:
    """Publishes numbers in turn and hears each, over two connections that it makes again when lost."""

    def __init__(self, address: str, name: str, middle: asyncio.Event) -> None:
        self.address = address
        self.name = name
        self.heard = 0
        self.losses: list[float] = []
        """When the connections were opened that were lost since."""
        self._opened = 0.0
        self._middle = middle
        self._both: tuple[Client, Client] | None = None

    async def up_to(self, number: int) -> None:
        """Go on until this number was published and heard."""
        while self.heard < number:
            try:
                publisher, subscriber = self._both or await self._connect()
                await publisher.publish(self.name, str(self.heard + 1).encode())
                assert await subscriber.message() == str(self.heard + 1).encode()
                self.heard += 1
                if self.heard == MIDDLE:
                    self._middle.set()
            except ConnectionError:
                self.losses.append(self._opened)
                await self.close()

    async def stays(self) -> None:
        """See that both connections are the ones that were made before."""
        assert self._both is not None
        for client in self._both:
            await client.ping()

    async def close(self) -> None:
        """Leave."""
        both, self._both = self._both or (), None
        for client in both:
            await client.close()

    async def _connect(self) -> tuple[Client, Client]:
        self._opened = asyncio.get_running_loop().time()
        subscriber = await Client.connect(self.address, f"{self.name}-hears")
        try:
            await subscriber.subscribe(self.name)
            publisher = await Client.connect(self.address, f"{self.name}-speaks")
        except BaseException:
            await subscriber.close()
            raise
        self._both = publisher, subscriber
        return self._both


async def _all(devices: list[Device], number: int) -> list[float]:
    """Go on until each heard this number; when what was lost on the way had been opened."""
    await asyncio.gather(*(device.up_to(number) for device in devices))
    losses = [opened for device in devices for opened in device.losses]
    for device in devices:
        device.losses.clear()
    return losses


@contextlib.asynccontextmanager
async def _devices(address: str, middle: asyncio.Event) -> AsyncIterator[list[Device]]:
    devices = [Device(address, f"device-{number}", middle) for number in range(DEVICES)]
    try:
        yield devices
    finally:
        for device in devices:
            await device.close()


async def test_devices_go_to_another_broker_and_back_and_hear_every_message(tmp_path: Path) -> None:
    async with broker(tmp_path, "one") as one, broker(tmp_path, "two") as two:
        write(tmp_path / "fairlead.json", _configuration(tmp_path, one, two))
        async with run(tmp_path / "fairlead.json", tmp_path) as fairlead:
            admin, middle = Admin(str(tmp_path)), asyncio.Event()
            async with _devices(await fairlead.address(), middle) as devices:
                assert await _all(devices, 20) == []
                publishing = asyncio.create_task(_all(devices, 120))
                await middle.wait()
                await one.kill()
                dead = asyncio.get_running_loop().time()
                # Each lost what it had there, and nothing after that.
                losses = await publishing
                assert len(losses) >= DEVICES
                assert max(losses) < dead
                await one.restart()
                while (await asyncio.to_thread(admin.backend, "app", "one")).state != "up":
                    pass
                # Those that are connected stay where they are.
                assert await _all(devices, 140) == []
                await asyncio.gather(*(device.stays() for device in devices))
                assert (await asyncio.to_thread(admin.backend, "app", "two")).in_flight == 2 * DEVICES
                await asyncio.to_thread(admin.operate, "app", "two", "disable")
                while (await asyncio.to_thread(admin.backend, "app", "two")).in_flight > 0:
                    pass
                assert len(await _all(devices, 160)) == DEVICES
                assert (await asyncio.to_thread(admin.backend, "app", "one")).requests >= 4 * DEVICES
