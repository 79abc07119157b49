"""A UDP listener: each client has a session with a backend, and hears what is said in it and nothing else."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from support.datagrams import Client, Ground, Origin, configuration, grounds, split

pytestmark = pytest.mark.asyncio(loop_scope="module")

UDP_SEGMENT = 103
"""Of the kernel's headers; Python doesn't name it."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app() -> AsyncIterator[Origin]:
    async with Origin() as origin:
        yield origin


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ground(app: Origin, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    folder = tmp_path_factory.mktemp("run")
    async with Origin() as other, Origin(lambda question: (question, question)) as twice:
        listeners = {
            "game": {},
            "few": {"udp": {"max_sessions": 2}},
            "short": {"udp": {"session_timeout": "300ms"}},
            "names": {"udp": {"responses": 1}},
            "pairs": {"pool": "twice", "udp": {"responses": 2}},
            "every": {"bind": ":0"},
            "each": {"max_connections_per_client": 1},
            "full": {"pool": "full"},
            "nobody": {"pool": "nobody"},
            "sticky": {"pool": "sticky"},
        }
        pools = {
            "app": {"backends": [app.address]},
            "twice": {"backends": [twice.address]},
            "full": {"backends": [app.address], "max_in_flight": 1},
            "nobody": {"backends": [{"address": app.address, "weight": 0}]},
            "sticky": {
                "backends": [app.address, other.address],
                "algorithm": {"consistent_hash": {"key": "client"}},
            },
        }
        wanted = configuration(folder, listeners, pools)
        wanted["access_log"] = {"path": str(folder / "access.log")}
        async with grounds(folder, wanted) as ground:
            yield ground


async def test_session_has_one_address_towards_its_backend(ground: Ground, app: Origin) -> None:
    client = ground.client()
    app.heard.clear()
    for number in range(20):
        await client.echoes(b"%d" % number)
    assert list(app.heard.values()) == [20]
    ((session, _),) = app.heard.items()
    app.send(b"unasked", session)
    assert await client.receive() == b"unasked"


async def test_every_client_hears_its_own_answers_alone(ground: Ground, app: Origin) -> None:
    clients = [ground.client() for _ in range(200)]
    app.heard.clear()
    for round_ in range(3):
        for number, client in enumerate(clients):
            client.send(b"%d of %d" % (number, round_))
        for number, client in enumerate(clients):
            assert await client.receive() == b"%d of %d" % (number, round_)
    assert len(app.heard) == len(clients)
    assert all(client.hears_nothing() for client in clients)


async def test_what_others_send_to_a_session_is_nobodys(ground: Ground, app: Origin) -> None:
    client = ground.client()
    app.heard.clear()
    await client.echoes(b"first")
    (session,) = app.heard
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.sendto(b"spoofed", session)
    await client.echoes(b"second")
    assert client.hears_nothing()


async def test_empty_and_long_datagrams_stay_what_they_are(ground: Ground) -> None:
    client = ground.client()
    for words in (b"", bytes(1400), b"", bytes(range(256)) * 250, bytes(65_507)):
        await client.echoes(words)


async def test_trains_of_datagrams_arrive_as_datagrams(ground: Ground, app: Origin) -> None:
    client = ground.client()
    await client.echoes()
    while not app.received.empty():
        app.received.get_nowait()
    client.socket.setsockopt(socket.SOL_UDP, UDP_SEGMENT, 1000)
    words = bytes(range(250)) * 18
    client.send(words)
    assert [len(await client.receive()) for _ in range(5)] == [1000, 1000, 1000, 1000, 500]
    assert b"".join([(await app.next())[0] for _ in range(5)]) == words


async def test_answer_comes_from_the_address_that_was_asked(ground: Ground) -> None:
    port = split(ground.addresses["every"])[1]
    for address in (f"127.0.0.1:{port}", f"127.0.0.77:{port}", f"[::1]:{port}"):
        # It hears no other address than the one it asks.
        await Client(address).echoes(address.encode())


async def test_client_that_asks_by_two_addresses_has_two_sessions(ground: Ground, app: Origin) -> None:
    port = split(ground.addresses["every"])[1]
    app.heard.clear()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0)
        client.bind(("127.0.0.1", 0))
        for address in ("127.0.0.5", "127.0.0.6"):
            client.sendto(b"hello", (address, port))
            words, source = await asyncio.get_running_loop().sock_recvfrom(client, 100)
            assert (words, source) == (b"hello", (address, port))
    assert len(app.heard) == 2


async def test_beyond_the_maximum_new_sessions_are_shed_and_old_ones_live(ground: Ground) -> None:
    old = [ground.client("few") for _ in range(2)]
    for client in old:
        await client.echoes()
    before = await ground.dropped("max_sessions", "few")
    new = ground.client("few")
    for _ in range(3):
        new.send(b"let me in")
    await ground.until("fairlead_datagrams_dropped_total", before + 3, listener="few", reason="max_sessions")
    for client in old:
        await client.echoes()
    assert new.hears_nothing()


