"""The native module: the compiled configuration and the engine that executes it.

Descriptions travel as JSON, because the engine process gets them as JSON too; their shape is that of
`fairlead.compile`. Every function releases the interpreter while it works.
"""

from typing import TypedDict, type_check_only

__all__ = ["__version__", "check", "route"]

__version__: str

@type_check_only
class SpecError(TypedDict):
    """One thing that is wrong with a description.

    `path` is the place in the terms of the configuration file, list indices as text from 0:
    `["listeners", "web", "routes", "0", "match", "path"]`. The only element of a list that may be written
    without brackets (`bind`, `host`, `path`) is named by the list. A path may go on where the file has
    nothing.
    """

    path: list[str]
    message: str

def check(spec_json: str) -> list[SpecError]:
    """Everything that is wrong with a description; an empty list: an engine would take it.

    Pure: no file is opened, no address bound.

    Raises:
        ValueError: the text isn't a description at all: no JSON, a key missing, unknown or of the wrong type.
    """

def route(spec_json: str, listener: str, host: str, path: str) -> str:
    """Which route a request takes, and why, by the router that the engine uses.

    `host` is the request's authority (any case, a port is ignored), `path` its target with its query.

    Returns JSON: `{"path": normalised, "route": index or null, "steps": [{"route": index, "id", "pool",
    "verdict", "by"}]}`. Steps come best first; those that don't match come last, in file order. `verdict` is
    `won`, `outranked`, `other_host` or `other_path`; `by` is, for `outranked`, the first criterion in which
    the winner is better: `priority`, `host`, `path` or `order`, else null. A path that would be answered 400:
    `{"refused": {"status", "reason", "clause"}}`.

    Raises:
        ValueError: the description is bad, or it has no such listener.
    """
