"""TLS for the REST and gRPC ports: certificates that are renewed while they are used, callers that have their own."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

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

    def load_context(self, protocol: str) -> ssl.SSLContext:
        """Load the files for connections that speak `protocol`, by its ALPN name.

        With authorities a caller may prove by a certificate who it is; access.py asks those who do not for a key, since
        probes have neither.

        Raises:
            TlsError: a file is missing or no PEM, or certificate and key do not belong together.
        """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols([protocol])
        try:
            context.load_cert_chain(self.certificate, self.key)
        except OSError as error:  # ssl.SSLError is one
            raise TlsError(
                f"TLS cannot use {self.certificate} with {self.key}: {error.strerror or error}; --tls-cert takes a PEM "
                "chain, --tls-key its PEM key without a password"
            ) from None
        if self.client_authorities is None:
            return context
        context.verify_mode = ssl.CERT_OPTIONAL
        try:
            context.load_verify_locations(self.client_authorities)
        except OSError as error:
            raise TlsError(
                f"TLS cannot use {self.client_authorities}: {error.strerror or error}; --tls-client-ca takes PEM "
                "certificates of authorities"
            ) from None
        return context

    def look(self) -> list[tuple[int, int, int] | None]:
        """What shows that a file has been replaced."""
        return [stamp_of(path) for path in (self.certificate, self.key, self.client_authorities) if path is not None]


class PortContext(ssl.SSLContext):
    """The context of a listening port, which gives each new connection the newest of its contexts.

    Servers keep the one that they were started with, and one that has been used forgets nothing: neither an authority
    nor the sessions that its callers may resume.
    """

    alpn: str
    newest: ssl.SSLContext

    @classmethod
    def open(cls, files: TlsFiles, protocol: str) -> PortContext:
        """Load the files for the first time; raises as TlsFiles does."""
        context = cls(ssl.PROTOCOL_TLS_SERVER)
        context.alpn, context.newest = protocol, files.load_context(protocol)
        return context

    def wrap_bio(self, *args: Any, **named: Any) -> ssl.SSLObject:
        """Begin a connection, as asyncio and uvloop do."""
        return self.newest.wrap_bio(*args, **named)


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
    """Keeps ports that are open at what the files say; connections that are open keep what they have."""

    def __init__(self, files: TlsFiles, ports: Sequence[PortContext]) -> None:
        self._files = files
        self._ports = ports
        self._seen = files.look()

    def refresh(self) -> bool:
        """Load the files again if they have changed and fit together, for all ports or none; say whether they were."""
        seen = self._files.look()
        if seen == self._seen:
            return False
        try:
            loaded = [self._files.load_context(port.alpn) for port in self._ports]
        except TlsError as error:  # certificate and key are replaced one after the other
            self._seen = seen
            logger.error(
                "a renewed certificate cannot be used; the one before is, until the files change", why=str(error)
            )
            return False
        if self._files.look() != seen:  # meanwhile: the ports may have got different ones
            return False
        self._seen = seen
        for port, context in zip(self._ports, loaded, strict=True):
            port.newest = context
        logger.info("a renewed certificate is used for new connections", file=str(self._files.certificate))
        return True
