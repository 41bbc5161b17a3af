"""A style-based generator: a mapping from latents to styles, and convolutions whose weights the styles scale.

Source: Karras et al. 2020, Analyzing and improving the image quality of StyleGAN, https://arxiv.org/abs/1912.04958,
section 2.2 (modulation and demodulation) and figure 7 (b, sums of what each resolution draws); mapping, noise, mixing
and truncation as in Karras et al. 2019, https://arxiv.org/abs/1812.04948.
Dimensions: N images, Z latent values, S values of a style, L layers, C channels, H height, W width, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.images.dcgan import Shape, start_size

_MEAN_RATE = 0.01  # at which the mean styles follow those of a step
_MAPPING_RATE = 0.01  # of the mapping, relative to that of all else


class StyledConvolution(nn.Module):
    """A convolution whose input channels a style scales, and whose outputs are brought back to variance 1.

    Scaling inputs and outputs in the place of the weights is the same to rounding, and leaves one convolution for all
    images of a batch.
    """

    def __init__(self, style_size: int, num_inputs: int, num_outputs: int, *, kernel: int, demodulates: bool) -> None:
        super().__init__()
        self.demodulates = demodulates
        self.scale = nn.Linear(style_size, num_inputs)
        nn.init.normal_(self.scale.weight, std=style_size**-0.5)
        nn.init.ones_(self.scale.bias)
        self.conv = nn.Conv2d(num_inputs, num_outputs, kernel, padding=kernel // 2, bias=False)
        nn.init.normal_(self.conv.weight, std=(num_inputs * kernel**2) ** -0.5)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        scale = self.scale(style)
        x = self.conv(x * scale[:, :, None, None])
        if not self.demodulates:
            return x
        power = self.conv.weight.float().square().sum((2, 3))
        return x * torch.rsqrt(scale.float().square() @ power.T + 1e-8).to(x.dtype)[:, :, None, None]


class StyledLayer(nn.Module):
    """A styled convolution, noise of learned strength, an offset and a leaky ReLU.

    While training each image has noise of its own; afterwards it is always the same, so that an image depends on its
    latent alone.
    """

    noise: Tensor

    def __init__(self, style_size: int, num_inputs: int, num_outputs: int, side: int) -> None:
        super().__init__()
        self.convolution = StyledConvolution(style_size, num_inputs, num_outputs, kernel=3, demodulates=True)
        self.strength = nn.Parameter(torch.zeros(()))
        self.offset = nn.Parameter(torch.zeros(1, num_outputs, 1, 1))
        self.activation = nn.LeakyReLU(0.2)
        self.register_buffer("noise", torch.randn(1, 1, side, side))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        x = self.convolution(x, style)
        noise = torch.randn(len(x), *self.noise.shape[1:], device=x.device) if self.training else self.noise
        return self.activation(x + (self.strength * noise + self.offset).to(x.dtype))


class SlowLinear(nn.Linear):
    """A linear layer that learns at a hundredth of the rate, because its weights are kept a hundred times as large.

    At the whole rate the styles of all latents become one, and so do the images.
    """

    def __init__(self, num_inputs: int, num_outputs: int) -> None:
        super().__init__(num_inputs, num_outputs)
        nn.init.kaiming_normal_(self.weight, a=0.2)
        nn.init.zeros_(self.bias)
        with torch.no_grad():
            self.weight /= _MAPPING_RATE

    def forward(self, x: Tensor) -> Tensor:
        return _MAPPING_RATE * super().forward(x)


class Mapping(nn.Sequential):
    """Latents, normalized, and an embedding of the class beside them → styles [N, S]."""

    def __init__(self, num_inputs: int, style_size: int, num_layers: int) -> None:
        sizes = [num_inputs, *(style_size for _ in range(num_layers))]
        layers: list[nn.Module] = []
        for a, b in pairwise(sizes):
            layers += [SlowLinear(a, b), nn.LeakyReLU(0.2)]
        super().__init__(*layers)


class StyleGenerator(nn.Module):
    """Latents float32 [N, Z], and labels int64 [N] if it has classes → images float32 [N, C, H, W] in [−1, 1].

    `widths` are the channels from the smallest map upwards; what exceeds the image is cut off. While training, this
    `mixing_share` of images has the styles of two latents, one up to a layer drawn at random and the other from there.
    """

    mean_styles: Tensor

    def __init__(
        self,
        *,
        latent_size: int,
        style_size: int,
        num_mappings: int,
        mixing_share: float,
        widths: Sequence[int],
        shape: Shape,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        self.latent_size, self.num_classes, self.shape, self.mixing_share = (
            latent_size,
            num_classes,
            shape,
            mixing_share,
        )
        height, width, channels = shape
        start = start_size(widths, shape)
        canvas = start * 2 ** len(widths)
        self.margins = (canvas - height) // 2, (canvas - width) // 2
        self.embedding = nn.Embedding(num_classes, latent_size) if num_classes else None
        self.mapping = Mapping(latent_size * (2 if num_classes else 1), style_size, num_mappings)
        self.start = nn.Parameter(torch.randn(1, widths[0], start, start))
        sizes = [widths[0], *widths]
        self.layers = nn.ModuleList(
            StyledLayer(style_size, a, b, start * 2**level) for level, (a, b) in enumerate(pairwise(sizes))
        )
        self.layers.append(StyledLayer(style_size, widths[-1], widths[-1], canvas))
        self.drawings = nn.ModuleList(
            StyledConvolution(style_size, num_inputs, channels, kernel=1, demodulates=False)
            for num_inputs in (*widths, widths[-1])
        )
        self.register_buffer("mean_styles", torch.zeros(max(1, num_classes), style_size))

    @property
    def num_layers(self) -> int:
        """Layers that take a style each, one for each resolution."""
        return len(self.layers)

    def forward(self, latents: Tensor, labels: Tensor | None = None, closeness: Tensor | None = None) -> Tensor:
        """Draw images; `closeness` [N] moves each style towards the mean style: 1 not at all, 0 all the way."""
        styles = self.map_styles(latents, labels)
        if self.training:
            self._follow_mean(styles.detach(), labels)
            return self.synthesize(self._mix(styles, labels))
        if closeness is not None:
            styles = self.truncate(styles, labels, closeness)
        return self.synthesize([styles] * self.num_layers)

    def map_styles(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """Compute styles [N, S]."""
        x = _normalize(latents)
        if self.embedding is not None:
            assert labels is not None
            x = torch.cat([x, _normalize(self.embedding(labels))], 1)
        styles: Tensor = self.mapping(x)
        return styles

    def truncate(self, styles: Tensor, labels: Tensor | None, closeness: Tensor) -> Tensor:
        """Move styles [N, S] towards the mean style, that of their class where there are classes."""
        mean = self.mean_styles[:1] if labels is None else self.mean_styles[labels]
        return mean + closeness[:, None] * (styles - mean)

    def synthesize(self, styles: Sequence[Tensor]) -> Tensor:
        """Draw images of a style [N, S] for each layer, the coarsest first."""
        x = self.start.expand(styles[0].shape[0], -1, -1, -1)  # len() would make a constant of it
        image: Tensor | None = None
        for level, (layer, drawing, style) in enumerate(zip(self.layers, self.drawings, styles, strict=True)):
            if level:
                x = F.interpolate(x, scale_factor=2.0, mode="bilinear")
            x = layer(x, style)
            drawn = drawing(x, style).float()
            image = drawn if image is None else F.interpolate(image, scale_factor=2.0, mode="bilinear") + drawn
        assert image is not None
        height, width, _ = self.shape
        top, left = self.margins
        return torch.tanh(image[:, :, top : top + height, left : left + width])

    @torch.no_grad()
    def _follow_mean(self, styles: Tensor, labels: Tensor | None) -> None:
        rows = torch.zeros(len(styles), dtype=torch.int64, device=styles.device) if labels is None else labels
        members = F.one_hot(rows, len(self.mean_styles)).float()
        counts = members.sum(0)[:, None]
        means = members.T @ styles.float() / counts.clamp_min(1)
        self.mean_styles += _MEAN_RATE * (counts > 0) * (means - self.mean_styles)

    def _mix(self, styles: Tensor, labels: Tensor | None) -> list[Tensor]:
        others = self.map_styles(torch.randn(len(styles), self.latent_size, device=styles.device), labels)
        change = torch.randint(1, self.num_layers, (len(styles), 1), device=styles.device)
        is_mixed = torch.rand(len(styles), 1, device=styles.device) < self.mixing_share
        return [torch.where(is_mixed & (change <= layer), others, styles) for layer in range(self.num_layers)]


def _normalize(rows: Tensor) -> Tensor:
    return rows * torch.rsqrt(rows.square().mean(1, keepdim=True) + 1e-8)
