"""Where to listen, where a backend is, and which clients a rule means."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from fairlead.model.value import refuse

__all__ = [
    "AnyAddress",
    "BackendAddress",
    "Bind",
    "HostPattern",
    "HostPort",
    "IpPort",
    "NameServer",
    "Network",
    "UnixPath",
]

UNIX_PATH_MAX = 107
"""Bytes of a Unix socket's path: sun_path is 108 with its closing NUL (unix(7))."""


@dataclass(frozen=True, slots=True)
class AnyAddress:
    """Every address of the machine, IPv4 and IPv6."""

    port: int


@dataclass(frozen=True, slots=True)
class IpPort:
    """One address and port."""

    ip: IPv4Address | IPv6Address
    port: int

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if self.ip.version == 6 else f"{self.ip}:{self.port}"  # noqa: PLR2004


@dataclass(frozen=True, slots=True)
class UnixPath:
    """A Unix socket."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class HostPort:
    """A name that is resolved while running, and a port."""

    host: str
    port: int


class _Written:
    """An address keeps the text it was written as: it is the id of the socket or backend."""

    NOUN: str
    EXAMPLES: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text, or raise ValueError."""
        raise NotImplementedError

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        def read(value: object) -> _Written:
            if isinstance(value, cls):
                return value
            if not isinstance(value, str):
                if isinstance(value, int) and not isinstance(value, bool):
                    message = f'{cls.NOUN} is text: write "{"" if cls is Bind else "host"}:{value}"'
                    raise refuse(message)
                message = f"{cls.NOUN} is expected, such as {' or '.join(cls.EXAMPLES)}"
                raise refuse(message)
            try:
                return cls.parse(str(value))
            except ValueError as error:
                raise refuse(str(error)) from None

        return core_schema.no_info_plain_validator_function(
            read,
            json_schema_input_schema=core_schema.str_schema(),
            serialization=core_schema.to_string_ser_schema(),
            metadata={"pydantic_js_updates": {"examples": list(cls.EXAMPLES)}},
        )


