"""A running Fairlead before backends in the test's hand, shared by the tests of a module.

A module says its configuration in `CONFIGURATION`. In it `"@name"` stands for the address of a backend of
that name. A listener without `bind` gets a free port on an address of its own, one without `pool`, `routes`
or `sni` the pool `app`. Where no pools are given there is `app` with the backend `@app`.
"""

import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from support import metrics
from support.backend import Backend
from support.certificates import Authority
from support.message import Answer
from support.peer import Peer
from support.process import Running, engines, run, write


@dataclass
class Stage:
    """Who plays: Fairlead, backends by name, and the clients of the current test."""

    fairlead: Running
    backends: dict[str, Backend]
    addresses: dict[str, str]
    clients: list[Peer] = field(default_factory=list)
    tls: ssl.SSLContext | None = None
    """What clients connect with, where listeners terminate TLS."""

    @property
    def backend(self) -> Backend:
        """The only one, or the one that is called `app`."""
        return self.backends["app"]

    async def client(
        self, listener: str = "web", *, source: str | None = None, buffer: int | None = None
    ) -> Peer:
        """A new connection to a listener."""
        client = await Peer.connect(self.addresses[listener], source=source, buffer=buffer, tls=self.tls)
        self.clients.append(client)
        return client

    async def ask(self, request: bytes, listener: str = "web", method: str = "GET") -> Answer:
        """Send a request on a connection of its own and read the answer."""
        client = await self.client(listener)
        client.send(request)
        return await client.answer(method)

    async def metrics(self) -> dict[str, metrics.Family]:
        """The metrics page now."""
        status, page = await self.fairlead.admin("/metrics")
        assert status == 200, page
        return metrics.parse(page)

    async def metric(self, name: str, /, **labels: str) -> float:
        """The sum of the series of a metric that have these labels."""
        return metrics.value(await self.metrics(), name, **labels)

    async def until(self, name: str, wanted: float, /, **labels: str) -> None:
        """Wait until a metric has a value: what it counts may end a moment after its answer."""
        while await self.metric(name, **labels) != wanted:
            pass

    @property
    def engine(self) -> int:
        """The id of the engine process."""
        (pid,) = engines(self.fairlead.directory)
        return pid

    async def clear(self) -> None:
        """Leave nothing for the next test: first no client, then no backend that could be tried for one."""
        for client in self.clients:
            await client.closed()
        self.clients.clear()
        await self.until("fairlead_connections", 0)
        for backend in self.backends.values():
            await backend.clear()


@contextlib.asynccontextmanager
async def staged(
    directory: Path, configuration: Mapping[str, Any], *, over: str = "clear"
) -> AsyncIterator[Stage]:
    """Start the backends that a configuration names, and Fairlead before them.

    `over` "tls" every listener terminates it.
    """
    authority = Authority() if over == "tls" else None
    async with contextlib.AsyncExitStack() as stack:
        backends: dict[str, Backend] = {}
        pools = configuration.get("pools", {"app": {"backends": ["@app"]}})
        for name in sorted(_named(pools)):
            backends[name] = await stack.enter_async_context(Backend())
        listeners = {
            name: {
                "bind": f"127.0.0.{number}:0",
                **({} if {"pool", "routes", "sni"} & listener.keys() else {"pool": "app"}),
                **listener,
            }
            for number, (name, listener) in enumerate(configuration.get("listeners", {"web": {}}).items(), 1)
        }
        if authority:
            site = authority.write(directory, "site", "web.test")
            configuration = {**configuration, "certificates": {"site": site}}
            for listener in listeners.values():
                listener["tls"] = {"certificates": ["site"]}
        file = directory / "fairlead.json"
        whole = {
            **configuration,
            "runtime": {"directory": str(directory), "workers": 1, **configuration.get("runtime", {})},
            "listeners": listeners,
            "pools": _addressed(pools, backends),
        }
        write(file, whole)
        fairlead = await stack.enter_async_context(run(file, directory))
        found = (await fairlead.status())["listeners"]
        addresses = {listener["name"]: listener["binds"][0]["bound"] for listener in found}
        stage = Stage(fairlead, backends, addresses, tls=authority.context() if authority else None)
        try:
            yield stage
        finally:
            await stage.clear()


def _named(part: object) -> set[str]:
    if isinstance(part, Mapping):
        return set().union(*(_named(inner) for inner in part.values()))
    if isinstance(part, list):
        return set().union(*(_named(inner) for inner in part))
    return {part[1:]} if isinstance(part, str) and part.startswith("@") else set()


def _addressed(part: object, backends: Mapping[str, Backend]) -> Any:  # noqa: ANN401 - any part of a file
    if isinstance(part, Mapping):
        return {key: _addressed(inner, backends) for key, inner in part.items()}
    if isinstance(part, list):
        return [_addressed(inner, backends) for inner in part]
    return backends[part[1:]].address if isinstance(part, str) and part.startswith("@") else part


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def theatre(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    """The module's Fairlead; one after the other where the module says what it is `OVER`."""
    configuration = getattr(request.module, "CONFIGURATION", {})
    over = getattr(request, "param", "clear")
    async with staged(tmp_path_factory.mktemp("run"), configuration, over=over) as stage:
        yield stage


@pytest_asyncio.fixture(loop_scope="module")
async def stage(theatre: Stage) -> AsyncIterator[Stage]:
    """The module's Fairlead, with nothing open."""
    yield theatre
    await theatre.clear()
