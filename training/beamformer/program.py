"""The programs that a beamformer is served as.

Dimension letters: N channels, K subcarriers, R receive and T transmit antennas, M = N·K, L RF chains.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from training.beamformer.hybrid import HybridHead, HybridHeads, HybridWeights
from training.beamformer.unrolled import BeamformingNetwork


class DigitalProgram(nn.Module):
    """The released form of a beamformer: re/im last, rows first; the estimate stays as hybrid programs take it."""

    def __init__(self, beamformer: BeamformingNetwork) -> None:
        super().__init__()
        self.beamformer = beamformer

    def forward(self, channel: Tensor, csi_snr_db: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Precoder [N, K, T, Ns, 2], combiner [N, K, R, Ns, 2] and estimate [N, K, 2, R, T]."""
        precoder, combiner, estimate = self.beamformer(channel, csi_snr_db)
        num_subcarriers = self.beamformer.num_subcarriers
        return (
            _lay_out(precoder, num_subcarriers),
            _lay_out(combiner, num_subcarriers),
            estimate.unflatten(0, (-1, num_subcarriers)),
        )


class HybridProgram(nn.Module):
    """The released form of a network's hybrid heads, on the outputs of the digital program."""

    def __init__(self, heads: Iterable[nn.Module]) -> None:
        super().__init__()
        self.heads = HybridHeads([head for head in heads if isinstance(head, HybridHead)])

    def forward(self, precoder: Tensor, estimate: Tensor, num_chains: Tensor) -> tuple[Tensor, ...]:
        """Weights [N, K, antennas, Ns, 2] of both sides, then analog [N, antennas, L, 2] and baseband [N, K, L, Ns, 2]
        of the precoder, then of the combiner: L is the most chains of any head, and what a row has less is zeros."""
        num_subcarriers = estimate.shape[1]
        weights: HybridWeights = self.heads(estimate.flatten(0, 1), precoder.flatten(0, 1).movedim(-1, 1), num_chains)
        return (
            _lay_out(weights.precoder, num_subcarriers),
            _lay_out(weights.combiner, num_subcarriers),
            weights.analog_precoder.movedim(1, -1).contiguous(),
            _lay_out(weights.baseband_precoder, num_subcarriers),
            weights.analog_combiner.movedim(1, -1).contiguous(),
            _lay_out(weights.baseband_combiner, num_subcarriers),
        )


def _lay_out(pairs: Tensor, num_subcarriers: int) -> Tensor:
    """Turn pairs [M, 2, rows, columns] into [N, K, rows, columns, 2]."""
    return pairs.movedim(1, -1).unflatten(0, (-1, num_subcarriers)).contiguous()
