"""OIP REST calls for open loops, and TorchServe's own: as many connections as there are calls under way."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import monotonic
from typing import Protocol
from urllib.parse import unquote

import aiohttp
from google.protobuf.message import DecodeError

from loadtests.generate.lean_grpc import CONNECTION_LOST, EXPIRED, OK, START_ONE, CallError, OnEnd
from model_store.open_inference import INTERNAL_ERROR, messages
from services.client.tls import NO_TLS, Tls

MOST_CHARACTERS = 400
MODEL_FAILED, UNREADABLE = "MODEL_FAILED", "UNREADABLE"


class Body(Protocol):
    """A prepared request, and what says how it is to be read."""

    @property
    def body(self) -> bytes: ...
    @property
    def headers(self) -> Mapping[str, str]: ...


class RestChannel:
    """A session of one server at `url`; all but `call_now` is for the thread of its event loop."""

    def __init__(self, url: str, tls: Tls = NO_TLS, headers: Mapping[str, str] | None = None) -> None:
        self._url, self._tls = url, tls
        self._headers = headers or {}
        self._calls: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    async def connect(self) -> None:
        """Open the session; connections are made by calls, and kept."""
        self._loop = asyncio.get_running_loop()
        context = self._tls.make_context() if self._url.startswith("https:") else True
        connector = aiohttp.TCPConnector(limit=0, ssl=context, loop=self._loop)
        self._session = aiohttp.ClientSession(connector=connector, headers=self._headers)

    def call(self, path: str, message: Body, timeout_s: float, on_end: OnEnd) -> None:
        """Start a call; its end is told as `LeanChannel` does, by gRPC's names or `HTTP <status>`."""
        task = self._loop.create_task(self._tell_end(path, message, timeout_s, on_end))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    def call_now(self, path: str, message: Body, timeout_s: float, on_end: OnEnd) -> None:
        """Start a call from another thread."""
        self._loop.call_soon_threadsafe(self.call, path, message, timeout_s, on_end)

    async def ask(self, path: str, message: Body, timeout_s: float) -> bytes:
        """Make a call and wait for its answer.

        Raises:
            CallError: it failed.
            ConnectionError: nobody listens there.
        """
        status, answer = await self._call(path, message, timeout_s)
        if status == CONNECTION_LOST:
            raise ConnectionError(f"no server answers at {self._url}: {answer.decode()}; {START_ONE}")
        if status != OK:
            raise CallError(f"{status}: {unquote(answer.decode(errors='replace'))[:MOST_CHARACTERS]}")
        return answer

    async def aclose(self) -> None:
        for task in self._calls:
            task.cancel()
        if self._session is not None:
            await self._session.close()

    async def _tell_end(self, path: str, message: Body, timeout_s: float, on_end: OnEnd) -> None:
        status, answer = await self._call(path, message, timeout_s)
        on_end(status, answer, monotonic())

    async def _call(self, path: str, message: Body, timeout_s: float) -> tuple[str, bytes]:
        assert self._session is not None
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        try:
            async with self._session.post(
                f"{self._url}{path}", data=message.body, headers=message.headers, timeout=timeout
            ) as response:
                answer = await response.read()
                return (OK if response.status == 200 else f"HTTP {response.status}"), answer
        except TimeoutError:
            return EXPIRED, b""
        except (aiohttp.ClientError, OSError) as error:
            return CONNECTION_LOST, str(error).encode()


class TorchServeChannel(RestChannel):
    """TorchServe's own door, asked for what a gateway has its workers answer."""

    async def _call(self, path: str, message: Body, timeout_s: float) -> tuple[str, bytes]:
        status, answer = await super()._call(path, message, timeout_s)
        if status != OK:
            return status, answer
        try:
            response = messages().ModelInferResponse.FromString(answer)
        except DecodeError as error:
            return UNREADABLE, str(error).encode()
        # TorchServe says 200 of a handler that broke, which says so inside.
        return (MODEL_FAILED if INTERNAL_ERROR in response.parameters else OK), answer
