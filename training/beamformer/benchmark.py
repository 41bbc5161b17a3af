"""Time per channel of released variants against a batched SVD and against MO-AltMin, in one run on one thread.

    train beamformer benchmark --store model_store/archives

All engines take turns on the same exact channels; every time is the median of an engine's turns, every ratio the median
of the ratios turn by turn. Beside each time stands what it buys: spectral efficiency at 0 dB in percent of the optimum.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor

from host.memory import keep_freed_memory
from model_store.settings import keys_folder
from model_store.signing import Keyring
from model_store.store import Store
from training.beamformer.baselines.digital import beamform_svd
from training.beamformer.baselines.hybrid import fit_digital
from training.beamformer.baselines.manifold import alternate_on_manifold
from training.beamformer.channel import ChannelModel
from training.beamformer.contenders import Weights
from training.beamformer.data import GENERATED, load_held_out
from training.beamformer.metrics import measure_optimum, measure_spectral_efficiency
from training.beamformer.unrolled import MAX_CSI_SNR_DB, NUM_CHAINS
from training.release.reference import open_released

Engine = Callable[[], Weights]
_DATA_SNR_DB = 0.0


def measure_speed(
    store: Annotated[Path, typer.Option(help="Folder of the released models.")],
    version: Annotated[str, typer.Option(help="A release's number.", show_default="the newest")] = "",
    rows: Annotated[int, typer.Option(min=1, help="Channels in a batch; single channels are timed as well.")] = 64,
    repeats: Annotated[int, typer.Option(min=1, help="Turns of each engine.")] = 7,
) -> None:
    """Print milliseconds a channel, ratios and spectral efficiency, batched and one at a time."""
    keep_freed_memory()
    torch.set_num_threads(1)
    release, _ = Store(store, Keyring(keys_folder())).resolve("beamformer", version)
    channel = load_held_out(GENERATED, Path(), ChannelModel(), rows).channel
    with tempfile.TemporaryDirectory(prefix="benchmark-") as work:
        handlers = open_released(release, torch.device("cpu"), Path(work))
        for count in (rows, 1):
            batch = channel[:count]
            typer.echo(f"\nfully digital, {count} at a time, against an SVD of each subcarrier")
            typer.echo(compare(batch, digital_engines(handlers, batch), repeats))
            for chains in NUM_CHAINS:
                typer.echo(f"\nfrom fully digital to hybrid, {chains} chains, {count} at a time, against MO-AltMin")
                typer.echo(compare(batch, hybrid_engines(handlers, batch, chains), repeats))


def digital_engines(handlers: dict[str, Any], channel: Tensor) -> dict[str, Engine]:
    """A batched SVD, then the digital program of each variant, denoising included."""
    inputs = _as_arrays(channel)

    def bind(handler: Any) -> Engine:
        return lambda: _as_weights(handler.programs["main"](inputs))

    engines: dict[str, Engine] = {"SVD": lambda: beamform_svd(channel)}
    return engines | {variant: bind(handler) for variant, handler in handlers.items()}


def hybrid_engines(handlers: dict[str, Any], channel: Tensor, chains: int) -> dict[str, Engine]:
    """MO-AltMin on the singular vectors, then each variant's hybrid program on what its digital program gives."""
    precoder, combiner = beamform_svd(channel)

    def fit(targets: Tensor) -> Tensor:
        return fit_digital(targets, torch.from_numpy(alternate_on_manifold(targets.numpy(), chains)))

    def bind(handler: Any) -> Engine:
        found, _, estimate = handler.programs["main"](_as_arrays(channel))
        num_chains = np.full(len(found), chains)
        return lambda: _as_weights(handler.programs["hybrid"]([found, estimate, num_chains]))

    engines: dict[str, Engine] = {"MO-AltMin": lambda: (fit(precoder), fit(combiner))}
    return engines | {variant: bind(handler) for variant, handler in handlers.items()}


@torch.no_grad()
def compare(channel: Tensor, engines: dict[str, Engine], repeats: int) -> str:
    """Let engines work on channels [N, K, R, T] in turns; the first is the reference of the ratios."""
    optimum = measure_optimum(channel, _DATA_SNR_DB).sum()
    percent = {}
    for name, beamform in engines.items():
        reached = measure_spectral_efficiency(channel, *beamform(), _DATA_SNR_DB).sum()
        percent[name] = float(100 * reached / optimum)
    elapsed_s: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(repeats):
        for name, beamform in engines.items():
            started = time.perf_counter()
            beamform()
            elapsed_s[name].append(time.perf_counter() - started)
    reference = elapsed_s[next(iter(engines))]
    lines = [f"{'engine':12} {'ms/channel':>11} {'times faster':>13} {'spread':>17} {'% of optimum':>13}"]
    for name, turns in elapsed_s.items():
        ratios = [mine / theirs for mine, theirs in zip(reference, turns, strict=True)]
        spread = f"{min(ratios):.2f}–{max(ratios):.2f}"
        lines.append(
            f"{name:12} {1e3 * statistics.median(turns) / len(channel):11.3f} {statistics.median(ratios):13.2f} "
            f"{spread:>17} {percent[name]:13.2f}"
        )
    return "\n".join(lines)


def _as_arrays(channel: Tensor) -> list[np.ndarray]:
    return [torch.view_as_real(channel).numpy(), np.full(len(channel), MAX_CSI_SNR_DB, np.float32)]


def _as_weights(outputs: Sequence[np.ndarray]) -> Weights:
    precoder, combiner = (torch.view_as_complex(torch.from_numpy(output)) for output in outputs[:2])
    return precoder, combiner
