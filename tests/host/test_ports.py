"""Ports that are chosen for a server that starts later."""

import random
import socket

from host.ports import find_free_ports


def test_ports_are_free_different_and_none_that_an_outgoing_connection_takes():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as caller:
        ports = find_free_ports(50)
        assert len(set(ports)) == 50
        assert max(ports) < min(server.getsockname()[1], caller.getsockname()[1])
    for port in ports:
        socket.create_server(("127.0.0.1", port)).close()


def test_processes_of_the_same_seed_choose_different_ports():
    chosen = []
    for _ in range(2):
        random.seed(1)
        chosen.append(find_free_ports(5))
    assert chosen[0] != chosen[1]


def test_a_port_that_is_taken_is_not_chosen(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        (free,) = find_free_ports(1)
        picks = [taken, free]
        monkeypatch.setattr("host.ports._RANDOM.choice", lambda candidates: picks.pop(0))
        assert find_free_ports(1) == [free]
