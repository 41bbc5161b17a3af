"""What a person types to change a fleet that runs."""

from __future__ import annotations

from collections.abc import Iterator

from k8s.fleet.envoy import Node
from k8s.fleet.processes import Command, Fleet


class Changes:
    """Makes changes that lines of text ask for: `nodes 5`, `roll`, `canary 20`."""

    def __init__(self, running: Fleet, command: Command, addresses: Iterator[Node]) -> None:
        """`command` starts a node, `addresses` are those of nodes to come."""
        self._running = running
        self._command = command
        self._addresses = addresses

    def make(self, line: str) -> str:
        """Make one change; say what was done, or what can be."""
        match line.split():
            case []:
                return ""
            case ["nodes", number] if number.isdecimal() and int(number) > 0:
                self._resize(int(number))
                return f"{len(self._running.edge.nodes)} nodes"
            case ["roll"]:
                nodes = [next(self._addresses) for _ in self._running.edge.nodes]
                self._running.roll(nodes, self._command)
                return f"new nodes: {', '.join(node.host for node in nodes)}"
            case ["canary", percent] if percent.isdecimal() and int(percent) <= 100 and self._running.edge.canary:
                self._running.weigh(int(percent))
                return f"the canary gets {percent} % of the calls"
            case _:
                canary = ", `canary PERCENT`" if self._running.edge.canary else ""
                return f"{line.strip()!r} is none of `nodes NUMBER`, `roll`{canary}"

    def _resize(self, number: int) -> None:
        while len(self._running.edge.nodes) < number:
            self._running.add(next(self._addresses), self._command)
        for node in self._running.edge.nodes[number:]:
            self._running.remove(node)
