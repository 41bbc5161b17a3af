"""Where nodes live, and that the edge of a fleet is there when the fleet is said to be."""

import itertools
import socket

import pytest

from host.ports import find_free_ports
from k8s.fleet import network
from k8s.fleet.envoy import Edge
from k8s.fleet.network import Loopback, Namespaces, choose_network
from k8s.fleet.processes import Fleet, FleetError


def idle_node(node, ready):
    """A command that is ready at once and serves nothing."""
    return ["sh", "-c", f"touch {ready}; exec sleep 60"]


@pytest.mark.parametrize("allowed", [True, False])
def test_nodes_get_namespaces_where_these_are_allowed(monkeypatch, allowed):
    monkeypatch.setattr(Namespaces, "are_possible", staticmethod(lambda: allowed))
    assert isinstance(choose_network(), Namespaces if allowed else Loopback)
    named = choose_network("127.0.77")
    assert next(named.addresses()).host == "127.0.77.1"
    assert str(named) == "loopback addresses 127.0.77.*"


def test_namespaces_are_impossible_without_the_tools(monkeypatch):
    monkeypatch.setattr(network.shutil, "which", lambda name: None if name == "nsenter" else f"/bin/{name}")
    assert not Namespaces.are_possible()


def test_namespaces_have_addresses_for_rolling_large_fleets():
    nodes = list(Namespaces().addresses())
    hosts = [node.host for node in nodes]
    assert len(set(hosts)) == len(hosts) == 1024
    assert {(int(host.rpartition(".")[2]) - 2) % 4 for host in hosts} == {0}


def test_a_fleet_whose_edge_cannot_listen_is_not_ready(tmp_path):
    port, admin_port = find_free_ports(2)
    edge = Edge(nodes=list(itertools.islice(Loopback("127.0.78").addresses(), 1)), port=port, admin_port=admin_port)
    with socket.socket() as taken:
        taken.bind((edge.host, port))
        with pytest.raises(FleetError, match="Envoy ended"), Fleet(edge, idle_node, tmp_path):
            pass


def test_a_fleet_is_ready_when_its_edge_takes_connections(tmp_path):
    port, admin_port = find_free_ports(2)
    edge = Edge(nodes=list(itertools.islice(Loopback("127.0.78").addresses(), 1)), port=port, admin_port=admin_port)
    with Fleet(edge, idle_node, tmp_path):
        socket.create_connection((edge.host, port), 1).close()
