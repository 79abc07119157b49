"""Where clients connect, and what they may do."""

import re
from typing import Annotated, ClassVar, Literal, NewType

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from fairlead.model.address import Bind, HostPattern, Network
from fairlead.model.choice import by_key
from fairlead.model.definition import Definition, Reserved
from fairlead.model.route import Route
from fairlead.model.value import (
    Flag,
    HeaderName,
    Integer,
    Listed,
    Name,
    OneOrMany,
    Timeout,
    Word,
    refuse,
    unexpanded,
)
from fairlead.units import Duration, Size

__all__ = [
    "HttpOptions",
    "Listener",
    "ListenerBase",
    "ListenerTimeouts",
    "ListenerTls",
    "PoolListener",
    "RoutesListener",
    "SniListener",
    "Socket",
    "UdpOptions",
]


FileMode = NewType("FileMode", int)


def _mode(value: object) -> object:
    if isinstance(value, str):
        if not re.fullmatch(r"0?[0-7]{3}", value, re.ASCII):
            message = f'"{value}" is no file mode: write it as "0660"'
            raise refuse(message)
        return int(value, 8)
    message = 'a file mode is text in octal: write it as "0660"'
    raise refuse(message)


class Socket(Definition):
    """Options of the listening sockets."""

    backlog: Annotated[
        Integer,
        Field(description="Connections that may wait to be accepted, in each worker.", ge=1, le=65535),
    ] = 4096
    fast_open: Annotated[
        Flag,
        Field(
            description="TCP Fast Open (RFC 7413): a client that was here before may send its first bytes "
            "with its SYN. They may come twice. The system has to allow it: `net.ipv4.tcp_fastopen` 2 or 3."
        ),
    ] = False
    keepalive: Annotated[
        Duration | None,
        Word("off"),
        Field(description="Idle time after which TCP asks whether the client is still there."),
    ] = Duration(60_000)
    mode: Annotated[
        Annotated[FileMode, BeforeValidator(_mode, json_schema_input_type=str)] | None,
        Field(description="File mode of Unix sockets. Without it: what the umask leaves.", examples=["0660"]),
    ] = None
    transparent: Annotated[
        Flag,
        Field(
            description="Backends are connected to from the client's address, for `tcp`. Needs "
            "CAP_NET_ADMIN, and the way back has to lead through this machine."
        ),
    ] = False


def _head(value: Size) -> Size:
    if not SMALLEST_HEAD <= value <= LARGEST_HEAD:
        message = f"{value} is out of range: {SMALLEST_HEAD} to {LARGEST_HEAD}"
        raise refuse(message)
    return value


SMALLEST_HEAD = Size(1024)
LARGEST_HEAD = Size(16 * 2**20)


class HttpOptions(Definition):
    """What is accepted as HTTP."""

    versions: Annotated[
        Listed[Annotated[Literal["http1", "http2"], Reserved("http3")]],
        Field(
            description="Versions that are spoken. A client begins with HTTP/2 by prior knowledge (h2c); "
            "with both versions, its first bytes say which it is."
        ),
    ] = ("http1",)
    max_header_size: Annotated[
        Size,
        AfterValidator(_head),
        Field(description="The largest head of a request; a larger one is answered 431 (or 414)."),
    ] = Size(64 * 1024)
    max_headers: Annotated[
        Integer,
        Field(description="The most header fields in a request; more are answered 431.", ge=1, le=65535),
    ] = 128
    max_body_size: Annotated[
        Size | None,
        Word("none"),
        Field(description="The largest request body; a larger one is answered 413.", examples=["1GiB"]),
    ] = None
    encoded_slashes: Annotated[
        Literal["keep", "refuse", "decode"],
        Field(description="What `%2F` in a path is: no separator, a 400, or a slash."),
    ] = "keep"
    via: Annotated[
        HeaderName | None,
        Word("off"),
        Field(description="The pseudonym under which Fairlead adds itself to `Via`.", examples=["edge"]),
    ] = None
    abort_on_close: Annotated[
        Flag,
        Field(description="Whether a client that closed its sending side before the answer counts as gone."),
    ] = False


class ListenerTimeouts(Definition):
    """How long a client may take."""

    tls_handshake: Annotated[Timeout, Field(description="Until a TLS handshake is over.")] = Duration(5_000)
    header: Annotated[Timeout, Field(description="Until the head of a request is complete.")] = Duration(
        10_000
    )
    body: Annotated[
        Timeout,
        Field(
            description="The longest gap in a request body while we wait for it; 240 B/s at least after 5 s."
        ),
    ] = Duration(30_000)
    write: Annotated[
        Timeout,
        Field(description="The longest gap while bytes wait to be taken; 240 B/s at least after 5 s."),
    ] = Duration(30_000)
    idle: Annotated[Timeout, Field(description="Between two requests of a connection.")] = Duration(60_000)


def _session_timeout(value: Duration) -> Duration:
    if not SHORTEST_SESSION <= value <= LONGEST_SESSION:
        message = f"{value} is out of range: {SHORTEST_SESSION} to {LONGEST_SESSION}"
        raise refuse(message)
    return value


SHORTEST_SESSION = Duration(100)
LONGEST_SESSION = Duration(86_400_000)


