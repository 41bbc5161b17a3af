"""Channels and labels from MATLAB files: the layout of the thesis, of whatever names, in v5 and v7.3 files.

A file holds channels H [R, T, K] or [N, R, T, K] and may hold optimal precoders [T, Ns, K] and combiners [R, Ns, K],
complex or real. Arrays are told apart by their sizes, so their names do not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_store.matlab import order_axes, read_arrays
from training.beamformer.channel import ChannelModel
from training.beamformer.metrics import NUM_STREAMS

_AGREEMENT = 0.99
_MIN_SEPARATION = 1.02


@dataclass(frozen=True)
class MatChannels:
    """Channels complex64 [N, K, R, T] and, where a file has them, precoders [N, K, T, Ns], combiners [N, K, R, Ns]."""

    channel: np.ndarray
    precoder: np.ndarray | None
    combiner: np.ndarray | None


def read_channels(path: Path, model: ChannelModel) -> MatChannels:
    """Read one file, or all `*.mat` files of a folder in the order of their names.

    Raises:
        FileNotFoundError: there is no such file, or none in the folder.
        ValueError: an array is missing, has another shape, is not finite, or contradicts the singular vectors of H.
    """
    paths = sorted(path.glob("*.mat")) if path.is_dir() else [path]
    if not paths:
        raise FileNotFoundError(f"the folder {path} holds no .mat file")
    parts = [_read_one(each, model) for each in paths]
    return MatChannels(
        channel=np.concatenate([part.channel for part in parts]),
        precoder=_join([part.precoder for part in parts]),
        combiner=_join([part.combiner for part in parts]),
    )


def _join(parts: list[np.ndarray | None]) -> np.ndarray | None:
    present = [part for part in parts if part is not None]
    return np.concatenate(present) if len(present) == len(parts) else None


def _read_one(path: Path, model: ChannelModel) -> MatChannels:
    arrays = read_arrays(path)
    num_subcarriers, streams = model.num_subcarriers, NUM_STREAMS
    channel = _find(path, arrays, (model.num_receive, model.num_transmit, num_subcarriers))
    if channel is None:
        wanted = [model.num_receive, model.num_transmit, num_subcarriers]
        found = ", ".join(f"{name} {list(value.shape)}" for name, value in arrays.items()) or "no numeric array"
        raise ValueError(f"{path} holds no channel: expected an array {wanted} or [N, {str(wanted)[1:]}, found {found}")
    precoder = _find(path, arrays, (model.num_transmit, streams, num_subcarriers))
    combiner = _find(path, arrays, (model.num_receive, streams, num_subcarriers))
    result = MatChannels(
        channel=_by_subcarrier(channel),
        precoder=None if precoder is None else _by_subcarrier(precoder),
        combiner=None if combiner is None else _by_subcarrier(combiner),
    )
    _check_consistency(path, result)
    return result


def _find(path: Path, arrays: dict[str, np.ndarray], shape: tuple[int, int, int]) -> np.ndarray | None:
    """Find the one array of these sizes, with or without a leading axis of channels, and order its axes.

    Raises:
        ValueError: several arrays fit, or the one that fits holds NaN or infinity.
    """
    fitting = [(name, ordered) for name, value in arrays.items() if (ordered := order_axes(value, shape)) is not None]
    if len(fitting) > 1:
        names = ", ".join(name for name, _ in fitting)
        raise ValueError(f"{path}: {names} all have the sizes {list(shape)}; keep one of them")
    if not fitting:
        return None
    name, ordered = fitting[0]
    if not np.isfinite(ordered).all():
        raise ValueError(f"{path}: {name} holds {int((~np.isfinite(ordered)).sum())} values that are NaN or infinite")
    return ordered


def _by_subcarrier(value: np.ndarray) -> np.ndarray:
    """Turn [N, rows, columns, K] into complex64 [N, K, rows, columns]."""
    return np.ascontiguousarray(np.moveaxis(value, 3, 1)).astype(np.complex64)


def _check_consistency(path: Path, content: MatChannels) -> None:
    """Compare stored precoders and combiners with the singular subspaces of H, where those are well separated."""
    left, gains, right = np.linalg.svd(content.channel, full_matrices=False)
    separated = gains[..., NUM_STREAMS - 1] > _MIN_SEPARATION * gains[..., NUM_STREAMS]
    for name, stored, optimal in (
        ("precoder", content.precoder, np.swapaxes(right[..., :NUM_STREAMS, :].conj(), -1, -2)),
        ("combiner", content.combiner, left[..., :NUM_STREAMS]),
    ):
        if stored is None:
            continue
        if stored.shape[0] != content.channel.shape[0]:
            raise ValueError(f"{path}: {content.channel.shape[0]} channels, but {stored.shape[0]} {name}s")
        agreement = _measure_agreement(stored, optimal)
        wrong = np.argwhere(separated & (agreement < _AGREEMENT))
        if len(wrong):
            row, subcarrier = wrong[0]
            raise ValueError(
                f"{path}: {name} and H disagree in channel {row}, subcarrier {subcarrier}: the stored columns hold "
                f"{agreement[row, subcarrier]:.0%} of the span of the {NUM_STREAMS} dominant singular vectors of H"
            )


def _measure_agreement(stored: np.ndarray, optimal: np.ndarray) -> np.ndarray:
    """Fraction of the optimal subspace inside the span of the stored columns: [N, K], 1 = the same span."""
    basis, _ = np.linalg.qr(stored)
    overlap = np.swapaxes(optimal.conj(), -1, -2) @ basis
    return (np.abs(overlap) ** 2).sum((-1, -2)) / optimal.shape[-1]
