"""Settings of the front door."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from model_store.settings import keys_folder
from services.gateway.access import Guard
from services.gateway.keys import KeyFile, KeyRing
from services.gateway.records import RecordFolder, read_key
from services.gateway.tls import PortContext, TlsError, TlsFiles

DEFAULT_RECORDS = Path.home() / ".local" / "state" / "millrace" / "records"


class GatewaySettings(BaseSettings):
    """Read once per process from `MILLRACE_…`; a command-line option overrides the environment."""

    model_config = SettingsConfigDict(env_prefix="MILLRACE_", frozen=True, extra="ignore")

    host: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0 = every network")
    http_port: int = Field(8000, ge=0, le=65535, description="REST; 0 = any free port")
    grpc_port: int = Field(8001, ge=0, le=65535, description="gRPC; 0 = any free port")
    metrics_port: int = Field(8002, ge=0, le=65535, description="Prometheus; 0 = any free port")
    metrics_host: str = Field("", description="address of the metrics port; '' = as the others")
    tls_cert: Path | None = Field(None, description="PEM certificate chain: REST and gRPC by TLS only")
    tls_key: Path | None = Field(None, description="PEM key of the certificate")
    tls_client_ca: Path | None = Field(None, description="PEM authorities: a certificate of theirs lets a caller in")
    api_keys: Path | None = Field(None, description="file of `serve keys`: callers need one of its keys")
    insecure: bool = Field(False, description="listen beyond this machine although nobody is asked who calls")
    trusted_edges: str = Field(
        "",
        description="addresses, networks and certificates' subjects whose word on who calls is taken; ';' between",
    )
    gateways: int = Field(1, ge=1, le=64, description="processes that answer on the REST and gRPC ports")
    max_body_mib: int = Field(64, ge=1, le=1024, description="largest request")
    request_timeout_s: float = Field(60, gt=0, description="limit for a request that brings no deadline")
    max_waiting_rows: int = Field(8192, ge=1, description="rows of a model version that may wait; more are refused")
    max_wait_ms: float = Field(
        10_000, gt=0, description="longest expected wait of a request without a deadline; later ones are refused"
    )
    any_variant: bool = Field(
        False, description="when a version is overloaded, a faster variant answers callers who named none"
    )
    max_calls_per_caller: int = Field(0, ge=0, description="requests of one caller at once; 0 = any number")
    max_batch_rows: int = Field(0, ge=0, description="most rows in a batch; 0 = what the release allows")
    batches_per_worker: int = Field(
        2, ge=1, le=4, description="batches sent to a worker at once; all but the first are full and wait there"
    )
    max_split: int = Field(16, ge=1, description="batches into which one large request may be split")
    max_connection_age_s: float = Field(
        0, ge=0, description="then a gRPC connection takes no more calls, so that callers resolve again; 0 = never"
    )
    drain_delay_s: float = Field(
        0, ge=0, description="from not ready to closing the doors, for load balancers to notice"
    )
    drain_timeout_s: float = Field(30, ge=0, description="longest wait for requests in flight at shutdown")
    routing: Path | None = Field(None, description="YAML file of pins, canaries and shadow copies; followed")
    follow: bool = Field(True, description="serve what comes into the store, and no more what goes")
    keep_replaced: bool = Field(
        True, description="what a release replaced stays loaded until the next, for a rollback at once"
    )
    model_control: bool = Field(False, description="callers may load and unload models")

    trace_endpoint: str | None = Field(None, description="OTLP/HTTP collector, e.g. http://localhost:4318; none = off")
    trace_share: float = Field(0.01, ge=0, le=1, description="of the requests without a trace of their own")
    load_reports: bool = Field(False, description="the load, as ORCA has it, in every answer's headers or trailers")
    slow_factor: float = Field(
        0, ge=0, description="edges are asked to look elsewhere when golden rows take so many times too long; 0 = never"
    )
    drift_rows_per_s: float = Field(10, ge=0, description="rows of a version compared with its training rows; 0 = none")
    grafana_url: str = Field("", description="where the console links to for more than its last 15 minutes")
    cache_mib: int = Field(0, ge=0, description="answers held for equal requests of models that always answer the same")
    record: float = Field(0, ge=0, le=1, description="share of requests that is kept, encrypted, for `serve replay`")
    record_folder: Path = Field(DEFAULT_RECORDS, description="where they are kept")
    record_mib: int = Field(256, ge=1, description="how much of them; the oldest go first")
    record_key: Path | None = Field(None, description="file of their key; default: records.key beside the signing key")
    access_log: bool = Field(False, description="one line for each inference request")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="what is logged besides")

    def share(self) -> GatewaySettings:
        """The settings of each of several gateway processes: its part of what is meant for all of them together.

        A worker may get a batch from each, so that none is idle while rows wait anywhere.
        """
        if self.gateways == 1:
            return self
        whole = {name: getattr(self, name) for name in ("batches_per_worker", "cache_mib", "record_mib")}
        parts = {name: max(1, value // self.gateways) if value else 0 for name, value in whole.items()}
        return self.model_copy(update=parts | {"drift_rows_per_s": self.drift_rows_per_s / self.gateways})

    def open_records(self) -> RecordFolder:
        """Open the folder of records with its key.

        Raises:
            RecordError: the key cannot be used.
        """
        key = read_key(self.record_key or keys_folder() / "records.key")
        return RecordFolder(self.record_folder, key, self.record_mib * 2**20)

    @property
    def tls_files(self) -> TlsFiles | None:
        """The files of TLS; None where it is not wanted.

        Raises:
            TlsError: one of them is not given.
        """
        if self.tls_cert is None and self.tls_key is None and self.tls_client_ca is None:
            return None
        if self.tls_cert is None or self.tls_key is None:
            raise TlsError(
                "--tls-cert and --tls-key (MILLRACE_TLS_CERT, MILLRACE_TLS_KEY) go together, and --tls-client-ca needs "
                "both; one is missing"
            )
        return TlsFiles(certificate=self.tls_cert, key=self.tls_key, client_authorities=self.tls_client_ca)

    def make_tls_context(self, protocol: str) -> PortContext | None:
        """Make the TLS context of a port that speaks `protocol` (ALPN's name); None where TLS is not wanted.

        Raises:
            TlsError: the files cannot be used, or one of them is not given.
        """
        return None if self.tls_files is None else PortContext.open(self.tls_files, protocol)

    def make_guard(self) -> Guard | None:
        """Make what asks callers who they are; None where nobody is asked.

        Raises:
            KeysError: the file of keys cannot be used.
        """
        if not self.asks_callers:
            return None
        return Guard(None if self.api_keys is None else KeyRing(KeyFile(self.api_keys)))

    def check_openness(self) -> None:
        """Refuse to listen to a network that is asked for nothing.

        Raises:
            ValueError: says what to set.
        """
        if self.insecure or is_loopback(self.host) or self.asks_callers:
            return
        raise ValueError(
            f"--host {self.host} opens this server to everybody who can reach it: make a key by `serve keys add NAME` "
            "and give its file as --api-keys, or client certificates' authority as --tls-client-ca, or say --insecure "
            "(MILLRACE_INSECURE=true) where something in front asks who calls"
        )

    @property
    def asks_callers(self) -> bool:
        """Whether callers must show who they are."""
        return self.api_keys is not None or self.tls_client_ca is not None

    @property
    def max_body_bytes(self) -> int:
        return self.max_body_mib * 2**20


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
