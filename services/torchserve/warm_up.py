"""Warm-up: the first inferences of a worker, so that no caller pays for them."""

from __future__ import annotations

import asyncio

from model_store.open_inference import messages
from services.catalogue import ServedVariant
from services.example_requests import build_example_requests
from services.gateway.errors import MODEL_FAILED, InternalError
from services.torchserve.predictions import Predictions


async def warm_up(variant: ServedVariant, predictions: Predictions, num_slots: int) -> None:
    """Send example rows, one and then as many as a batch may hold, as many at once as there are slots.

    Raises:
        GatewayError: a call failed, or the handler reported that it broke; `cause` says how.
    """
    for request in build_example_requests(variant, 1, variant.manifest.max_rows):
        calls = (predictions.predict(variant, request) for _ in range(num_slots))
        for answer in await asyncio.gather(*calls):
            response = messages().ModelInferResponse.FromString(answer)
            if "internal_error" in response.parameters:
                said = response.parameters["internal_error"].string_param
                raise InternalError(MODEL_FAILED, cause=f"{variant} broke in its warm-up:\n{said}")
