"""The gate's rule on live traffic: does a candidate change more of the answers that are sent than the margin allows?

Online nobody knows the right answers. What is tested is the mean change μ of an answer, per request between 0 (the
same for all its rows) and 1 (another for all); see model_store/agreement.py. Of a metric that counts right answers, or
agreement, a candidate can lose no more than the share of answers it changes: each change turns at most one right
answer into a wrong one. So at 95 % confidence, at all times at once,

    pass       μ is below the margin: the loss is too, whatever the right answers are;
    fail       μ is above the margin: nothing without labels can show that the loss is not (it may be less: of two
               models that err on other rows, neither need be worse);
    undecided  neither is known yet.

A request counts once however many rows it has, for its rows may resemble each other. Requests are sampled by chance;
those that come while nothing is idle are left out, so a candidate is judged by what is asked when there is room.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

import numpy as np
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from model_store.agreement import measure_change
from model_store.live_gate import GateProgress, Outcome
from model_store.sequential import ConfidenceSequence
from model_store.tensors import decode_raw
from services.catalogue import ServedVariant
from services.gateway.routing import RoutingError
from services.gateway.tensors import InferAnswer

# The bounds are valid at all times, so looking at every request would only cost.
LOOK_EVERY = 8


class LiveGate:
    """Judge one candidate by the answers of the version that it would replace."""

    def __init__(self, candidate: ServedVariant, incumbent: ServedVariant, margin: float) -> None:
        self.candidate = candidate
        self.incumbent = incumbent
        self.num_skipped = 0
        self._margin = margin
        self._sequence = ConfidenceSequence(margin)
        self._chance = outputs_of_chance(candidate) | outputs_of_chance(incumbent)
        self.outcome: Outcome = "undecided"

    def compare(self, sent: InferAnswer, answer: InferAnswer | None) -> None:
        """Take one more pair of answers to the same request; None: the candidate refused what was answered."""
        self._sequence.add(1.0 if answer is None else self._measure_change(sent, answer))
        if self.outcome == "undecided" and self._sequence.num_values % LOOK_EVERY == 0:
            if self._sequence.upper <= self._margin:
                self.outcome = "pass"
            elif self._sequence.lower >= self._margin:
                self.outcome = "fail"

    def _measure_change(self, sent: InferAnswer, answer: InferAnswer) -> float:
        old, new = self._decode(sent), self._decode(answer)
        if old.keys() != new.keys():
            return 1.0
        return float(measure_change(old, new).mean()) if old else 0.0

    def _decode(self, answer: InferAnswer) -> dict[str, np.ndarray]:
        return {
            tensor.name: decode_raw(tensor.data, tensor.datatype, tuple(tensor.shape))
            for tensor in answer.outputs
            if tensor.name not in self._chance
        }

    def report(self) -> GateProgress:
        """Say what is known so far."""
        return GateProgress(
            model=self.candidate.model,
            version=self.candidate.version,
            against=self.incumbent.version,
            margin=self._margin,
            num_requests=self._sequence.num_values,
            num_skipped=self.num_skipped,
            change=self._sequence.mean,
            lower=self._sequence.lower,
            upper=self._sequence.upper,
            outcome=self.outcome,
            host=socket.gethostname(),
            updated=datetime.now(UTC).isoformat(timespec="seconds"),
        )


class GateMetrics(Collector):
    """What live gates know, as metrics of the candidates."""

    def __init__(self, report: Callable[[], Iterable[GateProgress]]) -> None:
        self._report = report

    def collect(self) -> Iterator[Metric]:
        """Make the metrics of this moment."""
        counts = {
            "requests": "Answered requests that a candidate was asked for too",
            "skipped": "Sampled requests that found no room, or no candidate",
        }
        texts = {
            "change": "Mean change of an answer by the candidate, 0 to 1",
            "lower": "Lower 95 % bound of the change, valid at all times",
            "upper": "Upper 95 % bound of the change, valid at all times",
            "margin": "The change that is still good enough",
            "outcome": "1 passed, -1 failed, 0 undecided so far",
        }
        labels = ("model", "version", "against")
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {
            **{name: CounterMetricFamily(f"millrace_live_gate_{name}", counts[name], labels=labels) for name in counts},
            **{name: GaugeMetricFamily(f"millrace_live_gate_{name}", texts[name], labels=labels) for name in texts},
        }
        for gate in self._report():
            values = {
                "requests": gate.num_requests,
                "skipped": gate.num_skipped,
                "change": gate.change,
                "lower": gate.lower,
                "upper": gate.upper,
                "margin": gate.margin,
                "outcome": {"pass": 1, "fail": -1, "undecided": 0}[gate.outcome],
            }
            for name, value in values.items():
                families[name].add_metric((gate.model, gate.version, gate.against), value)
        yield from families.values()


def choose_margin(candidate: ServedVariant, wanted: float | None) -> float:
    """Choose how many answers a candidate may change: as routed, else as its release says.

    Raises:
        RoutingError: neither says, or none of its outputs can be compared.
    """
    if {tensor.name for tensor in candidate.manifest.outputs} <= outputs_of_chance(candidate):
        raise RoutingError(f"{candidate} has no output that is the same when asked again: it cannot be a shadow")
    margin = wanted if wanted is not None else candidate.manifest.gate.live_margin
    if margin is None:
        raise RoutingError(
            f"{candidate.manifest.quality.metric} of {candidate} says nothing of how many answers may change; add "
            "`margin` to its shadow, as a share of them"
        )
    return margin


def outputs_of_chance(variant: ServedVariant) -> set[str]:
    """List the outputs that golden rows cannot compare, because they differ when asked again."""
    compared = {golden.output for golden in variant.golden}
    return {tensor.name for tensor in variant.manifest.outputs} - compared if compared else set()
