"""Certificates and their keys, and what certificates say of themselves."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from fairlead.model.definition import Definition
from fairlead.model.value import SecretText

__all__ = ["Certificate", "CertificateFacts"]


class Certificate(Definition):
    """A certificate and its private key, both as PEM. Their files are read again when they change."""

    RESERVED: ClassVar[tuple[str, ...]] = ("acme", "ocsp")

    cert: Annotated[
        SecretText,
        Field(
            description="The certificate, then those of the authorities between it and a root; better "
            "`cert_file`, a file that holds them."
        ),
    ]
    key: Annotated[
        SecretText,
        Field(description="Its private key, not encrypted; better `key_file`, a file that holds it."),
    ]


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What a certificate says of itself."""

    names: tuple[str, ...]
    """The names that it holds for, in lower case."""

    not_before: int
    """From when on it is valid, in seconds since 1970."""

    not_after: int
    algorithm: str
    """Of its key: ``rsa``, ``ecdsa``, ``eddsa`` or ``other``."""

    def covers(self, host: str) -> bool:
        """Whether it holds for a host; a wildcard stands for one label (RFC 9525 6.3)."""
        return host in self.names or f"*.{host.partition('.')[2]}" in self.names
