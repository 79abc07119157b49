"""An algorithm as the engine reads it."""

from typing import Any

from fairlead.model.algorithm import Algorithm, ConsistentHash, IpHash, LeastTime, Random, options

__all__ = ["algorithm", "key_part"]


def algorithm(chosen: Algorithm) -> str | dict[str, Any]:
    """Describe how a pool chooses."""
    match options(chosen):
        case LeastTime() as least_time:
            return {"least_time": _least_time(least_time)}
        case Random(choices=choices, by=by):
            score = {"least_time": _least_time(LeastTime())} if by == "least_time" else by
            return {"random": {"choices": choices, "by": score}}
        case IpHash(v6_prefix=v6_prefix):
            return {"ip_hash": {"v6_prefix": v6_prefix}}
        case ConsistentHash(key=key, table=table, bounded_load=bound):
            return {
                "consistent_hash": {
                    "key": [key_part(each) for each in key],
                    "table": table,
                    "bounded_load_thousandths": None if bound is None else round(bound * 1000),
                }
            }
        case name:
            return name


def _least_time(least_time: LeastTime) -> dict[str, Any]:
    return {"average": least_time.average, "window_ms": least_time.window.milliseconds}


def key_part(text: str) -> str | dict[str, str]:
    """Describe a part of a request's key."""
    kind, colon, name = text.partition(":")
    return {kind: name} if colon else kind
