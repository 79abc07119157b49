"""The origin behaves as told."""

import asyncio
import gc
import socket
import sys

import pytest
from aiohttp import ClientError, ClientSession

from fairlead.testing.origin import Behaviour, Exchange, Origin, after, answer, by_path, raw, reset, silent


async def ask(origin: Origin, path: str = "/", **options: object) -> tuple[int, str]:
    async with ClientSession() as client, client.get(f"http://{origin.address}{path}", **options) as got:  # type: ignore[arg-type]
        return got.status, await got.text()


async def test_it_answers_and_remembers() -> None:
    async with Origin(by_path({"/a": answer("A", headers={"X-A": "1"})})) as origin:
        assert await ask(origin, "/a") == (200, "A")
        assert await ask(origin, "/b") == (404, "not found")
        assert [request.target for request in origin.requests] == ["/a", "/b"]
        assert origin.requests[0].header("HOST") == origin.address
        assert origin.connections == 2


async def test_a_body_is_read_whole_in_both_framings() -> None:
    async def echo(exchange: Exchange) -> None:
        await exchange.answer(exchange.request.body)

    async def pieces() -> object:
        yield b"one "
        yield b"two"

    async with Origin(echo) as origin, ClientSession() as client:
        async with client.post(f"http://{origin.address}/", data=b"whole") as got:
            assert await got.read() == b"whole"
        async with client.post(f"http://{origin.address}/", data=pieces()) as got:
            assert await got.read() == b"one two"
        assert origin.connections == 1


async def test_chunks_arrive_as_one_body() -> None:
    async def chunked(exchange: Exchange) -> None:
        await exchange.chunks([b"a", b"bc"])

    async with Origin(chunked) as origin:
        assert await ask(origin) == (200, "abc")


@pytest.mark.parametrize("behaviour", [reset(), raw(b"nonsense\r\n\r\n"), raw(b"")])
async def test_misbehaviour_is_an_error_of_the_client(behaviour: Behaviour) -> None:
    async with Origin(behaviour) as origin:
        with pytest.raises(ClientError):
            await ask(origin)


async def test_a_silent_one_ends_with_the_origin() -> None:
    asked = asyncio.Event()

    async def tell_and_wait(exchange: Exchange) -> None:
        asked.set()
        await after(0, silent())(exchange)

    async with Origin(tell_and_wait) as origin:
        asking = asyncio.create_task(ask(origin))
        await asked.wait()
        await origin.stop()
        with pytest.raises(ClientError):
            await asking


@pytest.mark.parametrize("turns", range(6))
async def test_a_connection_that_comes_as_the_origin_stops_is_not_left_open(
    turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", left.append)
    origin = Origin(answer("hello"))
    async with origin:
        host, _, port = origin.address.rpartition(":")
        with socket.create_connection((host, int(port))):
            for _ in range(turns):
                await asyncio.sleep(0)
            await origin.stop()
    gc.collect()
    assert not left