@dataclass(frozen=True, slots=True)
class Bind(_Written):
    """A socket to listen on."""

    text: str
    address: AnyAddress | IpPort | UnixPath

    NOUN = "an address to listen on"
    EXAMPLES = (":8080", "127.0.0.1:8080", "[::1]:8080", "unix:/run/web.sock")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``:8080``, ``127.0.0.1:8080``, ``[::1]:8080`` or ``unix:/path``; port 0 takes a free one.

        Raises:
            ValueError: if it is none of these.
        """
        if text.startswith("unix:"):
            return cls(text, _unix(text))
        host, port = _split(text, lowest_port=0)
        if not host or host == "*":
            return cls(text, AnyAddress(port))
        ip = _ip(host)
        if ip is None:
            message = f'"{text}": listening needs an IP address, not a name'
            raise ValueError(message)
        return cls(text, IpPort(ip, port))

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class BackendAddress(_Written):
    """Where a backend is: an address, a Unix socket, or a name that is resolved while running."""

    text: str
    target: IpPort | UnixPath | HostPort

    NOUN = "an address"
    EXAMPLES = ("10.0.0.1:8080", "[2001:db8::1]:8080", "app.internal:8080", "unix:/run/app.sock")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``10.0.0.1:8080``, ``[2001:db8::1]:8080``, ``name:port`` or ``unix:/path``.

        Raises:
            ValueError: if it is none of these.
        """
        if text.startswith("unix:"):
            return cls(text, _unix(text))
        if "//" in text:
            message = f'"{text}" is a URL: write only host:port'
            raise ValueError(message)
        host, port = _split(text, lowest_port=1)
        ip = _ip(host)
        if ip is not None:
            if ip.is_unspecified or ip.is_multicast:
                message = f'"{text}": no backend can be at {ip}'
                raise ValueError(message)
            return cls(text, IpPort(ip, port))
        if not _is_host_name(host):
            message = f'"{text}": "{host}" is neither an IP address nor a name'
            raise ValueError(message)
        return cls(text, HostPort(host, port))

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class NameServer(_Written):
    """A DNS server."""

    ip: IPv4Address | IPv6Address
    port: int

    NOUN = "the address of a DNS server"
    EXAMPLES = ("127.0.0.53", "10.0.0.53:5353", "[2001:db8::53]:53")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an IP address, with a port if it isn't 53.

        Raises:
            ValueError: if it is none.
        """
        ip = _ip(text)
        if ip is not None:
            return cls(ip, 53)
        host, port = _split(text, lowest_port=1)
        ip = _ip(host)
        if ip is None:
            message = f'"{text}" is no IP address: a DNS server cannot be given by name'
            raise ValueError(message)
        return cls(ip, port)

    def __str__(self) -> str:
        return str(IpPort(self.ip, self.port))


def _network(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return str(ip_network(value)) if "/" in value else str(ip_address(value))
    except ValueError:
        pass
    try:
        network = ip_network(value, strict=False)
    except ValueError:
        message = f'"{value}" is no network: write it as 10.0.0.0/8, 192.0.2.1 or 2001:db8::/32'
    else:
        message = f'"{value}" has bits set after its prefix: write {network}'
    raise refuse(message)


Network = Annotated[
    str,
    BeforeValidator(_network, json_schema_input_type=str),
    Field(examples=["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"]),
]


def _host(value: str) -> str:
    name = value.lower().rstrip(".")
    bare = name.removeprefix("*.")
    numeric = name.startswith("[") or (name[-1:].isdigit() and ":" not in name)
    literal = _ip(name) if numeric else None
    if literal is not None or (_is_host_name(bare) and "*" not in bare):
        return name
    if re.fullmatch(r".*:[0-9]+", name) and not name.endswith("]"):
        message = f'"{value}": a host is matched without its port'
    elif "*" in value:
        message = f'"{value}": a wildcard is the whole first label, as in *.example.com'
    else:
        message = f'"{value}" is no host name'
    raise refuse(message)


HostPattern = Annotated[str, AfterValidator(_host), Field(examples=["example.com", "*.example.com"])]


def _unix(text: str) -> UnixPath:
    path = text.removeprefix("unix:")
    if not path.startswith("/"):
        message = f'"{text}": the path of a Unix socket is absolute, as in unix:/run/app.sock'
        raise ValueError(message)
    if len(path.encode()) > UNIX_PATH_MAX or "\0" in path:
        message = f'"{text}": the path of a Unix socket has at most {UNIX_PATH_MAX} bytes'
        raise ValueError(message)
    return UnixPath(path)


def _split(text: str, lowest_port: int) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]") or (":" in host and not host.startswith("[")):
        message = f'"{text}" has no port: write it as {_with_port(text)}'
        raise ValueError(message)
    if not re.fullmatch(r"[0-9]{1,5}", port, re.ASCII) or not lowest_port <= int(port) <= 65535:  # noqa: PLR2004
        message = f'"{text}": "{port}" is no port: {lowest_port} to 65535'
        raise ValueError(message)
    return host, int(port)


def _with_port(text: str) -> str:
    if ":" in text and not text.startswith("["):
        return f"[{text}]:8080"
    return f":{text}" if text.isdigit() else f"{text.rstrip(':') or 'host'}:8080"


def _ip(host: str) -> IPv4Address | IPv6Address | None:
    inner = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if "%" in inner:  # ip_address is slow to say no, and would allow a zone (fe80::1%eth0)
        return None
    try:
        ip = ip_address(inner)
    except ValueError:
        return None
    return None if inner is not host and ip.version == 4 else ip  # noqa: PLR2004


_IP = re.compile(r"[0-9a-fA-F:.]+", re.ASCII)
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII)


def _is_host_name(text: str) -> bool:
    labels = text.rstrip(".").split(".")
    # All digits and dots is an address with a slip in it, never a name (RFC 1123 2.1).
    return (
        len(text) <= 253  # noqa: PLR2004
        and all(_LABEL.fullmatch(label) for label in labels)
        and not labels[-1].isdigit()
    )
