"""How the processes run."""

from typing import Annotated

from pydantic import Field

from fairlead.model.definition import Definition
from fairlead.model.value import Integer, Name, Text, Word
from fairlead.units import Duration, Size

__all__ = ["Runtime"]


class Runtime(Definition):
    """The processes: threads, directory, rights and memory. A change of it needs a restart."""

    workers: Annotated[
        Annotated[Integer, Field(ge=1, le=1024)] | None,
        Word("auto"),
        Field(
            description="Event-loop threads. `auto` is one for each core the process may use.", examples=[4]
        ),
    ] = None
    directory: Annotated[
        Text | None,
        Field(
            description="Where the sockets and the state of this instance are. "
            "Without it: `/run/fairlead`, else `$XDG_RUNTIME_DIR/fairlead`.",
            examples=["/run/fairlead"],
        ),
    ] = None
    drain_timeout: Annotated[
        Duration,
        Field(description="How long a stopping engine and removed listeners wait for what is open."),
    ] = Duration(60_000)
    user: Annotated[
        Text | None,
        Field(
            description="The engine process drops to this user after binding. Without it: who started it.",
            examples=["fairlead"],
        ),
    ] = None
    max_memory: Annotated[
        Size | None,
        Field(
            description="Resident memory of the engine process above which new work is shed. "
            "Without it: 90 % of the control group's limit, if there is one.",
            examples=["2GiB"],
        ),
    ] = None
    zone: Annotated[
        Name | None,
        Field(
            description="Where this node is: backends of the same `zone` come first. Without it zones mean "
            "nothing.",
            examples=["eu-1a"],
        ),
    ] = None
