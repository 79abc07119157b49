"""TLS that is passed through: the name in the ClientHello chooses the pool, and nothing else is read."""

import asyncio
import contextlib
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from support.peer import HANG, Peer
from support.process import Running, run, write

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMES = ("one.example", "two.example", "other.example")
HEADER_TIMEOUT = 0.8


def _certificate(folder: Path, name: str) -> ssl.SSLContext:
    """A certificate that says which server it is."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += ["-subj", f"/CN={name}", "-days", "2", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


@dataclass
class Site:
    """Three TLS servers, each with a name of its own, behind one listener."""

    fairlead: Running
    addresses: dict[str, str]

    async def connect(self, listener: str = "tls") -> Peer:
        return await Peer.connect(self.addresses[listener])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    folder = tmp_path_factory.mktemp("sni")
    async with contextlib.AsyncExitStack() as stack:
        pools = {}
        for name in NAMES:

            async def serve(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str = name
            ) -> None:
                with contextlib.suppress(ConnectionError, ssl.SSLError):
                    line = await reader.readline()
                    writer.write(f"{name} {line.decode()}".encode())
                    await writer.drain()
                    writer.close()

            server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=_certificate(folder, name))
            await stack.enter_async_context(server)
            port = server.sockets[0].getsockname()[1]
            pools[name.partition(".")[0]] = {"backends": [f"127.0.0.1:{port}"]}
        sni = {"one.example": "one", "*.two.example": "two", "two.example": "two"}
        listener = {"protocol": "tcp", "timeouts": {"header": f"{int(HEADER_TIMEOUT * 1000)}ms"}}
        write(
            folder / "fairlead.json",
            {
                "runtime": {"directory": str(folder), "workers": 1},
                "listeners": {
                    "tls": {"bind": "127.0.0.1:0", **listener, "sni": {**sni, "*": "other"}},
                    "known": {"bind": "127.0.0.2:0", **listener, "sni": sni},
                },
                "pools": pools,
            },
        )
        fairlead = await stack.enter_async_context(run(folder / "fairlead.json", folder))
        yield Site(fairlead, {name: await fairlead.address(name) for name in ("tls", "known")})


def _client_hello(name: str | None) -> tuple[ssl.SSLObject, ssl.MemoryBIO, bytes]:
    """A TLS client that has said its first words, what it reads from, and these words."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return tls, incoming, outgoing.read()


async def _who(site: Site, name: str | None, listener: str = "tls") -> str:
    """Who answers to this name."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    host, _, port = site.addresses[listener].rpartition(":")
    async with asyncio.timeout(HANG):
        # An empty name is what asyncio takes for none.
        reader, writer = await asyncio.open_connection(
            host, int(port), ssl=context, server_hostname=name or ""
        )
        writer.write(b"hello\n")
        answer = await reader.readline()
        writer.close()
    return answer.decode().split()[0]


async def _refused(site: Site, listener: str) -> float:
    _, text = await site.fairlead.admin("/metrics")
    line = f'fairlead_sessions_total{{listener="{listener}",ended="refused"}} '
    return sum(float(each.removeprefix(line)) for each in text.splitlines() if each.startswith(line))


@pytest.mark.parametrize(
    ("name", "server"),
    [
        ("one.example", "one.example"),
        ("ONE.example", "one.example"),
        ("two.example", "two.example"),
        ("a.two.example", "two.example"),
        ("b.a.two.example", "two.example"),
        ("a.one.example", "other.example"),
        ("unknown", "other.example"),
        (None, "other.example"),
    ],
)
async def test_name_chooses_the_server(site: Site, name: str | None, server: str) -> None:
    assert await _who(site, name) == server


async def test_name_that_nobody_has_is_closed_where_there_is_no_other(site: Site) -> None:
    before = await _refused(site, "known")
    assert await _who(site, "one.example", "known") == "one.example"
    for name in ("unknown.example", None):
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await _who(site, name, "known")
    assert await _refused(site, "known") == before + 2


async def test_openssl_reaches_each_server_by_its_name(site: Site) -> None:
    openssl = shutil.which("openssl")
    assert openssl
    for name in NAMES[:2]:
        process = await asyncio.create_subprocess_exec(
            openssl,
            *("s_client", "-connect", site.addresses["tls"], "-servername", name, "-quiet"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(HANG):
            answer, _ = await process.communicate(b"hello\n")
        assert answer == f"{name} hello\n".encode()


async def test_client_hello_in_segments_of_a_byte_is_read(site: Site) -> None:
    tls, incoming, hello = _client_hello("a.two.example")
    client = await site.connect()
    for byte in hello:
        await client.send_all(bytes([byte]))
    # The answer is the server's: its certificate can be read, and names it.
    while True:
        incoming.write(await client.reader.read(65536))
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.do_handshake()
            break
    certificate = tls.getpeercert(binary_form=True)
    assert certificate is not None
    assert b"two.example" in certificate
    await client.closed()


@pytest.mark.parametrize(
    "words",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"SSH-2.0-x\r\n",
        b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",
        b"\x16\x03\x01\x00\x00",
    ],
)
async def test_what_is_no_client_hello_is_closed(site: Site, words: bytes) -> None:
    before = await _refused(site, "tls")
    client = await site.connect()
    client.send(words)
    assert await client.is_closed()
    assert await _refused(site, "tls") == before + 1


async def test_client_that_does_not_say_its_name_in_time_is_closed(site: Site) -> None:
    _, _, hello = _client_hello("one.example")
    loop = asyncio.get_running_loop()
    for words in (b"", hello[:-1]):
        client = await site.connect()
        began = loop.time()
        client.send(words)
        assert await client.is_closed()
        assert HEADER_TIMEOUT - 0.05 <= loop.time() - began < HEADER_TIMEOUT + 2
