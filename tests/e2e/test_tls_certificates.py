"""Certificates over an instance's life: given anew by a reload, kept by an engine, given to the next one."""

import asyncio
import contextlib
import os
import signal
import ssl
from pathlib import Path
from typing import Any

import trustme
from redis.asyncio import Redis

from support.certificates import Authority
from support.metrics import parse, value
from support.origins import origins
from support.peer import HANG, Peer
from support.process import Running, configuration, engines, run, write
from support.redis_server import redis_server

GET = b"GET / HTTP/1.1\r\nHost: web.test\r\n\r\n"


def _terminating(directory: Path, authority: Authority, *backends: str) -> dict[str, Any]:
    whole = configuration(directory, *backends)
    whole["certificates"] = {"site": authority.write(directory, "site", "web.test")}
    whole["listeners"]["web"]["tls"] = {"certificates": ["site"]}
    return whole


async def _ask(address: str, tls: ssl.SSLContext) -> None:
    client = await Peer.connect(address, tls=tls)
    client.send(GET)
    assert (await client.answer()).status == 200
    await client.closed()


async def _again(fairlead: Running) -> dict[str, Any]:
    """The result of a reload that changes nothing but what files hold."""
    before = (await fairlead.status())["reload"]
    fairlead.process.send_signal(signal.SIGHUP)
    while (result := (await fairlead.status())["reload"]) == before:
        pass
    found: dict[str, Any] = result
    return found


async def test_reload_takes_renewed_certificates_and_refuses_bad_ones(tmp_path: Path) -> None:
    old, new = Authority(), Authority()
    async with origins("one") as (one,):
        config = tmp_path / "fairlead.json"
        write(config, _terminating(tmp_path, old, one.address))
        async with run(config, tmp_path) as fairlead:
            address = await fairlead.address()
            client = await Peer.connect(address, tls=old.context())
            for authority in (new, old, new):
                authority.write(tmp_path, "site", "web.test")
                assert (await _again(fairlead))["accepted"]
                await _ask(address, authority.context())
                client.send(GET)
                assert (await client.answer()).status == 200, "what is open goes on"
            (tmp_path / "site.key").write_text(Authority().ca.private_key_pem.bytes().decode())
            result = await _again(fairlead)
            assert not result["accepted"]
            (problem,) = result["problems"]
            assert problem["message"] == "is the key of another certificate"
            assert problem["where"].endswith(": certificates.site.key_file")
            await _ask(address, new.context())
            await client.closed()


async def test_engine_keeps_its_certificates_and_the_next_one_gets_them(tmp_path: Path) -> None:
    authority = Authority()
    async with origins("one") as (one,):
        config = tmp_path / "fairlead.json"
        write(config, _terminating(tmp_path, authority, one.address))
        async with run(config, tmp_path) as first:
            address = await first.address()
            (engine,) = engines(tmp_path)
            # What was read once isn't needed again.
            key = (tmp_path / "site.key").read_text()
            (tmp_path / "site.key").unlink()
            os.kill(engine, signal.SIGKILL)
            await first.said("engine serves again")
            await _ask(address, authority.context())
            first.process.send_signal(signal.SIGKILL)
            await first.process.wait()
            await _ask(address, authority.context())
            (tmp_path / "site.key").write_text(key)
            async with run(config, tmp_path) as second:
                await _ask(address, authority.context())
                _, shown = await second.admin("/api/v1/config")
                assert "PRIVATE" not in shown
                assert "BEGIN" not in shown
                secret = key.splitlines()[1]
                assert not any(secret in line for line in (*first.output, *second.output))


async def test_redis_is_spoken_to_by_tls(tmp_path: Path) -> None:
    authority = Authority()
    async with redis_server(tmp_path) as server:
        whole = _terminating(tmp_path, authority, f"127.0.0.1:{server.port}")
        whole["listeners"]["web"]["protocol"] = "tcp"
        config = tmp_path / "fairlead.json"
        write(config, whole)
        async with run(config, tmp_path) as fairlead:
            _, _, port = (await fairlead.address()).rpartition(":")
            authority.ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
            client = Redis(
                host="127.0.0.1",
                port=int(port),
                ssl=True,
                ssl_ca_certs=str(tmp_path / "ca.pem"),
                ssl_check_hostname=False,
            )
            async with client:
                values = {f"key{number}": "x" * number for number in (1, 1_000, 300_000)}
                for key, value in values.items():
                    assert await client.set(key, value)
                for key, value in values.items():
                    assert await client.get(key) == value.encode()


