"""A closed loop whose callers run on other machines, run as a process: Locust's master tells its workers what to do.

Workers know nothing beforehand: the plan and the example rows go to them as messages, their recordings come back so.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from loadtests.generate.users import GrpcUser, RestUser  # first: makes the process cooperative

import gevent  # isort: skip
from locust.env import Environment  # isort: skip

from loadtests.addresses import split_address
from loadtests.generate.closed_loop import make_user_class
from loadtests.generate.plan import ClosedLoop, Distributed
from loadtests.generate.standing import follow_plans
from loadtests.measure.recording import RECORDINGS, Recording, merge_recordings

# What master and workers say to each other beside Locust's own messages.
READY, PLAN, PREPARED = "millrace_ready", "millrace_plan", "millrace_prepared"
RECORD, FINISH, RECORDED = "millrace_record", "millrace_finish", "millrace_recorded"
CONNECT_TIMEOUT_S, ANSWER_TIMEOUT_S = 120.0, 60.0
POLL_S = 0.01


class Master:
    """The workers of one sweep, as many as are waited for."""

    def __init__(self, plan: Distributed, user_class: type[GrpcUser] | type[RestUser]) -> None:
        self._num_workers = plan.remote.num_workers
        self._runner: Any = Environment(user_classes=[user_class]).create_master_runner(
            *split_address(plan.remote.address)
        )
        self._answers: dict[str, dict[str, Any]] = {READY: {}, PREPARED: {}, RECORDED: {}}
        for kind in self._answers:
            self._runner.register_message(kind, self._take_answer)
        self._wait(READY, CONNECT_TIMEOUT_S, f"connected to {plan.remote.address}")
        self._num_workers = len(self._answers[READY])

    def tell(self, kind: str, data: dict[str, Any] | None = None) -> None:
        """Tell all workers something."""
        self._runner.send_message(kind, data)

    def ask(self, kind: str, data: dict[str, Any] | None = None, *, answered_by: str) -> list[Any]:
        """Tell all workers something and wait for what they answer by messages of that kind."""
        self._answers[answered_by].clear()
        self.tell(kind, data)
        self._wait(answered_by, ANSWER_TIMEOUT_S, "answered")
        return list(self._answers[answered_by].values())

    def set_callers(self, callers: int) -> None:
        """Share this many callers among the workers; they call from now on."""
        self._runner.start(callers, spawn_rate=callers)

    def quit(self) -> None:
        self._runner.quit()

    def _take_answer(self, environment: Environment, msg: Any, **_: Any) -> None:
        self._answers[msg.type][msg.node_id] = msg.data

    def _wait(self, kind: str, timeout_s: float, what: str) -> None:
        end_s = time.monotonic() + timeout_s
        while (num_answers := len(self._answers[kind])) < self._num_workers:
            if time.monotonic() > end_s:
                raise TimeoutError(f"{num_answers} of {self._num_workers} workers {what} within {timeout_s:g} s")
            gevent.sleep(POLL_S)


def run_remote_levels(plan: Distributed) -> list[Recording]:
    """Have the workers run every level of the sweep.

    Raises:
        TimeoutError: too few workers connected, or one of them did not answer.
    """
    loop = plan.loop
    master = Master(plan, make_user_class(loop.traffic))
    try:
        examples = loop.traffic.examples_path.read_bytes()
        master.ask(PLAN, {"plan": loop.model_dump_json(), "examples": examples}, answered_by=PREPARED)
        return [_run_level(master, loop, callers) for callers in loop.callers]
    finally:
        master.quit()


def _run_level(master: Master, loop: ClosedLoop, callers: int) -> Recording:
    master.set_callers(callers)
    gevent.sleep(loop.warm_up_s)
    # Clocks of other machines may be off; the server's metrics are looked up by this one's.
    started = time.time()
    master.tell(RECORD)
    gevent.sleep(loop.most_s)
    found: Sequence[str] = master.ask(FINISH, answered_by=RECORDED)
    recordings = [Recording.model_validate_json(recording) for recording in found]
    return merge_recordings(recordings).model_copy(update={"started": started})


if __name__ == "__main__":
    follow_plans(Distributed, lambda plan: RECORDINGS.dump_json(run_remote_levels(plan)))
