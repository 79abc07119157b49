"""Fairlead, a load balancer: policy in Python, data plane in Rust."""

__all__ = ["__version__"]

__version__: str


def __getattr__(name: str) -> str:
    """The version, of the native module: loaded when it is asked for, since most commands don't need it."""
    if name == "__version__":
        from fairlead import _engine  # noqa: PLC0415 - see above

        return _engine.__version__
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
