"""Processes that explain answers, each started when somebody asks for its model and ended when nobody does any more.

They run what lies in the archive of a release's eager variant: only an exported program has gradients.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog

from model_store.release import Release, UnknownReleaseError
from services.gateway.errors import InternalError, InvalidRequestError, OverloadedError

logger = structlog.get_logger("explaining")

VARIANT = "eager"
IDLE_S = 120.0
START_S = 180.0
ANSWER_S = 60.0
# Who waits longer than some seconds has gone: explanations are for a person who looks.
MAX_WAITING = 4
_MODULE = "handlers.explain"
_SIGNAL_MODULE = "handlers.signal_attribution"  # came later
_LENGTH_BYTES = 4


class Explanations:
    """One process for each release that somebody asks about."""

    def __init__(self, idle_s: float = IDLE_S) -> None:
        self._idle_s = idle_s
        self._processes: dict[tuple[str, int], _Process] = {}

    async def explain(self, release: Release, request: bytes) -> bytes:
        """Send a serialized ModelInferRequest to the release's process and return its serialized answer.

        Raises:
            InvalidRequestError: the release cannot be explained.
            OverloadedError: others wait already.
            InternalError: the process broke.
        """
        key = (release.model, release.number)
        process = self._processes.get(key)
        if process is None:
            process = self._processes[key] = _Process(_find_archive(release), f"{release.model} {release.number}")
        try:
            return await process.ask(request)
        except (OSError, EOFError, TimeoutError) as error:
            await process.end()
            raise InternalError("the explanation failed; the server's log has the cause", cause=repr(error)) from None
        finally:
            if not process.num_waiting:
                process.end_later(self._idle_s)

    async def close(self) -> None:
        await asyncio.gather(*(process.end() for process in self._processes.values()))


def _find_archive(release: Release) -> Path:
    if importlib.util.find_spec("torch") is None:
        raise InvalidRequestError("this server cannot explain: torch is not installed beside it")
    try:
        archive = release.archive_path(VARIANT)
    except UnknownReleaseError as error:
        raise InvalidRequestError(f"explanations need the variant {VARIANT}: {error}") from None
    if release.manifests[VARIANT].target.device != "cpu":
        raise InvalidRequestError(
            f"{release.model} release {release.number} was released for GPUs, and explanations are computed on the "
            "CPU: release it with --device cpu too, and ask that one"
        )
    takes_signals = any(tensor.name == "signal" for tensor in release.manifests[VARIANT].inputs)
    module = _SIGNAL_MODULE if takes_signals else _MODULE
    with zipfile.ZipFile(archive) as packed:
        if f"{module.replace('.', '/')}.py" not in packed.namelist():
            raise InvalidRequestError(
                f"{release.model} release {release.number} is from before its answers could be explained; release it "
                "again"
            )
    return archive


class _Process:
    """One process, started by the first question."""

    def __init__(self, archive: Path, name: str) -> None:
        self._archive = archive
        self._name = name
        self._turn = asyncio.Lock()
        self._folder: TemporaryDirectory[str] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._ending: asyncio.TimerHandle | None = None
        self.num_waiting = 0

    async def ask(self, request: bytes) -> bytes:
        if self.num_waiting >= MAX_WAITING:
            raise OverloadedError(f"{self.num_waiting} explanations wait already; ask again in a few seconds")
        self.num_waiting += 1
        if self._ending is not None:
            self._ending.cancel()
        try:
            async with self._turn:
                return await self._exchange(request)
        finally:
            self.num_waiting -= 1

    async def _exchange(self, request: bytes) -> bytes:
        process, limit_s = self._process, ANSWER_S
        if process is None or process.returncode is not None:
            process, limit_s = await self._start(), ANSWER_S + START_S
            self._process = process
        assert process.stdin is not None
        assert process.stdout is not None
        async with asyncio.timeout(limit_s):
            process.stdin.write(len(request).to_bytes(_LENGTH_BYTES, "little") + request)
            await process.stdin.drain()
            head = await process.stdout.readexactly(_LENGTH_BYTES)
            return await process.stdout.readexactly(int.from_bytes(head, "little"))

    async def _start(self) -> asyncio.subprocess.Process:
        logger.info("starting a process that explains", release=self._name)
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="millrace-explain-")
            await asyncio.to_thread(_unpack, self._archive, self._folder.name)
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", _MODULE, self._folder.name),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=self._folder.name,
            env=_environment(os.environ, self._folder.name),
        )

    def end_later(self, idle_s: float) -> None:
        loop = asyncio.get_running_loop()
        self._ending = loop.call_later(idle_s, lambda: loop.create_task(self.end()))

    async def end(self) -> None:
        """End the process and remove what it ran; another question starts it anew."""
        if self._ending is not None:
            self._ending.cancel()
        process, self._process = self._process, None
        folder, self._folder = self._folder, None
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.wait()
        if folder is not None:
            folder.cleanup()


def _unpack(archive: Path, folder: str) -> None:
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)


def _environment(own: Mapping[str, str], folder: str) -> dict[str, str]:
    """Let it find the archive's modules before any other, and take one core from the workers, not all."""
    return {**own, "PYTHONPATH": folder, "OMP_NUM_THREADS": "1"}
