"""How long a server's container takes to end, as its pod must allow for."""

from __future__ import annotations

from k8s.policy.objects import Fleet, Object
from k8s.settings import ENGINE_STOP_S, drain_s


def find_end(container: Object, fleet: Fleet) -> tuple[float | None, list[str]]:
    """Seconds of preStop, drain and the engine's end, None where nobody says; and what is missing for them."""
    settings, faults = fleet.settings(container), []
    pre_stop_s = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    if not pre_stop_s:
        faults.append("no preStop: the doors may close before the edge has heard of it")
    if "MILLRACE_DRAIN_DELAY_S" not in settings or "MILLRACE_DRAIN_TIMEOUT_S" not in settings:
        return None, [*faults, "MILLRACE_DRAIN_DELAY_S and MILLRACE_DRAIN_TIMEOUT_S are not set"]
    return pre_stop_s + drain_s(settings) + ENGINE_STOP_S, faults
