"""Repeat a recorded request against the signed release that answered it, by the path that requests take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_store.golden import explain_difference
from model_store.open_inference import messages
from model_store.store import Store
from model_store.tensors import decode_raw
from model_store.version import split_version
from services.catalogue import Catalogue, ServedVariant
from services.gateway.core import Gateway
from services.gateway.grpc_messages import decode_request
from services.gateway.readiness import PROTOCOL
from services.gateway.records import Record, RecordError
from services.gateway.settings import GatewaySettings
from services.gateway.tensors import InferRequest
from services.selection import select_variants
from services.torchserve.server import TorchServe
from services.torchserve.settings import TorchServeSettings


@dataclass(frozen=True)
class Judgement:
    """What became of one output: '' as `difference` where it agrees; `tolerance` None where chance is in it."""

    output: str
    tolerance: float | None
    difference: str


def find_release(store: Store, record: Record) -> ServedVariant:
    """Find and verify the variant that a record names.

    Raises:
        RecordError: the store's release of that number is another one.
        UnknownReleaseError, VerificationError: it is not there, or not what a trusted key has signed.
    """
    release, variant_name = split_version(record.version)
    manifest = store.open(record.model, int(release)).manifests[variant_name]
    catalogue = select_variants(store, [f"{record.model}:{release}"], [variant_name], manifest.target.device)
    (variant,) = catalogue.variants
    if variant.release_digest != record.release_digest:
        raise RecordError(
            f"{record.model} release {release} in {store.root} has the digest {variant.release_digest}; the record's "
            f"has {record.release_digest}: give the store that served it"
        )
    return variant


async def answer_again(variant: ServedVariant, record: Record, engine: TorchServeSettings) -> dict[str, np.ndarray]:
    """Start the variant, answer the recorded request, and stop it.

    Raises:
        StartError: it does not start here.
        GatewayError: it refuses the request.
    """
    off: dict[str, Any] = {"record": 0, "cache_mib": 0, "api_keys": None, "tls_client_ca": None, "trace_endpoint": None}
    settings = GatewaySettings(**off)
    torchserve = TorchServe([variant], engine)
    await torchserve.start()
    try:
        answer = await Gateway(Catalogue([variant]), torchserve, settings).infer(rebuild_request(record))
    finally:
        await torchserve.stop()
    return {tensor.name: decode_raw(tensor.data, tensor.datatype, tensor.shape) for tensor in answer.outputs}


def rebuild_request(record: Record) -> InferRequest:
    """Make the recorded request again, for exactly the version that answered it."""
    request = decode_request(record.request)
    request.model, request.version = record.model, record.version
    request.id, request.protocol = record.request_id, PROTOCOL
    return request


def judge(variant: ServedVariant, record: Record, found: Mapping[str, np.ndarray]) -> Iterator[Judgement]:
    """Compare outputs with the recorded ones, each within what is rounding by the release's golden rows.

    An output that the release found different each time can prove nothing. Where a release has no golden rows at all,
    outputs must be equal.
    """
    for output, expected in read_answer(record).items():
        allowed = [golden.tolerance for golden in variant.golden if golden.output == output]
        tolerance = max(allowed, default=None if variant.golden else 0.0)
        if tolerance is None:
            yield Judgement(output, None, "")
        elif output not in found:
            yield Judgement(output, tolerance, f"output {output!r} is missing")
        else:
            difference = explain_difference(f"output {output!r}", found[output], expected, tolerance, "answered")
            yield Judgement(output, tolerance, difference)


def read_answer(record: Record) -> dict[str, np.ndarray]:
    """Read the recorded outputs."""
    response = messages().ModelInferResponse.FromString(record.answer)
    return {
        tensor.name: decode_raw(raw, tensor.datatype, tuple(tensor.shape))
        for tensor, raw in zip(response.outputs, response.raw_output_contents, strict=True)
    }