async def test_client_has_no_more_sessions_than_it_may(ground: Ground) -> None:
    first, second = (ground.client("each", source="127.0.0.9") for _ in range(2))
    await first.echoes()
    before = await ground.dropped("client_limit", "each")
    second.send(b"me too")
    await ground.until("fairlead_datagrams_dropped_total", before + 1, listener="each", reason="client_limit")
    await ground.client("each", source="127.0.0.10").echoes()


async def test_backend_has_no_more_sessions_than_it_may(ground: Ground) -> None:
    first = ground.client("full")
    await first.echoes()
    before = await ground.dropped("no_backend", "full")
    ground.client("full").send(b"me too")
    await ground.until("fairlead_datagrams_dropped_total", before + 1, listener="full", reason="no_backend")
    await first.echoes()


async def test_without_a_backend_datagrams_are_dropped_and_counted(ground: Ground) -> None:
    before = await ground.dropped("no_backend", "nobody")
    ground.client("nobody").send(b"anybody?")
    await ground.until("fairlead_datagrams_dropped_total", before + 1, listener="nobody", reason="no_backend")
    assert await ground.metric("fairlead_connections", listener="nobody") == 0


async def test_silent_session_ends_and_the_next_datagram_begins_another(ground: Ground, app: Origin) -> None:
    before = await ground.metric("fairlead_sessions_total", listener="short", ended="timeout")
    client = ground.client("short")
    app.heard.clear()
    await client.echoes()
    await ground.until("fairlead_sessions_total", before + 1, listener="short", ended="timeout")
    assert await ground.metric("fairlead_connections", listener="short") == 0
    await client.echoes()
    assert len(app.heard) == 2


async def test_answered_session_ends_at_once(ground: Ground, app: Origin) -> None:
    before = await ground.metric("fairlead_sessions_total", listener="names", ended="answered")
    client = ground.client("names")
    app.heard.clear()
    await client.echoes(b"who is it?")
    await client.echoes(b"and who is that?")
    await ground.until("fairlead_sessions_total", before + 2, listener="names", ended="answered")
    assert len(app.heard) == 2


async def test_every_question_of_a_session_is_answered_before_it_ends(ground: Ground) -> None:
    client = ground.client("names")
    # As resolvers ask for both kinds of addresses.
    client.send(b"A")
    client.send(b"AAAA")
    assert {await client.receive(), await client.receive()} == {b"A", b"AAAA"}
    pair = ground.client("pairs")
    pair.send(b"x")
    assert (await pair.receive(), await pair.receive()) == (b"x", b"x")
    await ground.until("fairlead_sessions_total", 1, listener="pairs", ended="answered")


async def test_sessions_of_a_client_go_to_the_same_backend(ground: Ground) -> None:
    for _ in range(8):
        await ground.client("sticky", source="127.0.0.12").echoes()
    status, page = await ground.fairlead.admin("/api/v1/stats")
    assert status == 200, page
    pool = next(each for each in (await ground.fairlead.stats())["pools"] if each["name"] == "sticky")
    assert sorted(each["requests"] for each in pool["backends"]) == [0, 8]


def _logged(ground: Ground, client: str) -> list[str]:
    log = (ground.fairlead.directory / "access.log").read_text()
    return [line for line in log.splitlines() if f'"client":"{client}"' in line]


async def test_sessions_and_datagrams_are_counted_and_logged(ground: Ground) -> None:
    listener = {"listener": "names"}
    asked = await ground.metric("fairlead_datagrams_total", **listener, direction="received")
    ended = await ground.metric("fairlead_sessions_total", **listener, ended="answered")
    await ground.client("names", source="127.0.0.44").echoes(b"12345678")
    await ground.until("fairlead_sessions_total", ended + 1, **listener, ended="answered")
    await ground.until("fairlead_datagrams_total", asked + 1, **listener, direction="received")
    await ground.until("fairlead_datagrams_total", asked + 1, **listener, direction="sent")
    assert await ground.metric("fairlead_backend_datagrams_total", pool="app", direction="sent") > 0
    async with asyncio.timeout(20):
        while not (lines := _logged(ground, "127.0.0.44")):
            await asyncio.to_thread(lambda: None)
    (line,) = lines
    assert '"request_bytes":8' in line
    assert '"reason":"all was answered"' in line


async def test_sessions_are_among_the_connections(ground: Ground) -> None:
    client = ground.client(source="127.0.0.45")
    await client.echoes()
    status, page = await ground.fairlead.admin("/api/v1/connections?client=127.0.0.45")
    assert status == 200
    host, port = client.socket.getsockname()
    assert f'"{host}:{port}"' in page
