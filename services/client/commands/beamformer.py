"""`infer beamformer H.npy --out F.npz`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from model_store.array_files import read_array
from model_store.matlab import order_axes, read_arrays
from services.client.beamforming import Beams, measure_spectral_efficiency
from services.client.client import Client
from services.client.connecting import Connect, connecting
from services.client.options import VersionOption


@connecting
def run(
    context: typer.Context,
    channels: Annotated[
        Path, typer.Argument(help="channel estimates, .npy complex [N, K, R, T] or .mat with H [R, T, K]", exists=True)
    ],
    out: Annotated[Path | None, typer.Option(help="write the weights here (.npz)", dir_okay=False)] = None,
    rf_chains: Annotated[int | None, typer.Option(help="RF chains of hybrid weights; fully digital if absent")] = None,
    csi_snr_db: Annotated[
        float | None, typer.Option(help="dB, how good the estimates are; estimated if absent")
    ] = None,
    data_snr_db: Annotated[float, typer.Option(help="dB, where the spectral efficiency is measured")] = 0.0,
    *,
    connect: Connect,
    version: VersionOption = "",
) -> None:
    """Make precoders and combiners. Example: infer beamformer H.npy --rf-chains 4 --out F.npz"""
    model = str(context.info_name)
    with connect() as client:
        channel = read_channels(channels, client, model, version)
        beams = client.beamform(channel, csi_snr_db=csi_snr_db, rf_chains=rf_chains, model=model, version=version)
    _print_rates(model, channel, beams, data_snr_db)
    if out is not None:
        arrays = {name: value for name, value in asdict(beams).items() if isinstance(value, np.ndarray)}
        np.savez(out, allow_pickle=False, **arrays)
        typer.echo(f"{out}: {', '.join(f'{name} {list(value.shape)}' for name, value in arrays.items())}")
    if any(beams.errors):
        raise typer.Exit(1)


def read_channels(path: Path, client: Client, model: str, version: str) -> np.ndarray:
    """Read channels complex [N, K, R, T]; in a .mat file the served model's sizes tell which array they are.

    Raises:
        ValueError: no array of the file, or several, have those sizes.
    """
    if path.suffix != ".mat":
        array = read_array(path)
        return array if array.ndim != 3 else array[None]
    inputs = {tensor.name: tensor.shape for tensor in client.metadata(model, version=version).inputs}
    _, num_subcarriers, num_receive, num_transmit, _ = inputs["channel"]
    shape = (num_receive, num_transmit, num_subcarriers)
    arrays = read_arrays(path)
    fitting = [ordered for value in arrays.values() if (ordered := order_axes(value, shape)) is not None]
    if len(fitting) != 1:
        found = ", ".join(f"{name} {list(value.shape)}" for name, value in arrays.items()) or "no numeric array"
        raise ValueError(f"{path} must hold one array {list(shape)} or [N, {str(list(shape))[1:]}, found {found}")
    return np.moveaxis(fitting[0], 3, 1).astype(np.complex64)


def _print_rates(model: str, channel: np.ndarray, beams: Beams, data_snr_db: float) -> None:
    good = [row for row, error in enumerate(beams.errors) if not error]
    for row, error in enumerate(beams.errors):
        if error:
            typer.echo(f"channel {row}: {error}", err=True)
    if good:
        rates = measure_spectral_efficiency(channel[good], beams.precoder[good], beams.combiner[good], data_snr_db)
        typer.echo(
            f"{len(good)} channels, {model} {beams.version}: {rates.mean():.3f} bits/s/Hz on average on the given "
            f"estimates at {data_snr_db:g} dB"
        )
