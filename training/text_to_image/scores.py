"""What drawn images are worth, one by one.

Dimensions: N images, M captions, E values compared.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from training.engine.seeds import generator_for
from training.text_to_image.pairs import find_equals

_CANDIDATES = 50


def score_retrieval(seen: Tensor, read: Tensor, pieces: Tensor, num_candidates: int) -> np.ndarray:
    """Whether each image's caption is the nearest of `num_candidates`, float64 [N]: R-precision is the mean.

    `seen` float32 [N, E] are directions of images, `read` those of their captions and `pieces` int64 [N, S] the latter.
    The others are drawn from the captions of the other images, always the same ones; those that say the same to the
    letter are none.
    Source: Xu et al. 2018, AttnGAN, https://arxiv.org/abs/1711.10485, section 4, with R = 1 among 100.
    """
    count = len(seen)
    order = torch.rand(count, count, generator=generator_for(_CANDIDATES))
    order = order.masked_fill(find_equals(pieces, pieces), 2.0)
    others = order.topk(min(num_candidates, count) - 1, dim=1, largest=False)
    similarity = (seen @ read.T).gather(1, others.indices).masked_fill(others.values > 1, -torch.inf)
    own = (seen * read).sum(1)
    return (own > similarity.amax(1)).double().numpy()


def score_things(named: Tensor, truth: Tensor, nothing: tuple[int, int]) -> dict[str, np.ndarray]:
    """Shares of right classes and right colours, and whether all of a scene is right, float64 [N] each.

    Both int64 [N, 2, 2], `nothing` the class and colour of a thing that is not there: a place that is rightly empty
    does not count, and one that is wrongly empty or wrongly filled is wrong.
    """
    right = named == truth
    counts = ((truth != torch.tensor(nothing)) | (named != torch.tensor(nothing))).any(2)
    shares = (right & counts[:, :, None]).sum(1).double() / counts.sum(1, keepdim=True).clamp_min(1)
    return {
        "class_accuracy": shares[:, 0].numpy(),
        "colour_accuracy": shares[:, 1].numpy(),
        "scene_accuracy": right.flatten(1).all(1).double().numpy(),
    }
