"""TLS for the REST and gRPC ports: certificates that are renewed while they are used, callers that have their own."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import structlog
from cryptography import x509

from services.gateway.file_stamp import stamp_of

logger = structlog.get_logger("gateway")


class TlsError(ValueError):
    """The certificate and its key, or the authorities, cannot be used."""


@dataclass(frozen=True, kw_only=True)
class TlsFiles:
    """PEM files: a certificate chain, its key, and the authorities that sign callers' certificates."""

    certificate: Path
    key: Path
    client_authorities: Path | None = None

    def make_context(self, protocol: str) -> ssl.SSLContext:
        """Load the files for a port that speaks `protocol`, by its ALPN name.

        With authorities a caller may prove by a certificate who it is; access.py asks those who do not for a key, since
        probes have neither.

        Raises:
            TlsError: a file is missing or no PEM, or certificate and key do not belong together.
        """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols([protocol])
        if self.client_authorities is not None:
            context.verify_mode = ssl.CERT_OPTIONAL
        self.load_into(context)
        return context

    def load_into(self, context: ssl.SSLContext) -> None:
        """Load the files into a context, for connections that come from now on.

        Raises:
            TlsError: as above.
        """
        try:
            context.load_cert_chain(self.certificate, self.key)
        except OSError as error:  # ssl.SSLError is one
            raise TlsError(
                f"TLS cannot use {self.certificate} with {self.key}: {error.strerror or error}; --tls-cert takes a PEM "
                "chain, --tls-key its PEM key without a password"
            ) from None
        if self.client_authorities is None:
            return
        try:
            context.load_verify_locations(self.client_authorities)
        except OSError as error:
            raise TlsError(
                f"TLS cannot use {self.client_authorities}: {error.strerror or error}; --tls-client-ca takes PEM "
                "certificates of authorities"
            ) from None

    def look(self) -> list[tuple[int, int, int] | None]:
        """What shows that a file has been replaced."""
        return [stamp_of(path) for path in (self.certificate, self.key, self.client_authorities) if path is not None]


class NamedCertificate(NamedTuple):
    """The host names of a certificate, and whether nobody but itself vouches for it."""

    names: tuple[str, ...]
    is_self_signed: bool


def read_certificate(path: Path) -> NamedCertificate:
    """Read the first certificate of a PEM file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it has no certificate.
    """
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return NamedCertificate((), certificate.issuer == certificate.subject)
    return NamedCertificate(tuple(found.get_values_for_type(x509.DNSName)), certificate.issuer == certificate.subject)


class Renewal:
    """Keeps contexts that are in use at what the files say; connections that are open keep what they have."""

    def __init__(self, files: TlsFiles, contexts: Sequence[ssl.SSLContext]) -> None:
        self._files = files
        self._contexts = contexts
        self._seen = files.look()

    def refresh(self) -> bool:
        """Load the files again if they have changed and fit together; say whether they were loaded.

        An authority that is no longer in its file is trusted until the next start: OpenSSL forgets none.
        """
        seen = self._files.look()
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            self._files.load_into(
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            )  # certificate and key are replaced one after the other
            for context in self._contexts:
                self._files.load_into(context)
        except TlsError as error:
            logger.error(
                "a renewed certificate cannot be used; the one before is, until the files change", why=str(error)
            )
            return False
        logger.info("a renewed certificate is used for new connections", file=str(self._files.certificate))
        return True
