"""What is wanted, made into what the engine executes.

``specification`` describes a Plan, ``membership`` says who is in a pool, and ``acceptance`` is the one way
from a file to a description that the engine takes; only it touches files, through ``fairlead.config``.
"""

from fairlead.compile.acceptance import Accepted, Checker, accept, engine_check, load, problems
from fairlead.compile.certificates import Secrets, certificates, secrets
from fairlead.compile.membership import Address, backends, members, names
from fairlead.compile.specification import Json, bind_address, pool_spec, spec

__all__ = [
    "Accepted",
    "Address",
    "Checker",
    "Json",
    "Secrets",
    "accept",
    "backends",
    "bind_address",
    "certificates",
    "engine_check",
    "load",
    "members",
    "names",
    "pool_spec",
    "problems",
    "secrets",
    "spec",
]
