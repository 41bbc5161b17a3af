"""What inferences over gRPC have in common."""

from __future__ import annotations

from services.gateway.core import Gateway
from services.gateway.errors import InvalidRequestError
from services.gateway.grpc_errors import record_refusal
from services.gateway.grpc_messages import decode_request
from services.gateway.tensors import InferRequest
from services.grpc_server import CallContext


def read_request(gateway: Gateway, data: bytes, context: CallContext) -> InferRequest:
    """Read a serialized request, with what its call says; one that cannot be read is counted as refused.

    Raises:
        InvalidRequestError: the message is none, or its contents are not as it says.
    """
    try:
        request = decode_request(data)
    except InvalidRequestError as error:
        record_refusal(gateway, context, error)
        raise
    request.protocol = "grpc"
    request.caller = context
    if gateway.edges is not None:
        context.named_by_edge = gateway.edges.find_name(context)
    request.deadline_s = min(request.deadline_s, context.deadline_s)
    return request
