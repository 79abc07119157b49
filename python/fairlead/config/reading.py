"""From a file to a model, or to every reason why there is none."""

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from fairlead.config.document import Documents, gather
from fairlead.config.reference import references
from fairlead.config.secret import fill
from fairlead.config.trial import Trial, prune
from fairlead.config.wording import Finding, findings
from fairlead.errors import Place, Problem, Step
from fairlead.model import Configuration

__all__ = ["Reading", "read", "uncollected"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading a file."""

    model: Configuration | None
    """The configuration if nothing is wrong with it; else its valid objects, if there are enough to try."""
    problems: tuple[Problem, ...]
    """Sorted by place. With any, ``model`` is only for finding more."""
    documents: Documents
    trial: Trial | None
    secret_files: Mapping[tuple[Step, ...], Path] = field(default_factory=dict)
    """The files that secrets were read from, by the key that each holds."""

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that was read, in order."""
        return tuple(self.documents.files)

    def place(self, path: tuple[Step, ...]) -> Place | None:
        """Where a path is written, or what is nearest above it."""
        return self.documents.place(path)

    def locate(self, found: Iterable[tuple[tuple[Step, ...], str]]) -> list[Problem]:
        """Problems with paths of ``model`` as the file's: in its counting, with their places."""
        located = []
        for path, message in found:
            counted = _written(path, self.trial.data if self.trial else self.documents.data)
            original = self.trial.original(counted) if self.trial else counted
            if original in self.secret_files:
                *above, key = original
                original = (*above, f"{key}_file")
            located.append(Problem(original, message, self.documents.place(original)))
        return located

    def merged(self, others: Iterable[Problem]) -> tuple[Problem, ...]:
        """These problems and others, sorted by place, one for each path."""
        known = {problem.path for problem in self.problems}
        fresh = (each for each in others if not each.path or each.path not in known)
        return _sorted((*self.problems, *fresh), self.documents)


def read(name: str, environment: Mapping[str, str]) -> Reading:
    """Read a configuration with all that it includes. What is wrong is returned, never raised."""
    with uncollected():
        documents = gather(name, environment)
        unreadable = bool(documents.problems) and not documents.data
        if unreadable:
            return Reading(None, _sorted(documents.problems, documents), documents, None)
        data = documents.data
        files: dict[tuple[Step, ...], Path] = {}
        found = list(fill(data, lambda path: Path(documents.roots[documents.owner(path)][0]).parent, files))
        found += references(data)
        model, wrong = _validate(data)
        found += wrong
        problems = _sorted(documents.problems + _located(found, documents), documents)
        if not problems:
            return Reading(model, (), documents, None, files)
        model, trial = _tried(data, [problem.path for problem in problems])
        return Reading(model, problems, documents, trial, files)


def _validate(data: Mapping[str, object]) -> tuple[Configuration | None, list[Finding]]:
    try:
        return Configuration.model_validate(data), []
    except ValidationError as error:
        return None, list(findings(error, data))


def _tried(
    data: Mapping[str, object], faulty: Sequence[tuple[Step, ...]]
) -> tuple[Configuration | None, Trial | None]:
    """What is valid of the data. What is left of an object may contradict itself: then it goes whole."""
    for whole in (False, True):
        trial = prune(data, faulty, whole=whole)
        model = _validate(trial.data)[0] if trial else None
        if model is not None:
            return model, trial
    return None, None


def _located(found: Iterable[Finding], documents: Documents) -> list[Problem]:
    """A path that already has an error keeps that one: the later ones follow from it."""
    known = {problem.path for problem in documents.problems if problem.path}
    located = []
    for path, message, with_key in found:
        if path not in known:
            known.add(path)
            place = documents.key_place(path) if with_key else documents.place(path)
            located.append(Problem(path, message, place))
    return located


def _sorted(problems: Iterable[Problem], documents: Documents) -> tuple[Problem, ...]:
    return tuple(sorted(problems, key=lambda each: (documents.order(each.place), str(each.path))))


def _written(path: tuple[Step, ...], data: object) -> tuple[Step, ...]:
    """The part of an engine's path that is in the data: it counts in text, and names routes never written."""
    written: tuple[Step, ...] = ()
    for step in path:
        if isinstance(data, list) and str(step).isdigit() and int(step) < len(data):
            written = (*written, int(step))
            data = data[int(step)]
        elif isinstance(data, dict) and step in data:
            written = (*written, step)
            data = data[step]
        else:
            break
    return written


@contextmanager
def uncollected() -> Iterator[None]:
    """Keep the collector of cyclic garbage away from work that makes many objects and no cycle."""
    # Nothing of a tree is garbage before the end, yet the collector looks through it again and again: 10,000
    # routes take four times as long with it (measured 2026-11-24: 1.2 s to compose, 0.3 s without).
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
