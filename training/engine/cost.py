"""What a network costs: its parameters, and the time of its training."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from training.engine.runs import read_run


def count_parameters(network: nn.Module) -> int:
    """Count all weights, those that are not trained included."""
    return sum(parameter.numel() for parameter in network.parameters())


def format_cost(network: nn.Module, run: Path) -> list[str]:
    """Cells of a table: a network's parameters, and the seconds that its run trained."""
    return [f"{count_parameters(network):,}", f"{read_run(run)['metrics']['train_s']:.0f}"]
