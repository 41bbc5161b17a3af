"""Every call that fails, for whatever reason, ends with a status of errors.py's table and a request id."""

from __future__ import annotations

from typing import cast

import structlog

from model_store.open_inference import INFER_PATH
from services.gateway.core import Gateway
from services.gateway.errors import (
    SERVER_FAILED,
    BodyTooLargeError,
    DeadlineError,
    GatewayError,
    InternalError,
    InvalidRequestError,
    OverloadedError,
    UnknownPathError,
    UnsupportedEncodingError,
    status_of,
)
from services.gateway.tensors import InferRequest
from services.grpc_server import CallContext, CallError, Proceed
from services.grpc_server.errors import (
    BusyReceivingError,
    DeadlineExceededError,
    MalformedMessageError,
    MessageTooLargeError,
    NotGrpcError,
    RefusedError,
    ScreenedError,
    UnknownMethodError,
    UnsupportedCompressionError,
)

logger = structlog.get_logger("gateway")

# What the transport refuses, as errors of ours; the advice is for callers, who do not know the transport's limits.
_REFUSALS: dict[type[RefusedError], tuple[type[GatewayError], str]] = {
    UnknownMethodError: (UnknownPathError, "; server reflection lists what there is"),
    NotGrpcError: (UnsupportedEncodingError, "; REST has another port"),
    MessageTooLargeError: (
        BodyTooLargeError,
        ": send fewer rows at once, or have the server's MILLRACE_MAX_BODY_MIB raised",
    ),
    MalformedMessageError: (InvalidRequestError, ""),
    UnsupportedCompressionError: (UnsupportedEncodingError, ""),
    BusyReceivingError: (OverloadedError, ""),
    DeadlineExceededError: (DeadlineError, "; allow more time, or send less at once"),
}


class ErrorAnswers:
    """Interceptor: turns what a call raises into a status and a text that a caller may know."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def __call__(self, context: CallContext, proceed: Proceed) -> None:
        try:
            await proceed()
        except GatewayError as error:
            raise make_call_error(error, context) from None
        except ScreenedError as refusal:
            known = cast(GatewayError, refusal.reason)
            if context.path == INFER_PATH:
                record_refusal(self._gateway, context, known)
            raise make_call_error(known, context) from None
        except RefusedError as refusal:
            kind, advice = _REFUSALS[type(refusal)]
            known = kind(f"{refusal}{advice}")
            if context.path == INFER_PATH and kind is not DeadlineError:  # the core counts those that reach it
                record_refusal(self._gateway, context, known)
            raise make_call_error(known, context, refusal.http_status) from None
        except Exception:
            logger.exception("a call broke the gateway", request=context.request_id, path=context.path)
            raise make_call_error(InternalError(SERVER_FAILED), context) from None


def record_refusal(gateway: Gateway, context: CallContext, error: GatewayError) -> None:
    """Count and log an inference that was refused before its contents were known."""
    request = InferRequest("", "", context.request_id, [], protocol="grpc", caller=context)
    gateway.journal.refuse_early(request, error)


def make_call_error(error: GatewayError, context: CallContext, http_status: int = 200) -> CallError:
    """Make what ends a call; what its caller may obey goes into the trailing metadata."""
    if isinstance(error, OverloadedError) and error.retry_after_s is not None:
        milliseconds = max(1, round(1e3 * error.retry_after_s))
        # What gRPC's own retry policies obey. Source: proposal A6 of grpc/proposal.
        context.trailing_metadata.append((b"grpc-retry-pushback-ms", str(milliseconds).encode()))
    return CallError(status_of(error).grpc, f"{error} (request {context.request_id})", http_status)
