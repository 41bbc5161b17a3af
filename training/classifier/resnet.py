"""ResNet-18 built from its blocks, with squeeze-and-excitation or CBAM attention, or without shortcuts, as an option.

Dimensions: N images, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from training.engine.normalization import NormalizationName, make_normalization


class SqueezeExcitation(nn.Module):
    """Weigh channels by a gate computed from their means. Source: Hu et al. 2018, https://arxiv.org/abs/1709.01507."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(4, channels // reduction)
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.relu = nn.ReLU()
        self.excite = nn.Conv2d(hidden, channels, 1)
        self.gate = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(self.excite(self.relu(self.squeeze(self.mean(x)))))


class ConvolutionalAttention(nn.Module):
    """CBAM: weigh channels by means and maxima, then places likewise.

    The shared perceptron sees mean and maximum side by side along the width, so that it runs once.
    Source: Woo et al. 2018, https://arxiv.org/abs/1807.06521.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(4, channels // reduction)
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.relu = nn.ReLU()
        self.excite = nn.Conv2d(hidden, channels, 1)
        self.channel_gate = nn.Sigmoid()
        self.place = nn.Conv2d(2, 1, 7, padding=3)
        self.place_gate = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        summary = torch.cat([x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)], dim=3)
        weight = self.excite(self.relu(self.squeeze(summary))).sum(3, keepdim=True)
        x = x * self.channel_gate(weight)
        places = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)
        return x * self.place_gate(self.place(places))


_ATTENTION: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda _: nn.Identity(),
    "se": SqueezeExcitation,
    "cbam": ConvolutionalAttention,
}
ATTENTIONS = tuple(_ATTENTION)


class BasicBlock(nn.Module):
    """Two 3×3 convolutions around a shortcut. Source: He et al. 2016, https://arxiv.org/abs/1512.03385, figure 2."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        attention: str,
        normalization: NormalizationName,
        *,
        has_shortcut: bool = True,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.norm1 = make_normalization(normalization, out_channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = make_normalization(normalization, out_channels)
        self.attention = _ATTENTION[attention](out_channels)
        self.relu2 = nn.ReLU()
        self.has_shortcut = has_shortcut
        self.shortcut: nn.Module = nn.Identity()
        if has_shortcut and (stride != 1 or in_channels != out_channels):
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                make_normalization(normalization, out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.norm1(self.conv1(x)))
        y = self.attention(self.norm2(self.conv2(y)))
        return self.relu2(y + self.shortcut(x) if self.has_shortcut else y)


class ResNet18(nn.Module):
    """Images float32 [N, C, H, W], normalized → logits [N, classes].

    Images below 64 pixels get a 3×3 stem at full resolution, larger ones the 7×7 stem with pooling of ImageNet.
    """

    def __init__(
        self,
        *,
        channels: int,
        num_classes: int,
        resolution: int,
        attention: str = "none",
        normalization: NormalizationName = "batch",
        widths: Sequence[int] = (64, 128, 256, 512),
        blocks_per_stage: int = 2,
        shortcuts: bool = True,
    ) -> None:
        super().__init__()
        if attention not in _ATTENTION:
            raise ValueError(f"unknown attention {attention!r}; use one of {ATTENTIONS}")
        small = resolution < 64
        self.stem = nn.Sequential(
            nn.Conv2d(channels, widths[0], 3 if small else 7, 1 if small else 2, padding=1 if small else 3, bias=False),
            make_normalization(normalization, widths[0]),
            nn.ReLU(),
            nn.Identity() if small else nn.MaxPool2d(3, 2, padding=1),
        )
        blocks: list[nn.Module] = []
        in_channels = widths[0]
        for index, width in enumerate(widths):
            for place in range(blocks_per_stage):
                stride = 2 if index and not place else 1
                blocks.append(BasicBlock(in_channels, width, stride, attention, normalization, has_shortcut=shortcuts))
                in_channels = width
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(widths[-1], num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.blocks(self.stem(x))).flatten(1))
