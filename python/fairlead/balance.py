"""The engine's own picker for Python programs: who gets the next request, with what is in flight counted.

::

    pool = fairlead.Pool(["10.0.0.1:8080", "10.0.0.2:8080"], algorithm="least_time")
    with pool.pick() as backend:
        response = requests.get(f"http://{backend.address}/")

Algorithms, weights, zones, backups and limits are those of a pool of the configuration, written the same way.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from fairlead._engine import Balancer, check
from fairlead.compile import pool_spec
from fairlead.config.wording import findings
from fairlead.errors import ConfigurationError, FairleadError, Problem
from fairlead.model import Configuration, HostPort
from fairlead.model import Pool as PoolModel
from fairlead.model.algorithm import name

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Backend", "Key", "NoBackendError", "Pick", "Pool"]

Key = str | bytes | IPv4Address | IPv6Address
"""What a request is told apart by. An address counts as the client's; under ``ip_hash`` text is one too."""


class NoBackendError(FairleadError):
    """Nobody could be picked; the message says why."""


@dataclass(frozen=True, slots=True)
class Backend:
    """One server of a pool: ``address`` is ``host:port`` or ``unix:/path``."""

    id: str
    address: str
    index: int


class Pick:
    """A place at a backend, held while its ``with`` block runs.

    The time of the block is what ``least_time`` goes by; ``discard`` keeps it from counting. A block that
    ends by an ``OSError`` (refused, reset, timed out) has failed with this backend, as after ``fail``.
    """

    def __init__(self, pool: Pool, backend: Backend) -> None:
        self.backend = backend
        self._pool = pool
        self._begun = time.perf_counter()
        self._counts = True
        self._failed = False
        self._ended = False

    def discard(self) -> None:
        """Let the time of this one say nothing about the backend."""
        self._counts = False

    def fail(self) -> None:
        """Say that the backend gave no answer, which ``least_time`` holds against it as an answer of 1 s."""
        self._failed = True

    def end(self) -> None:
        """Give the place back; a second time does nothing."""
        if not self._ended:
            self._ended = True
            took = time.perf_counter() - self._begun
            counts = self._counts and not self._failed
            self._pool._end(self.backend, took if counts else None, failed=self._failed)  # noqa: SLF001 - its other half

    def __enter__(self) -> Backend:
        return self.backend

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, OSError):
            self.fail()
        self.end()


class Pool:
    """Backends to pick from, by the very picker of the engine. Safe to use from several threads.

    Args:
        backends: As in the configuration: ``"10.0.0.1:8080"``, or a mapping with ``address``, ``name``,
            ``weight``, ``max_in_flight``, ``zone``, ``backup``. Names are not resolved here.
        algorithm: As in the configuration: a name, or a mapping with options.
        zone: Where this program is: backends of the same zone come first.
        max_in_flight: The most picks at once for each backend that says nothing else; as in the
            configuration a number, ``"adaptive"``, or ``{"adaptive": {"min": 4, "max": 200}}``.
        seed: Makes random choices repeatable.

    Raises:
        ConfigurationError: with everything that is wrong.
    """

    def __init__(
        self,
        backends: Iterable[str | Mapping[str, Any]],
        *,
        algorithm: str | Mapping[str, Any] = "round_robin",
        zone: str | None = None,
        max_in_flight: int | str | Mapping[str, Any] | None = None,
        seed: int | None = None,
    ) -> None:
        model = _model(backends, algorithm, max_in_flight)
        description = json.dumps(pool_spec(model, zone=zone))
        # Without the name that the pool has there and its owner doesn't know.
        found = [Problem(tuple(each["path"][2:]), each["message"]) for each in check(description)]
        if found:
            raise ConfigurationError(found)
        self._balancer = Balancer(description, seed)
        self.backends: tuple[Backend, ...] = tuple(
            Backend(identity, address, index)
            for index, (identity, address) in enumerate(self._balancer.backends())
        )
        self._takes_addresses = name(model.algorithm) == "ip_hash"

    def pick(self, key: Key | None = None, *, avoid: Collection[Backend] = ()) -> Pick:
        """Take a place at a backend; use it in a ``with`` statement, or call ``end``.

        Args:
            key: What hashing algorithms go by; the others ignore it.
            avoid: Backends to leave out, such as those that this request has failed with; at most 32.

        Raises:
            NoBackendError: everybody is full or avoided, or none has a weight.
            ValueError: more than 32 are to be avoided, or under ``ip_hash`` the key is no address.
        """
        indices = [backend.index for backend in avoid]
        if isinstance(key, (IPv4Address, IPv6Address)) or (self._takes_addresses and isinstance(key, str)):
            index, reason = self._balancer.pick_address(str(key), indices)
        else:
            index, reason = self._balancer.pick(key.encode() if isinstance(key, str) else key, indices)
        if index is None:
            raise NoBackendError(reason)
        return Pick(self, self.backends[index])

    @property
    def in_flight(self) -> dict[str, int]:
        """How many picks each backend has now, by id."""
        return dict(zip((each.id for each in self.backends), self._balancer.in_flight(), strict=True))

    @property
    def times(self) -> dict[str, float | None]:
        """The average time of each backend in seconds, by id; ``None`` where it is unknown or not gone by."""
        return dict(zip((each.id for each in self.backends), self._balancer.times(), strict=True))

    @property
    def digest(self) -> str:
        """Stands for what backends are picked by: a Fairlead with the same pool shows the same."""
        return f"{self._balancer.digest():016x}"

    def _end(self, backend: Backend, seconds: float | None, *, failed: bool) -> None:
        if failed:
            self._balancer.failed(backend.index)
        self._balancer.end(backend.index, seconds)


def _model(
    backends: Iterable[str | Mapping[str, Any]],
    algorithm: str | Mapping[str, Any],
    max_in_flight: int | str | Mapping[str, Any] | None,
) -> PoolModel:
    data: dict[str, Any] = {
        "backends": [each if isinstance(each, str) else dict(each) for each in backends],
        "algorithm": algorithm if isinstance(algorithm, str) else dict(algorithm),
    }
    if max_in_flight is not None:
        data["max_in_flight"] = dict(max_in_flight) if isinstance(max_in_flight, Mapping) else max_in_flight
    # As the only pool of a configuration, so that what is wrong is said in the same words.
    whole = {"listeners": {"none": {"bind": ":0", "pool": "pool"}}, "pools": {"pool": data}}
    try:
        model = Configuration.model_validate(whole).pools["pool"]
    except ValidationError as error:
        found = findings(error, whole)
        raise ConfigurationError([Problem(each.path[2:], each.message) for each in found]) from None
    named = [each.address.text for each in model.backends if isinstance(each.address.target, HostPort)]
    if named:
        message = f"a program's pool resolves no names: give the addresses of {', '.join(named)}"
        raise ConfigurationError([Problem(("backends",), message)])
    return model
