"""What the engine gets apart from the description, since it is secret: certificates and their keys."""

import json
from importlib import import_module
from typing import Protocol

from fairlead.errors import FairleadError, Step
from fairlead.model import CertificateFacts, Configuration

__all__ = ["Inspector", "Secrets", "certificates", "engine_inspect", "secrets"]

Secrets = dict[str, dict[str, dict[str, str]]]
"""``{"certificates": {name: {"cert": PEM, "key": PEM}}}``, as the engine reads it."""


class Inspector(Protocol):
    """The engine's judgement of certificates: JSON to JSON."""

    def __call__(self, secrets_json: str, /) -> str:
        """Return ``{name: {"good": facts} or {"bad": {"path", "message"}}}``."""


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
    """Everything secret that the listeners of a configuration need."""
    return {
        "certificates": {
            name: {"cert": each.cert.get_secret_value(), "key": each.key.get_secret_value()}
            for name, each in configuration.certificates.items()
        }
    }


def certificates(
    configuration: Configuration, inspect: Inspector = engine_inspect
) -> tuple[dict[str, CertificateFacts], list[tuple[tuple[Step, ...], str]]]:
    """What the certificates of a configuration say of themselves, and what is wrong with the others."""
    if not configuration.certificates:
        return {}, []
    found = json.loads(inspect(json.dumps(secrets(configuration))))
    bad = (each["bad"] for each in found.values() if "bad" in each)
    return (
        {name: _facts(**each["good"]) for name, each in found.items() if "good" in each},
        [(tuple(each["path"]), each["message"]) for each in bad],
    )


def _facts(names: list[str], not_before: int, not_after: int, algorithm: str) -> CertificateFacts:
    return CertificateFacts(tuple(names), not_before, not_after, algorithm)
