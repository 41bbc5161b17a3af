"""What a finished run is worth on test images, beside as many principal components.

What comes back, how much a linear classifier finds in the codes, and whether unusual images deviate more than usual
ones. Intervals are 95 %, bootstrapped over images, those of shares Wilson's; differences are network − other, paired.
Dimensions: N images, Z values of a code.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.autoencoder.baselines import PrincipalComponents
from training.autoencoder.data import CodedData
from training.autoencoder.network import Autoencoder, load_network
from training.autoencoder.pictures import Drawn, draw_all
from training.autoencoder.program import answer_images
from training.autoencoder.scores import (
    explained_share,
    measure_sparsity,
    root_mean_square,
    score_images,
)
from training.engine.runs import write_json
from training.images.evidence import measure_divergence
from training.images.linear_probe import probe_linearly
from training.images.pixels import scale_images
from training.labels.difference import describe_right
from training.labels.unusual import describe_alarms, describe_detection
from training.release.statistics import describe_figure

EVALUATION = "evaluation.json"
PREDICTIONS = "predictions.npz"
NETWORK, COMPONENTS, GIVEN = "network", "pca", "as given"
METRICS = {"explained": explained_share, "rms_levels": root_mean_square}
_MIN_DIVERGENCE = 0.05  # nats above which a value of a code tells something


def evaluate_run(run: Path, data: CodedData) -> dict[str, Any]:
    """Measure a finished run, write evaluation.json, predictions.npz and pictures; returns the headline figures."""
    network, recipe, stored = load_network(run)
    components = PrincipalComponents(data.images.train.images, recipe.code_size)
    answer = answer_images(network, data.seen_test)
    found = {NETWORK: answer.reconstruction, COMPONENTS: components.decode(components.encode(data.seen_test))}
    if recipe.corruption_level:
        found[GIVEN] = data.seen_test.numpy()
    scores = score_methods(found, data)
    right = probe_codes(network, components, data)
    methods = {method: describe_scores(rows, scores[NETWORK]) for method, rows in scores.items()}
    for method, rows in right.items():
        methods[method]["probe_accuracy"] = describe_right(rows, right[NETWORK])
    unusual = {
        name: describe_unusual(network, components, data.seen_test, images, stored["threshold"])
        for name, images in data.unusual.items()
    }
    content = {
        "dataset": f"{data.images.name} test",
        "n": len(answer.deviation),
        "methods": methods,
        "code": describe_codes(network, components, data.images.test.images),
        "threshold": stored["threshold"],
        "false_alarms": describe_alarms(answer.deviation, stored["threshold"]),
        "unusual": unusual,
    }
    write_json(run / EVALUATION, content)
    kept = {"scores": scores[NETWORK], "labels": data.images.test.labels.numpy()}
    if right:
        kept["right"] = right[NETWORK]
    np.savez_compressed(run / PREDICTIONS, **kept)  # type: ignore[arg-type]
    if importlib.util.find_spec("matplotlib") is not None:
        draw_all(run, Drawn(network=network, data=data, found=found, threshold=stored["threshold"]))
    return headline(content)


def score_methods(found: Mapping[str, np.ndarray], data: CodedData) -> dict[str, np.ndarray]:
    """Scores [N, 2] of what each method makes of the test images, held against them as they were."""
    truth, mean = data.images.test.images.numpy(), data.images.train.images.float().mean(0).numpy()
    return {method: score_images(images, truth, mean) for method, images in found.items()}


def describe_scores(rows: np.ndarray, network: np.ndarray) -> dict[str, Any]:
    """Figures of a method's scores [N, 2] with their intervals; beside them network − method, unless it is that."""
    return {metric: describe_figure(rows, network, aggregate) for metric, aggregate in METRICS.items()}


def probe_codes(network: Autoencoder, components: PrincipalComponents, data: CodedData) -> dict[str, np.ndarray]:
    """Which test images a linear classifier on codes names right, bool [N] by method; none where there is one class."""
    train, test = data.images.train, data.images.test
    if len(train.labels.unique()) < 2:
        return {}
    codes = {
        NETWORK: [torch.from_numpy(answer_images(network, split.images).code) for split in (train, test)],
        COMPONENTS: [torch.from_numpy(components.encode(split.images)) for split in (train, test)],
    }
    return {
        method: (probe_linearly(pair[0], train.labels, pair[1]) == test.labels).numpy()
        for method, pair in codes.items()
    }


def describe_unusual(
    network: Autoencoder, components: PrincipalComponents, usual: Tensor, unusual: Tensor, threshold: float
) -> dict[str, Any]:
    """How well deviations tell unusual images from usual ones, and how many of them exceed the threshold."""
    images = torch.cat([usual, unusual])
    is_unusual = np.arange(len(images)) >= len(usual)
    own = answer_images(network, images).deviation
    drawn = components.decode(components.encode(images)).astype(np.float32)
    other = np.sqrt(np.square(drawn - images.numpy()).mean((1, 2, 3)))
    return describe_detection(own, {COMPONENTS: other}, is_unusual, threshold)


@torch.no_grad()
def describe_codes(network: Autoencoder, components: PrincipalComponents, images_NHWC: Tensor) -> dict[str, Any]:
    """How codes are used: by how few values of each, and by how many in all where that is a question.

    That is the share of values above 0 of a sparse one, and the divergence of each value of a variational one.
    """
    device = next(network.parameters()).device
    code, log_variance = network.encode(scale_images(images_NHWC.to(device)))
    sparsity = {
        NETWORK: measure_sparsity(code.cpu().numpy()),
        COMPONENTS: measure_sparsity(components.encode(images_NHWC)),
    }
    found: dict[str, Any] = {"sparsity": sparsity}
    if log_variance is not None:
        divergence = measure_divergence(code, log_variance).mean(0)
        return found | {"divergence_nats": divergence.tolist(), "used": int((divergence > _MIN_DIVERGENCE).sum())}
    return found if network.threshold is None else found | {"active": float((code > 0).float().mean())}


def headline(content: Mapping[str, Any]) -> dict[str, Any]:
    """The figures that a run is told by."""
    found: dict[str, Any] = {"n": content["n"]}
    for metric, figure in content["methods"][NETWORK].items():
        found[metric] = round(figure["value"], 4)
        found[f"{metric}_interval"] = [round(end, 4) for end in figure["interval"]]
    areas = {name: figures["area_under_curve"]["value"] for name, figures in content["unusual"].items()}
    found |= {f"area_under_curve_{name.replace(' ', '_')}": round(area, 4) for name, area in areas.items()}
    return (
        found
        | {"threshold": round(content["threshold"], 2)}
        | {name: content["code"][name] for name in ("used", "active") if name in content["code"]}
    )
