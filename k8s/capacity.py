"""What one worker of a variant can do: the figures that requests, replicas and scaling targets follow from.

They come from a capacity certificate where the release has one, which was measured through a served front door, and
else from the manifest's speed, which was not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from model_store.certificate import Certificate
from model_store.manifest import Manifest
from model_store.release import Release

MIB: Final = 2**20

# Resident sizes of a serving process with one small CPU worker, the CUDA build of torch (proportional set size of the
# worker 430 MB, resident 660 MB; gateway 105 MB, its guard 12 MB; Java 170 MB idle, its heap comes on top).
GATEWAY_BYTES: Final = 128 * MIB
JAVA_BYTES: Final = 192 * MIB
WORKER_BYTES: Final = 704 * MIB
# A worker whose programs onnxruntime runs imports no torch: 86 MB.
ONNX_WORKER_BYTES: Final = 128 * MIB
# A program's constants are held by the file's pages and by the loaded program; activations take the third share.
PROGRAM_COPIES: Final = 3
# A manifest's speed is measured in process; packing, Java and the way back are not in it. An assumption on the careful
# side, not a measurement: only a load test of the served model can say.
SERVED_SHARE: Final = 0.7
# Scaling aims at this share of the measured rate: queues grow without bound towards 1, and a new replica needs time.
TARGET_LOAD: Final = 0.6


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """One worker's measured or estimated limits; it is to be asked for `target_rows_per_s`.

    `beside_bytes` is what the rest of its pod was measured to hold, `startup_s` how long that took to be ready.
    """

    rows_per_s: float
    target_rows_per_s: float
    threads: int
    worker_bytes: int
    max_rows: int
    beside_bytes: int | None = None
    startup_s: float | None = None

    def __post_init__(self) -> None:
        if (
            min(self.rows_per_s, self.target_rows_per_s) <= 0
            or self.threads < 1
            or self.worker_bytes <= 0
            or self.max_rows < 1
        ):
            raise ValueError(f"a capacity is positive in all its figures; got {self}")


def find_capacity(release: Release, variant: str, host_class: str = "") -> Capacity:
    """Find a worker's capacity: of certificates made on different hosts the slowest one's, or that of the named class.

    Raises:
        ValueError: no certificate is of the named host class; says which are.
    """
    manifest = release.manifests[variant]
    known = [certificate for certificate in release.certificates if certificate.variant == variant]
    if host_class:
        hosts = {certificate.host.id: str(certificate.host) for certificate in known}
        known = [certificate for certificate in known if certificate.host.id == host_class]
        if not known:
            made = "; ".join(f"{name} ({host})" for name, host in sorted(hosts.items()))
            raise ValueError(
                f"{release.model} {release.number}-{variant} has no certificate of the host class {host_class!r}; "
                f"it has {made or 'none'}: `loadtest certify` makes one on such a host"
            )
    if not known:
        return estimate_capacity(manifest)
    slowest = min(known, key=lambda certificate: certificate.saturated_rows_per_s / certificate.setup.workers)
    return read_capacity(slowest, manifest)


def read_capacity(certificate: Certificate, manifest: Manifest) -> Capacity:
    """Read a worker's capacity from a certificate: never asked for more than was shown to hold its bound."""
    rows_per_s = certificate.saturated_rows_per_s / certificate.setup.workers
    held = (certificate.rows_per_s or certificate.saturated_rows_per_s) / certificate.setup.workers
    return Capacity(
        rows_per_s=rows_per_s,
        target_rows_per_s=min(TARGET_LOAD * rows_per_s, held),
        threads=certificate.setup.threads,
        worker_bytes=certificate.worker_bytes,
        max_rows=manifest.max_rows,
        beside_bytes=max(0, certificate.node_bytes - certificate.setup.workers * certificate.worker_bytes),
        startup_s=certificate.startup_s,
    )


def estimate_capacity(manifest: Manifest) -> Capacity:
    """Estimate a worker's capacity from the speed that was measured when the variant was released."""
    needs_torch = not all(path.endswith(".onnx") for path in manifest.programs.values())
    rows_per_s = SERVED_SHARE * manifest.speed.rows_per_s
    return Capacity(
        rows_per_s=rows_per_s,
        target_rows_per_s=TARGET_LOAD * rows_per_s,
        threads=manifest.speed.threads,
        worker_bytes=(WORKER_BYTES if needs_torch else ONNX_WORKER_BYTES) + PROGRAM_COPIES * manifest.size_bytes,
        max_rows=manifest.max_rows,
    )
