"""Which policy the edge should have: least request, or weights by the load that nodes report (ORCA).

pytest -m slow -rP tests/k8s/test_fleet_balancing.py

Ratios of weighted to least request, by turns, with the same arrivals at nodes of the same speeds; FLEET.md has them.
"""

import asyncio
import itertools
import time

import numpy as np
import pytest

from host.ports import find_free_ports
from k8s.fleet.envoy import Edge
from k8s.fleet.network import Loopback
from k8s.fleet.processes import Fleet
from tests.k8s.fleets import call, open_channel, sleeping_node, wait_for_edge

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

POLICIES = ("least-request", "weighted")
NUM_PAIRS = 4
SECONDS, SETTLED_S = 16.0, 4.0
MAX_ROWS, BATCH_S = 2, 0.1
NUM_CHANNELS = 8
BLOCKS = itertools.count(91)
# Seconds of a batch at each node. An uneven fleet has another class of host, and nobody is ejected for it.
FLEETS = {"four equal nodes": [BATCH_S] * 4, "one of four takes three times as long": [BATCH_S] * 3 + [3 * BATCH_S]}
LOADS = (0.5, 0.8)


async def call_at_rate(edge, rate_per_s, seed):
    """Call at random moments, whatever comes of it; return the seconds of each call after the edge has settled."""
    generator = np.random.default_rng(seed)
    due_s = np.cumsum(generator.exponential(1 / rate_per_s, round(SECONDS * rate_per_s)))
    channels = [open_channel(edge) for _ in range(NUM_CHANNELS)]
    for channel in channels:
        await channel.channel_ready()
    started_s = time.monotonic()

    async def call_when_due(channel, due):
        await asyncio.sleep(max(0.0, started_s + due - time.monotonic()))
        await call(channel, timeout_s=60)
        return time.monotonic() - started_s - due  # from when it was due, not from when this loop came to it

    calls = (call_when_due(channel, due) for channel, due in zip(itertools.cycle(channels), due_s, strict=False))
    seconds = np.array(await asyncio.gather(*calls))
    for channel in channels:
        await channel.close()
    return seconds[due_s > SETTLED_S]


def measure(folder, policy, batches_s, load, seed):
    addresses = Loopback(f"127.0.{next(BLOCKS)}").addresses()
    commands = {next(addresses): sleeping_node(batch_s=s, max_rows=MAX_ROWS, slow_factor=0) for s in batches_s}
    port, admin_port = find_free_ports(2)
    edge = Edge(nodes=list(commands), port=port, admin_port=admin_port, balancing=policy)
    folder.mkdir()
    with Fleet(edge, lambda node, ready: commands[node](node, ready), folder):
        wait_for_edge(edge)
        rate_per_s = load * sum(MAX_ROWS / seconds for seconds in batches_s)
        return asyncio.run(call_at_rate(edge, rate_per_s, seed))


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("name", FLEETS)
def test_least_request_is_never_much_worse_than_weights(name, load, tmp_path):
    ratios = []
    for pair in range(NUM_PAIRS):
        order = POLICIES if pair % 2 == 0 else POLICIES[::-1]
        found = {policy: measure(tmp_path / f"{policy}-{pair}", policy, FLEETS[name], load, pair) for policy in order}
        least, weighted = (found[policy] for policy in POLICIES)
        ratios.append(
            [weighted.mean() / least.mean(), *(np.quantile(weighted, (0.5, 0.99)) / np.quantile(least, (0.5, 0.99)))]
        )
    for what, values in zip(("mean", "median", "p99"), np.transpose(ratios), strict=True):
        print(
            f"{name}, {load:.0%} load: {what} of weighted to least request {np.median(values):.2f} "
            f"({values.min():.2f} to {values.max():.2f} in {NUM_PAIRS} pairs)"
        )
    assert np.median(np.transpose(ratios)[0]) > 0.8
