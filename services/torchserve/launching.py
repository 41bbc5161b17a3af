"""How TorchServe is launched: as a child of this process, or by an engine apart (apart.py), under the same guard."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from services.torchserve import guard
from services.torchserve.command import build_command, build_environment
from services.torchserve.java import find_java
from services.torchserve.run_folder import RunFolder


class Launch(BaseModel):
    """What the place where TorchServe runs does not know by itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path
    shared_modules: tuple[str, ...] | None = Field(description="what workers are forked with; None: none is forked")
    threads: int = Field(ge=1, description="of each worker")


class Run(Protocol):
    """A TorchServe that was launched. When it has ended, its processes and its folder are gone."""

    output: asyncio.StreamReader

    @property
    def root(self) -> int | None:
        """The process above all of its own; None where they cannot be seen from here."""

    @property
    def ended(self) -> str | None:
        """How it ended, in words; None while it runs."""

    async def wait(self) -> None:
        """Return when it has ended."""

    def end(self) -> None:
        """Have it end now; calls in flight are lost."""


class Launcher(Protocol):
    """A place where TorchServe can be launched."""

    def create_folder(self) -> RunFolder:
        """Make the folder of a run, which that place sees too.

        Raises:
            StartError: there is no such place.
        """

    async def launch(self, launch: Launch) -> Run:
        """Start TorchServe in a folder that holds its configuration.

        Raises:
            StartError: it cannot be started there; why and what to do.
        """


class Child:
    """A TorchServe that is a child of this process."""

    def __init__(self, guarded: asyncio.subprocess.Process) -> None:
        assert guarded.stdout is not None
        self.output = guarded.stdout
        self._guarded = guarded

    @property
    def root(self) -> int | None:
        return self._guarded.pid

    @property
    def ended(self) -> str | None:
        return None if self._guarded.returncode is None else f"status {self._guarded.returncode}"

    async def wait(self) -> None:
        await self._guarded.wait()

    def end(self) -> None:
        assert self._guarded.stdin is not None
        self._guarded.stdin.close()  # the guard ends everything and removes the folder


class Here:
    """Launches children of this process."""

    def __init__(self, java: Path | None, java_heap_mib: int) -> None:
        self._java, self._java_heap_mib = java, java_heap_mib

    def create_folder(self) -> RunFolder:
        return RunFolder.create()

    async def launch(self, launch: Launch) -> Child:
        pipe = asyncio.subprocess.PIPE
        guarded = await start_guarded(
            launch, find_java(self._java), self._java_heap_mib, (pipe, pipe, asyncio.subprocess.STDOUT)
        )
        return Child(guarded)


async def start_guarded(
    launch: Launch, java: Path, java_heap_mib: int, streams: tuple[int, int, int]
) -> asyncio.subprocess.Process:
    """Start TorchServe under its guard, which ends with everything below it when its standard input is closed.

    Raises:
        StartError: TorchServe is not installed.
    """
    folder = RunFolder(launch.folder)
    command = build_command(java, folder, launch.shared_modules, java_heap_mib)
    stdin, stdout, stderr = streams
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", guard.__file__, f"{folder.path}{os.pathsep}{folder.shared}", *command),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        cwd=folder.path,
        env=build_environment(launch.threads, folder),
        start_new_session=True,  # Ctrl-C in a terminal reaches us only: we drain first
    )
