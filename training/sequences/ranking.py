"""The likeliest pieces of a vocabulary, as part of a captured program."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional as F

_GROUP = 64


def rank_pieces(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Find the `count` likeliest of the last dimension: their log probabilities, falling, and their indices."""
    values, pieces = find_largest(logits, count)
    best = values[..., :1]
    # As logsumexp, but with the maximum that is known already: one pass less over what no cache holds.
    return values - best - (logits - best).exp().sum(-1, keepdim=True).log(), pieces


def find_largest(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Find the `count` largest of the last dimension and their indices, in falling order.

    The largest lie in the groups with the largest maxima, so that sorting is confined to a few groups: topk over a
    whole vocabulary costs more than the network.
    """
    missing = -values.shape[-1] % _GROUP
    # Where none is missing it would be a copy of what no cache holds.
    padded = F.pad(values, (0, missing), value=-math.inf) if missing else values
    groups = padded.unflatten(-1, (-1, _GROUP))
    if groups.shape[-2] <= count:
        top, index = values.topk(count)
        return top, index
    _, chosen = groups.amax(-1).topk(count)
    members = groups.gather(-2, chosen[..., None].expand(*chosen.shape, _GROUP))
    top, place = members.flatten(-2).topk(count)
    return top, chosen.gather(-1, place // _GROUP) * _GROUP + place % _GROUP
