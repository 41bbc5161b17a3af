import numpy as np
import pytest

from loadtests.judge.rate_search import Probe, choose_proof, decide, search_rate
from tests.loadtests import synthetic


def search(server, bound_s, *, first_rate, least_s=20.0, most_s=120.0, budget_s=3000.0, resolution=1.03):
    seeds = iter(range(1000))
    return search_rate(
        lambda rate: synthetic.probe(server, rate, bound_s, least_s=least_s, most_s=most_s, seed=next(seeds)),
        bound_ms=bound_s * 1e3,
        first_rate=first_rate,
        budget_s=budget_s,
        resolution=resolution,
    )


def find_true_rate(server, bound_s):
    """The highest rate whose p99 stays within the bound in a very long run."""
    low, high = 1.0, 1000.0
    while high / low > 1.002:
        rate = (low * high) ** 0.5
        arrivals = synthetic.draw_arrivals(rate, 1000)
        finished, statuses = server(arrivals)
        latencies = np.where([bool(status) for status in statuses], np.inf, finished - arrivals)
        holds = np.percentile(latencies, 99, method="inverted_cdf") <= bound_s
        low, high = (rate, high) if holds else (low, rate)
    return low


@pytest.mark.parametrize("first_rate", [40, 190, 600])
def test_the_rate_of_a_server_of_known_capacity_is_found_within_five_percent(first_rate):
    server = synthetic.serve_one_by_one(200)
    found = search(server, 0.1, first_rate=first_rate)
    assert found.held == pytest.approx(find_true_rate(server, 0.1), rel=0.05)
    assert found.held < found.failed <= 1.03 * found.held


def test_what_is_refused_above_a_rate_limits_it():
    server = synthetic.refuse_above(150, 0.01)
    found = search(server, 0.05, first_rate=75)
    assert found.held == pytest.approx(find_true_rate(server, 0.05), rel=0.05)
    assert found.held < 150


def test_errors_hold_no_rate():
    found = search(synthetic.serve_with_errors(0.01, share=0.05), 0.05, first_rate=100, budget_s=60)
    assert found.held is None
    assert all(probe.outcome == "fails" for probe in found.probes)


def test_a_slow_server_holds_no_rate_and_is_given_up_within_the_budget():
    found = search(synthetic.serve_in(0.1), 0.05, first_rate=100, budget_s=20)
    assert found.held is None
    assert found.seconds < 20 + 10


def test_a_burst_of_other_work_does_not_decide_a_search():
    seen = []

    def probe(rate):
        seen.append(rate)
        fails = rate > 100 or len(seen) == 1
        return Probe(rate=rate, requests=500, over=50 * fails, seconds=1.0, outcome="fails" if fails else "holds")

    found = search_rate(probe, bound_ms=50.0, first_rate=50, budget_s=100, resolution=1.1)
    assert 100 / 1.1 <= found.held <= 100
    assert seen.count(50) == 2


def test_a_first_rate_that_is_far_off_costs_few_probes():
    def probe(rate):
        return Probe(rate=rate, requests=500, over=0, seconds=1.0, outcome="holds" if rate < 40 else "fails")

    found = search_rate(probe, bound_ms=50.0, first_rate=800, budget_s=100, resolution=1.12)
    assert next(number for number, tried in enumerate(found.probes) if tried.outcome == "holds") <= 5
    assert 40 / 1.12 <= found.held < 40


def test_no_probe_is_begun_of_which_less_than_half_fits_into_the_budget():
    def probe(rate):
        return Probe(rate=rate, requests=500, over=0, seconds=2.0, outcome="holds")

    for budget_s, num_probes in ((6.9, 3), (7.1, 4)):
        found = search_rate(probe, bound_ms=50.0, first_rate=100, budget_s=budget_s, resolution=1.1)
        assert len(found.probes) == num_probes


@pytest.mark.parametrize(("bound_s", "rate", "percentile"), [(0.01, 400, 99.0), (0.3, 400, 99.0), (1.0, 30, 90.0)])
def test_a_probe_can_always_prove_what_it_is_asked(bound_s, rate, percentile):
    length_s = max(4.0, 10 * bound_s) - bound_s
    block_s, chosen = choose_proof(rate, bound_s, length_s)
    assert chosen == percentile
    times = synthetic.draw_arrivals(rate, length_s)
    latencies = np.full(len(times), 0.5 * bound_s)
    assert decide(times, latencies, bound_s=bound_s, percentile=chosen, block_s=block_s) == "holds"
