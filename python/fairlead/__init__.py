"""Fairlead, a load balancer: policy in Python, data plane in Rust.

``Pool`` gives Python programs the engine's own way of choosing a backend.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fairlead.balance import Pool

__all__ = ["Pool", "__version__"]

__version__: str


def __getattr__(name: str) -> object:
    """What needs the native module, loaded when it is asked for: most commands don't need it."""
    match name:
        case "__version__":
            from fairlead import _engine  # noqa: PLC0415 - see above

            return _engine.__version__
        case "Pool":
            from fairlead.balance import Pool  # noqa: PLC0415 - see above

            return Pool
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
