"""What is shared with other nodes, and what becomes of it while the store is away."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.control import sharing
from fairlead.control.messages import Change, Changes, Hello, Said
from fairlead.control.sharing import Sharing
from fairlead.control.store import Running, Store
from fairlead.model import Configuration


def configuration(store: str = "redis") -> Configuration:
    return Configuration.model_validate(
        {
            "listeners": {"web": {"bind": ":0", "pool": "app"}},
            "pools": {"app": {"backends": ["127.0.0.1:1"], "affinity": {"table": {"store": store}}}},
            "cluster": {"redis": "redis://127.0.0.1:1/0"},
        }
    )


def running(since: float = 1.0) -> Running:
    hello = Hello(version="v", pid=1, workers=1, plan_version=1, bound={}, settings={})
    return Running(hello=hello, adopted=False, since=since, serving=1)


def test_changes_are_read_pool_by_pool() -> None:
    pushed = [
        {"pool": "a", "changes": [["01", None, "x"], ["02", "x", "y"]]},
        {"pool": "b", "changes": [["03", "z", "z"]]},
    ]
    assert Changes.parse(pushed).changes == (
        Change("a", "01", None, "x"),
        Change("a", "02", "x", "y"),
        Change("b", "03", "z", "z"),
    )


def test_what_is_said_is_written_as_the_engine_reads_it() -> None:
    assert Said(pools={"a": [("01", "x")]}).document() == {
        "pools": [{"pool": "a", "entries": [("01", "x")]}],
        "store": None,
    }
    assert Said(connected=False, reason="refused").document()["store"] == {
        "connected": False,
        "reason": "refused",
    }


def test_without_the_extra_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "find_spec", lambda _: None)
    (problem,) = sharing.missing(configuration())
    assert problem.path == ("pools", "app", "affinity", "table", "store")
    assert "pip install 'fairlead[redis]'" in problem.message
    assert list(sharing.missing(configuration("memory"))) == []


async def test_a_store_that_is_away_is_said_and_nothing_waits_for_it() -> None:
    store = Store()
    store.update(engine=running())
    said: asyncio.Queue[Said] = asyncio.Queue()
    shared = Sharing(store, said.put)
    shared.use(configuration())
    task = asyncio.create_task(shared.run())
    try:
        first = await asyncio.wait_for(said.get(), 20)
        assert first.connected is False
        assert first.reason
        shared.take((Change("app", "01", None, "x"),))
        assert shared.dropped == 1, "it is told anew when the store is back"
        # Another engine has to be told again.
        store.update(engine=running(2.0))
        assert (await asyncio.wait_for(said.get(), 20)).connected is False
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_nothing_is_done_where_nothing_is_shared() -> None:
    store = Store()
    store.update(engine=running())
    said: list[Said] = []

    async def say(one: Said) -> None:
        said.append(one)

    shared = Sharing(store, say)
    shared.use(configuration("memory"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(shared.run(), 0.2)
    assert said == []
