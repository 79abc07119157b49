"""What an expert would say about a configuration that is valid: hints, never errors.

Each file has the findings about one thing. A finding is a function of the configuration alone, yields the
path it speaks of and one sentence: what will happen, and what to write instead.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from fairlead.advise import admin, affinity, capacity, hashing, health, pools, resilience, routes, tls
from fairlead.advise.capacity import Machine
from fairlead.advise.hint import Hint
from fairlead.model import CertificateFacts, Configuration

__all__ = ["Hint", "Machine", "advice"]


def advice(
    configuration: Configuration,
    machine: Machine,
    certificates: Mapping[str, CertificateFacts] = MappingProxyType({}),
    now: float = 0.0,
) -> Iterator[Hint]:
    """Every hint, in the order of the file's sections.

    Args:
        configuration: A valid configuration.
        machine: Where it is asked for.
        certificates: What its certificates say of themselves.
        now: In seconds since 1970.
    """
    yield from capacity.hints(configuration, machine)
    yield from admin.hints(configuration)
    yield from tls.hints(configuration, certificates, now)
    yield from routes.hints(configuration)
    yield from pools.hints(configuration)
    yield from hashing.hints(configuration)
    yield from health.hints(configuration)
    yield from resilience.hints(configuration)
    yield from affinity.hints(configuration)
