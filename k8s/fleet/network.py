"""Where a node's process lives: on a loopback address, or in a network namespace of its own that can be cut off."""

from __future__ import annotations

import ctypes
import ipaddress
import random
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final

from host.child import end_with_parent
from k8s.fleet.envoy import Node

_CLONE_NEWNET: Final = 0x40000000
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
# The namespace gets its address from outside, after the process is in it.
_WAIT: Final = 'until ip -4 -o address show dev eth0 2>/dev/null | grep -q inet; do sleep 0.02; done; exec "$@"'


class Loopback:
    """Nodes on NETWORK.1, NETWORK.2, … of this machine."""

    def __init__(self, network: str = "127.0.1") -> None:
        self._network = network

    def __str__(self) -> str:
        return f"loopback addresses {self._network}.*"

    def addresses(self) -> Iterator[Node]:
        return (Node(f"{self._network}.{number}", 8000, 8001) for number in range(1, 255))

    def spawn(self, command: Sequence[str], node: Node, log: BinaryIO) -> subprocess.Popen[bytes]:
        """Start a node's command."""
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, preexec_fn=end_with_parent)

    def close(self) -> None:
        """Leave nothing: loopback addresses are there without us."""


class Namespaces:
    """A network namespace for each node, joined to this one by a pair of virtual Ethernet devices; takes root.

    Both go with the node's process, however it ends; the route goes with `close`.
    """

    def __init__(self) -> None:
        # Of 100.64.0.0/10, which nobody routes.
        blocks = ipaddress.IPv4Network("100.64.0.0/10").subnets(new_prefix=20)
        self._block = random.SystemRandom().choice(list(blocks))
        self._devices: dict[Node, str] = {}
        self._is_routed = False

    def __str__(self) -> str:
        return f"network namespaces of their own, addresses {self._block}"

    def close(self) -> None:
        """Take the block of addresses back."""
        if self._is_routed:
            _ip("route", "delete", "unreachable", str(self._block))
            self._is_routed = False

    @staticmethod
    def are_possible() -> bool:
        """Say whether this process may make them: root in a container often may not."""
        if not all(map(shutil.which, ("ip", "nsenter", "unshare"))):
            return False
        trial = ["unshare", "--net", "ip", "link", "set", "lo", "up"]
        return subprocess.run(trial, capture_output=True, check=False).returncode == 0

    def addresses(self) -> Iterator[Node]:
        """Each node's is the second of a net of its own with two, whose first is this machine's."""
        return (Node(str(net[2]), 8000, 8001) for net in self._block.subnets(new_prefix=30))

    def spawn(self, command: Sequence[str], node: Node, log: BinaryIO) -> subprocess.Popen[bytes]:
        """Start a node's command in a new namespace that has the node's address."""
        if not self._is_routed:
            # What is meant for a node that is gone must not take the way out, where something else might answer it.
            _ip("route", "add", "unreachable", str(self._block))
            self._is_routed = True
        waiting = ["sh", "-c", _WAIT, "sh", *command]
        process = subprocess.Popen(waiting, stdout=log, stderr=subprocess.STDOUT, preexec_fn=_leave_network)
        if node in self._devices:  # of a process before, which the kernel may not have cleared away yet
            subprocess.run(["ip", "link", "delete", self._devices[node]], stderr=subprocess.DEVNULL, check=False)
        device = self._devices[node] = f"mr{process.pid}"
        try:
            _ip("link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", str(process.pid))
            _ip("address", "add", f"{ipaddress.ip_address(node.host) - 1}/30", "dev", device)
            _ip("link", "set", device, "up")
            for arguments in (["link", "set", "lo", "up"], ["link", "set", "eth0", "up"]):
                _ip(*arguments, inside=process)
            _ip("address", "add", f"{node.host}/30", "dev", "eth0", inside=process)
        except subprocess.CalledProcessError:
            process.kill()
            process.wait()
            raise
        return process

    def cut(self, process: subprocess.Popen[bytes]) -> None:
        """Cut a node off: what is sent to it is lost without a word."""
        _ip("link", "set", "eth0", "down", inside=process)

    def join(self, process: subprocess.Popen[bytes]) -> None:
        """Undo `cut`."""
        _ip("link", "set", "eth0", "up", inside=process)


def choose_network(name: str = "") -> Loopback | Namespaces:
    """Give nodes namespaces of their own where this process may, loopback addresses elsewhere or by `name`."""
    if name:
        return Loopback(name)
    return Namespaces() if Namespaces.are_possible() else Loopback()


def _leave_network() -> None:
    end_with_parent()
    if _LIBC.unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")


def _ip(*arguments: str, inside: subprocess.Popen[bytes] | None = None) -> None:
    place = ["nsenter", "--net", "--target", str(inside.pid)] if inside else []
    subprocess.run([*place, "ip", *arguments], check=True)
