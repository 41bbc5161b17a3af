"""A network of inverted residuals: few weights, because spatial filters see one channel each.

Sources: Sandler et al. 2018, https://arxiv.org/abs/1801.04381 (inverted residuals); Howard et al. 2019,
https://arxiv.org/abs/1905.02244 (with squeeze-and-excitation and hard swish); Tan and Le 2019,
https://arxiv.org/abs/1905.11946, table 1 (whose first stages these are, in smaller).
Dimensions: N images, C channels, H height, W width.
"""

from __future__ import annotations

from torch import Tensor, nn

from training.classifier.resnet import SqueezeExcitation
from training.engine.normalization import NormalizationName, make_normalization

_STEM = 32
# Expansion, channels, blocks, stride of the first block, side of its filters.
_STAGES = ((1, 16, 1, 1, 3), (4, 24, 2, 2, 3), (4, 40, 2, 2, 5), (4, 80, 2, 1, 3))
_LAST = 320


class InvertedResidual(nn.Module):
    """Widen, filter each channel alone, weigh the channels, narrow; around it a shortcut between narrow ends."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        normalization: NormalizationName,
        *,
        expansion: int,
        stride: int,
        kernel: int,
    ) -> None:
        super().__init__()
        hidden = expansion * in_channels
        self.expand = _convolve(in_channels, hidden, 1, normalization) if expansion > 1 else nn.Identity()
        self.filter = _convolve(hidden, hidden, kernel, normalization, stride=stride, groups=hidden)
        self.weigh = SqueezeExcitation(hidden, reduction=4 * expansion)
        self.narrow = nn.Conv2d(hidden, out_channels, 1, bias=False)
        self.norm = make_normalization(normalization, out_channels)
        self.has_shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.narrow(self.weigh(self.filter(self.expand(x)))))
        return x + y if self.has_shortcut else y


class DepthwiseNetwork(nn.Module):
    """Images float32 [N, C, H, W], normalized → logits [N, classes].

    Images of 64 pixels and more are halved in the first layer.
    """

    def __init__(
        self,
        *,
        channels: int,
        num_classes: int,
        resolution: int,
        dropout: float,
        normalization: NormalizationName = "batch",
    ) -> None:
        super().__init__()
        self.stem = _convolve(channels, _STEM, 3, normalization, stride=1 if resolution < 64 else 2)
        blocks: list[nn.Module] = []
        in_channels = _STEM
        for expansion, width, count, stride, kernel in _STAGES:
            for index in range(count):
                first_stride = stride if index == 0 else 1
                blocks.append(
                    InvertedResidual(
                        in_channels, width, normalization, expansion=expansion, stride=first_stride, kernel=kernel
                    )
                )
                in_channels = width
        self.blocks = nn.Sequential(*blocks)
        self.last = _convolve(in_channels, _LAST, 1, normalization)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(_LAST, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.dropout(self.pool(self.last(self.blocks(self.stem(x)))).flatten(1)))


def _convolve(
    in_channels: int,
    out_channels: int,
    kernel: int,
    normalization: NormalizationName,
    *,
    stride: int = 1,
    groups: int = 1,
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
        make_normalization(normalization, out_channels),
        nn.Hardswish(),
    )
