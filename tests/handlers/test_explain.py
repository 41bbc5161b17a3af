"""What the explaining process answers where nothing can be explained."""

from __future__ import annotations

import numpy as np
import pytest

from handlers.differentiable import AttributionError
from handlers.explain import Explainer
from model_store.open_inference import messages
from services.gateway.packing import pack_requests
from services.gateway.tensors import InferRequest, NamedTensor


class NoReasons:
    def __init__(self, error):
        self._error = error

    def explain(self, inputs, parameters):
        raise self._error


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (AttributionError("it has no gradients"), "it has no gradients"),
        (
            ModuleNotFoundError("No module named 'captum'", name="captum"),
            "this server cannot explain: captum is not installed beside it",
        ),
    ],
)
def test_the_caller_learns_why_there_is_no_explanation(error, why):
    explainer = Explainer.__new__(Explainer)
    explainer._reasons, explainer._names = NoReasons(error), ("net", "1-eager")
    rows = NamedTensor("x", "FP32", (2, 1), np.zeros(2, np.float32).tobytes())
    answer = explainer.answer(pack_requests([InferRequest("net", "", "", [rows])]))
    response = messages().ModelInferResponse.FromString(answer)
    assert why in str(response)
