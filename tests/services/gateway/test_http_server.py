"""Ports that several processes of one server share, and nobody else joins."""

import socket

import pytest

from services.gateway.http_server import PortTakenError, join_port, open_port


@pytest.fixture
def shared():
    with open_port("127.0.0.1", 0, "http_port", is_shared=True) as listener:
        listener.listen(256)
        listener.setblocking(False)
        yield listener


def count_waiting(listener):
    count = 0
    while True:
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


def test_connections_are_spread_over_all_that_share_a_port(shared):
    port = shared.getsockname()[1]
    with join_port("127.0.0.1", port) as joined:
        joined.listen(256)
        joined.setblocking(False)
        callers = [socket.create_connection(("127.0.0.1", port)) for _ in range(64)]
        counts = [count_waiting(shared), count_waiting(joined)]
        for caller in callers:
            caller.close()
    assert sum(counts) == 64
    assert min(counts) > 8


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_second_server_does_not_share_a_port_by_accident(shared, is_shared):
    port = shared.getsockname()[1]
    with pytest.raises(PortTakenError, match=f"port {port} on 127.0.0.1 is taken by another process; .*--http-port"):
        open_port("127.0.0.1", port, "http_port", is_shared=is_shared)


def test_a_port_that_is_not_shared_cannot_be_joined():
    with open_port("127.0.0.1", 0, "http_port") as alone:
        alone.listen(1)
        with pytest.raises(OSError, match="in use"):
            join_port("127.0.0.1", alone.getsockname()[1])


def test_a_process_that_is_killed_ceases_to_listen_before_it_drops_its_connections(shared):
    with join_port("127.0.0.1", shared.getsockname()[1]) as joined, socket.socket() as connection:
        assert joined.fileno() > connection.fileno() + 100  # closed from the highest number down
        assert not joined.get_inheritable()
