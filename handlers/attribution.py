"""Where in an image an answer was found: integrated gradients and Grad-CAM of an exported program.

Dimensions: N rows, H, W, C of an image, K classes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import fx

from handlers.differentiable import AttributionError, DifferentiableProgram, calls, find_input, value_of

METHODS = ("integrated-gradients", "grad-cam")
_CONVOLUTIONS = ("conv1d", "conv2d", "conv3d", "convolution")


class Attribution:
    """Attribute the answers of one program from images [N, H, W, C] to values [N, K]."""

    def __init__(self, program: Path) -> None:
        """Load a `.pt2`."""
        self._program = DifferentiableProgram(program)
        sources = self._program.list_sources()
        convolutions = [node for node in sources if _is_convolution(node)]
        self._layer = self._program.mark(convolutions[-1]) if convolutions else None
        self._image = self._program.mark(find_input(sources))

    def attribute(
        self, images: np.ndarray, method: str, num_steps: int = 32, target: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Attribute each image's most probable class, or class `target`; returns float32 [N, H, W] and [N, K].

        Integrated gradients start from black, and their sum is what the image's value exceeds black's by.

        Raises:
            AttributionError: no such class, or nothing in the program that the method needs.
        """
        images_NHWC = torch.from_numpy(images.astype(np.float32))
        targets, values_NK = self._program.choose(images_NHWC, target)
        if method == "grad-cam":
            places_NHW = self._attribute_to_layer(images_NHWC, targets)
        else:
            found_NHWC = self._program.integrate_gradients(self._image, images_NHWC, 0.0, targets, num_steps)
            places_NHW = found_NHWC.sum(3)
        return places_NHW.detach().float().numpy(), values_NK.float().numpy()

    def _attribute_to_layer(self, images_NHWC: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        from captum.attr import LayerAttribution, LayerGradCam

        if self._layer is None:
            raise AttributionError("the network has no convolution over places, which Grad-CAM needs; take the other")
        coarse = LayerGradCam(self._program, self._layer).attribute(
            images_NHWC.requires_grad_(), target=targets, relu_attributions=True
        )
        fine: torch.Tensor = LayerAttribution.interpolate(coarse, images_NHWC.shape[1:3], "bilinear")
        return fine[:, 0]


def _is_convolution(node: fx.Node) -> bool:
    value = value_of(node)
    return calls(node, *_CONVOLUTIONS) and value is not None and value.dim() == 4
