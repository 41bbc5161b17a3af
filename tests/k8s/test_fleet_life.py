"""Fleets that grow, roll, lose nodes and are cut off, under load: no failed call, and the figures of FLEET.md.

pytest -m slow -rP tests/k8s/test_fleet_life.py
"""

import asyncio
import itertools
import signal
import time

import pytest

from host.ports import find_free_ports
from k8s.fleet.envoy import Edge
from k8s.fleet.network import Loopback, Namespaces, choose_network
from k8s.fleet.processes import Fleet
from tests.k8s.fleets import call, call_until, open_channel, sleeping_node, under_load, wait_for_edge

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NUM_NODES = 4
LATE_S = 0.5  # a batch sleeps 0.02 s
PAUSE_S = 0.05
EJECTED_S = 3.0
BLOCKS = itertools.count(11)


def make_fleet(folder, num_nodes, command, *, num_canary=0, canary_percent=0, **options):
    """A fleet in namespaces of the network where this process may make them, and addresses for more nodes."""
    network = choose_network("" if Namespaces.are_possible() else f"127.0.{next(BLOCKS)}")
    addresses = network.addresses()
    port, admin_port = find_free_ports(2)
    nodes, canary = (list(itertools.islice(addresses, number)) for number in (num_nodes, num_canary))
    edge = Edge(nodes=nodes, port=port, admin_port=admin_port, canary=canary, canary_percent=canary_percent)
    return Fleet(edge, command, folder, network=network, **options), network, addresses


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    fleet, network, _ = make_fleet(tmp_path_factory.mktemp("standing"), NUM_NODES, sleeping_node())
    with fleet:
        wait_for_edge(fleet.edge)
        yield fleet, network


def share_of_late(outcome):
    return sum(seconds > LATE_S for seconds in outcome.seconds) / outcome.num_calls


def measure_rate(folder, num_nodes):
    """Calls per second through Envoy, with three batches of callers for each node."""
    command = sleeping_node(batch_s=0.5, max_rows=8)
    fleet, _, _ = make_fleet(folder, num_nodes, command)

    async def measure():
        is_over = asyncio.Event()
        calling = asyncio.create_task(call_until(fleet.edge, is_over, num_callers=24 * num_nodes))
        await asyncio.sleep(15)
        is_over.set()
        return await calling

    with fleet:
        wait_for_edge(fleet.edge)
        outcome = asyncio.run(measure())
    assert outcome.errors == []
    # The first batches have a row each, and the last callers wait when others have gone.
    in_time = [second for second in outcome.ended_s if 3 <= second - outcome.started_s < 15]
    return len(in_time) / 12


def test_eight_nodes_hold_nearly_eight_times_what_one_holds(tmp_path_factory):
    one = measure_rate(tmp_path_factory.mktemp("one"), 1)
    eight = measure_rate(tmp_path_factory.mktemp("eight"), 8)
    print(f"one sleeping node {one:.1f} calls/s, eight {eight:.1f}: {eight / (8 * one):.2f} of eight times one")
    assert eight >= 0.9 * 8 * one


def test_a_rolling_update_and_other_sizes_cost_no_call(tmp_path):
    fleet, _, addresses = make_fleet(tmp_path, 2, sleeping_node(), pre_stop_s=2)

    def change():
        first = list(fleet.edge.nodes)
        for _ in range(2):
            fleet.add(next(addresses), sleeping_node())
        wait_for_edge(fleet.edge)
        statuses = [fleet.remove(node) for node in first]
        rolled_s = time.monotonic()
        fleet.roll([next(addresses) for _ in fleet.edge.nodes], sleeping_node(release=2))
        wait_for_edge(fleet.edge)
        return statuses, time.monotonic() - rolled_s

    with fleet:
        wait_for_edge(fleet.edge)
        outcome, (statuses, seconds) = under_load(fleet.edge, change, pause_s=PAUSE_S)
    outcome.describe(f"2 to 4 to 2 nodes, then all replaced in {seconds:.0f} s")
    assert outcome.errors == []
    assert statuses == [0, 0]
    assert set(outcome.releases[:20]) == {1}
    assert set(outcome.releases[-20:]) == {2}


