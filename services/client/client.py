"""`Client` and `AsyncClient`: the same operations over gRPC, one blocking, one for asyncio."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, ClassVar, Generic, ParamSpec, TypeVar, overload

import grpc

from model_store.open_inference import SERVICE, STREAM_INFER_PATH
from model_store.settings import DEFAULT_GRPC_PORT
from services.client.beamforming import beamform
from services.client.classification import classify
from services.client.credentials import make_headers
from services.client.errors import ClientError, make_error
from services.client.generation import generate, interpolate
from services.client.inference import infer, is_ready, metadata, wait_ready
from services.client.steps import Call, Following, Pause, Steps
from services.client.tls import NO_TLS, Tls
from services.client.translation import translate, translate_stream

T = TypeVar("T")
P = ParamSpec("P")

# Triton's: what fails in a stream ends it with a status, which a message inside it has none of.
_STATUS_OF_STREAMS = (("triton_grpc_error", "true"),)
CHANNEL_OPTIONS = (("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1))

# What gRPC says of a connection that failed, and what it means to a caller.
_FAILED_CONNECTIONS = {
    "CERTIFICATE_VERIFY_FAILED": "shows a certificate of no authority that is trusted; give the authority's PEM file "
    "as --tls-ca (MILLRACE_TLS_CA)",
    "Hostname Verification": "shows a certificate for another host; call it by a name that the certificate has",
    "WRONG_VERSION_NUMBER": "speaks no TLS; leave out https:// and the options of TLS",
    "Socket closed": "closed the connection: where it speaks TLS, write https:// before the address or give --tls-ca; "
    "where it asks for certificates, give --tls-cert and --tls-key",
}


class Operation(Generic[P, T]):
    """Make an operation a method of both clients: blocking in `Client`, awaitable in `AsyncClient`."""

    def __init__(self, start: Callable[P, Steps[T]]) -> None:
        self.start = start

    @overload
    def __get__(self, client: Client, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: AsyncClient, owner: type) -> Callable[P, Awaitable[T]]: ...
    @overload
    def __get__(self, client: None, owner: type) -> Callable[P, Steps[T]]: ...
    def __get__(self, client: Client | AsyncClient | None, owner: type) -> Callable[P, Any]:
        if client is None:
            return self.start

        @functools.wraps(self.start)
        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.perform(self.start(*args, **kwargs))

        return method


class Stream(Generic[P, T]):
    """Make a stream of answers a method of both clients: an iterator of `Client`, an async one of `AsyncClient`."""

    def __init__(self, start: Callable[P, Following[T]]) -> None:
        self.start = start

    @overload
    def __get__(self, client: Client, owner: type) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, client: AsyncClient, owner: type) -> Callable[P, AsyncIterator[T]]: ...
    @overload
    def __get__(self, client: None, owner: type) -> Callable[P, Following[T]]: ...
    def __get__(self, client: Client | AsyncClient | None, owner: type) -> Callable[P, Any]:
        if client is None:
            return self.start

        @functools.wraps(self.start)
        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.follow(self.start(*args, **kwargs))

        return method


class Operations:
    """Everything a client can do; a model with an operation of its own adds one line."""

    _library: ClassVar[Any]  # `grpc` or `grpc.aio`

    infer = Operation(infer)
    metadata = Operation(metadata)
    is_ready = Operation(is_ready)
    wait_ready = Operation(wait_ready)
    beamform = Operation(beamform)
    classify = Operation(classify)
    translate = Operation(translate)
    translate_stream = Stream(translate_stream)
    generate = Operation(generate)
    interpolate = Operation(interpolate)

    def __init__(
        self,
        url: str = "localhost:8001",
        *,
        timeout_s: float = 30.0,
        api_key: str | None = None,
        tls: Tls = NO_TLS,
        host: str = "",
    ) -> None:
        """Prepare a connection, made on first use; `timeout_s` holds for each call that brings none of its own.

        `api_key` is what a server that asks who calls takes; by default that of MILLRACE_API_KEY, '' = none.
        `https://` before host:port, or files in `tls`, make the connection one by TLS. `host` is the name by which an
        edge knows what is called, and which its certificate has, where the address is another.
        """
        if "://" in url.removeprefix("https://"):
            raise ValueError(
                f"{url!r} is no host:port; leave the scheme out (but https:// for TLS) and give the gRPC port, "
                f"{DEFAULT_GRPC_PORT} by default"
            )
        self.url = url
        self.tls = tls
        self.timeout_s = timeout_s
        self._metadata = tuple(make_headers(api_key).items())
        self._channel = tls.open_channel(self._library, url, CHANNEL_OPTIONS, host)

    def _open_stream(self, call: Call) -> Any:
        return self._channel.stream_stream(STREAM_INFER_PATH, None, None)(
            iter([call.body]), timeout=self._timeout_of(call), metadata=self._metadata + _STATUS_OF_STREAMS
        )

    def _timeout_of(self, call: Call) -> float:
        return self.timeout_s if call.timeout_s is None else call.timeout_s

    def _translate(self, error: Any, call: Call) -> ClientError:
        """Turn gRPC's error into the client's; the server's own request id wins over the one that was sent."""
        trailing = dict(error.trailing_metadata() or ())
        message = error.details() or error.code().name.lower()
        if "http1" in message:
            message = (
                f"{self.url} is an HTTP port such as REST has; this client speaks gRPC: give the gRPC port, "
                f"{DEFAULT_GRPC_PORT} unless `serve` says otherwise"
            )
        elif message.startswith("failed to connect"):
            known = [text for words, text in _FAILED_CONNECTIONS.items() if words in message]
            nothing = f"nothing answers at {self.url}; start a server (`serve`) or give another address"
            message = f"{self.url} {known[0]}" if known else nothing
        elif message.startswith("errors resolving"):
            message = f"there is no host of that name: {self.url!r}; give host:port"
        return make_error(error.code().name, message, str(trailing.get("x-request-id") or call.request_id))


