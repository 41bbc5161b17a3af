"""The processes of a fleet on one machine: nodes that come, go and are started again when they die, and their edge."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final

from host.child import end_with_parent
from host.replacement import replacing
from k8s.fleet.envoy import Edge, Node, make_configuration, make_followed
from k8s.fleet.extensions import Object
from k8s.fleet.network import Loopback, Namespaces
from k8s.settings import PRE_STOP_S

READY_S: Final = 180.0
EDGE_READY_S: Final = 30.0
END_S: Final = 60.0
POLL_S: Final = 0.1


class FleetError(RuntimeError):
    """A process of the fleet did not start; the text holds what it said."""


Command = Callable[[Node, Path], list[str]]


class Fleet:
    """Nodes behind an edge, as a context manager: ready inside, gone after it."""

    def __init__(
        self,
        edge: Edge,
        command: Command,
        folder: Path,
        *,
        canary: Command | None = None,
        mirror: Command | None = None,
        network: Loopback | Namespaces | None = None,
        pre_stop_s: float = PRE_STOP_S,
    ) -> None:
        """`command` makes a node's command line from its addresses and the file to write when it is ready; `canary`
        and `mirror` those of these nodes. `pre_stop_s` is the time between a node's leaving the edge and its SIGTERM.
        """
        self.edge = edge
        self.processes: dict[Node, subprocess.Popen[bytes]] = {}
        self._commands = dict.fromkeys(edge.nodes, command)
        self._commands |= dict.fromkeys(edge.canary, canary or command) | dict.fromkeys(edge.mirror, mirror or command)
        self._folder = folder
        self._network = network or Loopback()
        self._pre_stop_s = pre_stop_s
        self._envoy: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Fleet:
        try:
            for node in self._commands:
                self._start(node)
            self._wait_ready(*self._commands)
            self._envoy = self._start_envoy()
            self._wait_listening()
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
        self._check_envoy()
        dead = [node for node, process in self.processes.items() if process.poll() is not None]
        for node in dead:
            self._start(node)
        return dead

    def add(self, node: Node, command: Command) -> None:
        """Start one more node; the edge hears of it when it is ready.

        Raises:
            FleetError: it did not start.
        """
        self._commands[node] = command
        self._start(node)
        self._wait_ready(node)
        self._tell_edge(replace(self.edge, nodes=[*self.edge.nodes, node]))

    def remove(self, node: Node) -> int:
        """Take a node from the edge, then end it, as a cluster does with a pod; return its exit status."""
        self._tell_edge(replace(self.edge, nodes=[other for other in self.edge.nodes if other != node]))
        time.sleep(self._pre_stop_s)
        process = self.processes.pop(node)
        del self._commands[node]
        process.terminate()
        return process.wait(END_S)

    def roll(self, nodes: Sequence[Node], command: Command) -> None:
        """Put a new node in the place of each, one by one and never fewer (maxSurge 1, maxUnavailable 0)."""
        for old, new in zip(tuple(self.edge.nodes), nodes, strict=True):
            self.add(new, command)
            self.remove(old)

    def weigh(self, canary_percent: int) -> None:
        """Give the canary another share of the calls."""
        self._tell_edge(replace(self.edge, canary_percent=canary_percent))

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
        self._network.close()

    def _start(self, node: Node) -> None:
        self._ready_file(node).unlink(missing_ok=True)
        command = self._commands[node](node, self._ready_file(node))
        with self._log(node.host).open("ab") as log:
            self.processes[node] = self._network.spawn(command, node, log)

    def _start_envoy(self) -> subprocess.Popen[bytes]:
        path = write_configuration(self.edge, self._folder)
        if fault := validate(path):
            raise FleetError(f"Envoy does not take its configuration: {fault}")
        # Hot restart would leave a file in /dev/shm.
        options = ("--log-level", "warning", "--disable-hot-restart")
        command = [envoy_path(), "-c", str(path), *options]
        with self._log("envoy").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, preexec_fn=end_with_parent)

    def _check_envoy(self) -> None:
        if self._envoy is None or self._envoy.poll() is not None:
            raise FleetError(f"Envoy ended:\n{self._tail('envoy')}")

    def _wait_listening(self) -> None:
        """Wait until the edge takes connections: it opens its port only after it has heard of its nodes."""
        end_s = time.monotonic() + EDGE_READY_S
        while True:
            self._check_envoy()
            try:
                socket.create_connection((self.edge.host, self.edge.port), 1).close()
                return
            except OSError as error:
                if time.monotonic() > end_s:
                    raise FleetError(f"Envoy does not listen after {EDGE_READY_S:g} s: {error}") from error
            time.sleep(POLL_S)

    def _tell_edge(self, edge: Edge) -> None:
        for name, content in make_followed(edge).items():
            _write_whole(self._folder / name, content)
        self.edge = edge

    def _wait_ready(self, *nodes: Node) -> None:
        end_s = time.monotonic() + READY_S
        while waiting := [node for node in nodes if not self.is_ready(node)]:
            for node in waiting:
                if self.processes[node].poll() is not None:
                    raise FleetError(f"the node at {node.host} ended:\n{self._tail(node.host)}")
            if time.monotonic() > end_s:
                raise FleetError(f"not ready after {READY_S:g} s: {', '.join(node.host for node in waiting)}")
            time.sleep(POLL_S)

    def _ready_file(self, node: Node) -> Path:
        return self._folder / f"{node.host}.ready"

    def read_log(self, node: Node) -> str:
        """Read what a node has written since its first start."""
        return self._log(node.host).read_text(errors="replace")

    def _tail(self, name: str) -> str:
        return "\n".join(self._log(name).read_text(errors="replace").splitlines()[-10:])

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"


def write_configuration(edge: Edge, folder: Path) -> Path:
    """Write Envoy's files into a folder and return the path of its configuration."""
    for name, content in make_configuration(edge, folder).items():
        _write_whole(folder / name, content)
    return folder / "envoy.json"


def _write_whole(path: Path, content: Object) -> None:
    """Put a file in the place of another at one moment; Envoy follows files that are moved."""
    text = json.dumps(content, indent=1)
    if path.exists() and path.read_text() == text:
        return
    with replacing(path, mode=0o600) as file:  # it may hold the callers' keys
        file.write(text.encode())


def validate(configuration: Path) -> str:
    """Have Envoy judge a configuration file; '' means that it takes it."""
    command = [envoy_path(), "--mode", "validate", "-c", str(configuration), "--log-level", "error"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if finished.returncode == 0 else finished.stderr.strip()


def envoy_path() -> str:
    return str(Path(sys.executable).with_name("envoy"))
