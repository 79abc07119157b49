"""Who serves: names of backends, kept as fresh as their TTL says.

``answer`` is what a name stands for; ``schedule`` decides when a name is asked for and what counts when an
answer fails (pure); ``hosts`` reads the system's own table of names; ``resolver`` asks DNS; ``watch`` runs
all of it and yields the members of each pool whenever they changed.
"""

from fairlead.discover.answer import Answer
from fairlead.discover.resolver import DnsResolver, NameResolver, ResolveError
from fairlead.discover.watch import Clock, EventLoopClock, Watch

__all__ = ["Answer", "Clock", "DnsResolver", "EventLoopClock", "NameResolver", "ResolveError", "Watch"]
