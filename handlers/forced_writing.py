"""How likely given texts are: the programs that write are made to write them.

Dimensions: B texts, T pieces of the longest continuation, N candidates.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from handlers.beam_search import PAD, pad_rows
from handlers.device import Device
from handlers.program import Program


def score_forced(
    reader: Program,
    writer: Program,
    device: Device,
    rows: Sequence[tuple[list[int], list[int]]],
    num_writable: int,
) -> np.ndarray:
    """Natural logarithms float32 [B] of the probabilities of continuations after their prompts; see language_model.py.

    A piece that is not among the writer's candidates has an even share of what they leave.
    """
    prompts, continuations = zip(*rows, strict=True)
    lengths = np.array([len(row) for row in continuations])
    memory, bias, first = reader(device.put([pad_rows([prompt[:-1] or [PAD] for prompt in prompts])]))
    cache = device.empty((int(lengths.max()) + 1, len(first), len(rows), 1, first.shape[-1]), first)
    cache[0] = first[:, :, None]
    tokens = np.array([prompt[-1:] for prompt in prompts])
    forced = pad_rows([[*row, PAD] for row in continuations])
    starts = np.zeros(len(rows), np.int64)
    scores = np.zeros(len(rows))
    for place in range(int(lengths.max())):
        values, pieces, entry = writer([*device.put([tokens, starts]), cache[: place + 1], memory, bias])
        cache[place + 1] = entry
        values, pieces = (array[:, 0] for array in device.fetch([values, pieces]))
        tokens = forced[:, place : place + 1]
        found = np.where(pieces == tokens, values, -np.inf).max(1)
        rest = np.log(np.maximum(1 - np.exp(values).sum(1), np.finfo(np.float32).tiny))
        others = max(1, num_writable - pieces.shape[1])
        found = np.where(np.isfinite(found), found, rest - np.log(others))
        scores += np.where(place < lengths, found, 0)
    return scores.astype(np.float32)
