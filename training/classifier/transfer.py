"""torchvision networks that start from somebody's trained weights, read from a local file.

Two stages: the new head alone on frozen features, then everything, with lower rates the nearer a layer is to the input.
Source: Howard and Ruder 2018, https://arxiv.org/abs/1801.06146, section 3.2.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from training.images.normalization import Normalization

PRETRAINED = {
    "mobilenet_v3_small": "mobilenet_v3_small",
    "mobilenet_v3_large": "mobilenet_v3_large",
    "resnet18_pretrained": "resnet18",
    "resnet50_pretrained": "resnet50",
}
_MIN_PX = 64  # these networks halve five times; smaller images would end as one noisy pixel
_IMAGENET_MEAN = (123.675, 116.28, 103.53)
_IMAGENET_DEVIATION = (58.395, 57.12, 57.375)


class PretrainedNetwork(nn.Module):
    """Images float32 [N, 1 or 3, H, W] → logits [N, classes]; small images are enlarged, grey ones repeated."""

    def __init__(self, name: str, *, channels: int, num_classes: int, frozen_epochs: int) -> None:
        super().__init__()
        from torchvision import models  # slow to import, and missing in a small installation

        if channels not in (1, 3):
            raise ValueError(f"{name} takes grey or RGB images, got {channels} channels")
        self.channels, self.frozen_epochs = channels, frozen_epochs
        self.frozen = False
        self.backbone = getattr(models, PRETRAINED[name])(weights=None)
        if hasattr(self.backbone, "fc"):
            self.backbone.fc = nn.Linear(self.backbone.fc.in_features, num_classes)
        else:
            self.backbone.classifier[-1] = nn.Linear(self.backbone.classifier[-1].in_features, num_classes)

    @property
    def head(self) -> nn.Module:
        """The layer made for this data set's classes."""
        return self.backbone.fc if hasattr(self.backbone, "fc") else self.backbone.classifier[-1]

    @property
    def normalization(self) -> Normalization:
        """The pixel normalization under which torchvision's weights were trained."""
        mean, deviation = torch.tensor(_IMAGENET_MEAN), torch.tensor(_IMAGENET_DEVIATION)
        if self.channels == 1:
            mean, deviation = mean.mean(0, keepdim=True), deviation.mean(0, keepdim=True)
        return Normalization(mean, deviation)

    def forward(self, x: Tensor) -> Tensor:
        if self.channels == 1:
            x = x.expand(-1, 3, -1, -1)
        height, width = x.shape[2:]
        if min(height, width) < _MIN_PX:
            scale = _MIN_PX / min(height, width)
            x = nn.functional.interpolate(x, (round(scale * height), round(scale * width)), mode="bilinear")
        return self.backbone(x)

    def train(self, mode: bool = True) -> PretrainedNetwork:
        """Switch modes; frozen features stay in evaluation mode, so that their running statistics stay too."""
        super().train(mode)
        if mode and self.frozen:
            self.backbone.eval()
            self.head.train()
        return self

    def prepare_epoch(self, epoch: int) -> None:
        """Freeze everything but the head during the first `frozen_epochs`."""
        self.frozen = epoch < self.frozen_epochs
        self.backbone.requires_grad_(not self.frozen)
        self.head.requires_grad_(True)

    def list_layers(self) -> list[list[nn.Parameter]]:
        """Group parameters by layer from the input to the head, for discriminative rates."""
        children = dict(self.backbone.named_children())
        features = children.pop("features", nn.Sequential())
        layers = [list(child.parameters()) for child in (*features.children(), *children.values())]
        return [layer for layer in layers if layer]

    def load_weights(self, path: Path) -> None:
        """Read a torchvision state dict; its head is left out.

        Raises:
            FileNotFoundError: no such file.
            ValueError: the file holds another network.
        """
        if not path.is_file():
            raise FileNotFoundError(f"weights_file {path} does not exist; give a torchvision state dict (.pth)")
        stored = torch.load(path, map_location="cpu", weights_only=True)
        own = self.backbone.state_dict()
        of_head = {id(tensor) for tensor in self.head.state_dict(keep_vars=True).values()}
        wanted = [key for key, tensor in self.backbone.state_dict(keep_vars=True).items() if id(tensor) not in of_head]
        unfit = [key for key in wanted if key not in stored or stored[key].shape != own[key].shape]
        if unfit:
            raise ValueError(
                f"{path} does not fit: {len(unfit)} of {len(wanted)} tensors are missing or of another shape, "
                f"the first is {unfit[0]}"
            )
        self.backbone.load_state_dict({key: stored[key] for key in wanted}, strict=False)
