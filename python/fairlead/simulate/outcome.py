"""What came of a simulation, as the native module says it."""

from pydantic import BaseModel, ConfigDict

__all__ = ["Backend", "Change", "Latency", "Outcome", "Report", "Series"]


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Latency(_Said):
    """From a request's arrival to its answer, of those that were answered well."""

    mean_ms: float
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    p999_ms: float | None
    max_ms: float


class Backend(_Said):
    """What one did: tries, its part of all, failures by its fault, how busy its slots were."""

    id: str
    requests: int
    share: float
    errors: int
    busy: float
    max_in_flight: int
    wasted: int


class Series(_Said):
    """As it went: an item for each bucket."""

    bucket_ms: int
    requests: list[int]
    answered: list[int]
    failed: list[int]
    retries: list[int]
    p50: list[float | None]
    p99: list[float | None]
    backends: list[list[int]]


class Change(_Said):
    """A backend has become something else."""

    at_ms: int
    backend: str
    from_: str
    to: str
    reason: str

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, alias_generator=lambda name: name.rstrip("_")
    )


class Report(_Said):
    """All of one simulation."""

    requests: int
    answered: int
    failed: int
    failures: dict[str, int]
    retries: int
    seconds: float
    latency: Latency
    backends: list[Backend]
    series: Series
    events: list[Change]
    events_dropped: int


class Outcome(_Said):
    """What an algorithm made of a scenario."""

    algorithm: str
    configured: bool
    """It is what the pool is configured with."""
    report: Report
