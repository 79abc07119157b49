"""What control and engine say to each other.

The values inside the frames of ``engine.sock``, and of the in-process engine alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

from fairlead.model.stats import EngineStats, Mode

PROTOCOL = 1
"""Version of the channel.

Differs from the program's version, which must match too until `upgrade` is built.
"""

Bound = Mapping[str, Mapping[str, str]]
"""Listener name → bind as written → address as bound."""

Spec = Mapping[str, Any]
"""A compiled configuration: JSON as ``compile`` makes it."""

BackendKey = tuple[str, str]
"""Pool and id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an engine process is started with; it can't change while the process lives."""

    directory: str | None
    """Of its sockets; an engine inside a process may do without."""

    workers: int
    admin_binds: tuple[Mapping[str, Any], ...] = ()
    user: str | None = None
    log_level: str = "info"
    started_with: Mapping[str, str] = field(default_factory=dict)
    """What else can't change while the engine lives; it tells the process that adopts it."""

    def document(self, *, ready_fd: int | None = None) -> dict[str, Any]:
        """The JSON that ``engine_process`` takes."""
        return {
            "directory": self.directory,
            "workers": self.workers,
            "admin_binds": [dict(bind) for bind in self.admin_binds],
            "user": self.user,
            "ready_fd": ready_fd,
            "log_level": self.log_level,
            "started_with": dict(self.started_with),
        }

    def bound_to(self, addresses: tuple[str, ...]) -> Settings:
        """The same, with the admin addresses that an engine before it had bound."""
        if len(addresses) != len(self.admin_binds):
            return self
        pairs = zip(self.admin_binds, addresses, strict=True)
        return replace(self, admin_binds=tuple(_pinned(bind, address) for bind, address in pairs))

    def differences(self, running: Mapping[str, Any]) -> list[str]:
        """The keys in which a living engine's settings differ from these.

        The log level is not worth a restart.
        """
        different = [key for key in ("workers", "user") if running.get(key) != getattr(self, key)]
        theirs = running.get("admin_binds") or []
        if len(theirs) != len(self.admin_binds) or not all(
            _same_bind(ours, other) for ours, other in zip(self.admin_binds, theirs, strict=True)
        ):
            different.append("admin_binds")
        known = running.get("started_with") or {}
        return different + [key for key, value in self.started_with.items() if known.get(key) != value]


def _pinned(bind: Mapping[str, Any], address: str) -> Mapping[str, Any]:
    if not address.rpartition(":")[2].isdecimal():
        return bind
    port = int(address.rpartition(":")[2])
    match bind:
        case {"any": {"port": 0}}:
            return {"any": {"port": port}}
        case {"ip": {"address": str(text)}} if text.endswith(":0"):
            return {"ip": {"address": f"{text.removesuffix('0')}{port}"}}
        case _:
            return bind


