"""Whom the command as one file trusts on the network, where the system has no certificates at all.

Knows where systems keep them. Refuses to know who asks for them.
"""

from __future__ import annotations

import os
from pathlib import Path

from bundler.paths import is_frozen

_VARIABLE = "SSL_CERT_FILE"
_PLACES = (
    "/etc/ssl/cert.pem",  # Alpine, Arch, older Fedoras
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",  # SUSE
)


def trust_certificates() -> None:
    """Take those that came along, unless the system or the user has some."""
    if not is_frozen():
        return
    import ssl

    if ssl.get_default_verify_paths().cafile or any(Path(place).exists() for place in _PLACES):
        return
    import certifi

    os.environ.setdefault(_VARIABLE, certifi.where())
