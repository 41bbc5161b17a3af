"""The networks through whose eyes generated images are judged: a classifier of ours, or InceptionV3.

Dimensions: N images, H height, W width, C channels, F features, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.engine.device import autocast, place
from training.images.pixels import scale_images

_INCEPTION_PX = 299


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
    """A classifier, uint8 [N, H, W, C] → probabilities; its features are what goes into its last linear layer."""

    def __init__(self, program: nn.Module, labels: tuple[str, ...], device: torch.device) -> None:
        self.program = program.eval()
        place(program, device)
        self.labels, self.device = labels, device
        self.last = [module for module in program.modules() if isinstance(module, nn.Linear)][-1]

    @property
    def num_classes(self) -> int:
        return len(self.labels)

    @classmethod
    def of_inception(cls, weights: Path, device: torch.device) -> FeatureNetwork:
        """Take InceptionV3 with torchvision's weights from a file.

        Raises:
            FileNotFoundError: no such file.
            ValueError: the file holds something else.
        """
        if not weights.is_file():
            raise FileNotFoundError(
                f"{weights}: no such file; inception_weights is torchvision's inception_v3_google-….pth"
            )
        program = InceptionProgram()
        try:
            program.network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        except (RuntimeError, TypeError) as error:
            raise ValueError(f"{weights} does not hold torchvision's InceptionV3: {error}") from error
        return cls(program, tuple(map(str, range(1000))), device)

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


class InceptionProgram(nn.Module):
    """Images uint8 [N, H, W, 1 or 3] → probabilities of ImageNet's classes float32 [N, 1000].

    Source: Szegedy et al. 2016, https://arxiv.org/abs/1512.00567. Published distances mostly use another conversion of
    these weights, so compare figures of this program only with each other.
    """

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import inception_v3  # slow to import

        self.network = inception_v3(weights=None, init_weights=False, transform_input=False)

    def forward(self, images_NHWC: Tensor) -> Tensor:
        x = scale_images(images_NHWC).expand(-1, 3, -1, -1)
        logits: Tensor = self.network(F.interpolate(x, (_INCEPTION_PX, _INCEPTION_PX), mode="bilinear", antialias=True))
        return logits.softmax(1)