async def test_clients_choose_between_rsa_and_ecdsa_by_name(tmp_path: Path) -> None:
    authority = Authority()
    async with origins("one") as (one,):
        whole = _terminating(tmp_path, authority, one.address)
        rsa = authority.write(tmp_path, "rsa", "web.test", key_type=trustme.KeyType.RSA)
        other = authority.write(tmp_path, "other", "*.other.test")
        whole["certificates"] |= {"rsa": rsa, "other": other}
        whole["listeners"]["web"]["tls"]["certificates"] = ["rsa", "site", "other"]
        config = tmp_path / "fairlead.json"
        write(config, whole)
        async with run(config, tmp_path) as fairlead:
            address = await fairlead.address()
            old = authority.context()
            old.maximum_version = ssl.TLSVersion.TLSv1_2
            old.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
            for context, name, cipher in (
                (authority.context(), "web.test", "TLS_AES_256_GCM_SHA384"),
                (old, "web.test", "ECDHE-RSA-AES128-GCM-SHA256"),
                (authority.context(), "a.other.test", "TLS_AES_256_GCM_SHA384"),
            ):
                client = await Peer.connect(address, tls=context, name=name)
                assert client.writer.get_extra_info("cipher")[0] == cipher
                await client.closed()


async def _renewed(address: str, tls: ssl.SSLContext) -> None:
    """Wait until clients get what this context trusts."""
    async with asyncio.timeout(HANG):
        while True:
            with contextlib.suppress(ssl.SSLError):
                return await _ask(address, tls)


async def test_renewed_files_are_noticed_without_a_reload_and_bad_ones_not_taken(tmp_path: Path) -> None:
    old, new, newest = Authority(), Authority(), Authority()
    async with origins("one") as (one,):
        config = tmp_path / "fairlead.json"
        write(config, _terminating(tmp_path, old, one.address))
        async with run(config, tmp_path) as fairlead:
            address = await fairlead.address()
            version = (await fairlead.status())["plan_version"]
            await _ask(address, old.context())
            new.write(tmp_path, "site", "web.test")
            await _renewed(address, new.context())
            (tmp_path / "site.key").write_text("no key")
            await fairlead.said("renewed certificates not taken")
            await _ask(address, new.context())
            newest.write(tmp_path, "site", "web.test")
            await _renewed(address, newest.context())
            assert (await fairlead.status())["plan_version"] == version
            # The next engine gets the newest, too.
            (engine,) = engines(tmp_path)
            os.kill(engine, signal.SIGKILL)
            await fairlead.said("engine serves again")
            await _ask(address, newest.context())


async def test_no_handshake_fails_while_certificates_are_renewed(tmp_path: Path) -> None:
    authority = Authority()
    tls = authority.context()
    async with origins("one") as (one,):
        config = tmp_path / "fairlead.json"
        write(config, _terminating(tmp_path, authority, one.address))
        async with run(config, tmp_path) as fairlead:
            address = await fairlead.address()
            over = asyncio.Event()

            async def handshakes() -> int:
                count = 0
                while not over.is_set():
                    await _ask(address, tls)
                    count += 1
                return count

            clients = [asyncio.create_task(handshakes()) for _ in range(4)]
            for _ in range(10):
                authority.write(tmp_path, "site", "web.test")
                assert (await _again(fairlead))["accepted"]
            over.set()
            counts = await asyncio.gather(*clients)
            assert all(counts), counts
            _, page = await fairlead.admin("/metrics")
            assert value(parse(page), "fairlead_tls_handshake_failures_total") == 0


async def test_protocol_is_agreed_on_by_what_both_speak(tmp_path: Path) -> None:
    authority = Authority()
    authority.ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with origins("one") as (one,):
        whole = _terminating(tmp_path, authority, one.address)
        whole["listeners"]["web"]["http"] = {"versions": ["http1", "http2"]}
        config = tmp_path / "fairlead.json"
        write(config, whole)
        async with run(config, tmp_path) as fairlead:
            address = await fairlead.address()
            for option, version in (("--http2", "2"), ("--http1.1", "1.1")):
                curl = await asyncio.create_subprocess_exec(
                    "curl",
                    "--silent",
                    "--show-error",
                    option,
                    "--cacert",
                    str(tmp_path / "ca.pem"),
                    "--connect-to",
                    f"web.test:443:{address}",
                    "--write-out",
                    " %{http_code} %{http_version}",
                    "https://web.test/",
                    stdout=asyncio.subprocess.PIPE,
                )
                printed, _ = await curl.communicate()
                assert printed.decode().endswith(f" 200 {version}"), printed
