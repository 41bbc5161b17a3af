"""The two networks of the thesis that this task comes from, corrected, as baselines; they know no CSI SNR.

Both map channels complex64 [N, K, R, T] to precoders [N, K, T, Ns] and combiners [N, K, R, Ns], orthonormal, and are
trained here on spectral efficiency: against singular vectors, whose phases are arbitrary, the squared error teaches
nothing. Corrected: flatten sizes that fit, complex activations on complex tensors, one scaling for training and use,
usable learning rates. Kept: the residual encoder sees magnitudes only, which is what limits it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.beamformer.channel import ChannelModel
from training.beamformer.complex_layers import (
    ComplexAvgPool2d,
    ComplexConv2d,
    ComplexDropout,
    ComplexLinear,
    CReLU,
    ModReLU,
    ZReLU,
    make_complex_normalization,
)
from training.beamformer.metrics import NUM_STREAMS
from training.beamformer.paired import to_pair
from training.beamformer.unrolled import BeamformingNetwork

_WIDTHS = (16, 32, 64, 128)
_COMPLEX_WIDTHS = (16, 32, 64)


class ThesisBeamformer(BeamformingNetwork):
    """One of the thesis's networks with the signature of all; its estimate is the channel as it came."""

    def __init__(self, model: ChannelModel, network: nn.Module) -> None:
        super().__init__(model)
        self.network = network

    def forward(self, channel: Tensor, csi_snr_db: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        precoder, combiner = (to_pair(side.flatten(0, 1)) for side in self.network(torch.view_as_complex(channel)))
        return precoder, combiner, self.beamspace.to_subcarriers(self.beamspace.analyze(channel))


class ResidualEncoder(nn.Module):
    """The thesis's "UNet": residual stages 5 → 16 → 32 → 64 → 128 over |H|, flattened to 9216, then both weights."""

    def __init__(self, model: ChannelModel) -> None:
        super().__init__()
        self.model = model
        widths = (model.num_subcarriers, *_WIDTHS)
        pools = (2, 2, 1, 1)
        self.stages = nn.ModuleList(
            _ResidualStage(num_inputs, num_outputs, pool)
            for num_inputs, num_outputs, pool in zip(widths, widths[1:], pools, strict=False)
        )
        rows, columns = model.num_receive // 4, model.num_transmit // 4
        self.squeeze = nn.Conv2d(_WIDTHS[-1], 9216 // (rows * columns) or 1, 1)
        num_features = self.squeeze.out_channels * rows * columns
        num_weights = model.num_subcarriers * NUM_STREAMS * 2
        self.precoder = nn.Linear(num_features, num_weights * model.num_transmit)
        self.combiner = nn.Linear(num_features, num_weights * model.num_receive)

    def forward(self, channel: Tensor) -> tuple[Tensor, Tensor]:
        features = channel.abs()
        features = features / features.mean((1, 2, 3), keepdim=True)
        for stage in self.stages:
            features = stage(features)
        features = self.squeeze(features).flatten(1)
        heads = ((self.precoder, self.model.num_transmit), (self.combiner, self.model.num_receive))
        weights = []
        for head, num_antennas in heads:
            parts = head(features).view(len(channel), self.model.num_subcarriers, num_antennas, NUM_STREAMS, 2)
            weights.append(torch.linalg.qr(torch.view_as_complex(parts))[0])
        return weights[0], weights[1]


class _ResidualStage(nn.Module):
    def __init__(self, num_inputs: int, num_outputs: int, pool: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(num_inputs, num_outputs, 3, padding=1)
        self.first_norm = nn.BatchNorm2d(num_outputs)
        self.second = nn.Conv2d(num_outputs, num_outputs, 3, padding=1)
        self.second_norm = nn.BatchNorm2d(num_outputs)
        self.shortcut = nn.Conv2d(num_inputs, num_outputs, 1)
        self.pool = pool

    def forward(self, features: Tensor) -> Tensor:
        inside = functional.relu(self.first_norm(self.first(features)))
        inside = self.second_norm(self.second(inside)) + self.shortcut(features)
        return functional.max_pool2d(functional.relu(inside), self.pool)


class ComplexNetwork(nn.Module):
    """The thesis's complex CNN: 5 → 16 → 32 → 64 complex channels, two heads; activation crelu, modrelu or zrelu."""

    def __init__(
        self, model: ChannelModel, *, activation: str = "modrelu", normalization: str = "complex", dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.model = model
        layers: list[nn.Module] = []
        num_inputs = model.num_subcarriers
        for width in _COMPLEX_WIDTHS:
            layers += [
                ComplexConv2d(num_inputs, width, 3, padding=1),
                make_complex_normalization(normalization, width),
                make_activation(activation, width),
                ComplexAvgPool2d(2 if width < _COMPLEX_WIDTHS[-1] else 1),
            ]
            num_inputs = width
        self.layers = nn.Sequential(*layers)
        self.dropout = ComplexDropout(dropout)
        num_columns, num_rows = model.num_transmit // 4, model.num_receive // 4
        num_outputs = model.num_subcarriers * NUM_STREAMS
        self.precoder = ComplexLinear(num_inputs * num_rows * num_columns, num_outputs * model.num_transmit)
        self.combiner = ComplexLinear(num_inputs * num_rows * num_columns, num_outputs * model.num_receive)

    def forward(self, channel: Tensor) -> tuple[Tensor, Tensor]:
        scale = channel.abs().square().mean((1, 2, 3), keepdim=True).sqrt()
        features = self.dropout(self.layers(channel / scale)).flatten(1)
        heads = ((self.precoder, self.model.num_transmit), (self.combiner, self.model.num_receive))
        weights = []
        for head, num_antennas in heads:
            values = head(features).view(len(channel), self.model.num_subcarriers, num_antennas, NUM_STREAMS)
            weights.append(torch.linalg.qr(values)[0])
        return weights[0], weights[1]


def make_activation(name: str, num_channels: int) -> nn.Module:
    """Make a complex activation.

    Raises:
        ValueError: unknown name.
    """
    if name == "crelu":
        return CReLU()
    if name == "zrelu":
        return ZReLU()
    if name == "modrelu":
        return ModReLU(num_channels)
    raise ValueError(f"unknown complex activation {name!r}; use crelu, modrelu or zrelu")
