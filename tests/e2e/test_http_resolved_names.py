"""A backend may be a name: it is resolved by the time Fairlead is ready, and stands for its addresses."""

from pathlib import Path

from support.backend import OK, Backend, answering
from support.peer import Peer
from support.process import configuration, run, write


async def test_name_is_resolved_before_fairlead_is_ready(tmp_path: Path) -> None:
    async with Backend(answering(OK)) as backend:
        port = backend.address.rpartition(":")[2]
        config = tmp_path / "fairlead.json"
        write(config, configuration(tmp_path, f"localhost:{port}"))
        async with run(config, tmp_path) as fairlead:
            client = await Peer.connect(await fairlead.address())
            for _ in range(4):
                client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                assert (await client.answer()).body == b"ok"
            await client.closed()
            (pool,) = (await fairlead.status())["pools"]
            ids = [member["id"] for member in pool["backends"]]
    assert f"localhost:{port}@127.0.0.1" in ids
    assert all(known.startswith(f"localhost:{port}@") for known in ids)
