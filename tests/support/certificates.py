"""Certificates made for a test, and what trusts them."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trustme


@dataclass
class Authority:
    """Issues certificates, and makes contexts for clients that trust it."""

    ca: trustme.CA = field(default_factory=lambda: trustme.CA(key_type=trustme.KeyType.ECDSA))

    def write(self, directory: Path, name: str, *hosts: str, **options: Any) -> dict[str, str]:  # noqa: ANN401
        """A certificate for these hosts in files of this name, as an entry of `certificates` has them."""
        issued = self.ca.issue_cert(*hosts, **{"key_type": trustme.KeyType.ECDSA, **options})
        cert, key = directory / f"{name}.pem", directory / f"{name}.key"
        issued.private_key_pem.write_to_path(key)
        # Under another name first: who reads it finds it whole.
        new = cert.with_suffix(".new")
        new.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        new.rename(cert)
        return {"cert_file": str(cert), "key_file": str(key)}

    def context(self, *, alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
        """What a client connects with."""
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context
