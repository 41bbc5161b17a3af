"""Parameters of a request that are for the server, not for its model, named as Triton names them."""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic
from typing import Any

from model_store.parameters import ParameterError, check_parameter
from services.gateway.errors import InvalidRequestError
from services.gateway.tensors import InferRequest
from services.gateway.valve import ANY

# Rules as manifests have them; see model_store/parameters.py.
CALL_PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "timeout": {
        "name": "timeout",
        "kind": "int64",
        "meaning": "microseconds that the answer may take",
        "minimum": 1,
    },
    "priority": {
        "name": "priority",
        "kind": "int64",
        "meaning": "1 is the most urgent, 0 means the default, which is 2",
        "minimum": 0,
    },
    "variant": {
        "name": "variant",
        "kind": "string",
        "meaning": "whether a faster variant may answer if this one is overloaded",
        "choices": (ANY,),
    },
    "provenance": {
        "name": "provenance",
        "kind": "bool",
        "meaning": "whether the answer names its release's digest, its variant and its seed",
    },
    "triton_enable_empty_final_response": {
        "name": "triton_enable_empty_final_response",
        "kind": "bool",
        "meaning": "of streams; perf_analyzer sends it with every call",
    },
    "cache": {
        "name": "cache",
        "kind": "bool",
        "meaning": "false: the answer is computed, not one that was kept",
    },
}


def apply_call_parameters(request: InferRequest) -> None:
    """Take them out of a request and obey them.

    Raises:
        InvalidRequestError: one of them is not of its kind or out of its range.
    """
    given: dict[str, Any] = {}
    for name in CALL_PARAMETERS.keys() & request.parameters.keys():
        given[name] = request.parameters.pop(name)
        try:
            check_parameter(given[name], CALL_PARAMETERS[name])
        except ParameterError as error:
            raise InvalidRequestError(str(error)) from None
    if "timeout" in given:
        request.deadline_s = monotonic() + given["timeout"] / 1e6
    request.priority = given.get("priority", 0)
    request.any_variant = "variant" in given
    request.wants_provenance = given.get("provenance", False)
    request.may_cache = given.get("cache", True)
