"""TLS on a caller's side: whom it trusts, and by which certificate it shows who it is."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

_SCHEME = "https://"


@dataclass(frozen=True, kw_only=True)
class Tls:
    """PEM files: `ca` has the authorities that are trusted (else the system's); `certificate` and `key` show who calls.

    Any of them makes a connection one by TLS; so does an address that begins with https://.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("--tls-cert and --tls-key show who calls together; one of them is missing")

    def is_wanted(self, url: str) -> bool:
        """Whether a connection to host:port, with or without https:// before it, is one by TLS."""
        return url.startswith(_SCHEME) or self.ca is not None or self.certificate is not None

    def strip_scheme(self, url: str) -> str:
        """Leave host:port."""
        return url.removeprefix(_SCHEME)

    def open_channel(self, library: Any, url: str, options: Sequence[tuple[str, Any]] = (), host: str = "") -> Any:
        """Open a gRPC channel of `grpc` or `grpc.aio` to host:port, with or without https:// before it.

        `host` is by which name the server is called there, and which its certificate must have, where it is another.

        Raises:
            OSError: a file cannot be read.
        """
        address = self.strip_scheme(url)
        if host:
            options = (*options, ("grpc.default_authority", host), ("grpc.ssl_target_name_override", host))
        if not self.is_wanted(url):
            return library.insecure_channel(address, options=options)
        pem = [None if path is None else path.read_bytes() for path in (self.ca, self.key, self.certificate)]
        return library.secure_channel(address, grpc.ssl_channel_credentials(*pem), options=options)

    def make_context(self) -> ssl.SSLContext:
        """Make the context of a REST client.

        Raises:
            OSError: a file cannot be read, or is no PEM.
        """
        context = ssl.create_default_context(cafile=self.ca)
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        return context


NO_TLS = Tls()
