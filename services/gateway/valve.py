"""Precision as a valve: before a request is refused for overload, a faster variant of the same release may answer it.

Only where the caller says so or the operator does, never for one who named the variant, and only by variants that
passed the gate, whose answers are as good within its margin. For a while all who may then go there: variants share a
machine, and with both at work half as much was answered in time as by the slower one alone (two cores).
"""

from __future__ import annotations

from collections.abc import Iterable

from services.catalogue import ServedVariant
from services.gateway.tensors import InferRequest

HEADER = "x-variant"
ANY = "any"
# How long the faster ones take over; each time after it the slower one fills its queue again.
RELIEF_S = 2.0


def allows_any_variant(request: InferRequest, version: str, *, is_allowed_for_all: bool) -> bool:
    """Say whether another variant than that of `version` may answer a request which means that one."""
    if request.version == version:
        return False
    return request.any_variant or is_allowed_for_all or request.caller.header(HEADER) == ANY


def list_faster(variant: ServedVariant, served: Iterable[ServedVariant]) -> list[ServedVariant]:
    """List what may stand in for a variant, by the speeds measured at release, the slowest first."""
    manifest = variant.manifest
    faster = [
        other
        for other in served
        if (other.model, other.manifest.release) == (variant.model, manifest.release)
        and other.manifest.gate.passed
        and other.manifest.max_rows >= manifest.max_rows
        and other.manifest.speed.rows_per_s > manifest.speed.rows_per_s
    ]
    return sorted(faster, key=lambda other: other.manifest.speed.rows_per_s)