class UdpOptions(Definition):
    """What the datagrams of a client may cost."""

    session_timeout: Annotated[
        Duration,
        AfterValidator(_session_timeout),
        Field(description="How long nothing moves either way before a session is over; 100ms to 24h."),
    ] = Duration(60_000)
    max_sessions: Annotated[
        Integer,
        Field(
            description="Sessions at once. Datagrams that would begin another one are dropped; the file-"
            "descriptor limit may allow fewer.",
            ge=1,
            le=10_000_000,
        ),
    ] = 100_000
    responses: Annotated[
        Annotated[Integer, Field(ge=1, le=65535)] | None,
        Word("any"),
        Field(
            description="How many datagrams answer one of the client's: when all are answered the session "
            "is over. `any`: only time ends it.",
            examples=[1],
        ),
    ] = None


class ListenerTls(Definition):
    """How TLS is terminated: what clients send is decrypted here, and goes on to backends in the clear."""

    RESERVED: ClassVar[tuple[str, ...]] = ("client_auth", "tickets", "early_data")

    certificates: Annotated[
        Listed[Name],
        Field(
            description="Which of `certificates`, by the name that a client asks for: exact, then wildcard, "
            "else the first. Of several for one name a client gets the first that it can check, others "
            "before RSA.",
            examples=[["site"]],
        ),
    ]
    min_version: Annotated[
        Literal["1.2", "1.3"],
        BeforeValidator(unexpanded, json_schema_input_type=str),
        Field(description="The oldest version of TLS that is spoken."),
    ] = "1.2"


class ListenerBase(Definition):
    """What every listener has."""

    RESERVED: ClassVar[tuple[str, ...]] = ("redirect_https", "dns_zones")
    ONE_OF: ClassVar[tuple[str, ...]] = ("pool", "routes", "sni", "redirect_https", "dns_zones")

    bind: Annotated[
        OneOrMany[Bind],
        Field(
            description="Addresses: `:443` is IPv4 and IPv6, `0.0.0.0:443` or `[::]:443` one of them, "
            "`:0` takes a free port, another one for each listener, `unix:/path` a socket. One address may "
            "have its own listener beside that of all: `127.0.0.1:80` beside `:80`.",
            examples=[":8080", [":80", "unix:/run/web.sock"]],
        ),
    ]
    protocol: Annotated[
        Literal["http", "tcp", "udp"],
        Reserved("dns", "geneve"),
        Field(
            description="What clients speak; `tcp` and `udp` are anything over these, passed on without "
            "being read."
        ),
    ] = "http"
    socket: Annotated[Socket, Field(description="Options of the sockets.")] = Socket()
    tls: Annotated[ListenerTls | None, Field(description="How TLS is terminated. Without it: it isn't.")] = (
        None
    )
    http: Annotated[HttpOptions, Field(description="What is accepted as HTTP.")] = HttpOptions()
    udp: Annotated[UdpOptions, Field(description="What is a session of `protocol: udp`.")] = UdpOptions()
    trusted: Annotated[
        Listed[Network],
        Field(
            description="Proxies whose word about the client (X-Forwarded-For and its kin, PROXY) counts.",
            examples=[["10.0.0.0/8"]],
        ),
    ] = ()
    accept_proxy: Annotated[
        Literal["none", "optional", "required"],
        Field(
            description="Whether a proxy in `trusted`, or one that came by a Unix socket, says who the "
            "client is in a PROXY header (version 1 or 2) before everything else. `required`: whoever "
            "doesn't is closed, and so is everybody else; `optional` is for `http` only."
        ),
    ] = "none"
    max_connections: Annotated[
        Annotated[Integer, Field(ge=1)] | None,
        Field(
            description="Open connections. Without it: what the file-descriptor limit allows.",
            examples=[100000],
        ),
    ] = None
    max_connections_per_client: Annotated[
        Annotated[Integer, Field(ge=1)] | None,
        Field(description="Open connections of one client address.", examples=[200]),
    ] = None
    timeouts: Annotated[ListenerTimeouts, Field(description="How long a client may take.")] = (
        ListenerTimeouts()
    )


def _is_any(value: str) -> str:
    return "<any>" if value == "*" else "<name>"


ServerName = Annotated[
    Annotated[Literal["*"], Tag("<any>")] | Annotated[HostPattern, Tag("<name>")], Discriminator(_is_any)
]


class PoolListener(ListenerBase):
    """A listener whose every request or connection goes to one pool."""

    pool: Annotated[Name, Field(description="The pool that serves it.", examples=["app"])]

    @property
    def pools(self) -> frozenset[str]:
        """The pools it leads to."""
        return frozenset({self.pool})


class RoutesListener(ListenerBase):
    """A listener whose requests are distributed by rules."""

    routes: Annotated[
        Listed[Route], Field(description="The rules. A request that none takes is answered 404.")
    ]

    @property
    def pools(self) -> frozenset[str]:
        """The pools it leads to."""
        return frozenset(route.pool for route in self.routes)


class SniListener(ListenerBase):
    """A listener whose TLS connections are distributed by the name they ask for, and not decrypted."""

    sni: Annotated[
        dict[ServerName, Name],
        Field(
            description="Names that TLS clients ask for, with the pool of each: exact, `*.` and a name for "
            "everything below it, or `*` for all others and for those that ask for none. Without `*` these "
            "are closed.",
            examples=[{"db.example.com": "db", "*.example.com": "app", "*": "fallback"}],
            min_length=1,
        ),
    ]

    @property
    def pools(self) -> frozenset[str]:
        """The pools it leads to."""
        return frozenset(self.sni.values())


Listener = Annotated[
    Annotated[PoolListener, Tag("<pool>")]
    | Annotated[RoutesListener, Tag("<routes>")]
    | Annotated[SniListener, Tag("<sni>")],
    Discriminator(by_key("pool", "sni", "routes", otherwise="routes")),
]
