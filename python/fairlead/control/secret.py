"""A secret of this node's own: what the cookies of affinity are made with where the file names none.

It stays in the runtime directory, so that a client's cookie is still good after a restart of this node;
another node has another one.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Any

from fairlead.errors import FairleadError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fairlead.control.messages import Spec

FILE = "affinity.key"
_BYTES = 32


def keyed(spec: Spec, directory: Path) -> Spec:
    """The spec with this node's secret wherever one is needed and none is given."""
    if not any(_needs_secret(pool) for pool in spec["pools"]):
        return spec
    secret = node_secret(directory)
    return {**spec, "pools": [_keyed(pool, secret) for pool in spec["pools"]]}


def node_secret(directory: Path) -> str:
    """The secret that is kept in the directory, made if there is none."""
    path = directory / FILE
    try:
        if kept := _read(path):
            return kept
        return _make(path)
    except OSError as error:
        message = f"cannot keep a secret for cookies in {path}: {error.strerror}; give `secret_file`"
        raise FairleadError(message) from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return ""


def _make(path: Path) -> str:
    secret = secrets.token_hex(_BYTES)
    # Under another name first: what is found under its own is always whole.
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secret + "\n")
    new.rename(path)
    return secret


def _needs_secret(pool: Mapping[str, Any]) -> bool:
    cookie = ((pool["affinity"] or {}).get("by") or {}).get("cookie")
    return cookie is not None and cookie["secret"] is None


def _keyed(pool: Mapping[str, Any], secret: str) -> Mapping[str, Any]:
    if not _needs_secret(pool):
        return pool
    affinity = pool["affinity"]
    cookie = {**affinity["by"]["cookie"], "secret": secret}
    return {**pool, "affinity": {**affinity, "by": {"cookie": cookie}}}
