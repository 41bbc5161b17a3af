"""OIP REST calls for open loops: as many connections as there are calls under way."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import monotonic
from urllib.parse import unquote

import aiohttp

from loadtests.generate.lean_grpc import CONNECTION_LOST, EXPIRED, OK, CallError, OnEnd
from services.client.rest_wire import RestBody
from services.client.tls import NO_TLS, Tls

MOST_CHARACTERS = 400


class RestChannel:
    """A session of one server at `url`; all but `call_now` is for the thread of its event loop."""

    def __init__(self, url: str, tls: Tls = NO_TLS, headers: Mapping[str, str] | None = None) -> None:
        self._url, self._tls = url, tls
        self._headers = headers or {}
        self._calls: set[asyncio.Task[None]] = set()

    async def connect(self) -> None:
        """Open the session; connections are made by calls, and kept."""
        self._loop = asyncio.get_running_loop()
        context = self._tls.make_context() if self._url.startswith("https:") else True
        connector = aiohttp.TCPConnector(limit=0, ssl=context, loop=self._loop)
        self._session = aiohttp.ClientSession(connector=connector, headers=self._headers)

    def call(self, path: str, message: RestBody, timeout_s: float, on_end: OnEnd) -> None:
        """Start a call; its end is told as `LeanChannel` does, by gRPC's names or `HTTP <status>`."""
        task = self._loop.create_task(self._tell_end(path, message, timeout_s, on_end))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    def call_now(self, path: str, message: RestBody, timeout_s: float, on_end: OnEnd) -> None:
        """Start a call from another thread."""
        self._loop.call_soon_threadsafe(self.call, path, message, timeout_s, on_end)

    async def ask(self, path: str, message: RestBody, timeout_s: float) -> bytes:
        """Make a call and wait for its answer.

        Raises:
            CallError: it failed.
            ConnectionError: nobody listens there.
        """
        status, answer = await self._call(path, message, timeout_s)
        if status == CONNECTION_LOST:
            raise ConnectionError(f"no server answers at {self._url}: {answer.decode()}")
        if status != OK:
            raise CallError(f"{status}: {unquote(answer.decode(errors='replace'))[:MOST_CHARACTERS]}")
        return answer

    async def aclose(self) -> None:
        for task in self._calls:
            task.cancel()
        await self._session.close()

    async def _tell_end(self, path: str, message: RestBody, timeout_s: float, on_end: OnEnd) -> None:
        status, answer = await self._call(path, message, timeout_s)
        on_end(status, answer, monotonic())

    async def _call(self, path: str, message: RestBody, timeout_s: float) -> tuple[str, bytes]:
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
