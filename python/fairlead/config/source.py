"""A file: its text, and which syntax it is written in."""

from dataclasses import dataclass
from pathlib import Path, PurePath

from fairlead.errors import Place, Problem

__all__ = ["LARGEST", "Refused", "Source", "read_source"]

LARGEST = 64 * 2**20
"""Bytes of a file: as much as the channel to the engine carries, far above what anyone can oversee."""


class Refused(Exception):  # noqa: N818  (not an error of the program: the file's text is at fault)
    """A file that cannot be read at all, for one reason."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(str(problem))


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it was read."""

    name: str
    """As the operator wrote it, or as a pattern of ``include`` found it."""
    text: str

    @property
    def syntax(self) -> str:
        """``toml`` or ``json`` by the file's name, else ``yaml``."""
        suffix = PurePath(self.name).suffix.lower()
        return {".toml": "toml", ".json": "json"}.get(suffix, "yaml")

    def place(self, offset: int) -> Place:
        """Where the character at an offset stands."""
        before = self.text[:offset]
        return Place(self.name, before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1)

    def refuse(self, offset: int, message: str) -> Refused:
        """An error about the text at an offset."""
        return Refused(Problem((), message, self.place(offset)))


def read_source(name: str, cause: Place | None = None) -> Source:
    """Read a file.

    Args:
        name: Its path.
        cause: Where it is named, if in another file; an error is shown there.

    Raises:
        Refused: if it cannot be read, is too large or no UTF-8.
    """
    try:
        with Path(name).open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        message = f"cannot read {name}: {error.strerror or error}"
        raise Refused(Problem((), message, cause)) from None
    if len(content) > LARGEST:
        raise Refused(Problem((), f"{name} is larger than {LARGEST // 2**20} MiB", cause))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = (
            len(content[content.rfind(b"\n", 0, error.start) + 1 : error.start].decode(errors="replace")) + 1
        )
        raise Refused(Problem((), "is no UTF-8 text", Place(name, line, column))) from None
    return Source(name, text)
