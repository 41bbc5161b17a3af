"""VGG-11 and VGG-16 with normalization, with one linear layer behind a global mean.

Source: Simonyan and Zisserman 2015, https://arxiv.org/abs/1409.1556, table 1, columns A and D. The original's three
linear layers hold 120 million weights that small images neither fill nor need.
"""

from __future__ import annotations

from torch import Tensor, nn

from training.engine.normalization import NormalizationName, make_normalization

_STAGES = {
    11: ((64,), (128,), (256, 256), (512, 512), (512, 512)),
    16: ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)),
}


class Vgg(nn.Module):
    """Images float32 [N, C, H, W], normalized, H and W at least 16 → logits [N, classes]."""

    def __init__(
        self,
        *,
        layers: int,
        channels: int,
        num_classes: int,
        dropout: float,
        normalization: NormalizationName = "batch",
    ) -> None:
        super().__init__()
        if layers not in _STAGES:
            raise ValueError(f"VGG has 11 or 16 layers here, got {layers}")
        modules: list[nn.Module] = []
        in_channels = channels
        stages = _STAGES[layers]
        for index, stage in enumerate(stages):
            for width in stage:
                conv = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
                nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
                modules += [conv, make_normalization(normalization, width), nn.ReLU()]
                in_channels = width
            if index < len(stages) - 1:
                modules.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*modules)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(in_channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.dropout(self.pool(self.features(x)).flatten(1)))
