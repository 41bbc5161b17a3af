"""Callers of a closed loop that another machine directs, run as a process: a Locust worker for one sweep."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from loadtests.generate.users import GrpcUser, RestUser  # noqa: F401  first: makes the process cooperative

from locust.env import Environment  # isort: skip

from loadtests.addresses import split_address
from loadtests.generate.closed_loop import Listener, make_user_class
from loadtests.generate.master import FINISH, PLAN, PREPARED, READY, RECORD, RECORDED
from loadtests.generate.plan import ClosedLoop
from loadtests.measure.recording import Recorder


class Worker:
    """Does what the master says; what it is told first is the plan."""

    def __init__(self, address: str, folder: Path) -> None:
        """Connect, trying for some minutes.

        Raises:
            ConnectionError: no master is there.
        """
        self._examples_path = folder / "examples.npz"
        self._environment = Environment()
        self._listener = Listener()
        self._environment.events.request.add_listener(self._listener.on_request)
        self._cpu_before_s = 0.0
        self._rows_per_request = 1
        self.runner: Any = self._environment.create_worker_runner(*split_address(address))
        for kind, follow in ((PLAN, self._prepare), (RECORD, self._record), (FINISH, self._finish)):
            self.runner.register_message(kind, follow)
        # Locust has told the master of this worker already, before it would have understood the plan.
        self.runner.send_message(READY)

    def _prepare(self, environment: Environment, msg: Any, **_: Any) -> None:
        self._examples_path.write_bytes(msg.data["examples"])
        plan = ClosedLoop.model_validate_json(msg.data["plan"])
        self._rows_per_request = plan.traffic.rows_per_request
        traffic = plan.traffic.model_copy(update={"examples_path": self._examples_path})
        environment.user_classes = [make_user_class(traffic)]
        self.runner.send_message(PREPARED)

    def _record(self, **_: Any) -> None:
        self._cpu_before_s = time.process_time()
        self._listener.start(Recorder(started=time.time(), rows_per_request=self._rows_per_request))

    def _finish(self, **_: Any) -> None:
        recorder, self._listener.recorder = self._listener.recorder, None
        assert recorder is not None
        duration_s = time.perf_counter() - self._listener.start_s
        recording = recorder.finish(duration_s=duration_s, cpu_s=time.process_time() - self._cpu_before_s)
        self.runner.send_message(RECORDED, recording.model_dump_json())


def main(address: str) -> None:
    """Serve one sweep."""
    with tempfile.TemporaryDirectory(prefix="loadtest-") as folder:
        try:
            worker = Worker(address, Path(folder))
        except ConnectionError:
            sys.exit(f"no load test listens at {address}")
        worker.runner.greenlet.join()


if __name__ == "__main__":
    main(sys.argv[1])
