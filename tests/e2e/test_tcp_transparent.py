"""Backends that see their clients' own addresses, in networks of their own: a client's, and a backend's."""

import asyncio
import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.network import Machine, machines, wire
from support.peer import HANG, Peer
from support.process import configuration, run, write

FAMILIES = {"ipv4": (socket.AF_INET, "10.77.{}.{}"), "ipv6": (socket.AF_INET6, "fd77:{}::{}")}
SYN_DATA = 32  # TCPI_OPT_SYN_DATA: what was sent with the SYN was taken


@dataclass(frozen=True)
class Networks:
    """A client, Fairlead between, and a backend whose way back leads through it."""

    client: Machine
    fairlead: Machine
    backend: Machine


@pytest.fixture
def networks() -> Iterator[Networks]:
    with machines("client", "fairlead", "backend") as three:
        client, fairlead, backend = three
        wire(fairlead, client, "front", 1)
        wire(fairlead, backend, "back", 2)
        backend.ip("route add default via 10.77.2.1")
        backend.ip("route add default via fd77:2::1")
        # As distributions have it: where an answer comes from is looked at.
        fairlead.set("net/ipv4/conf/all/rp_filter", "1")
        yield Networks(client, fairlead, backend)


def _return(fairlead: Machine, port: int) -> None:
    """Answers of the backend to somebody else are taken in: the lines of docs/guides/tcp.md."""
    for family, everybody in (("-4", "0.0.0.0/0"), ("-6", "::/0")):
        fairlead.ip(f"{family} rule add iif back ipproto tcp sport {port} lookup 77")
        fairlead.ip(f"{family} route add local {everybody} dev lo table 77")


def _listen(machine: Machine, family: socket.AddressFamily, host: str) -> socket.socket:
    listening = machine.socket(family)
    listening.bind((host, 0))
    listening.listen()
    return listening


def _configuration(folder: Path, backend: str, bind: str, **options: object) -> dict[str, Any]:
    wanted = configuration(folder, backend)
    wanted["listeners"]["web"] |= {"bind": bind, "protocol": "tcp", "socket": options}
    return wanted


