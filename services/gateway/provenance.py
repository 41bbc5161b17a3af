"""Answers that say what they are from: the signed release, the variant and, where chance has a part, the seed."""

from __future__ import annotations

import secrets

from model_store.parameters import ParameterValue
from services.catalogue import ServedVariant
from services.gateway.tensors import InferRequest

SEED = "seed"
# REST: asked for by the first, answered by these beside the answer's own parameters.
HEADER = "millrace-provenance"
HEADER_PREFIX = "millrace-"


def settle_seed(request: InferRequest, variant: ServedVariant) -> None:
    """Draw the seed of a request that leaves it to chance, so that its answer can be had again."""
    if variant.manifest.leaves_to_chance(request.parameters):
        request.parameters[SEED] = secrets.randbits(63)
        request.packed = None  # as the caller sent it, it has none


def describe_provenance(request: InferRequest, variant: ServedVariant) -> dict[str, ParameterValue]:
    """Describe what an answer is from, as parameters of the answer."""
    provenance: dict[str, ParameterValue] = {
        "release_digest": variant.release_digest,
        "variant": variant.manifest.variant,
    }
    if SEED in request.parameters:
        provenance[SEED] = request.parameters[SEED]
    return provenance


def make_headers(provenance: dict[str, ParameterValue]) -> dict[str, str]:
    """Describe the same as headers of HTTP; what would be none (a seed may be any text) stays with the parameters."""
    texts = {name: str(value) for name, value in provenance.items()}
    return {
        f"{HEADER_PREFIX}{name.replace('_', '-')}": text
        for name, text in texts.items()
        if text.isascii() and text.isprintable()
    }
