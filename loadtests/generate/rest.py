"""One call over OIP REST with the binary tensor extension: used to compare REST with gRPC, not to generate load."""

from __future__ import annotations

import json
import urllib.request

import numpy as np

from loadtests.addresses import Addresses
from loadtests.generate.payload import RestBody, make_rest_path
from model_store.tensors import decode_raw
from services.client.credentials import make_headers

HEADER_SIZE = "Inference-Header-Content-Length"


def infer_rest(
    addresses: Addresses, model: str, version: str, request: RestBody, *, timeout_s: float
) -> dict[str, np.ndarray]:
    """Make one call and decode its binary outputs.

    Raises:
        OSError: no server, or an HTTP error status (urllib.error.HTTPError).
        ValueError: the answer is not what the protocol says.
    """
    url = f"{addresses.http}{make_rest_path(model, version)}"
    headers = {"Content-Type": "application/octet-stream", HEADER_SIZE: str(request.json_size), **make_headers()}
    call = urllib.request.Request(url, data=request.body, headers=headers)
    context = addresses.tls.make_context() if url.startswith("https:") else None
    with urllib.request.urlopen(call, timeout=timeout_s, context=context) as response:
        body = memoryview(response.read())
        json_size = int(response.headers[HEADER_SIZE])
    arrays, offset = {}, json_size
    for output in json.loads(bytes(body[:json_size]))["outputs"]:
        size = output["parameters"]["binary_data_size"]
        arrays[output["name"]] = decode_raw(body[offset : offset + size], output["datatype"], tuple(output["shape"]))
        offset += size
    return arrays
