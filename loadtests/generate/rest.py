"""One call over OIP REST with the binary tensor extension: used to compare REST with gRPC, not to generate load."""

from __future__ import annotations

import urllib.request

import numpy as np

from loadtests.addresses import Addresses
from loadtests.generate.payload import make_rest_path
from services.client.credentials import make_headers
from services.client.rest_wire import HEADER_SIZE, RestBody, decode_rest_answer


def infer_rest(
    addresses: Addresses, model: str, version: str, request: RestBody, *, timeout_s: float
) -> dict[str, np.ndarray]:
    """Make one call and decode its binary outputs.

    Raises:
        OSError: no server, or an HTTP error status (urllib.error.HTTPError).
        ValueError: the answer is not what the protocol says.
    """
    url = f"{addresses.http}{make_rest_path(model, version)}"
    call = urllib.request.Request(url, data=request.body, headers=request.headers | make_headers())
    context = addresses.tls.make_context() if url.startswith("https:") else None
    with urllib.request.urlopen(call, timeout=timeout_s, context=context) as response:
        return decode_rest_answer(response.read(), int(response.headers[HEADER_SIZE])).arrays
