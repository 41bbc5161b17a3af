"""What a model version has answered since it was loaded, as Triton's statistics extension counts it.

Times are whole nanoseconds there. Source: triton-inference-server/server, "Statistics Extension", and the
ModelStatistics messages of its protocol.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any


class Statistics:
    """Sums of one model version: of requests, and of the packed calls that answered them."""

    def __init__(self) -> None:
        self.num_successes = self.num_failures = self._num_rows = 0
        self.num_calls = 0  # packed ones
        self.busy_s = 0.0  # of workers
        self._success_s = self._failure_s = 0.0
        self._last_inference_s = 0.0
        # Of answered requests; each counts the whole time of the packed call that it was part of.
        self._num_requests = 0
        self._queue_s = self._input_s = self._infer_s = self._output_s = 0.0
        # Of requests that were looked for in the cache: the look-up, and for those not found keeping the answer.
        self._num_hits = self._num_misses = 0
        self._hit_s = self._miss_s = 0.0
        self._calls_by_rows: Counter[int] = Counter()
        self._call_s: dict[int, tuple[float, float, float]] = {}

    def count_success(self, num_rows: int, seconds: float) -> None:
        self.num_successes += 1
        self._num_rows += num_rows
        self._success_s += seconds
        self._last_inference_s = time.time()

    def count_failure(self, seconds: float) -> None:
        self.num_failures += 1
        self._failure_s += seconds
        self._last_inference_s = time.time()

    def count_hit(self, seconds: float) -> None:
        self._num_hits += 1
        self._hit_s += seconds

    def count_miss(self, seconds: float) -> None:
        self._num_misses += 1
        self._miss_s += seconds

    def count_kept(self, seconds: float) -> None:
        """Count the time that keeping the answer to a missed one took."""
        self._miss_s += seconds

    def count_call(
        self, num_rows: int, num_requests: int, queue_s: float, input_s: float, infer_s: float, output_s: float
    ) -> None:
        """Count one answered packed call: `queue_s` of its requests together, then packing, the worker, unpacking."""
        self.num_calls += 1
        self.busy_s += infer_s
        self._num_requests += num_requests
        self._queue_s += queue_s
        self._input_s += num_requests * input_s
        self._infer_s += num_requests * infer_s
        self._output_s += num_requests * output_s
        self._calls_by_rows[num_rows] += 1
        before = self._call_s.get(num_rows, (0.0, 0.0, 0.0))
        self._call_s[num_rows] = (before[0] + input_s, before[1] + infer_s, before[2] + output_s)

    def describe(self, model: str, version: str) -> dict[str, Any]:
        """Describe everything in the shape of Triton's ModelStatistics message."""
        count = self._num_requests
        return {
            "name": model,
            "version": version,
            "last_inference": round(1e3 * self._last_inference_s),
            "inference_count": self._num_rows,
            "execution_count": self.num_calls,
            "inference_stats": {
                "success": _describe(self.num_successes, self._success_s),
                "fail": _describe(self.num_failures, self._failure_s),
                "queue": _describe(count, self._queue_s),
                "compute_input": _describe(count, self._input_s),
                "compute_infer": _describe(count, self._infer_s),
                "compute_output": _describe(count, self._output_s),
                "cache_hit": _describe(self._num_hits, self._hit_s),
                "cache_miss": _describe(self._num_misses, self._miss_s),
            },
            "batch_stats": [self._describe_calls(num_rows) for num_rows in sorted(self._calls_by_rows)],
        }

    def _describe_calls(self, num_rows: int) -> dict[str, Any]:
        names = ("compute_input", "compute_infer", "compute_output")
        count = self._calls_by_rows[num_rows]
        times = zip(names, self._call_s[num_rows], strict=True)
        return {"batch_size": num_rows} | {name: _describe(count, seconds) for name, seconds in times}


def _describe(count: int, seconds: float) -> dict[str, int]:
    return {"count": count, "ns": round(1e9 * seconds)}
