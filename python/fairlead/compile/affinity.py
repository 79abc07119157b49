"""How a pool keeps its clients, as the engine reads it."""

from typing import Any

from fairlead.compile.algorithm import key_part
from fairlead.model.affinity import (
    Affinity,
    Cookie,
    CookieAffinity,
    HeaderAffinity,
    Learn,
    LearnAffinity,
    Table,
    TableAffinity,
)

__all__ = ["affinity"]


def affinity(wanted: Affinity | None) -> dict[str, Any] | None:
    """Describe how clients are kept at their backends."""
    return None if wanted is None else {"by": _by(wanted), "on_failure": wanted.on_failure}


def _by(wanted: Affinity) -> dict[str, Any]:
    match wanted:
        case CookieAffinity():
            return {"cookie": _cookie(wanted.cookie)}
        case HeaderAffinity():
            return {"header": wanted.header}
        case LearnAffinity():
            return {"learn": _learn(wanted.learn)}
        case TableAffinity():
            return {"table": _table(wanted.table)}


def _cookie(cookie: Cookie) -> dict[str, Any]:
    return {
        "name": cookie.name,
        "ttl_s": None if cookie.ttl is None else cookie.ttl.milliseconds // 1000,
        "secure": {None: "auto", True: "always", False: "never"}[cookie.secure],
        "same_site": cookie.same_site,
        "path": cookie.path,
        "domain": cookie.domain,
        "secret": None if cookie.secret is None else cookie.secret.get_secret_value(),
    }


def _learn(learn: Learn) -> dict[str, Any]:
    return {
        "response_cookie": learn.response_cookie,
        "ttl_ms": learn.ttl.milliseconds,
        "max_entries": learn.max_entries,
    }


def _table(table: Table) -> dict[str, Any]:
    return {
        "key": [key_part(each) for each in table.key],
        "ttl_ms": table.ttl.milliseconds,
        "max_entries": table.max_entries,
        "shared": table.store == "redis",
    }
