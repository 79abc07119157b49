"""HTTP/1.1 messages as these tests read them: strictly, so that nothing ambiguous is taken for right."""

from dataclasses import dataclass, field
from typing import Literal

Fields = tuple[tuple[str, str], ...]
Framing = Literal["none", "length", "chunked", "close"]


@dataclass(frozen=True)
class Message:
    """A message as it arrived. `complete`: its framing says that all of it did."""

    start: tuple[str, str, str]
    fields: Fields
    framing: Framing = "none"
    body: bytes = b""
    trailers: Fields = ()
    complete: bool = True

    def values(self, name: str) -> list[str]:
        """Every value of a field, in order."""
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def value(self, name: str) -> str | None:
        """The value of a field that stands at most once."""
        found = self.values(name)
        assert len(found) <= 1, f"{name} stands {len(found)} times: {found}"
        return found[0] if found else None


@dataclass(frozen=True)
class Request(Message):
    """What a backend received."""

    @property
    def method(self) -> str:
        return self.start[0]

    @property
    def target(self) -> str:
        return self.start[1]


@dataclass(frozen=True)
class Answer(Message):
    """What a client received."""

    interim: tuple["Answer", ...] = field(default=())

    @property
    def status(self) -> int:
        return int(self.start[1])

    @property
    def reason(self) -> str:
        return self.start[2]


def parse_head(raw: bytes) -> tuple[str, Fields]:
    """The start line and the fields of a head that ends in an empty line."""
    text = raw.decode("latin-1")
    assert text.endswith("\r\n\r\n"), text
    start, *lines = text.removesuffix("\r\n\r\n").split("\r\n")
    assert not any(sign in line for line in (start, *lines) for sign in "\r\n\0"), text
    return start, tuple(parse_field(line) for line in lines)


def parse_field(line: str) -> tuple[str, str]:
    """A field line as RFC 9112 5 has it: no space before the colon, whitespace around the value left out."""
    name, colon, value = line.partition(":")
    assert colon, line
    assert name, line
    assert name == name.strip(), line
    return name, value.strip(" \t")


def framing_of(fields: Fields) -> tuple[Framing | None, int]:
    """How the fields frame a body, and its length. Two ways at once are nobody's."""
    lengths = [value for name, value in fields if name.lower() == "content-length"]
    codings = [value for name, value in fields if name.lower() == "transfer-encoding"]
    assert len(lengths) + len(codings) <= 1, fields
    if codings:
        assert codings == ["chunked"], codings
        return "chunked", 0
    if lengths:
        assert lengths[0].isascii(), lengths
        assert lengths[0].isdigit(), lengths
        return "length", int(lengths[0])
    return None, 0
