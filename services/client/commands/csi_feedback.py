"""`infer csi_feedback H.npy --out codewords.npz`, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from model_store.array_files import read_array
from services.client.channel_feedback import compress, measure_nmse_db, restore
from services.client.client import Client
from services.client.connecting import Connect, connecting
from services.client.options import VersionOption


@connecting
def run(
    context: typer.Context,
    source: Annotated[
        Path,
        typer.Argument(
            help="channels by delay tap and angle, .npy complex [N, T, A], or an .npz with codeword and scale",
            exists=True,
            dir_okay=False,
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="write here: .npz of codewords, .npy of restored channels", dir_okay=False)
    ] = None,
    *,
    connect: Connect,
    version: VersionOption = "",
) -> None:
    """Compress channels, or restore them. Example: infer csi_feedback H.npy --out codewords.npz"""
    model = str(context.info_name)
    with connect() as client:
        if source.suffix == ".npz":
            _restore(client, model, version, source, out)
        else:
            _compress(client, model, version, source, out)


def _compress(client: Client, model: str, version: str, source: Path, out: Path | None) -> None:
    channel = read_array(source)
    channel = channel[None] if channel.ndim == 2 else channel
    found = client.perform(compress(channel, restore=True, model=model, version=version))
    assert found.restored is not None
    for row, error in enumerate(found.errors):
        if error:
            typer.echo(f"channel {row}: {error}", err=True)
    good = [row for row, error in enumerate(found.errors) if not error]
    if good:
        typer.echo(
            f"{len(good)} channels, {model} {found.version}: {2 * channel[0].size} values in {found.codeword.shape[1]}"
            f" of {found.codeword.dtype}, NMSE {measure_nmse_db(channel[good], found.restored[good]):.2f} dB"
        )
    if out is not None:
        np.savez(out, allow_pickle=False, codeword=found.codeword, scale=found.scale)
        typer.echo(f"{out}: codeword {list(found.codeword.shape)}, scale {list(found.scale.shape)}")
    if any(found.errors):
        raise typer.Exit(1)


def _restore(client: Client, model: str, version: str, source: Path, out: Path | None) -> None:
    with np.load(source, allow_pickle=False) as arrays:
        if "codeword" not in arrays:
            raise ValueError(f"{source} must hold codeword, and scale if there is one; found {', '.join(arrays)}")
        codeword, scale = arrays["codeword"], arrays.get("scale")
    channels = client.perform(restore(codeword, scale, model=model, version=version))
    typer.echo(f"{len(channels)} channels {list(channels.shape[1:])} restored by {model}")
    if out is not None:
        np.save(out, channels)
        typer.echo(f"{out}: complex {list(channels.shape)}")
