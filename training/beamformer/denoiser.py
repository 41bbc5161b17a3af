"""The denoiser: stages of a multilinear Wiener filter and a beamspace gate, each on what the gate before let through.

Dimension letters: M taps, R receive cells, X and Y the sides of the transmit array.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.beamformer.gating import CellGate, Evidence, SeparableGate
from training.beamformer.paired import full_precision
from training.beamformer.wiener import MultilinearWiener, SideFilters

GATES = ("none", "separable", "cell", "joint")


class Denoiser(nn.Module):
    """One stage per entry of `gates`; the first filter takes `num_first_sweeps` sweeps, each later one a single one."""

    def __init__(
        self,
        receive_shape: tuple[int, int],
        transmit_shape: tuple[int, int],
        *,
        gates: Sequence[str],
        num_first_sweeps: int,
        num_hidden: int,
    ) -> None:
        super().__init__()
        unknown = [name for name in gates if name not in GATES]
        if unknown or not gates:
            raise ValueError(f"gates must be one or more of {', '.join(GATES)}, got {list(gates)}")
        self.filters = nn.ModuleList(
            MultilinearWiener(receive_shape, num_first_sweeps if stage == 0 else 1) for stage in range(len(gates))
        )
        self.gates = nn.ModuleList(_make_gate(name, receive_shape, transmit_shape, num_hidden) for name in gates)

    def forward(self, taps: Tensor, csi_snr_db: Tensor) -> Tensor:
        """Denoise beamspace taps [M, 2, R, X, Y] of unit noise variance; csi_snr_db is [M]."""
        gated, result = taps, taps
        filters: SideFilters | None = None
        for stage, gate in zip(self.filters, self.gates, strict=True):
            with full_precision(taps):
                filtered, filters = stage(gated, csi_snr_db, filters)
            mask = torch.ones_like(taps[:, :1])
            if not isinstance(gate, nn.Identity):
                evidence = Evidence.of(taps, filtered, csi_snr_db, filters.pass_fraction())
                mask = gate(evidence).reshape(mask.shape)
            gated, result = mask * taps, mask * filtered
        return result


def _make_gate(
    name: str, receive_shape: tuple[int, int], transmit_shape: tuple[int, int], num_hidden: int
) -> nn.Module:
    if name == "none":
        return nn.Identity()
    if name == "separable":
        return SeparableGate(receive_shape, transmit_shape)
    return CellGate(receive_shape, transmit_shape, num_hidden=num_hidden, is_joint=name == "joint")
