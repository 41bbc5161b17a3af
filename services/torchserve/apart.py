"""The gateway's side of an engine apart: TorchServe runs in another process or container of this machine.

Only where it is started differs. Models, workers, warm-up, restarts and the end are the gateway's matter as before, so
an engine holds nothing of a gateway that has gone: the pipe that its guard watches is the gateway's own (engine.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
from pathlib import Path
from typing import Any

from services.torchserve.command import StartError
from services.torchserve.engine_folder import KIND, MESSAGE_BYTES, SOCKET_NAME, check_folder
from services.torchserve.handover import hand_over
from services.torchserve.launching import Launch
from services.torchserve.run_folder import RunFolder

ANSWER_S = 10.0
_CREDENTIALS = struct.Struct("3i")


class ApartRun:
    """A TorchServe that an engine apart runs for this process."""

    def __init__(
        self,
        output: asyncio.StreamReader,
        life: int,
        folder: RunFolder,
        engine: socket.socket,
        root: int | None,
    ) -> None:
        """`life` is the end of the pipe that keeps it alive."""
        self.output = output
        self.root = root
        self.ended: str | None = None
        self._life: int | None = life
        self._folder = folder
        self._watching = asyncio.create_task(self._watch(engine))

    async def wait(self) -> None:
        await asyncio.shield(self._watching)

    def end(self) -> None:
        if self._life is not None:
            os.close(self._life)
            self._life = None

    async def _watch(self, engine: socket.socket) -> None:
        said = b""
        with engine, contextlib.suppress(OSError):
            said = await asyncio.get_running_loop().sock_recv(engine, MESSAGE_BYTES)
        self.ended = f"status {json.loads(said)['status']}" if said else "its engine, which is gone"
        self.end()  # without an engine its guard may be alive
        self._folder.remove()  # or dead


class Apart:
    """Launches by the engine of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()

    def create_folder(self) -> RunFolder:
        check_folder(self._folder)
        return RunFolder.create(self._folder)

    async def launch(self, launch: Launch) -> ApartRun:
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._ask(launch)
        except (OSError, EOFError, ValueError) as error:
            raise StartError(f"the engine at {self._folder} did not answer: {error or type(error).__name__}") from None

    async def _ask(self, launch: Launch) -> ApartRun:
        with contextlib.ExitStack() as on_failure:
            engine = await self._connect()
            on_failure.callback(engine.close)
            their_life, life = os.pipe()
            on_failure.callback(os.close, life)
            output, their_output = os.pipe()
            pipe = on_failure.enter_context(os.fdopen(output, "rb"))
            try:
                hand_over(engine, launch.model_dump(mode="json"), (their_life, their_output, their_output))
            finally:
                os.close(their_life)
                os.close(their_output)
            said = json.loads(await asyncio.get_running_loop().sock_recv(engine, MESSAGE_BYTES))
            if "refused" in said:
                raise StartError(f"the engine at {self._folder} refuses: {said['refused']}")
            reader = asyncio.StreamReader()
            loop = asyncio.get_running_loop()
            await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
            on_failure.pop_all()
        return ApartRun(reader, life, RunFolder(launch.folder), engine, _find_root(engine, said))

    async def _connect(self) -> socket.socket:
        engine = socket.socket(socket.AF_UNIX, KIND)
        engine.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(engine, str(self._folder / SOCKET_NAME))
        except OSError as error:
            engine.close()
            raise StartError(
                f"no engine answers at {self._folder} ({error.strerror}); `serve engine {self._folder}` is one"
            ) from None
        return engine


def _find_root(engine: socket.socket, said: dict[str, Any]) -> int | None:
    """Find TorchServe's process, if the engine's processes have the same numbers here as where it runs."""
    credentials = engine.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process, _, _ = _CREDENTIALS.unpack(credentials)
    return said["process"] if process == said["engine"] else None
