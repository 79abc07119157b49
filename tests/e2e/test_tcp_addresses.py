"""Sessions between all kinds of addresses on both sides, with a server that speaks first, as in SMTP."""

import asyncio
from pathlib import Path

import pytest

from support.backend import Backend
from support.peer import Peer
from support.process import configuration, run, write

KINDS = ("ipv4", "ipv6", "unix")


async def _greet(_: Backend, peer: Peer) -> None:
    peer.send(b"220 who are you?\r\n")
    while line := await peer.reader.readline():
        await peer.send_all(b"250 hello " + line)


@pytest.mark.parametrize("kind", KINDS)
async def test_server_that_speaks_first_is_heard_between_all_kinds_of_addresses(
    tmp_path: Path, kind: str
) -> None:
    host = {"ipv4": "127.0.0.1", "ipv6": "::1", "unix": f"unix:{tmp_path}/backend.sock"}[kind]
    async with Backend(_greet, host) as backend:
        binds = {"ipv4": "127.0.0.1:0", "ipv6": "[::1]:0", "unix": f"unix:{tmp_path}/web.sock"}
        wanted = configuration(tmp_path, backend.address)
        wanted["listeners"] = {
            name: {"bind": bind, "protocol": "tcp", "pool": "app"} for name, bind in binds.items()
        }
        write(tmp_path / "fairlead.json", wanted)
        async with run(tmp_path / "fairlead.json", tmp_path) as fairlead:

            async def converse(listener: str) -> None:
                client = await Peer.connect(await fairlead.address(listener))
                assert await client.read(18) == b"220 who are you?\r\n"
                client.send(b"me\r\n")
                assert await client.read(14) == b"250 hello me\r\n"
                client.send(b"and that is all\r\n")
                client.finish()
                assert await client.end() == b"250 hello and that is all\r\n"
                await client.closed()

            await asyncio.gather(*(converse(listener) for listener in KINDS))
        assert backend.connections == len(KINDS)
