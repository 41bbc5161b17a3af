"""Programs as strangers bring them: each would give wrong answers, or end its worker, if nobody looked."""

from pathlib import Path

import torch
from torch import nn

ROWS = torch.export.Dim("rows", min=1, max=16)


class Mixing(nn.Module):
    """Double x [N, 4], or treble it, as the sum of all rows says."""

    def forward(self, x):
        return torch.cond(x.sum() > 0, lambda x: 2 * x, lambda x: 3 * x, (x,))


class Words(nn.Module):
    """Add up what a table says of words: tokens [N, 2 to 64] of 100 → [N, 4]."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(100, 4)

    def forward(self, tokens):
        return self.table(tokens).sum(1)


class Dividing(nn.Module):
    """Divide integers a [N] by b [N]; the least integer divided by −1 ends the process (torch 2.13 on x86)."""

    def forward(self, a, b):
        return torch.div(a, b, rounding_mode="trunc")


def save_mixing(folder: Path) -> Path:
    return _save(folder / "mixing.pt2", Mixing(), (torch.randn(3, 4),), ({0: ROWS},))


def save_words(folder: Path) -> Path:
    torch.manual_seed(0)
    shapes = ({0: ROWS, 1: torch.export.Dim("length", min=2, max=64)},)
    return _save(folder / "words.pt2", Words().eval(), (torch.ones(3, 5, dtype=torch.int64),), shapes)


def save_dividing(folder: Path) -> Path:
    ones = [torch.ones(3, dtype=torch.int64) for _ in range(2)]
    return _save(folder / "dividing.pt2", Dividing(), tuple(ones), ({0: ROWS}, {0: ROWS}))


def save_training(folder: Path) -> Path:
    """A network nobody called .eval() on."""
    module = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3), nn.Softmax(1))
    return _save(folder / "training.pt2", module.train(), (torch.randn(3, 4),), ({0: ROWS},))


def _save(path: Path, module: nn.Module, inputs: tuple, shapes: tuple) -> Path:
    torch.export.save(torch.export.export(module, inputs, dynamic_shapes=shapes), path)
    return path
