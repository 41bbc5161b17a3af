"""The processes of a fleet on one machine: nodes, which are started again when they die, and Envoy before them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

from host.child import end_with_parent
from k8s.fleet.envoy import Edge, Node, make_configuration

READY_S: Final = 180.0
END_S: Final = 60.0
POLL_S: Final = 0.1


class FleetError(RuntimeError):
    """A process of the fleet did not start; the text holds what it said."""


class Fleet:
    """Nodes behind an edge, as a context manager: ready inside, gone after it."""

    def __init__(self, edge: Edge, command: Callable[[Node, Path], list[str]], folder: Path) -> None:
        """`command` makes a node's command line from its addresses and the file to write when it is ready."""
        self._edge = edge
        self._command = command
        self._folder = folder
        self._nodes = [*edge.nodes, *edge.canary]
        self.processes: dict[Node, subprocess.Popen[bytes]] = {}
        self._envoy: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Fleet:
        try:
            for node in self._nodes:
                self._start(node)
            self._wait_ready()
            self._envoy = self._start_envoy()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def restart_dead(self) -> list[Node]:
        """Start nodes again that have ended, as a cluster would; return them.

        Raises:
            FleetError: Envoy has ended.
        """
        if self._envoy is None or self._envoy.poll() is not None:
            raise FleetError(f"Envoy ended:\n{self._tail('envoy')}")
        dead = [node for node, process in self.processes.items() if process.poll() is not None]
        for node in dead:
            self._start(node)
        return dead

    def is_ready(self, node: Node) -> bool:
        """Say whether a node has been ready since its last start."""
        return self._ready_file(node).exists()

    def stop(self) -> None:
        """End the edge, then the nodes, which drain; what does not end in time is killed."""
        processes = [process for process in (self._envoy, *self.processes.values()) if process is not None]
        for process in processes:
            if process.poll() is None:
                process.terminate()
        end_s = time.monotonic() + END_S
        for process in processes:
            try:
                process.wait(max(0.1, end_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, node: Node) -> None:
        self._ready_file(node).unlink(missing_ok=True)
        self.processes[node] = self._spawn(node.host, self._command(node, self._ready_file(node)))

    def _start_envoy(self) -> subprocess.Popen[bytes]:
        path = self._folder / "envoy.json"
        path.touch(mode=0o600)  # it holds the callers' keys
        path.write_text(json.dumps(make_configuration(self._edge), indent=1))
        if fault := validate(path):
            raise FleetError(f"Envoy does not take its configuration: {fault}")
        return self._spawn("envoy", [envoy_path(), "-c", str(path), "--log-level", "warning", "--use-dynamic-base-id"])

    def _spawn(self, name: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
        with (self._folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, preexec_fn=end_with_parent)

    def _wait_ready(self) -> None:
        end_s = time.monotonic() + READY_S
        while waiting := [node for node in self._nodes if not self.is_ready(node)]:
            for node in waiting:
                if self.processes[node].poll() is not None:
                    raise FleetError(f"the node at {node.host} ended:\n{self._tail(node.host)}")
            if time.monotonic() > end_s:
                raise FleetError(f"not ready after {READY_S:g} s: {', '.join(node.host for node in waiting)}")
            time.sleep(POLL_S)

    def _ready_file(self, node: Node) -> Path:
        return self._folder / f"{node.host}.ready"

    def _tail(self, name: str) -> str:
        lines = (self._folder / f"{name}.log").read_text(errors="replace").splitlines()
        return "\n".join(lines[-10:])


def validate(configuration: Path) -> str:
    """Have Envoy judge a configuration file; '' means that it takes it."""
    command = [envoy_path(), "--mode", "validate", "-c", str(configuration), "--log-level", "error"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if finished.returncode == 0 else finished.stderr.strip()


def envoy_path() -> str:
    return str(Path(sys.executable).with_name("envoy"))
