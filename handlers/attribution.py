"""Where in an image a classifier found what it answered: integrated gradients and Grad-CAM of an exported program.

An exported program kept its operations, so gradients flow through it; a compiled one has none. Dimensions: N rows,
H, W, C of an image, K classes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import fx, nn

METHODS = ("integrated-gradients", "grad-cam")
# Of the path's points so many at once, unless the program takes fewer rows.
_POINTS_AT_ONCE = 16
_CONVOLUTIONS = ("conv1d", "conv2d", "conv3d", "convolution")


class AttributionError(ValueError):
    """This program's answers cannot be attributed so; the message is for the caller."""


class Attribution:
    """Attribute the answers of one program from images [N, H, W, C] to values [N, K]."""

    def __init__(self, program: Path) -> None:
        """Load a `.pt2`."""
        exported = torch.export.load(program)
        module = exported.module(check_guards=False)
        if not isinstance(module, fx.GraphModule):
            raise AttributionError(f"{program.name} holds no graph whose gradients could be taken")
        _let_floats_in(module)
        self._layer = _mark_last_convolution(module)
        self._module = module
        bounds = [int(bound.upper) for bound in exported.range_constraints.values()]
        self._points_at_once = min([_POINTS_AT_ONCE, *bounds])

    def attribute(
        self, images: np.ndarray, method: str, num_steps: int = 32, target: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Attribute each image's most probable class, or class `target`; returns float32 [N, H, W] and [N, K].

        Integrated gradients start from black, and their sum is what the image's value exceeds black's by.

        Raises:
            AttributionError: no such class, or nothing in the program that the method needs.
        """
        images_NHWC = torch.from_numpy(images.astype(np.float32))
        with torch.no_grad():
            values_NK = self._run(images_NHWC)
        if target is not None and not 0 <= target < values_NK.shape[1]:
            raise AttributionError(f"there is no class {target}; the program tells {values_NK.shape[1]} apart")
        targets = values_NK.argmax(1) if target is None else torch.full((len(images),), target)
        if method == "grad-cam":
            places_NHW = self._attribute_to_layer(images_NHWC, targets)
        else:
            places_NHW = self._integrate_gradients(images_NHWC, targets, num_steps)
        return places_NHW.detach().float().numpy(), values_NK.float().numpy()

    def _integrate_gradients(self, images_NHWC: torch.Tensor, targets: torch.Tensor, num_steps: int) -> torch.Tensor:
        from captum.attr import IntegratedGradients

        method = IntegratedGradients(self._run)
        rows = [
            method.attribute(image, target=target, n_steps=num_steps, internal_batch_size=self._points_at_once)
            for image, target in zip(images_NHWC.split(1), targets.split(1), strict=True)
        ]
        return torch.cat(rows).sum(3)

    def _attribute_to_layer(self, images_NHWC: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        from captum.attr import LayerAttribution, LayerGradCam

        if self._layer is None:
            raise AttributionError("the network has no convolution over places, which Grad-CAM needs; take the other")
        coarse = LayerGradCam(self._run, self._layer).attribute(
            images_NHWC.requires_grad_(), target=targets, relu_attributions=True
        )
        fine: torch.Tensor = LayerAttribution.interpolate(coarse, images_NHWC.shape[1:3], "bilinear")
        return fine[:, 0]

    def _run(self, images_NHWC: torch.Tensor) -> torch.Tensor:
        found = self._module(images_NHWC)
        values: torch.Tensor = found[0] if isinstance(found, tuple | list) else found
        return values


def _let_floats_in(module: fx.GraphModule) -> None:
    """Remove the checks that inputs are whole numbers: these have no gradient, and the program makes floats of them."""
    for node in list(module.graph.nodes):
        if "_assert_tensor_metadata" in str(node.target):
            module.graph.erase_node(node)
    module.recompile()


def _mark_last_convolution(module: fx.GraphModule) -> nn.Module | None:
    """Let the last convolution's result [N, C, H, W] pass through a module of its own, which hooks can see."""
    found = [node for node in module.graph.nodes if _is_convolution(node)]
    if not found:
        return None
    layer = nn.Identity()
    module.add_module("explained", layer)
    with module.graph.inserting_after(found[-1]):
        marked = module.graph.call_module("explained", (found[-1],))
    found[-1].replace_all_uses_with(marked, delete_user_cb=lambda user: user is not marked)
    module.recompile()
    return layer


def _is_convolution(node: fx.Node) -> bool:
    value = node.meta.get("val")
    return (
        node.op == "call_function"
        and any(f"aten.{name}." in str(node.target) for name in _CONVOLUTIONS)
        and isinstance(value, torch.Tensor)
        and value.dim() == 4
    )
