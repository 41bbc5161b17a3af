"""A server of one's own: `serve` as a subprocess, on free ports, gone afterwards with everything it started."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from host.child import end_with_parent
from loadtests.addresses import Addresses

READY_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 45.0
POLL_S = 0.05


class ServerError(RuntimeError):
    """The server did not start or did not stop; the message ends with what it printed."""


class Server:
    """A running `serve`; `addresses` are known once it is ready."""

    def __init__(self, command: Sequence[str], folder: Path, settings: Mapping[str, str] | None = None) -> None:
        """`settings` are added to the environment."""
        self.log = folder / "serve.log"
        self.addresses = Addresses()
        self._ready_file = folder / "ready.json"
        with self.log.open("wb") as file:
            # A session of its own: the terminal's Ctrl-C reaches only the load test, which then stops the server.
            self._process = subprocess.Popen(
                [*command, "--ready-file", str(self._ready_file)],
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=os.environ | (settings or {}),
                preexec_fn=end_with_parent,
            )

    def wait_ready(self, timeout_s: float = READY_TIMEOUT_S) -> Addresses:
        """Wait until every model answers.

        Raises:
            ServerError: the process ended, or was not ready in time.
        """
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if self._ready_file.exists():
                ports = json.loads(self._ready_file.read_text())["ports"]
                self.addresses = Addresses(
                    grpc=f"127.0.0.1:{ports['grpc']}",
                    http=f"http://127.0.0.1:{ports['http']}",
                    metrics=f"http://127.0.0.1:{ports['metrics']}/metrics",
                )
                return self.addresses
            if self._process.poll() is not None:
                raise ServerError(f"serve ended with {self._process.returncode}:\n{self._read_log_end()}")
            time.sleep(POLL_S)
        raise ServerError(f"serve was not ready within {timeout_s:g} s:\n{self._read_log_end()}")

    def list_processes(self) -> list[psutil.Process]:
        """The server's process and all below it."""
        try:
            root = psutil.Process(self._process.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def stop(self) -> float:
        """Send Ctrl-C and wait until nothing of it is left; return how long that took, in seconds.

        Raises:
            ServerError: a process survived (it is killed); the message names it.
        """
        processes = self.list_processes()
        start_s = time.monotonic()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        self._reap(start_s + STOP_TIMEOUT_S)
        _, survivors = psutil.wait_procs(processes, timeout=max(0.0, start_s + STOP_TIMEOUT_S - time.monotonic()))
        took_s = time.monotonic() - start_s
        names = [f"{process.pid} {process.name()}" for process in survivors if process.is_running()]
        for process in survivors:
            process.kill()
        self._process.wait()
        if names:
            raise ServerError(f"alive {STOP_TIMEOUT_S:g} s after Ctrl-C: {', '.join(names)}\n{self._read_log_end()}")
        return took_s

    def _reap(self, end_s: float) -> None:
        with suppress(subprocess.TimeoutExpired):  # stop() names and kills what is left
            self._process.wait(max(0.0, end_s - time.monotonic()))

    def _read_log_end(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]


@contextmanager
def run_server(
    store: Path,
    models: Sequence[str],
    folder: Path,
    *,
    variants: Sequence[str] = ("all",),
    options: Sequence[str] = (),
    settings: Mapping[str, object] | None = None,
) -> Iterator[Server]:
    """Start `serve` on free ports and stop it at the end; yields before it is ready. Its log goes into `folder`.

    `settings` are those of `serve` by name, as in `workers`; they come before what was tuned, `options` before both.
    """
    command = [str(Path(sys.executable).with_name("serve")), *models, "--store", str(store)]
    command += ["--variants", ",".join(variants)]
    command += ["--http-port", "0", "--grpc-port", "0", "--metrics-port", "0", *options]
    environment = {f"MILLRACE_{name.upper()}": str(value) for name, value in (settings or {}).items()}
    server = Server(command, folder, environment)
    try:
        yield server
    finally:
        server.stop()
