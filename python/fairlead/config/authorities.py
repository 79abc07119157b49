"""The authorities that this system trusts, where a configuration names none of its own."""

import ssl
from pathlib import Path

__all__ = ["system"]

_KNOWN = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where Debian, Fedora, openSUSE and Alpine have them; Python may have been built for another system."""


def system() -> str | None:
    """Their certificates as PEM, ``None`` if there are none; `SSL_CERT_FILE` says where they are instead."""
    found = ssl.get_default_verify_paths().cafile
    for name in (found, *_KNOWN):
        if name is not None and (file := Path(name)).is_file():
            try:
                return file.read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
    return None
