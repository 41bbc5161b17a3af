"""Load over time for Locust's web UI: pick one there; without one, the number of users stays as set (a soak)."""

from __future__ import annotations

from typing import Any

from locust import LoadTestShape

DEFAULT_RUN_S = 60
DEFAULT_USERS = 10
SPIKE_BASE = 0.1
SPIKE_START, SPIKE_END = 1 / 3, 2 / 3


class _Timed(LoadTestShape):
    """Takes the number of users and the run time from the web page's fields."""

    use_common_options = True
    abstract = True

    def tick(self) -> tuple[int, float] | None:
        assert self.runner is not None
        options: Any = self.runner.environment.parsed_options
        elapsed = self.get_run_time() / (options.run_time or DEFAULT_RUN_S)
        if elapsed >= 1:
            return None
        # The web page and the command line leave it under different names.
        num_users = vars(options).get("user_count") or options.num_users or DEFAULT_USERS
        return max(1, round(num_users * self.find_share(elapsed))), num_users

    def find_share(self, elapsed: float) -> float:
        """Share of the users wanted after this share of the run time."""
        raise NotImplementedError


class Ramp(_Timed):
    """Grow evenly to the number of users over the run time."""

    def find_share(self, elapsed: float) -> float:
        return elapsed


class Spike(_Timed):
    """A tenth of the users, all of them in the middle third of the run time, then a tenth again."""

    def find_share(self, elapsed: float) -> float:
        return 1.0 if SPIKE_START <= elapsed < SPIKE_END else SPIKE_BASE
