"""What a name stands for at the moment."""

from dataclasses import dataclass

from fairlead.compile import Address

__all__ = ["Answer"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a name stands for. A family that could not be asked is ``None``, without addresses empty."""

    ipv4: tuple[Address, ...] | None
    ipv6: tuple[Address, ...] | None
    ttl: float
    """Seconds, the least of all records on the way."""
