"""What a person types to change a fleet that runs."""

from dataclasses import replace

import pytest

from k8s.fleet.changes import Changes
from k8s.fleet.envoy import Edge, Node

NODES = [Node(f"127.0.9.{number}", 8000, 8001) for number in range(1, 9)]


class RecordedFleet:
    """A fleet without processes: its edge knows what would be there."""

    def __init__(self, canary=()):
        self.edge = Edge(nodes=NODES[:2], port=9000, admin_port=9001, canary=canary)

    def add(self, node, command):
        self.edge = replace(self.edge, nodes=[*self.edge.nodes, node])

    def remove(self, node):
        self.edge = replace(self.edge, nodes=[other for other in self.edge.nodes if other != node])

    def roll(self, nodes, command):
        self.edge = replace(self.edge, nodes=nodes)

    def weigh(self, canary_percent):
        self.edge = replace(self.edge, canary_percent=canary_percent)


def test_a_fleet_grows_shrinks_and_rolls():
    fleet = RecordedFleet()
    changes = Changes(fleet, None, iter(NODES[2:]))
    assert changes.make("nodes 4\n") == "4 nodes"
    assert fleet.edge.nodes == NODES[:4]
    assert changes.make("nodes 1\n") == "1 nodes"
    assert fleet.edge.nodes == NODES[:1]
    assert changes.make("roll\n") == f"new nodes: {NODES[4].host}"
    assert fleet.edge.nodes == [NODES[4]]


def test_a_canary_is_weighed_where_there_is_one():
    fleet = RecordedFleet(canary=NODES[7:])
    assert Changes(fleet, None, iter(())).make("canary 20") == "the canary gets 20 % of the calls"
    assert fleet.edge.canary_percent == 20


@pytest.mark.parametrize("line", ["nodes 0", "nodes many", "canary 20", "rol"])
def test_says_what_can_be_typed(line):
    said = Changes(RecordedFleet(), None, iter(())).make(f"{line}\n")
    assert said == f"{line!r} is none of `nodes NUMBER`, `roll`"
