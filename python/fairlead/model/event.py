"""Something that happened, as everybody outside ``control`` sees it: an event of ``GET /api/v1/events``."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

GAP = "gap"
"""Of the kind that says which events are missing before the next."""


class Event(BaseModel):
    """What happened, when, and to whom."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str | None = None
    """Its place: a reader that names the last one it has goes on behind it. None: nothing to go on behind."""

    kind: str
    at_ms: int
    """Milliseconds since 1970."""

    details: dict[str, Any] = Field(default_factory=dict)

    def concerns(self, pool: str, backend: str) -> bool:
        """Whether it is about this backend."""
        return self.details.get("pool") == pool and self.details.get("backend") == backend
