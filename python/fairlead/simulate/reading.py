"""From the name of a scenario, or a file of one, to the scenario."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from fairlead.config.document import gather
from fairlead.config.suggestion import suggestion
from fairlead.config.wording import findings
from fairlead.errors import ConfigurationError, Problem, UsageError
from fairlead.simulate.scenario import FromFile, Scenario

__all__ = ["Read", "read", "shipped"]

_SHIPPED = Path(__file__).parent / "scenarios"

_ORDER = (
    "slow-node", "gray-failure", "gc-pauses", "cold-start", "zone-loss",
    "flapping-check", "retry-storm", "heavy-tail", "uneven-clients", "scale-out",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Read:
    """A scenario, and what its files hold."""

    name: str
    scenario: Scenario
    samples: tuple[float, ...] = ()
    """Milliseconds, where work is drawn from a file."""


def shipped() -> tuple[str, ...]:
    """The scenarios that come with Fairlead, in the order in which they are told."""
    return _ORDER


def read(name: str) -> Read:
    """Read a shipped scenario by its name, or a file of one.

    Raises:
        UsageError: there is neither.
        ConfigurationError: with everything that is wrong with it.
    """
    if name in _ORDER:
        return _read(name, _SHIPPED / f"{name}.yaml")
    path = Path(name)
    if not path.is_file():
        message = f'no scenario "{name}"{suggestion(name, _ORDER)}, and no file; --list shows those that ship'
        raise UsageError(message)
    return _read(path.stem, path)


def _read(name: str, path: Path) -> Read:
    documents = gather(str(path), {})
    problems = list(documents.problems)
    if not problems:
        try:
            scenario = Scenario.model_validate(documents.data)
        except ValidationError as error:
            for at, message, with_key in findings(error, documents.data, Scenario):
                place = documents.key_place(at) if with_key else documents.place(at)
                problems.append(Problem(at, message, place))
        else:
            work = scenario.work
            samples = (
                _samples(path.parent / work.file, documents.place(("work",)))
                if isinstance(work, FromFile)
                else ()
            )
            return Read(name, scenario, samples)
    raise ConfigurationError(sorted(problems, key=lambda each: documents.order(each.place)))


def _samples(path: Path, place: object) -> tuple[float, ...]:
    try:
        lines = path.read_text().split()
        found = tuple(float(line) for line in lines)
    except (OSError, ValueError) as error:
        raise ConfigurationError([Problem(("work", "file"), str(error), place)]) from None  # type: ignore[arg-type]
    if not found or min(found) < 0:
        message = f"{path.name} needs a number of milliseconds in each line"
        raise ConfigurationError([Problem(("work", "file"), message, place)])  # type: ignore[arg-type]
    return found
