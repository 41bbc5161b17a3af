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
    """PEM files: `tls_ca` has the authorities that are trusted (else the system's); the others show who calls.

    Any of them makes a connection one by TLS; so does an address that begins with https://.
    """

    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None

    def __post_init__(self) -> None:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("--tls-cert and --tls-key show who calls together; one of them is missing")

    def wants_tls(self, url: str) -> bool:
        """Say whether an address is to be reached by TLS."""
        return url.startswith(_SCHEME) or self.tls_ca is not None or self.tls_cert is not None

    def open_channel(self, library: Any, url: str, options: Sequence[tuple[str, Any]] = ()) -> Any:
        """Open a gRPC channel of `grpc` or `grpc.aio` to host:port, with or without https:// before it.

        Raises:
            OSError: a file cannot be read.
        """
        address = url.removeprefix(_SCHEME)
        if not self.wants_tls(url):
            return library.insecure_channel(address, options=options)
        pem = [None if path is None else path.read_bytes() for path in (self.tls_ca, self.tls_key, self.tls_cert)]
        return library.secure_channel(address, grpc.ssl_channel_credentials(*pem), options=options)

    def make_context(self) -> ssl.SSLContext:
        """Make the context of a REST client.

        Raises:
            OSError: a file cannot be read, or is no PEM.
        """
        context = ssl.create_default_context(cafile=self.tls_ca)
        if self.tls_cert is not None:
            context.load_cert_chain(self.tls_cert, self.tls_key)
        return context


NO_TLS = Tls()
