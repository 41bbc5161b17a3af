"""Requests at given times, run as a process: ramps, replays and mixtures, which no generator offers in an open loop."""

from __future__ import annotations

import time

from loadtests.generate.plan import Scheduled
from loadtests.generate.sender import Query, Sender
from loadtests.generate.standing import follow_plans
from loadtests.measure.recording import RECORDINGS, Recorder, Recording

LEAD_S = 0.1


def run_schedule(plan: Scheduled) -> list[Recording]:
    """Send everything on time, whatever comes back; one recording for each traffic."""
    senders = [Sender(traffic, timeout_s=plan.timeout_s) for traffic in plan.traffics]
    queries: list[list[Query]] = [[] for _ in senders]
    cpu_before_s, lead_s = time.process_time(), max(LEAD_S, plan.started - time.time())
    started, start_s = time.time() + lead_s, time.perf_counter() + lead_s
    for time_s, pick in zip(plan.times_s, plan.picks, strict=True):
        due_s = start_s + time_s
        wait_s = due_s - time.perf_counter()
        if wait_s > 0:
            time.sleep(wait_s)
        query = Query(issued_s=due_s)
        queries[pick].append(query)
        senders[pick].submit([query])
    for sender in senders:
        sender.wait_idle()
    cpu_s = (time.process_time() - cpu_before_s) / len(senders)
    recordings = []
    for traffic, sender, sent in zip(plan.traffics, senders, queries, strict=True):
        sender.close()
        recorder = Recorder(started=started, warm_up_s=plan.warm_up_s, rows_per_request=traffic.rows_per_request)
        for query in sent:
            query.tell(recorder, query.issued_s - start_s, start_s)
        arrivals_s = plan.length_s - plan.warm_up_s
        last_s = max((query.finished_s - start_s for query in sent), default=0.0) - plan.warm_up_s
        duration_s = max(arrivals_s, last_s)
        recordings.append(recorder.finish(duration_s=duration_s, arrivals_s=arrivals_s, cpu_s=cpu_s))
    return recordings


if __name__ == "__main__":
    follow_plans(Scheduled, lambda plan: RECORDINGS.dump_json(run_schedule(plan)))
