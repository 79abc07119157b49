"""Who may do what: a pure decision from a request's headers.

Over the socket (mode 0600) everything is allowed: whoever opens it is the operator. Over TCP, a browser may
be led here by a page of somebody else, so the Host must be one of ours (else a name that resolves to us
would pass the browser's same-origin rule) and an Origin must be that Host. Without tokens TCP may only
read; with tokens each request needs one.
"""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

VIA = "Fairlead-Via"
"""Set by the engine on what it relays: ``socket`` or ``tcp``. A request without it gets the lesser rights."""

Role = Literal["viewer", "operator"]

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True, repr=False)
class Token:
    """A secret and what it allows; without a repr, so that no log shows it."""

    name: str
    role: Role
    secret: str


@dataclass(frozen=True, slots=True)
class Policy:
    """What access rests on: the tokens, and the names under which the API may be reached over TCP."""

    tokens: tuple[Token, ...] = ()
    hosts: frozenset[str] = field(default_factory=frozenset)
    """Beside every IP address and ``localhost``; lower case, without port."""


@dataclass(frozen=True, slots=True)
class Granted:
    """Go on, as this one."""

    who: str
    role: Role


@dataclass(frozen=True, slots=True)
class Denied:
    """The answer instead."""

    status: Literal[401, 403, 421]
    reason: str


def decide(policy: Policy, method: str, headers: Mapping[str, str]) -> Granted | Denied:
    """Whether a request may go on; ``headers`` is case-insensitive."""
    if headers.get(VIA) == "socket":
        return Granted("socket", "operator")
    if (denied := _check_site(policy, headers)) is not None:
        return denied
    granted = _identify(policy, headers)
    if isinstance(granted, Granted) and granted.role == "viewer" and method not in _SAFE_METHODS:
        if not policy.tokens:
            return Denied(403, "without admin.tokens, changes are made through the socket admin.sock only")
        return Denied(403, f"the token {granted.who!r} is a viewer's; this needs the role operator")
    return granted


def _check_site(policy: Policy, headers: Mapping[str, str]) -> Denied | None:
    host = headers.get("Host", "")
    if not _is_ours(policy, host):
        return Denied(421, f"{host!r} is no name of this address; use the IP address, or localhost")
    origin = headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
        return Denied(403, f"requests from pages of {origin!r} are refused")
    return None


def _identify(policy: Policy, headers: Mapping[str, str]) -> Granted | Denied:
    if not policy.tokens:
        return Granted("anyone", "viewer")
    scheme, _, secret = headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret:
        return Denied(401, "a token is needed: Authorization: Bearer …")
    # All are compared, each in constant time: how long it takes says nothing about any of them.
    matching = [token for token in policy.tokens if _equal(token.secret, secret.strip())]
    if not matching:
        return Denied(401, "the token is unknown")
    return Granted(matching[0].name, matching[0].role)


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _is_ours(policy: Policy, host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    if name is None:
        return False
    if name == "localhost" or name in policy.hosts:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