def _same_bind(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    """Whether both ask for the same address.

    A port 0 of ours is any port of theirs, since a restart pins it.
    """
    if ours == theirs:
        return True
    if "any" in ours and "any" in theirs:
        return bool(ours["any"]["port"] == 0)
    if "ip" in ours and "ip" in theirs:
        host, _, port = str(ours["ip"]["address"]).rpartition(":")
        other_host = str(theirs["ip"]["address"]).rpartition(":")[0]
        return port == "0" and host == other_host
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """The first thing an engine says."""

    version: str
    pid: int
    workers: int
    plan_version: int | None
    bound: Bound
    settings: Mapping[str, Any]
    admin: tuple[str, ...] = ()
    stopping: bool = False
    protocol: int = PROTOCOL

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Read the frame's ``hello``."""
        return cls(
            version=document["version"],
            pid=document["pid"],
            workers=document["workers"],
            plan_version=document.get("plan_version"),
            bound=document.get("bound") or {},
            settings=document.get("settings") or {},
            admin=tuple(document.get("admin") or ()),
            stopping=document.get("stopping", False),
            protocol=document["protocol"],
        )


@dataclass(frozen=True, slots=True)
class Applied:
    """An accepted configuration: every worker serves it."""

    version: int
    bound: Bound

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Read the answer to ``apply``."""
        return cls(document["version"], document.get("bound") or {})


@dataclass(frozen=True, slots=True)
class MemberList:
    """Who serves a pool, all of it; replaces the list before."""

    pool: str
    backends: tuple[Mapping[str, Any], ...]

    def document(self, generation: int) -> dict[str, Any]:
        """The JSON of a ``members`` call."""
        return {"pool": self.pool, "generation": generation, "backends": [dict(one) for one in self.backends]}


Verdicts = Mapping[str, Mapping[str, bool]]
"""Pool → backend → whether its check says that it is up."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a program said of a backend."""

    pool: str
    backend: str
    good: bool
    reason: str
    seconds: float
    """How long it took."""

    def document(self) -> dict[str, Any]:
        """The JSON of a ``checked`` call."""
        return {
            "pool": self.pool,
            "backend": self.backend,
            "good": self.good,
            "reason": self.reason,
            "duration_ms": round(self.seconds * 1000),
        }


@dataclass(frozen=True, slots=True)
class Setting:
    """All that an operator wants of one backend; replaces what was wanted before."""

    pool: str
    backend: str
    mode: Mode = "none"
    weight: int | None = None
    """``None``: as configured."""

    @property
    def key(self) -> BackendKey:
        """Whose it is."""
        return self.pool, self.backend

    @property
    def is_neutral(self) -> bool:
        """Whether it says nothing: all is as configured."""
        return self.mode == "none" and self.weight is None

    def document(self) -> dict[str, Any]:
        """The JSON of a ``set`` call."""
        return {"pool": self.pool, "backend": self.backend, "mode": self.mode, "weight": self.weight}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which open connections are wanted."""

    limit: int
    listener: str | None = None
    client: str | None = None

    def document(self) -> dict[str, Any]:
        """The JSON of a ``connections`` call."""
        return {"limit": self.limit, "listener": self.listener, "client": self.client}


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in the engine."""

    kind: str
    at_ms: int
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Read a pushed ``event``."""
        details = {key: value for key, value in document.items() if key not in {"kind", "at_ms"}}
        return cls(document["kind"], document.get("at_ms", 0), details)


Entries = dict[str, list[tuple[str, str]]]
"""By pool: a client's key, in hexadecimal, and the backend that it belongs to."""


@dataclass(frozen=True, slots=True)
class Change:
    """A client that was bound to a backend, or was seen again: then it belonged to it before as well."""

    pool: str
    client: str
    before: str | None
    now: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What other nodes are to know of clients."""

    changes: tuple[Change, ...]

    @classmethod
    def parse(cls, document: Iterable[Mapping[str, Any]]) -> Self:
        """Read a pushed ``affinity``."""
        pools = ((one["pool"], change) for one in document for change in one["changes"])
        return cls(tuple(Change(pool, *change) for pool, change in pools))


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What other nodes say of clients, and whether the store is there in which they say it."""

    pools: Entries = field(default_factory=dict)
    connected: bool | None = None
    """``None``: as before."""

    reason: str = ""

    def document(self) -> dict[str, Any]:
        """The JSON of an ``affinity`` call."""
        pools = [{"pool": pool, "entries": entries} for pool, entries in self.pools.items()]
        store = None if self.connected is None else {"connected": self.connected, "reason": self.reason}
        return {"pools": pools, "store": store}


Update = EngineStats | Event | Changes
"""What comes up unasked."""

Command = Mapping[Literal["reopen_logs", "stop"], Mapping[str, int]]


def stop_command(deadline_seconds: float) -> Command:
    """Drain until the deadline, then end."""
    return {"stop": {"deadline_ms": round(deadline_seconds * 1000)}}


REOPEN_LOGS: Command = {"reopen_logs": {}}
