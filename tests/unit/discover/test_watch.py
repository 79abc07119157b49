from __future__ import annotations

import asyncio
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from fairlead.discover import Answer, ResolveError, Watch
from fairlead.model import Configuration
from support.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fairlead.compile import Json


class Names:
    """Answers from a table that a test changes."""

    def __init__(self, **table: list[str]) -> None:
        self.table = table
        self.asked: list[str] = []
        self.silent: set[str] = set()

    async def resolve(self, name: str) -> Answer:
        self.asked.append(name)
        if name in self.silent:
            await asyncio.Event().wait()
        if name not in self.table:
            message = f"{name}: there is no such name"
            raise ResolveError(message)
        addresses = [ip_address(text) for text in self.table[name]]
        ipv4 = tuple(ip for ip in addresses if ip.version == 4)
        ipv6 = tuple(ip for ip in addresses if ip.version == 6)
        return Answer(ipv4, ipv6, 20.0)


def configured(*backends: str) -> Configuration:
    return Configuration.model_validate(
        {"listeners": {"web": {"bind": ":0", "pool": "app"}}, "pools": {"app": {"backends": list(backends)}}}
    )


def ids(members: Json) -> list[str]:
    return [backend["id"] for backend in members["backends"]]


def backend(identity: str, address: str) -> Json:
    """The name that it was found by stands before its `@`."""
    return {
        "id": identity,
        "hash_name": address,
        "host": identity.partition(":")[0] if "@" in identity else None,
        "address": {"ip": address},
        "weight": 1,
        "max_in_flight": None,
        "zone": None,
        "backup": False,
    }


async def following(changes: AsyncIterator[Json]) -> Json:
    return await asyncio.wait_for(anext(changes), 5)


async def turn() -> None:
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def test_a_name_becomes_a_backend_for_each_of_its_addresses(clock: ManualClock) -> None:
    watch = Watch(clock)
    watch.use(configured("10.0.0.9:80", "app:8080"), Names(app=["10.0.0.2", "2001:db8::1", "10.0.0.1"]))
    members = await following(watch.changes())
    assert members == {
        "pool": "app",
        "generation": 1,
        "backends": [
            backend("10.0.0.9:80", "10.0.0.9:80"),
            backend("app:8080@10.0.0.1", "10.0.0.1:8080"),
            backend("app:8080@10.0.0.2", "10.0.0.2:8080"),
            backend("app:8080@2001:db8::1", "[2001:db8::1]:8080"),
        ],
    }


async def test_the_same_set_in_another_order_is_no_change_and_another_set_is_one(clock: ManualClock) -> None:
    names = Names(app=["10.0.0.1", "10.0.0.2"])
    watch = Watch(clock)
    watch.use(configured("app:80"), names)
    changes = watch.changes()
    first = await following(changes)
    second = asyncio.ensure_future(following(changes))
    await turn()
    names.table["app"] = ["10.0.0.2", "10.0.0.1"]
    clock.advance(20)
    await turn()
    assert names.asked == ["app", "app"]
    assert not second.done()
    names.table["app"] = ["10.0.0.3"]
    clock.advance(20)
    assert ids(await second) == ["app:80@10.0.0.3"]
    assert (await second)["generation"] == first["generation"] + 1


async def test_a_name_is_asked_for_again_when_its_ttl_ends_and_not_before(clock: ManualClock) -> None:
    names = Names(app=["10.0.0.1"])
    watch = Watch(clock)
    watch.use(configured("app:80"), names)
    changes = watch.changes()
    await following(changes)
    rest = asyncio.ensure_future(following(changes))
    await turn()
    clock.advance(19.9)
    await turn()
    assert names.asked == ["app"]
    clock.advance(0.1)
    await turn()
    assert names.asked == ["app", "app"]
    rest.cancel()


async def test_a_failure_keeps_the_last_addresses_and_is_told(clock: ManualClock) -> None:
    names = Names(app=["10.0.0.1"])
    failures: list[str] = []
    watch = Watch(clock, on_failure=lambda error: failures.append(str(error)))
    watch.use(configured("app:80"), names)
    changes = watch.changes()
    await following(changes)
    rest = asyncio.ensure_future(following(changes))
    del names.table["app"]
    await turn()
    clock.advance(20)
    await turn()
    assert failures == ["app: there is no such name"]
    assert not rest.done()
    rest.cancel()


async def test_a_silent_name_holds_up_no_other(clock: ManualClock) -> None:
    names = Names(quick=["10.0.0.1"])
    names.silent.add("slow")
    watch = Watch(clock)
    watch.use(configured("slow:80", "quick:80"), names)
    assert ids(await following(watch.changes())) == ["quick:80@10.0.0.1"]


async def test_settled_waits_for_the_first_result_of_every_name_good_or_bad(clock: ManualClock) -> None:
    watch = Watch(clock)
    watch.use(configured("app:80", "lost:80"), Names(app=["10.0.0.1"]))
    changes = watch.changes()
    await following(changes)
    rest = asyncio.ensure_future(following(changes))
    await asyncio.wait_for(watch.settled(), 5)
    rest.cancel()


async def test_a_new_configuration_is_told_its_lists_again_with_later_generations(clock: ManualClock) -> None:
    names = Names(app=["10.0.0.1"])
    watch = Watch(clock, first_generation=100)
    watch.use(configured("app:80"), names)
    changes = watch.changes()
    first = await following(changes)
    rest = asyncio.ensure_future(following(changes))
    await turn()
    watch.use(configured("app:80", "10.0.0.7:80"), names)
    second = await rest
    assert (first["generation"], second["generation"]) == (100, 101)
    assert ids(second) == ["app:80@10.0.0.1", "10.0.0.7:80"]
    assert names.asked == ["app"]
