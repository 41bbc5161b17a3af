"""ModelStreamInfer as Triton has it: requests in, answers out as they come, each with the id of its request.

Requests of one call are answered at the same time. A request that fails ends with an answer that says why, and the
call goes on; with the header `triton_grpc_error: true` the call ends with its status instead. The parameter
`triton_final_response` marks a request's last answer, which is never empty: callers who enable empty ones need to be
sent none.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from functools import lru_cache

import structlog

from model_store.open_inference import messages
from model_store.protobuf import encode_varint
from services.gateway.core import Gateway
from services.gateway.errors import SERVER_FAILED, GatewayError, InternalError
from services.gateway.grpc_calls import read_request
from services.gateway.grpc_messages import encode_answer
from services.gateway.tensors import InferAnswer, InferRequest
from services.grpc_server import CallContext

logger = structlog.get_logger("gateway")

# Of one call: more requests wait unread, and answers are held back while the caller reads none.
_MAX_REQUESTS = 64
_MAX_UNSENT = 64
_Answers = asyncio.Queue[bytes | GatewayError | None]
_RESPONSE_TAG = b"\x12"  # field 2 of ModelStreamInferResponse, length-delimited


class StreamInfer:
    """The method, on serialized messages."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def answer(self, requests: AsyncIterator[bytes], context: CallContext) -> AsyncGenerator[bytes]:
        """Answer the requests of one call."""
        answers: _Answers = asyncio.Queue(_MAX_UNSENT)
        reading = asyncio.create_task(self._read(requests, context, answers))
        try:
            while (answer := await answers.get()) is not None:
                if isinstance(answer, GatewayError):
                    raise answer
                yield answer
            await reading
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(self, requests: AsyncIterator[bytes], context: CallContext, answers: _Answers) -> None:
        pending: set[asyncio.Task[None]] = set()
        try:
            async for data in requests:
                while len(pending) >= _MAX_REQUESTS:
                    await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                task = asyncio.create_task(self._answer(data, context, answers))
                pending.add(task)
                task.add_done_callback(pending.discard)
            if pending:
                await asyncio.wait(pending)
        except Exception:
            await answers.put(None)  # what has been read is not worth more than what could not be
            raise
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
        await answers.put(None)

    async def _answer(self, data: bytes, context: CallContext, answers: _Answers) -> None:
        request = InferRequest("", "", context.request_id, [])  # of what cannot be read
        try:
            request = read_request(self._gateway, data, context)
            request.id = request.id or self._gateway.new_request_id()
            async with aclosing(self._gateway.stream(request)) as found:
                async for answer in found:
                    await answers.put(_encode(answer))
        except GatewayError as error:
            if _ends_calls(context):
                context.request_id = request.id
                await answers.put(error)
            else:
                await answers.put(_encode_error(request, error))
        except Exception:
            logger.exception("a stream broke the gateway", request=request.id)
            await answers.put(_encode_error(request, InternalError(SERVER_FAILED)))


def _ends_calls(context: CallContext) -> bool:
    return context.header("triton_grpc_error") == "true"


def _encode(answer: InferAnswer) -> bytes:
    # Serialized messages concatenate: the mark goes behind the answer.
    body = encode_answer(answer) + _mark(answer.is_last)
    return b"".join((_RESPONSE_TAG, encode_varint(len(body)), body))


def _encode_error(request: InferRequest, error: GatewayError) -> bytes:
    response = messages().ModelStreamInferResponse(error_message=f"{error} (request {request.id})")
    response.infer_response.MergeFromString(encode_answer(InferAnswer(request.model, request.version, request.id, [])))
    response.infer_response.MergeFromString(_mark(is_final=True))
    data: bytes = response.SerializeToString()
    return data


@lru_cache
def _mark(is_final: bool) -> bytes:
    response = messages().ModelInferResponse()
    response.parameters["triton_final_response"].bool_param = is_final
    data: bytes = response.SerializeToString()
    return data
