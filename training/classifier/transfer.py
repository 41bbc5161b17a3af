"""torchvision networks that start from somebody's trained weights, read from a local file.

Two stages: the new head alone on frozen features, then everything, with lower rates the nearer a layer is to the input.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

PRETRAINED = ("mobilenet_v3_small", "mobilenet_v3_large", "resnet18_imagenet", "resnet50_imagenet")
_MIN_PX = 64


class PretrainedNetwork(nn.Module):
    """Images float32 [N, 1 or 3, H, W] → logits [N, classes]; small images are enlarged, grey ones repeated."""

    def __init__(self, name: str, *, channels: int, num_classes: int) -> None:
        super().__init__()
        from torchvision import models

        if channels not in (1, 3):
            raise ValueError(f"{name} takes grey or RGB images, got {channels} channels")
        self.channels = channels
        self.backbone: nn.Module = getattr(models, name.removesuffix("_imagenet"))(weights=None)
        self._replace_head(num_classes)
        self.frozen_epochs = 0

    def _replace_head(self, num_classes: int) -> None:
        if hasattr(self.backbone, "fc"):
            self.backbone.fc = nn.Linear(self.backbone.fc.in_features, num_classes)
        else:
            last = self.backbone.classifier[-1]
            self.backbone.classifier[-1] = nn.Linear(last.in_features, num_classes)

    @property
    def head(self) -> nn.Module:
        return self.backbone.fc if hasattr(self.backbone, "fc") else self.backbone.classifier

    def forward(self, x: Tensor) -> Tensor:
        if self.channels == 1:
            x = x.expand(-1, 3, -1, -1)
        if min(x.shape[2:]) < _MIN_PX:
            x = nn.functional.interpolate(x, scale_factor=_MIN_PX / min(x.shape[2:]), mode="bilinear")
        return self.backbone(x)

    def load_weights(self, path: Path) -> None:
        """Read a torchvision state dict; the head is left out when its number of classes differs.

        Raises:
            FileNotFoundError: no such file.
            ValueError: the file does not hold this network.
        """
        if not path.is_file():
            raise FileNotFoundError(f"weights_file {path} does not exist; give a torchvision state dict (.pth)")
        state = torch.load(path, map_location="cpu", weights_only=True)
        own = self.backbone.state_dict()
        fitting = {key: value for key, value in state.items() if key in own and own[key].shape == value.shape}
        head_keys = {key for key in own if self.head in _ancestors(self.backbone, key)}
        missing = sorted(set(own) - set(fitting) - head_keys)
        if missing:
            raise ValueError(
                f"{path} does not fit: {len(missing)} of {len(own)} tensors are missing or of another shape, "
                f"the first is {missing[0]}"
            )
        self.backbone.load_state_dict(fitting, strict=False)

    def prepare_epoch(self, epoch: int) -> None:
        """Freeze everything but the head during the first `frozen_epochs`."""
        self.backbone.requires_grad_(epoch >= self.frozen_epochs)
        self.head.requires_grad_(True)

    def parameter_layers(self) -> list[list[nn.Parameter]]:
        """Parameters of the backbone's children in order from input to head, for discriminative rates."""
        layers = [list(child.parameters()) for child in self.backbone.children()]
        return [layer for layer in layers if layer]


def _ancestors(module: nn.Module, key: str) -> list[nn.Module]:
    found, current = [], module
    for part in key.split(".")[:-1]:
        current = getattr(current, part)
        found.append(current)
    return found
