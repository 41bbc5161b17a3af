"""The horizontal autoscaler's arithmetic, on the object that KEDA or the HPA is given.

Source: Kubernetes documentation, "Horizontal Pod Autoscaling", algorithm details and configurable scaling behaviour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from k8s.simulation.queries import Sample, evaluate

Object = dict[str, Any]

SYNC_S: Final = 15
TOLERANCE: Final = 0.1


class Autoscaler:
    """Decides on the number of pods of one ScaledObject, every `SYNC_S`."""

    def __init__(self, scaled_object: Object) -> None:
        spec = scaled_object["spec"]
        # In the hours, if there are any, in which it is awake.
        hours = [
            int(trigger["metadata"]["desiredReplicas"]) for trigger in spec["triggers"] if trigger["type"] == "cron"
        ]
        self.least: int = max([spec["minReplicaCount"], *hours])
        self.most: int = spec["maxReplicaCount"]
        self._triggers = [
            (trigger["metadata"]["query"], float(trigger["metadata"]["threshold"]))
            for trigger in spec["triggers"]
            if trigger["type"] == "prometheus"
        ]
        behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        self._up, self._down = behavior["scaleUp"], behavior["scaleDown"]
        self._wishes: list[tuple[float, int]] = []
        self._changes: list[tuple[float, int]] = []

    def decide(self, now_s: float, current: int, samples: Sequence[Sample]) -> int:
        """Return the number of pods to have from now on."""
        wish = max(self._wish(query, target, current, samples) for query, target in self._triggers)
        window_s = self._down["stabilizationWindowSeconds"]
        self._wishes = [(time_s, count) for time_s, count in self._wishes if time_s > now_s - window_s]
        self._wishes.append((now_s, min(max(wish, self.least), self.most)))
        wanted = self._wishes[-1][1]
        if wanted < current:
            wanted = min(current, max(count for _, count in self._wishes))
        wanted = self._limit(now_s, current, wanted)
        if wanted != current:
            self._changes.append((now_s, wanted - current))
        return wanted

    def _wish(self, query: str, target: float, current: int, samples: Sequence[Sample]) -> int:
        value = evaluate(query, samples)
        if abs(value / (target * current) - 1) <= TOLERANCE:
            return current
        return math.ceil(value / target)

    def _limit(self, now_s: float, current: int, wanted: int) -> int:
        if wanted > current:
            bounds = [self._bound(now_s, current, policy, 1) for policy in self._up["policies"]]
            return min(wanted, max(current, max(bounds)))
        if wanted < current:
            bounds = [self._bound(now_s, current, policy, -1) for policy in self._down["policies"]]
            return max(wanted, min(current, min(bounds)))
        return current

    def _bound(self, now_s: float, current: int, policy: Object, sign: int) -> int:
        """How far one policy lets the number go: counted from where it was a period ago."""
        recent = sum(
            change for time_s, change in self._changes if time_s > now_s - policy["periodSeconds"] and sign * change > 0
        )
        start, value = current - recent, policy["value"]
        if policy["type"] == "Pods":
            return start + sign * int(value)
        bound = start * (1 + sign * value / 100)
        return math.ceil(bound) if sign > 0 else math.floor(bound)
