"""The closed-loop generator, run as a process: Locust users without think time, level after level."""

from __future__ import annotations

import time
from typing import Any

from loadtests.generate.users import GrpcUser, RestUser, name_failure  # first: makes the process cooperative

import gevent  # isort: skip
from locust.env import Environment  # isort: skip

from loadtests.generate.payload import make_bodies, make_bodies_of_rest, make_rest_path
from loadtests.generate.plan import ClosedLoop, Traffic
from loadtests.generate.standing import follow_plans
from loadtests.generate.stopping import count_spare_s, has_lasted
from loadtests.measure.recording import RECORDINGS, Recorder, Recording

LOOK_S = 0.5


class Listener:
    """Feeds Locust's request event into the recorder of the current level; without one, requests only warm up."""

    def __init__(self) -> None:
        self.recorder: Recorder | None = None
        self.start_s = 0.0

    def start(self, recorder: Recorder) -> None:
        self.start_s = time.perf_counter()
        self.recorder = recorder

    def on_request(self, response_time: float, exception: BaseException | None, **_: Any) -> None:
        if self.recorder is None:
            return
        if exception is not None:
            self.recorder.record_error(name_failure(exception))
        else:
            self.recorder.record(time.perf_counter() - self.start_s, response_time / 1e3)


def make_user_class(traffic: Traffic) -> type[GrpcUser] | type[RestUser]:
    """Make the Locust user that sends this traffic."""
    shared = {"host": traffic.url, "label": f"{traffic.model} {traffic.version}"}
    if traffic.protocol == "grpc":
        return type("Caller", (GrpcUser,), {**shared, "bodies": make_bodies(traffic), "tls": traffic.tls})
    members = {
        "path": make_rest_path(traffic.model, traffic.version),
        "bodies": make_bodies_of_rest(traffic),
        "ssl_context_factory": traffic.tls.make_context,
    }
    return type("Caller", (RestUser,), {**shared, **members})


def run_levels(plan: ClosedLoop) -> list[Recording]:
    """Run every level of the sweep in this process."""
    environment = Environment(user_classes=[make_user_class(plan.traffic)])
    listener = Listener()
    environment.events.request.add_listener(listener.on_request)
    runner = environment.create_local_runner()
    recordings, spare_s = [], plan.spare_s
    try:
        for callers in plan.callers:
            recordings.append(_run_level(plan, callers, spare_s, runner, listener))
            spare_s = count_spare_s(plan, spare_s, recordings[-1].duration_s)
    finally:
        runner.quit()
    return recordings


def _run_level(plan: ClosedLoop, callers: int, spare_s: float, runner: Any, listener: Listener) -> Recording:
    runner.start(callers, spawn_rate=callers)
    while runner.user_count < callers:
        gevent.sleep(0.01)
    gevent.sleep(plan.warm_up_s)
    recorder = Recorder(started=time.time(), rows_per_request=plan.traffic.rows_per_request)
    cpu_before_s = time.process_time()
    listener.start(recorder)
    gevent.sleep(plan.least_s)
    elapsed_s = time.perf_counter() - listener.start_s
    while not has_lasted(plan, spare_s, recorder.find_means_ms(elapsed_s), elapsed_s):
        gevent.sleep(min(LOOK_S, plan.most_s + spare_s - elapsed_s))
        elapsed_s = time.perf_counter() - listener.start_s
    listener.recorder = None
    duration_s = time.perf_counter() - listener.start_s
    return recorder.finish(duration_s=duration_s, cpu_s=time.process_time() - cpu_before_s)


if __name__ == "__main__":
    follow_plans(ClosedLoop, lambda plan: RECORDINGS.dump_json(run_levels(plan)))