def test_a_canary_gets_its_share_and_no_call_fails(tmp_path):
    canary = sleeping_node(release=2)
    fleet, _, _ = make_fleet(tmp_path, 2, sleeping_node(), canary=canary, num_canary=1, canary_percent=10)
    edge = fleet.edge  # what callers need of it stays
    with fleet:
        wait_for_edge(edge)
        small, _ = under_load(edge, lambda: time.sleep(8), num_callers=8, pause_s=PAUSE_S)
        changing, _ = under_load(edge, lambda: fleet.weigh(60), num_callers=8, pause_s=PAUSE_S)
        large, _ = under_load(edge, lambda: time.sleep(8), num_callers=8, pause_s=PAUSE_S)
    shares = [outcome.releases.count(2) / outcome.num_calls for outcome in (small, large)]
    small.describe(f"canary of 10 %: {shares[0]:.1%} of calls")
    large.describe(f"canary of 60 %: {shares[1]:.1%} of calls")
    assert small.errors + changing.errors + large.errors == []
    # Five standard deviations of a share of some 800 calls.
    assert shares == [pytest.approx(0.1, abs=0.055), pytest.approx(0.6, abs=0.09)]


def test_a_killed_node_costs_no_call(standing):
    fleet, _ = standing
    victim = fleet.edge.nodes[0]

    def kill():
        fleet.processes[victim].kill()
        fleet.processes[victim].wait()
        seconds = wait_for_edge(fleet.edge, NUM_NODES - 1)
        fleet.restart_dead()
        while not fleet.is_ready(victim):
            time.sleep(0.05)
        wait_for_edge(fleet.edge)
        return seconds

    outcome, ejected_s = under_load(fleet.edge, kill, num_callers=16, pause_s=PAUSE_S)
    outcome.describe(f"SIGKILL for one of {NUM_NODES} nodes, ejected after {ejected_s:.1f} s")
    assert outcome.errors == []
    assert ejected_s < EJECTED_S


def test_many_calls_at_a_node_that_dies_are_all_answered_by_others(tmp_path):
    """More of them than may be repeated at once by a number that fits small fleets."""
    fleet, _, _ = make_fleet(tmp_path, NUM_NODES, sleeping_node(batch_s=2.0, max_rows=512))

    async def call_all(victim):
        channels = [open_channel(fleet.edge) for _ in range(8)]
        calls = [asyncio.create_task(call(channels[i % 8])) for i in range(480)]
        await asyncio.sleep(1.0)
        victim.kill()
        results = await asyncio.gather(*calls, return_exceptions=True)
        await asyncio.gather(*(channel.close() for channel in channels))
        return [result for result in results if not isinstance(result, int)]

    with fleet:
        wait_for_edge(fleet.edge)
        errors = asyncio.run(call_all(fleet.processes[fleet.edge.nodes[0]]))
    assert errors == []


def lose_for_a_while(standing, what, lose, find):
    fleet, _ = standing

    def change():
        lose()
        try:
            ejected_s = wait_for_edge(fleet.edge, NUM_NODES - 1)
            time.sleep(max(0.0, 8 - ejected_s))
        finally:
            find()
        wait_for_edge(fleet.edge)
        time.sleep(2)
        return ejected_s

    outcome, ejected_s = under_load(fleet.edge, change, num_callers=16, pause_s=PAUSE_S)
    late = share_of_late(outcome)
    share = ejected_s / (max(outcome.ended_s) - outcome.started_s) / NUM_NODES
    outcome.describe(
        f"one of {NUM_NODES} nodes {what}, ejected after {ejected_s:.1f} s, {late:.2%} of calls late "
        f"(its share until then: {share:.2%})"
    )
    assert outcome.errors == []
    assert ejected_s < EJECTED_S
    assert late < share + 0.01


def test_a_node_that_is_cut_off_costs_no_call(standing):
    fleet, network = standing
    if isinstance(network, Loopback):
        pytest.skip("cutting a node off takes root, ip and nsenter")
    process = fleet.processes[fleet.edge.nodes[1]]
    lose_for_a_while(standing, "cut off", lambda: network.cut(process), lambda: network.join(process))


def test_a_node_that_stands_still_costs_no_call(standing):
    process = standing[0].processes[standing[0].edge.nodes[2]]
    lose_for_a_while(
        standing,
        "stopped",
        lambda: process.send_signal(signal.SIGSTOP),
        lambda: process.send_signal(signal.SIGCONT),
    )


def test_a_slow_node_gets_no_calls_until_it_is_fast_again(standing):
    """It answers, and is ready; but it knows how long it should take, and asks the edge to be left out."""
    process = standing[0].processes[standing[0].edge.nodes[3]]
    lose_for_a_while(
        standing,
        "50 times slower",
        lambda: process.send_signal(signal.SIGUSR1),
        lambda: process.send_signal(signal.SIGUSR2),
    )
