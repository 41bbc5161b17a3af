"""What releases share whose answer is one of several labels: their outputs, the parameter `top_k`, the score."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from training.release.spec import Baseline, ParameterSpec, TensorSpec

_RANKING = 3  # what a person wants to read of a classification


class Noun(NamedTuple):
    """What a kind calls its labels."""

    one: str
    many: str


def describe_ranking(num_labels: int, noun: Noun) -> tuple[tuple[TensorSpec, ...], ParameterSpec]:
    """Describe the outputs, and the parameter that has them sorted and cut."""
    outputs = (
        TensorSpec(
            name="probabilities",
            datatype="FP32",
            shape=(-1, num_labels),
            meaning=f"probability of each {noun.one}; with top_k of the k most probable ones, in falling order",
            minimum=0,
            maximum=1,
            singular="probability",
        ),
        TensorSpec(
            name="label",
            datatype="BYTES",
            shape=(-1,),
            meaning=f"name of the most probable {noun.one}; with top_k of the k most probable ones",
        ),
    )
    top_k = ParameterSpec(
        name="top_k",
        kind="int64",
        meaning=f"how many {noun.many} to return, most probable first; all if absent",
        minimum=1,
        maximum=num_labels,
        readable_default=min(_RANKING, num_labels),
    )
    return outputs, top_k


def score_labels(labels: np.ndarray) -> Callable[[Mapping[str, np.ndarray]], np.ndarray]:
    """Score 1 where the most probable label is the true one of `labels` int64 [N], else 0."""

    def score(outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        return (outputs["probabilities"].argmax(1) == labels).astype(np.float64)

    return score


def guess_majority(trained: np.ndarray, labels: np.ndarray, noun: Noun) -> Baseline:
    """The label that is most frequent among those trained on, int64 [M], as the answer to all of `labels` int64 [N]."""
    return Baseline(
        name=f"the most frequent {noun.one}", scores=(labels == np.bincount(trained).argmax()).astype(float)
    )