def _written(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _connect(sock: socket.socket, address: str) -> Peer:
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(HANG):
            await asyncio.get_running_loop().sock_connect(sock, (host.strip("[]"), int(port)))
    except BaseException:
        sock.close()
        raise
    return Peer(*await asyncio.open_connection(sock=sock))


async def _hear(sock: socket.socket, address: str) -> bytes:
    """What comes until the end, on a connection of its own."""
    client = await _connect(sock, address)
    try:
        return await client.end()
    finally:
        await client.closed()


async def _accept(listening: socket.socket) -> tuple[Peer, str]:
    async with asyncio.timeout(HANG):
        sock, address = await asyncio.get_running_loop().sock_accept(listening)
    return Peer(*await asyncio.open_connection(sock=sock)), str(address[0])


@pytest.fixture
def public() -> Iterator[Path]:
    """A directory that other users get into, unlike those of pytest."""
    with tempfile.TemporaryDirectory(prefix="fairlead-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize("user", [None, "nobody"])
@pytest.mark.parametrize("family", FAMILIES)
async def test_backend_sees_the_address_of_the_client(
    public: Path, networks: Networks, family: str, user: str | None
) -> None:
    kind, address = FAMILIES[family]
    listening = _listen(networks.backend, kind, address.format(2, 2))
    port = listening.getsockname()[1]
    _return(networks.fairlead, port)
    bind = _written(address.format(1, 1), 0)
    wanted = _configuration(public, _written(address.format(2, 2), port), bind, transparent=True)
    if user is not None:
        wanted["runtime"]["user"] = user
    write(public / "fairlead.json", wanted)
    with listening:
        async with run(public / "fairlead.json", public, inside=networks.fairlead.inside) as fairlead:
            for _ in range(3):
                client = await _connect(networks.client.socket(kind), await fairlead.address())
                peer, seen = await _accept(listening)
                assert seen == address.format(1, 2)
                client.send(b"question")
                assert await peer.read(8) == b"question"
                peer.send(b"answer")
                peer.finish()
                assert await client.end() == b"answer"
                await client.closed()
                await peer.closed()


async def test_client_of_another_family_than_the_backend_is_reset(tmp_path: Path, networks: Networks) -> None:
    listening = _listen(networks.backend, socket.AF_INET, "10.77.2.2")
    backend = _written("10.77.2.2", listening.getsockname()[1])
    wanted = _configuration(tmp_path, backend, "[fd77:1::1]:0", transparent=True)
    wanted["access_log"] = {"path": str(tmp_path / "access.log")}
    write(tmp_path / "fairlead.json", wanted)
    with listening:
        async with run(tmp_path / "fairlead.json", tmp_path, inside=networks.fairlead.inside) as fairlead:
            address = await fairlead.address()
            with pytest.raises(ConnectionResetError):
                await _hear(networks.client.socket(socket.AF_INET6), address)
            while not (lines := (tmp_path / "access.log").read_text().splitlines()):
                pass
            assert "another family" in json.loads(lines[0])["reason"]
            # That is nothing against it.
            (backend_stats,) = (await fairlead.stats())["pools"][0]["backends"]
            assert (backend_stats["state"], backend_stats["connect_failures"]) == ("up", 0)


async def test_first_bytes_come_with_the_syn(tmp_path: Path, networks: Networks) -> None:
    listening = _listen(networks.backend, socket.AF_INET, "10.77.2.2")
    backend = _written("10.77.2.2", listening.getsockname()[1])
    networks.fairlead.set("net/ipv4/tcp_fastopen", "2")
    write(tmp_path / "fairlead.json", _configuration(tmp_path, backend, "10.77.1.1:0", fast_open=True))
    with listening:
        async with run(tmp_path / "fairlead.json", tmp_path, inside=networks.fairlead.inside) as fairlead:
            host, _, port = (await fairlead.address()).rpartition(":")
            taken = []
            # The first one gets a cookie, the second one shows it.
            for _ in range(2):
                with networks.client.socket() as client:
                    with contextlib.suppress(BlockingIOError):
                        client.sendto(b"question", socket.MSG_FASTOPEN, (host, int(port)))
                    peer, _ = await _accept(listening)
                    if not taken:
                        await asyncio.get_running_loop().sock_sendall(client, b"question")
                    assert await peer.read(8) == b"question"
                    info = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)
                    taken.append(bool(info[5] & SYN_DATA))
                    await peer.closed()
            assert taken == [False, True]


def test_lack_of_the_right_is_said_where_it_is_wanted(tmp_path: Path, networks: Networks) -> None:
    write(
        tmp_path / "fairlead.json", _configuration(tmp_path, "10.77.2.2:9", "10.77.1.1:0", transparent=True)
    )
    without = ("setpriv", "--bounding-set", "-net_admin,-net_raw")
    done = subprocess.run(
        [
            *networks.fairlead.inside,
            *without,
            sys.executable,
            "-m",
            "fairlead",
            "run",
            tmp_path / "fairlead.json",
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert re.search(r"json:\d+:\d+: listeners\.web\.socket\.transparent: needs CAP_NET_ADMIN", done.stderr)


async def test_right_that_was_dropped_needs_a_restart(public: Path, networks: Networks) -> None:
    before = _configuration(public, "10.77.2.2:9", "10.77.1.1:0")
    before["runtime"]["user"] = "nobody"
    write(public / "fairlead.json", before)
    async with run(public / "fairlead.json", public, inside=networks.fairlead.inside) as fairlead:
        before["listeners"]["web"]["socket"] = {"transparent": True}
        write(public / "fairlead.json", before)
        fairlead.process.send_signal(signal.SIGHUP)
        assert "CAP_NET_ADMIN, which the engine gave up" in await fairlead.said("needs a restart")
