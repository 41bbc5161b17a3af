"""The search for a rate, run as a process: random arrivals at one rate after another over one warm channel."""

from __future__ import annotations

import time

import numpy as np

from loadtests.generate.arrivals import draw_arrivals
from loadtests.generate.plan import Probing
from loadtests.generate.sender import Query, Sender
from loadtests.generate.standing import follow_plans
from loadtests.judge.rate_search import Outcome, Probe, RateSearch, choose_proof, decide, search_rate

LOOK_S = 0.1
# However short a probe is to be, requests must have the time to be late.
MOST_BOUNDS = 10
TIMEOUT_BOUNDS, LEAST_TIMEOUT_S = 20, 2.0


def run_search(plan: Probing) -> RateSearch:
    """Search in this process."""
    timeout_s = max(LEAST_TIMEOUT_S, TIMEOUT_BOUNDS * plan.bound_ms / 1e3)
    sender = Sender(plan.traffic, timeout_s=timeout_s)
    random = np.random.default_rng(plan.seed)
    found = search_rate(
        lambda rate: probe_rate(sender, plan, rate, random),
        bound_ms=plan.bound_ms,
        first_rate=plan.first_rate,
        budget_s=plan.budget_s,
        resolution=plan.resolution,
    )
    sender.close()
    return found


def probe_rate(sender: Sender, plan: Probing, rate: float, random: np.random.Generator) -> Probe:
    """Send at random times (Poisson) until it is decided whether the rate holds the bound; then wait for the rest."""
    bound_s = plan.bound_ms / 1e3
    most_s = max(plan.most_s, MOST_BOUNDS * bound_s)
    block_s, percentile = choose_proof(rate, bound_s, most_s - bound_s)
    measured: list[Query] = []
    start_s = time.perf_counter()
    warm_s = look_s = start_s + plan.warm_up_s
    outcome: Outcome = "undecided"
    scheduled_s = latencies_s = np.empty(0)
    for arrival_s in draw_arrivals(rate, random):
        due_s = start_s + arrival_s
        wait_s = due_s - time.perf_counter()
        if wait_s > 0:
            time.sleep(wait_s)
        query = Query(issued_s=due_s)
        sender.submit([query])
        if due_s >= warm_s:
            measured.append(query)
        if due_s < look_s:
            continue
        now_s = time.perf_counter()
        look_s = now_s + LOOK_S
        # Younger ones may still be answered in time.
        old = [query for query in measured if query.issued_s + bound_s <= now_s]
        scheduled_s = np.array([query.issued_s for query in old])
        latencies_s = np.array([_find_latency_s(query) for query in old])
        outcome = decide(scheduled_s, latencies_s, bound_s=bound_s, percentile=percentile, block_s=block_s)
        elapsed_s = now_s - warm_s
        if outcome == "fails" or (outcome == "holds" and elapsed_s >= plan.least_s) or elapsed_s >= most_s:
            break
    sender.wait_idle()
    late_s = [query.sent_s - query.issued_s for query in measured] or [0.0]
    return Probe(
        rate=rate,
        requests=len(latencies_s),
        over=int((latencies_s > bound_s).sum()),
        seconds=time.perf_counter() - start_s,
        outcome=outcome,
        late_mean_ms=1e3 * sum(late_s) / len(late_s),
    )


def _find_latency_s(query: Query) -> float:
    """Latency from the schedule; infinite for what failed or is not answered yet."""
    return float("inf") if query.status or not query.finished_s else query.finished_s - query.issued_s


if __name__ == "__main__":
    follow_plans(Probing, lambda plan: run_search(plan).model_dump_json().encode())
