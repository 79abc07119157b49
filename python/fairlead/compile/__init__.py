"""What is wanted, made into what the engine executes: pure, no file, no network, no clock.

``specification`` describes a Plan, ``membership`` says who is in a pool.
"""

from fairlead.compile.membership import Address, backends, members, names
from fairlead.compile.specification import Json, bind_address, spec

__all__ = ["Address", "Json", "backends", "bind_address", "members", "names", "spec"]
