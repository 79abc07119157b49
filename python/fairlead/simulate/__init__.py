"""What would happen: a scenario run against a configuration by the engine's own deciders, in made-up time.

In reading order: ``scenario`` is what a user writes (with ``amount``, its values), ``reading`` finds and
reads one, ``preparation`` makes numbers of it and of a configuration, ``running`` has the native module run
them, ``outcome`` is what comes back. ``figures`` puts outcomes side by side; ``page``, with ``chart``,
``svg`` and ``style``, shows them in one HTML file; ``compared`` writes the page of the docs.
"""

from fairlead.simulate.outcome import Outcome, Report
from fairlead.simulate.page import page
from fairlead.simulate.preparation import ALGORITHMS, Bounds, Prepared, pool_of, prepare
from fairlead.simulate.reading import Read, read, shipped
from fairlead.simulate.running import run
from fairlead.simulate.scenario import Scenario

__all__ = [
    "ALGORITHMS",
    "Bounds",
    "Outcome",
    "Prepared",
    "Read",
    "Report",
    "Scenario",
    "page",
    "pool_of",
    "prepare",
    "read",
    "run",
    "shipped",
]