class Client(Operations):
    """Call a server and wait for the answer; threads may share one client."""

    _library: ClassVar[Any] = grpc

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def perform(self, steps: Steps[T]) -> T:
        """Run an operation to its end."""
        try:
            wanted = next(steps)
            while True:
                try:
                    answer = self._fulfil(wanted)
                except ClientError as error:
                    wanted = steps.throw(error)
                else:
                    wanted = steps.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result

    def follow(self, following: Following[T]) -> Iterator[T]:
        """Open a stream and read its answers as they come; ending the iteration early ends the work for it."""
        call = following.call
        answers = self._open_stream(call)
        try:
            for answer in answers:
                yield following.read(answer)
        except grpc.RpcError as error:
            raise self._translate(error, call) from None
        finally:
            answers.cancel()

    def _fulfil(self, wanted: Sequence[Call] | Pause) -> list[bytes] | None:
        if isinstance(wanted, Pause):
            time.sleep(wanted.duration_s)
            return None
        futures = [
            self._channel.unary_unary(f"/{SERVICE}/{call.method}", None, None).future(
                call.body, timeout=self._timeout_of(call), metadata=self._metadata
            )
            for call in wanted
        ]
        try:
            return [self._read_result(future, call) for future, call in zip(futures, wanted, strict=True)]
        finally:
            for future in futures:
                future.cancel()

    def _read_result(self, future: Any, call: Call) -> bytes:
        try:
            answer: bytes = future.result()
            return answer
        except grpc.RpcError as error:
            raise self._translate(error, call) from None


class AsyncClient(Operations):
    """Call a server from asyncio; use it in one event loop."""

    _library: ClassVar[Any] = grpc.aio

    async def close(self) -> None:
        await self._channel.close(None)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def perform(self, steps: Steps[T]) -> T:
        """Run an operation to its end."""
        try:
            wanted = next(steps)
            while True:
                try:
                    answer = await self._fulfil(wanted)
                except ClientError as error:
                    wanted = steps.throw(error)
                else:
                    wanted = steps.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result

    async def follow(self, following: Following[T]) -> AsyncIterator[T]:
        """Open a stream and read its answers as they come; ending the iteration early ends the work for it."""
        call = following.call
        answers = self._open_stream(call)
        try:
            async for answer in answers:
                yield following.read(answer)
        except grpc.aio.AioRpcError as error:
            raise self._translate(error, call) from None
        finally:
            answers.cancel()

    async def _fulfil(self, wanted: Sequence[Call] | Pause) -> list[bytes] | None:
        if isinstance(wanted, Pause):
            await asyncio.sleep(wanted.duration_s)
            return None
        return await asyncio.gather(*(self._await_answer(call) for call in wanted))

    async def _await_answer(self, call: Call) -> bytes:
        pending = self._channel.unary_unary(f"/{SERVICE}/{call.method}", None, None)(
            call.body, timeout=self._timeout_of(call), metadata=self._metadata
        )
        try:
            answer: bytes = await pending
            return answer
        except grpc.aio.AioRpcError as error:
            raise self._translate(error, call) from None
