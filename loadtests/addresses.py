"""Where a server that is tested answers, and what it asks of callers."""

from __future__ import annotations

from dataclasses import dataclass

from services.client.tls import NO_TLS, Tls


def split_address(address: str) -> tuple[str, int]:
    """Split host:port.

    Raises:
        ValueError: it is not such an address.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"{address!r} is no address; expected host:port, such as 10.0.0.5:5557")
    return host, int(port)


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """host:port of gRPC, URLs of REST and of the metrics, which are not by TLS."""

    grpc: str = "localhost:8001"
    http: str = "http://localhost:8000"
    metrics: str = "http://localhost:8002/metrics"
    tls: Tls = NO_TLS
