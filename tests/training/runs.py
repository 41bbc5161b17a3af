"""What the tests of all kinds of model ask of runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from training.engine.options import TrainOptions


def make_options(out: Path, *, model: str, data: str, **changes) -> TrainOptions:
    """Options of a training into `out`, where its data would lie too; with `functools.partial` those of one kind."""
    options = TrainOptions(model=model, preset="demo", data=data, data_root=out, out=out, device="cpu", seed=4)
    return replace(options, **changes)


def assert_same_weights(network: torch.nn.Module, other: torch.nn.Module) -> None:
    """Two networks have the same weights, to the last bit."""
    weights, others = network.state_dict(), other.state_dict()
    assert weights.keys() == others.keys()
    assert [name for name in weights if not torch.equal(weights[name], others[name])] == []
