"""Where a server that is tested answers, and what it asks of callers."""

from __future__ import annotations

from dataclasses import dataclass

from services.client.tls import NO_TLS, Tls


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """host:port of gRPC, URLs of REST and of the metrics, which are not by TLS."""

    grpc: str = "localhost:8001"
    http: str = "http://localhost:8000"
    metrics: str = "http://localhost:8002/metrics"
    tls: Tls = NO_TLS
