"""The queries of a ScaledObject, evaluated on simulated series: the part of PromQL that they use, and no more."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from k8s.scaling import NO_PODS

_TERM: Final = re.compile(
    r"(?P<fold>sum|avg)\((?:(?P<rate>rate)\()?(?P<series>\w+)\{[^}]*\}(?:\[(?P<minutes>\d+)m\]\))?\)"
)


@dataclass
class Sample:
    """What Prometheus scraped of all pods at one time: values by series, one for each pod."""

    time_s: float
    values: Mapping[str, Sequence[float]]


def evaluate(query: str, samples: Sequence[Sample]) -> float:
    """Evaluate `fold(series{…})` or `fold(rate(series{…}[Nm]))`, or two of them divided.

    Raises:
        ValueError: the query is something else; the simulation would not be of it.
    """
    terms = [part.strip() for part in query.removesuffix(NO_PODS).split("/")]
    if len(terms) > 2:
        raise ValueError(f"cannot simulate {query!r}: at most one division")
    values = [_evaluate_term(term, samples) for term in terms]
    if len(values) == 1:
        return values[0]
    return values[0] / values[1] if values[1] else 0.0


def _evaluate_term(term: str, samples: Sequence[Sample]) -> float:
    match = _TERM.fullmatch(term)
    if match is None or bool(match["rate"]) != bool(match["minutes"]):
        raise ValueError(f"cannot simulate {term!r}: it is not sum or avg of a series or of its rate")
    series = match["series"]
    if not match["rate"]:
        values = list(samples[-1].values[series])
    else:
        window = [sample for sample in samples if sample.time_s > samples[-1].time_s - 60 * int(match["minutes"])]
        values = [_rate(window, series, pod) for pod in range(len(window[-1].values[series]))]
    total = sum(values)
    return total if match["fold"] == "sum" else total / len(values) if values else 0.0


def _rate(window: Sequence[Sample], series: str, pod: int) -> float:
    """Per second increase of one pod's counter; a pod that was not there before has grown from nothing seen."""
    seen = [sample for sample in window if len(sample.values[series]) > pod]
    if len(seen) < 2:
        return 0.0
    increase = sum(
        max(0.0, later.values[series][pod] - earlier.values[series][pod]) for earlier, later in itertools.pairwise(seen)
    )
    return increase / (seen[-1].time_s - seen[0].time_s)
