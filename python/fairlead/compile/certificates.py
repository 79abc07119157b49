"""What the engine gets apart from the description, since it is secret: certificates and their keys."""

import json
from importlib import import_module
from typing import Any, Protocol

from fairlead.config.authorities import system
from fairlead.errors import FairleadError, Step
from fairlead.model import CertificateFacts, Configuration

__all__ = ["Inspector", "Secrets", "certificates", "engine_inspect", "secrets"]

Secrets = dict[str, Any]
"""What the engine gets apart from the description, as it reads it.

``{"certificates": {name: {"cert": PEM, "key": PEM}}, "pools": {name: {"ca": PEM}}, "system": {"ca": PEM}}``;
``system`` is None where no pool needs it.
"""


class Inspector(Protocol):
    """The engine's judgement of certificates: JSON to JSON."""

    def __call__(self, secrets_json: str, /) -> str:
        """Return what is known.

        ``{"certificates": {name: {"good": facts} or {"bad": problem}}, "authorities": [problem]}``, a problem
        being ``{"path", "message"}``.
        """


def engine_inspect(secrets_json: str, /) -> str:
    """Ask the native module.

    Raises:
        FairleadError: if it is not built.
    """
    try:
        inspect: Inspector = import_module("fairlead._engine").certificates
    except ImportError as error:
        message = f"the native module cannot be loaded ({error}); `make build` builds it"
        raise FairleadError(message) from None
    return inspect(secrets_json)


def secrets(configuration: Configuration) -> Secrets:
    """Everything that handshakes of a configuration need: certificates, keys and authorities."""
    pools = {name: pool.tls for name, pool in configuration.pools.items() if pool.tls and pool.tls.verify}
    authorities = system() if any(tls.ca is None for tls in pools.values()) else None
    return {
        "certificates": {
            name: {"cert": each.cert.get_secret_value(), "key": each.key.get_secret_value()}
            for name, each in configuration.certificates.items()
        },
        "pools": {name: {"ca": tls.ca.get_secret_value()} for name, tls in pools.items() if tls.ca},
        "system": None if authorities is None else {"ca": authorities},
    }


def certificates(
    configuration: Configuration, inspect: Inspector = engine_inspect
) -> tuple[dict[str, CertificateFacts], list[tuple[tuple[Step, ...], str]]]:
    """What the certificates of a configuration say of themselves, and what is wrong with the others."""
    wanted = secrets(configuration)
    if not any(wanted.values()):
        return {}, []
    found = json.loads(inspect(json.dumps(wanted)))
    certified = found["certificates"]
    bad = [each["bad"] for each in certified.values() if "bad" in each] + found["authorities"]
    return (
        {name: _facts(**each["good"]) for name, each in certified.items() if "good" in each},
        [(tuple(each["path"]), each["message"]) for each in bad],
    )


def _facts(names: list[str], not_before: int, not_after: int, algorithm: str) -> CertificateFacts:
    return CertificateFacts(tuple(names), not_before, not_after, algorithm)
