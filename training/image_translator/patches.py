"""The discriminator: says of each patch of an image whether it is real, so that it looks at texture, not at the whole.

Source: Isola et al. 2017, https://arxiv.org/abs/1611.07004, section 3.2.2; here with spectral normalization in place of
batch normalization. Source: Miyato et al. 2018, https://arxiv.org/abs/1802.05957.
Dimensions: N images, C channels, H height, W width.
"""

from __future__ import annotations

from itertools import pairwise

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from training.images.dcgan import initialize


class PatchDiscriminator(nn.Sequential):
    """Images float32 [N, C, H, W] in [−1, 1] → scores float32 [N, 1, H', W']; real patches score higher.

    It halves `depth` times, and looks at wider neighbourhoods twice more.
    """

    def __init__(self, num_channels: int, width: int, depth: int) -> None:
        widths = [num_channels, *(width * 2**level for level in range(depth))]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        last = width * 2**depth
        layers += [nn.Conv2d(widths[-1], last, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(last, 1, 3, padding=1)]
        super().__init__(*layers)
        initialize(self)
        for layer in self:
            if isinstance(layer, nn.Conv2d):
                spectral_norm(layer)
