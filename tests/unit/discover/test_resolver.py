"""Against a DNS server of our own, on a port that is free."""

from __future__ import annotations

import asyncio
import struct
from ipaddress import ip_address
from typing import TYPE_CHECKING

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from fairlead.discover import DnsResolver, ResolveError
from fairlead.discover.hosts import parse, read
from fairlead.model import NameServer, Resolver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

RECORDS = {
    ("app.internal.", "A"): (30, ["10.0.0.1", "10.0.0.2"]),
    ("app.internal.", "AAAA"): (20, ["2001:db8::1"]),
    ("large.internal.", "A"): (60, [f"10.0.1.{n}" for n in range(1, 100)]),
    ("four.internal.", "A"): (60, ["10.0.0.4"]),
}


class Server(asyncio.DatagramProtocol):
    """Answers from RECORDS; over UDP a large answer is cut, as by any server without EDNS."""

    def __init__(self) -> None:
        self.over_tcp = 0
        self.failing: set[str] = set()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self.answer(dns.message.from_wire(data))
        if len(answer.answer) and len(answer.answer[0]) > 20:
            answer.answer.clear()
            answer.flags |= dns.flags.TC
        self.transport.sendto(answer.to_wire(), addr)

    async def serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.over_tcp += 1
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        wire = self.answer(dns.message.from_wire(await reader.readexactly(length))).to_wire()
        writer.write(struct.pack("!H", len(wire)) + wire)
        await writer.drain()
        writer.close()

    def answer(self, query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        question = query.question[0]
        name, kind = str(question.name), question.rdtype.name  # type: ignore[attr-defined]
        known = RECORDS.get((name, kind))
        if kind in self.failing:
            response.set_rcode(dns.rcode.REFUSED)
        elif known:
            response.answer.append(dns.rrset.from_text(question.name, known[0], "IN", kind, *known[1]))
        elif not any(each == name for each, _ in RECORDS):
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    tcp = await asyncio.start_server(server.serve_tcp, "127.0.0.1", 0)
    server.port = tcp.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: server, ("127.0.0.1", server.port))  # type: ignore[attr-defined]
    yield server
    transport.close()
    tcp.close()
    await tcp.wait_closed()


def resolver(server: Server) -> DnsResolver:
    address = NameServer(ip_address("127.0.0.1"), server.port)  # type: ignore[attr-defined]
    return DnsResolver(Resolver(servers=(address,)), table=lambda: {"pinned": (ip_address("10.9.9.9"),)})


async def test_both_families_are_asked_for_and_the_least_ttl_counts(server: Server) -> None:
    answer = await resolver(server).resolve("app.internal")
    assert sorted(str(ip) for ip in answer.ipv4 or ()) == ["10.0.0.1", "10.0.0.2"]
    assert [str(ip) for ip in answer.ipv6 or ()] == ["2001:db8::1"]
    assert answer.ttl == 20


async def test_a_truncated_answer_is_asked_for_again_over_tcp(server: Server) -> None:
    answer = await resolver(server).resolve("large.internal")
    assert len(answer.ipv4 or ()) == 99
    assert server.over_tcp == 1


async def test_an_empty_family_is_empty_and_one_without_an_answer_is_unknown(server: Server) -> None:
    answer = await resolver(server).resolve("four.internal")
    assert (answer.ipv4, answer.ipv6) == ((ip_address("10.0.0.4"),), ())
    server.failing.add("AAAA")
    answer = await resolver(server).resolve("four.internal")
    assert (answer.ipv4, answer.ipv6) == ((ip_address("10.0.0.4"),), None)


async def test_a_name_that_is_not_there_is_an_error_that_says_so(server: Server) -> None:
    with pytest.raises(ResolveError, match=r"lost\.internal: there is no such name"):
        await resolver(server).resolve("lost.internal")


async def test_the_hosts_file_wins_over_dns(server: Server) -> None:
    answer = await resolver(server).resolve("PINNED")
    assert answer.ipv4 == (ip_address("10.9.9.9"),)


def test_hosts_lines_give_every_name_all_its_addresses() -> None:
    lines = [
        "127.0.0.1 localhost me # the machine",
        "::1\tlocalhost",
        "",
        "nonsense x",
        "10.0.0.1 App app.internal",
    ]
    table = parse("\n".join(lines))
    assert {name: [str(ip) for ip in ips] for name, ips in table.items()} == {
        "localhost": ["127.0.0.1", "::1"],
        "me": ["127.0.0.1"],
        "app": ["10.0.0.1"],
        "app.internal": ["10.0.0.1"],
    }


def test_localhost_is_loopback_even_without_a_hosts_file(tmp_path: Path) -> None:
    assert [str(ip) for ip in read(tmp_path / "none")["localhost"]] == ["127.0.0.1", "::1"]
