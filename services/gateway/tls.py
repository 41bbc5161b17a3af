"""TLS for the REST and gRPC ports."""

from __future__ import annotations

import ssl
from pathlib import Path


class TlsError(ValueError):
    """The certificate and its key cannot be used."""


def make_tls_context(certificate: Path | None, key: Path | None, protocol: str) -> ssl.SSLContext:
    """Load a certificate chain and its key (PEM) for a port that speaks `protocol`, by its ALPN name.

    Raises:
        TlsError: a file is missing or no PEM, or the two do not belong together.
    """
    if certificate is None or key is None:
        raise TlsError("--tls-cert and --tls-key (MILLRACE_TLS_CERT, MILLRACE_TLS_KEY) go together; one is missing")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols([protocol])
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:  # ssl.SSLError is one
        why = error.strerror or str(error)
        raise TlsError(
            f"TLS cannot use {certificate} with {key}: {why}; --tls-cert takes a PEM chain, --tls-key its PEM key "
            "without a password"
        ) from None
    return context
