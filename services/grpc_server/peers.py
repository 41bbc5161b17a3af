"""Who is at the other end of a connection."""

from __future__ import annotations

import asyncio
import ssl

from cryptography import x509


def read_subject(transport: asyncio.BaseTransport) -> str:
    """Read the subject of the certificate that a peer has proven to own, as RFC 4514 writes it; '' without one.

    A certificate without a subject, as SPIFFE has them, is known by its first alternative name.
    """
    secured: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    encoded = None if secured is None else secured.getpeercert(binary_form=True)
    if encoded is None:
        return ""
    certificate = x509.load_der_x509_certificate(encoded)
    subject = certificate.subject.rfc4514_string()
    if subject:
        return subject
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ""
    return next((f"{type(name).__name__}={name.value}" for name in names), "")
