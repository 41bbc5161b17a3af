"""Which requests are equal."""

from __future__ import annotations

import hashlib

from services.gateway.tensors import InferRequest


def digest_request(request: InferRequest, scope: tuple[str, ...] = ()) -> bytes:
    """Hash what a worker sees of a request, and `scope`; not its id, which differs each time.

    Lengths stand before contents: nothing can be cut in another way.
    """
    # True == 1 == 1.0 in Python, but not for a model: hence the types.
    parameters = sorted((name, type(value).__name__, value) for name, value in request.parameters.items())
    head = repr((scope, request.outputs, parameters))
    content = hashlib.blake2b(head.encode("utf-8", "replace"), digest_size=16)
    for tensor in request.inputs:
        content.update(repr((tensor.name, tensor.datatype, tensor.shape, len(tensor.data))).encode())
        content.update(tensor.data)
    return content.digest()
