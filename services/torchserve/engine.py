"""An engine apart: runs TorchServe for gateways of the same user that are other processes or containers.

A gateway hands over what it wants with the streams of TorchServe's guard (apart.py): it holds the other end of the pipe
that keeps TorchServe alive and reads what TorchServe prints. So whoever of the two dies, nothing is left running.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import structlog
from pydantic import ValidationError

from services.torchserve.command import StartError
from services.torchserve.engine_folder import KIND, MESSAGE_BYTES, SOCKET_NAME, check_folder
from services.torchserve.handover import receive
from services.torchserve.launching import Launch, start_guarded
from services.torchserve.run_folder import PREFIX

logger = structlog.get_logger("engine")

RECEIVE_S = 10.0


class Engine:
    """Runs one TorchServe for each gateway that asks, until that has gone."""

    def __init__(self, folder: Path, java: Path, java_heap_mib: int) -> None:
        """Open the socket of a folder, which is made where there is none.

        Raises:
            StartError: the folder is not this user's alone, or has an engine.
        """
        self._folder = folder.absolute()
        self._java, self._java_heap_mib = java, java_heap_mib
        self._listener = _listen(self._folder)
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Answer gateways until cancelled; what runs for them is ended then."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                client, _ = await loop.sock_accept(self._listener)
                task = asyncio.create_task(self._answer(client))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
        finally:
            (self._folder / SOCKET_NAME).unlink(missing_ok=True)
            self._listener.close()
            running = [*self._running]
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _answer(self, client: socket.socket) -> None:
        with client:
            client.settimeout(RECEIVE_S)
            try:
                process = await self._start(client)
            except (OSError, ValueError, StartError) as error:
                logger.error("refused", why=str(error))
                _say(client, refused=str(error)[: MESSAGE_BYTES // 2])
                return
            logger.info("TorchServe started for a gateway", process=process.pid)
            _say(client, engine=os.getpid(), process=process.pid)
            try:
                status = await process.wait()
            except asyncio.CancelledError:
                process.terminate()  # the guard: it ends all below it first
                await process.wait()
                raise
            logger.info("TorchServe ended", process=process.pid, status=status)
            _say(client, status=status)

    async def _start(self, client: socket.socket) -> asyncio.subprocess.Process:
        request, streams = await asyncio.to_thread(receive, client)
        try:
            launch = Launch.model_validate(request)
            if launch.folder.parent != self._folder or not launch.folder.is_dir():
                raise StartError(
                    f"it sees no folder {launch.folder} in its own, {self._folder}; "
                    "both have to see the same one at the same path"
                )
            stdin, stdout, stderr = streams
            return await start_guarded(launch, self._java, self._java_heap_mib, (stdin, stdout, stderr))
        except ValidationError as error:
            raise StartError(f"its gateway is of another version than itself: {error}") from None
        finally:
            for stream in streams:
                os.close(stream)


def _listen(folder: Path) -> socket.socket:
    """Open the engine's socket in its folder, where nothing is left of an engine that was killed."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    check_folder(folder)
    path = folder / SOCKET_NAME
    with socket.socket(socket.AF_UNIX, KIND) as other:
        if other.connect_ex(str(path)) == 0:
            raise StartError(f"{folder} has an engine already; name another folder, or end that one")
    path.unlink(missing_ok=True)
    for left in folder.glob(f"{PREFIX}*"):
        shutil.rmtree(left, ignore_errors=True)
    listener = socket.socket(socket.AF_UNIX, KIND)
    listener.setblocking(False)
    listener.bind(str(path))
    listener.listen(8)
    return listener


def _say(client: socket.socket, **what: Any) -> None:
    with contextlib.suppress(OSError):  # the gateway has gone, or reads no more
        client.send(json.dumps(what).encode())
