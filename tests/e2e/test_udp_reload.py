"""Reloads and operators: sessions of UDP live on where they may, and move where they must."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from support.datagrams import Client, Ground, Origin, configuration, grounds, split
from support.peer import HANG

RELOADS = 50


async def _all_echo(clients: list[Client]) -> None:
    for number, client in enumerate(clients):
        client.send(b"%d" % number)
    for number, client in enumerate(clients):
        assert await client.receive() == b"%d" % number


def _backend(origin: Origin, name: str, **more: object) -> dict[str, Any]:
    return {"address": origin.address, "name": name, **more}


async def _operate(ground: Ground, verb: str, backend: str) -> None:
    path = str(ground.fairlead.directory / "admin.sock")
    reader, writer = await asyncio.open_unix_connection(path)
    pool, _, name = backend.partition("/")
    head = f"POST /api/v1/pools/{pool}/backends/{name}/{verb} HTTP/1.1\r\nHost: fairlead\r\n"
    writer.write((head + "Content-Length: 0\r\nConnection: close\r\n\r\n").encode())
    answer = await reader.read()
    writer.close()
    assert b" 200 " in answer.splitlines()[0], answer


async def test_sessions_live_through_fifty_reloads_on_every_worker(tmp_path: Path) -> None:
    async with Origin() as one, Origin() as other:
        backends = [_backend(one, "one"), _backend(other, "other")]
        first = configuration(tmp_path, {"game": {}}, {"app": {"backends": backends}})
        first["runtime"]["workers"] = 2
        heavier = [_backend(one, "one"), _backend(other, "other", weight=3)]
        second = configuration(tmp_path, {"game": {}}, {"app": {"backends": heavier}})
        second["runtime"]["workers"] = 2
        async with grounds(tmp_path, first) as ground:
            clients = [ground.client() for _ in range(300)]
            await _all_echo(clients)
            sessions = set(one.heard) | set(other.heard)
            assert len(sessions) == len(clients)
            for number in range(RELOADS):
                await ground.fairlead.reload(first if number % 2 else second)
                await _all_echo(clients[number % 10 :: 10])
            await _all_echo(clients)
            assert set(one.heard) | set(other.heard) == sessions
            stats = await ground.fairlead.stats()
            assert stats["listeners"][0]["accepted"] == len(clients)
            assert stats["listeners"][0]["datagrams"]["dropped"] == {}
            assert stats["plans_alive"] <= 2


async def test_sessions_of_a_removed_backend_move_with_their_next_datagram(tmp_path: Path) -> None:
    async with Origin() as one, Origin() as other:
        first = configuration(tmp_path, {"game": {}}, {"app": {"backends": [one.address]}})
        async with grounds(tmp_path, first) as ground:
            clients = [ground.client() for _ in range(10)]
            await _all_echo(clients)
            await ground.fairlead.reload(
                configuration(tmp_path, {"game": {}}, {"app": {"backends": [other.address]}})
            )
            await _all_echo(clients)
            assert len(other.heard) == len(clients)
            assert await ground.metric("fairlead_sessions_moved_total", listener="game") == len(clients)
            # Nothing is left of the one that was removed.
            async with asyncio.timeout(HANG):
                while len((await ground.fairlead.stats())["pools"][0]["backends"]) > 1:
                    pass


async def test_backend_with_another_address_is_another_backend(tmp_path: Path) -> None:
    async with Origin() as one, Origin() as other:
        first = configuration(tmp_path, {"game": {}}, {"app": {"backends": [_backend(one, "b")]}})
        async with grounds(tmp_path, first) as ground:
            client = ground.client()
            await client.echoes()
            await ground.fairlead.reload(
                configuration(tmp_path, {"game": {}}, {"app": {"backends": [_backend(other, "b")]}})
            )
            await client.echoes()
            assert list(other.heard.values()) == [1]


async def test_disabled_backend_is_left_and_a_drained_one_keeps_its_sessions_till_its_deadline(
    tmp_path: Path,
) -> None:
    async with Origin() as one, Origin() as other:
        pool = {
            "backends": [_backend(one, "one"), _backend(other, "other")],
            "algorithm": "first",
            "drain": "1s",
        }
        async with grounds(tmp_path, configuration(tmp_path, {"game": {}}, {"app": pool})) as ground:
            client = ground.client()
            await client.echoes()
            await _operate(ground, "drain", "app/one")
            await client.echoes(b"while it drains")
            assert one.heard.total() == 2
            await ground.client().echoes(b"a new one")
            assert other.heard.total() == 1
            await ground.until("fairlead_sessions_total", 1, listener="game", ended="drain")
            await client.echoes(b"elsewhere")
            assert other.heard.total() == 2
            await _operate(ground, "undrain", "app/one")
            third = ground.client()
            await third.echoes()
            assert one.heard.total() == 3
            await _operate(ground, "disable", "app/one")
            await third.echoes()
            assert other.heard.total() == 3


async def test_removed_listener_is_closed_and_its_address_can_be_another_ones(tmp_path: Path) -> None:
    async with Origin() as one, Origin() as other:
        pools = {"app": {"backends": [one.address]}, "new": {"backends": [other.address]}}
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.3", 0))
            bind = f"127.0.0.3:{free.getsockname()[1]}"
        first = configuration(tmp_path, {"game": {"bind": bind}, "stays": {}}, pools)
        async with grounds(tmp_path, first) as ground:
            client, stays = ground.client(), ground.client("stays")
            await client.echoes()
            await stays.echoes()
            del first["listeners"]["game"]
            await ground.fairlead.reload(first)
            await stays.echoes()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
                free.bind(split(bind))
            first["listeners"]["again"] = {"bind": bind, "protocol": "udp", "pool": "new"}
            await ground.fairlead.reload(first)
            assert await client.ask(b"who is it now?") == b"who is it now?"
            assert other.heard.total() >= 1


async def test_tcp_and_udp_share_a_port_but_not_two_programs(tmp_path: Path) -> None:
    async with Origin() as one:
        # Where nobody else listens by TCP: a port that is free for one protocol may be taken for the other.
        listener = {"bind": "127.0.0.77:0"}
        wanted = configuration(tmp_path, {"game": listener}, {"app": {"backends": [one.address]}})
        async with grounds(tmp_path, wanted) as ground:
            port = split(ground.addresses["game"])[1]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
                taken.bind(("127.0.0.9", 0))
                at = f"127.0.0.9:{taken.getsockname()[1]}"
                wanted["listeners"]["more"] = {"bind": at, "protocol": "udp", "pool": "app"}
                (tmp_path / "fairlead.json").write_text(json.dumps(wanted))
                ground.fairlead.process.send_signal(1)
                await ground.fairlead.said("another program listens there")
            wanted["listeners"]["more"] = {"bind": f"127.0.0.77:{port}", "protocol": "tcp", "pool": "app"}
            await ground.fairlead.reload(wanted)
            await ground.client().echoes()


async def test_stop_ends_sessions_at_once(tmp_path: Path) -> None:
    async with Origin() as one:
        wanted = configuration(tmp_path, {"game": {}}, {"app": {"backends": [one.address]}})
        async with grounds(tmp_path, wanted) as ground:
            client = ground.client()
            await client.echoes()
            # It doesn't wait for the minute in which more might come.
            assert await ground.fairlead.stop() == 0
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
                free.bind(split(ground.addresses["game"]))


@pytest.mark.long
@pytest.mark.timeout(180)
async def test_fifteen_thousand_sessions_at_once(tmp_path: Path) -> None:
    """As many as the descriptors here allow, ours and Fairlead's."""
    import resource  # noqa: PLC0415 - only here

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(15_000, hard - 500)
    async with Origin() as one:
        game = {"udp": {"max_sessions": count}}
        wanted = configuration(tmp_path, {"game": game}, {"app": {"backends": [one.address]}})
        async with grounds(tmp_path, wanted) as ground:
            # A thousand ports, on many addresses: the others are for the sessions.
            ports = [0] * 1000
            clients: list[Client] = []
            while len(clients) < count:
                start = len(clients)
                some = [
                    ground.client(source=f"127.1.0.{1 + number // 1000}", port=ports[number % 1000])
                    for number in range(start, min(start + 100, count))
                ]
                ports[start % 1000 : start % 1000 + 100] = [each.port for each in some]
                await _all_echo(some)
                clients += some
            new = [ground.client() for _ in range(20)]
            for client in new:
                client.send(b"one more?")
            await ground.until(
                "fairlead_datagrams_dropped_total", len(new), listener="game", reason="max_sessions"
            )
            for start in range(0, count, 100):
                await _all_echo(clients[start : start + 100])
            stats = await ground.fairlead.stats()
            assert stats["listeners"][0]["connections"] == count
            assert stats["rss_bytes"] < 200 * 2**20
            assert all(client.hears_nothing() for client in (*clients, *new))
