"""Backends that serve the same thing, and how work is shared among them."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from fairlead.model.address import BackendAddress
from fairlead.model.affinity import Affinity
from fairlead.model.algorithm import Algorithm
from fairlead.model.breaker import CircuitBreaker
from fairlead.model.definition import Definition, Reserved
from fairlead.model.health import PassiveHealth
from fairlead.model.health_check import HealthCheck
from fairlead.model.max_in_flight import MaxInFlight
from fairlead.model.queue import Queue
from fairlead.model.value import (
    Flag,
    Integer,
    Listed,
    Name,
    SecretText,
    Text,
    Timeout,
    Word,
    refuse,
    unexpanded,
)
from fairlead.units import Duration, Share

__all__ = ["Backend", "IdleConnections", "Pool", "PoolTimeouts", "PoolTls"]


def _drain(value: Duration) -> Duration:
    if value > LONGEST_DRAIN:
        message = f"{value} is out of range: 0s to {LONGEST_DRAIN}"
        raise refuse(message)
    return value


def _slow_start(value: Duration) -> Duration:
    if value > LONGEST_SLOW_START:
        message = f"{value} is out of range: 0s to {LONGEST_SLOW_START}"
        raise refuse(message)
    return value


LONGEST_SLOW_START = Duration(3_600_000)
LONGEST_DRAIN = Duration(3_600_000)


class Backend(Definition):
    """One server. Text stands for `{address: …}`."""

    address: Annotated[
        BackendAddress, Field(description="An IP address and port, a name and port, or a Unix socket.")
    ]
    name: Annotated[
        Name | None,
        Field(description="Its id in its pool. Without it: the address as written.", examples=["big"]),
    ] = None
    weight: Annotated[
        Integer,
        Field(
            description="Its share of the work beside the others'; 0 takes no new clients.", ge=0, le=65535
        ),
    ] = 1
    max_in_flight: MaxInFlight = None
    zone: Annotated[
        Name | None,
        Field(
            description="Where it is. Backends of `runtime.zone` get everything until less than 1 / 1.4 of "
            "their weight can be used; then the rest goes to the others.",
            examples=["eu-1a"],
        ),
    ] = None
    backup: Annotated[
        Flag, Field(description="Gets requests only while none of those that are no backups can be used.")
    ] = False

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        return {"address": value} if isinstance(value, (str, BackendAddress)) else value

    @property
    def id(self) -> str:
        """What it is called in its pool."""
        return self.name or self.address.text


class IdleConnections(Definition):
    """Connections to backends that are kept for the next request."""

    max: Annotated[Integer, Field(description="Kept at the most for each backend.", ge=0, le=1_000_000)] = 256
    timeout: Annotated[Timeout, Field(description="Closed after this time without use.")] = Duration(60_000)
    max_uses: Annotated[
        Annotated[Integer, Field(ge=1)] | None,
        Word("unlimited"),
        Field(description="Requests on one connection.", examples=[1000]),
    ] = None


class PoolTimeouts(Definition):
    """How long connections to backends may take and be silent."""

    connect: Annotated[Timeout, Field(description="Until a connection is made.")] = Duration(2_000)
    tunnel: Annotated[
        Timeout, Field(description="The longest gap in an upgraded connection or a TCP session.")
    ] = Duration(3_600_000)


class PoolTls(Definition):
    """How TLS is spoken with backends."""

    ca: Annotated[
        SecretText | None,
        Field(
            description="Certificates of the authorities that vouch for backends, as PEM; better `ca_file`, "
            "a file that holds them, which is read again when it changes. Without it: the system's."
        ),
    ] = None
    server_name: Annotated[
        Text | None,
        Field(
            description="The name that a backend's certificate has to hold for, and that it is asked for "
            "(SNI). Without it: each backend's own host name, or its IP address.",
            examples=["app.internal"],
        ),
    ] = None
    certificate: Annotated[
        Name | None,
        Field(description="Which of `certificates` is shown to backends that ask.", examples=["site"]),
    ] = None
    verify: Annotated[
        Flag,
        Field(
            description="Whether backends' certificates are looked at. `false`: whoever answers at the "
            "address is taken for the backend."
        ),
    ] = True
    min_version: Annotated[
        Literal["1.2", "1.3"],
        BeforeValidator(unexpanded, json_schema_input_type=str),
        Field(description="The oldest version of TLS that is spoken."),
    ] = "1.2"


class Pool(Definition):
    """Backends and how work is shared among them."""

    RESERVED: ClassVar[tuple[str, ...]] = (
        "discover",
        "forwarding",
    )

    algorithm: Annotated[
        Algorithm,
        Field(
            description="Who is next: by turns; the one with the fewest requests for its weight, or with the "
            "lowest of that times the time of its answers; the better of two drawn at random; by the "
            "client's address; by a key of the request; or the first in the list with a free slot. "
            "All but `first` honour weights.",
            examples=["least_connections", {"consistent_hash": {"key": "header:X-Tenant"}}],
        ),
    ] = "round_robin"
    backends: Annotated[
        Listed[Backend],
        Field(
            description="The servers.",
            examples=[["127.0.0.1:9001", {"address": "10.0.0.2:8080", "name": "big", "weight": 3}]],
        ),
    ]
    send_proxy: Annotated[
        Literal["none", "v1", "v2"],
        Field(
            description="The version of PROXY in which backends are told who the client is, before "
            "everything else. HTTP connections to them then serve one request."
        ),
    ] = "none"
    protocol: Annotated[
        Literal["auto", "http1"], Reserved("http2", "http3"), Field(description="What backends speak.")
    ] = "auto"
    tls: Annotated[
        PoolTls | None,
        Field(
            description="How TLS is spoken with backends; `{}` trusts the system's authorities. Without it: "
            "it isn't.",
            examples=[{"ca_file": "internal.pem", "server_name": "app.internal"}],
        ),
    ] = None
    drain: Annotated[
        Duration,
        AfterValidator(_drain),
        Field(description="How long a backend that left keeps what is open; 0s to 1h. Then it is cut."),
    ] = Duration(60_000)
    max_in_flight: MaxInFlight = None
    idle_connections: Annotated[
        IdleConnections, Field(description="Connections kept for the next request.")
    ] = IdleConnections()
    timeouts: Annotated[PoolTimeouts, Field(description="Times of connections to backends.")] = PoolTimeouts()
    queue: Annotated[
        Queue | None,
        Field(
            description="Where requests wait while every backend has its `max_in_flight`. Without it: 503.",
            examples=[{"size": 1000, "timeout": "5s"}],
        ),
    ] = None
    health_check: Annotated[
        HealthCheck | None,
        Field(
            description="How each backend is checked; `{}` asks for `/` by HTTP, or connects where only TCP "
            "listeners lead to the pool. Without it: not at all, and backends are up at once.",
            examples=[{"path": "/health", "interval": "5s"}, {"type": "tcp"}],
        ),
    ] = None
    affinity: Annotated[
        Affinity | None,
        Field(
            description="By what a client is sent to the backend that it was sent to before. Without it each "
            "request goes where the algorithm says.",
            examples=[{"cookie": {"name": "SERVERID", "ttl": "1h"}}],
        ),
    ] = None
    passive_health: Annotated[
        PassiveHealth | None,
        Word("off"),
        Field(
            description="How backends are judged by their traffic; `off`: not at all.",
            examples=[{"consecutive_failures": 3, "cooldown": "30s"}],
        ),
    ] = PassiveHealth()
    panic_threshold: Annotated[
        Share,
        Field(
            description="Where fewer of the backends are usable than this, ejected ones get requests too, "
            "but none that refuse connections. 0%: never."
        ),
    ] = Share(0.0)
    slow_start: Annotated[
        Duration,
        AfterValidator(_slow_start),
        Field(
            description="Over what time a backend that joined or recovered gets its whole share, from a "
            "tenth on; up to 1h. 0s: at once."
        ),
    ] = Duration(0)
    circuit_breaker: Annotated[
        CircuitBreaker | None,
        Field(
            description="When a backend that mostly fails gets nothing for a while. Without it: never.",
            examples=[{"error_rate": "50%", "open": "5s"}],
        ),
    ] = None
