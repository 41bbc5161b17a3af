"""Channels and estimates that a network may meet beside those it was trained with, one factor changed at a time.

Where nothing else is said, a condition is the middle of training: a CSI SNR of −10 dB, told as it is, of a channel that
stands still.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from training.beamformer.channel import ChannelModel


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A channel model, how noisy its estimate is, by how much the told level is off, and how fast the receiver is."""

    model: ChannelModel
    csi_snr_db: float = -10.0
    error_db: float = 0.0
    speed_km_h: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Factor:
    """One factor with its unit, what it may be, and the condition that it makes of each value."""

    name: str
    values: tuple[float, ...]
    make: Callable[[float], Condition]


def list_factors(model: ChannelModel) -> list[Factor]:
    """Everything that is varied around a channel model."""

    def square(side: float) -> tuple[int, int]:
        return int(side), int(side)

    plain = Condition(model=model)

    def vary(**changes: object) -> Condition:
        return replace(plain, model=replace(model, **changes))  # type: ignore[arg-type]

    return [
        Factor(
            name="CSI SNR (dB)",
            values=(-25, -20, -15, -10, 0, 10, 20),
            make=lambda value: replace(plain, csi_snr_db=value),
        ),
        Factor(
            name="error of the told CSI SNR (dB)",
            values=(-10, -5, 0, 5, 10),
            make=lambda value: replace(plain, error_db=value),
        ),
        Factor(name="spread (°)", values=(2, 5, 10, 20, 40), make=lambda value: vary(spread_deg=float(value))),
        Factor(name="clusters", values=(1, 3, 5, 8, 12), make=lambda value: vary(num_clusters=int(value))),
        Factor(name="paths of a cluster", values=(1, 3, 10, 30), make=lambda value: vary(rays_per_cluster=int(value))),
        Factor(
            name="side of the transmit array",
            values=(8, 12, 16),
            make=lambda value: vary(transmit_shape=square(value)),
        ),
        Factor(
            name="side of the receive array",
            values=(2, 4, 6, 8),
            make=lambda value: vary(receive_shape=square(value)),
        ),
        Factor(
            name="speed (km/h)",
            values=(0, 15, 30, 60, 90),
            make=lambda value: replace(plain, speed_km_h=value),
        ),
    ]
