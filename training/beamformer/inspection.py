"""What a .mat file holds: keys, shapes, dtypes and ranges as text, magnitude and phase as heat maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from model_store.matlab import read_arrays

_MAX_PICTURES = 8


def inspect_data(path: Path, out: Path) -> str:
    """Describe a file's arrays and draw them into the folder `out`; returns the text.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no MATLAB file.
    """
    arrays = read_arrays(path)
    lines = [f"{path}: {len(arrays)} numeric arrays", f"{'key':16} {'shape':20} {'dtype':12} magnitude"]
    out.mkdir(parents=True, exist_ok=True)
    for index, (name, value) in enumerate(arrays.items()):
        magnitude = np.abs(value)
        extent = f"{magnitude.min():.4g} … {magnitude.max():.4g}" if value.size else "empty"
        note = "" if np.isfinite(value).all() else "  NOT FINITE"
        lines.append(f"{name:16} {'×'.join(map(str, value.shape)):20} {value.dtype!s:12} {extent}{note}")
        if value.size and value.ndim >= 2 and index < _MAX_PICTURES:
            picture = out / f"{path.stem}-{name}.png"
            _draw_maps(_first_matrix(value), name, picture)
            lines.append(f"{'':16} {picture}")
    return "\n".join(lines)


def _first_matrix(value: np.ndarray) -> np.ndarray:
    """Reduce an array to the matrix of its two largest axes at index 0 of all others."""
    kept = sorted(sorted(range(value.ndim), key=lambda axis: value.shape[axis])[-2:])
    index = tuple(slice(None) if axis in kept else 0 for axis in range(value.ndim))
    return value[index]


def _draw_maps(matrix: np.ndarray, name: str, path: Path) -> None:
    from matplotlib.figure import Figure  # slow to import

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    magnitude = left.imshow(np.abs(matrix), aspect="auto", cmap="viridis", interpolation="nearest")
    phase = right.imshow(
        np.angle(matrix), aspect="auto", cmap="twilight", vmin=-np.pi, vmax=np.pi, interpolation="nearest"
    )
    left.set_title(f"|{name}|")
    right.set_title(f"phase of {name} (rad)")
    figure.colorbar(magnitude, ax=left)
    figure.colorbar(phase, ax=right)
    figure.savefig(path, dpi=110)
