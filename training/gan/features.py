"""The network through whose eyes generated images are judged.

Dimensions: N images, H height, W width, C channels, F features, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from training.classifier.network import Program
from training.classifier.servable import load_program
from training.engine.device import autocast, place


@dataclass(frozen=True)
class Description:
    """What a judge sees: features float32 [N, F] and probabilities float32 [N, K]."""

    features: np.ndarray
    probabilities: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """The most probable class, int64 [N]."""
        return self.probabilities.argmax(1)


class FeatureNetwork:
    """A trained classifier; its features are what goes into its last linear layer."""

    def __init__(self, program: Program, labels: tuple[str, ...], device: torch.device) -> None:
        self.program = program.eval()
        place(program, device)
        self.labels, self.device = labels, device
        self.last = [module for module in program.network.modules() if isinstance(module, nn.Linear)][-1]

    @property
    def num_classes(self) -> int:
        return len(self.labels)

    @classmethod
    def of_run(
        cls, run: Path, labels: tuple[str, ...], shape: tuple[int, int, int], device: torch.device
    ) -> FeatureNetwork:
        """Take the network of a finished classifier run.

        Raises:
            FileNotFoundError: the folder holds no finished run.
            ValueError: it was trained on images or classes of another kind.
        """
        program, _, stored = load_program(run)
        if tuple(stored["labels"]) != labels or tuple(stored["shape"]) != shape:
            raise ValueError(
                f"the classifier {run} knows {len(stored['labels'])} classes of images {tuple(stored['shape'])}, these "
                f"data have {len(labels)} of {shape}; give one trained on the same data with --set judge=RUN"
            )
        return cls(program, labels, device)

    @torch.no_grad()
    def describe(self, images_NHWC: Tensor, batch_size: int = 500) -> Description:
        """Describe images uint8 [N, H, W, C], in bf16 where the device multiplies it: that halves the time."""
        seen: list[Tensor] = []
        features, probabilities = [], []
        hook = self.last.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
        try:
            for piece in images_NHWC.split(batch_size):
                with autocast(self.device, "auto"):
                    probabilities.append(self.program(piece.to(self.device)))
                # A program that averages over both mirror images shows its network the given ones first.
                features.append(seen.pop()[: len(piece)])
        finally:
            hook.remove()
        return Description(*(torch.cat(rows).float().cpu().numpy() for rows in (features, probabilities)))
