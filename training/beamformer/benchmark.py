"""Time per channel of a run's variants against a batched SVD and against MO-AltMin, in one run on one thread.

    python -m training.beamformer.benchmark runs/beamformer/full

All engines take turns on the same exact channels; every time is the median of an engine's turns, every ratio the median
of the ratios turn by turn. Beside each time stands what it buys: spectral efficiency at 0 dB in percent of the optimum.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

from handlers.base import Handler
from model_store.memory import keep_freed_memory
from training.beamformer.baselines.digital import beamform_svd
from training.beamformer.baselines.hybrid import fit_digital
from training.beamformer.baselines.manifold import alternate_on_manifold
from training.beamformer.contenders import Weights
from training.beamformer.data import load_held_out
from training.beamformer.metrics import measure_optimum, measure_spectral_efficiency
from training.beamformer.network import MAX_CSI_SNR_DB, NUM_CHAINS
from training.beamformer.servable import describe_beamformer
from training.beamformer.session import load_network, make_channel_model
from training.engine.runs import read_run
from training.release.build import build_variants
from training.release.reference import open_variants

Engine = Callable[[], Weights]
_DATA_SNR_DB = 0.0


def main(
    run: Annotated[Path, typer.Argument(help="A finished run.")],
    rows: Annotated[int, typer.Option(min=1, help="Channels in a batch; single channels are timed as well.")] = 64,
    repeats: Annotated[int, typer.Option(min=1, help="Turns of each engine.")] = 7,
) -> None:
    """Print milliseconds a channel, ratios and spectral efficiency, batched and one at a time."""
    keep_freed_memory()
    record = read_run(run)
    _, recipe = load_network(run)
    channel = load_held_out(record["data"], Path(record["data_root"]), make_channel_model(recipe), rows).channel
    with tempfile.TemporaryDirectory(prefix="benchmark-") as work:
        built = build_variants(
            describe_beamformer(run, "cpu"), device=torch.device("cpu"), release=1, work=Path(work) / "release"
        )
        handlers = open_variants(built, torch.device("cpu"))
    torch.set_num_threads(1)
    for variant, reason in built.left_out.items():
        typer.echo(f"{variant} is left out: {reason}")
    for count in (rows, 1):
        batch = channel[:count]
        typer.echo(f"\nfully digital, {count} at a time, against a batched SVD of the {channel.shape[1]} subcarriers")
        typer.echo(
            compare(batch, {"SVD": lambda batch=batch: beamform_svd(batch)} | digital_engines(handlers, batch), repeats)
        )
        for chains in NUM_CHAINS:
            typer.echo(f"\nfrom fully digital to hybrid, {chains} chains, {count} at a time, against MO-AltMin")
            typer.echo(compare(batch, hybrid_engines(handlers, batch, chains), repeats))


def digital_engines(handlers: dict[str, Handler], channel: Tensor) -> dict[str, Engine]:
    """The digital program of each variant, denoising included."""
    inputs = [torch.view_as_real(channel).contiguous(), torch.full((len(channel),), MAX_CSI_SNR_DB)]

    def bind(handler: Handler) -> Engine:
        return lambda: _as_weights(handler.programs["main"](inputs))

    return {variant: bind(handler) for variant, handler in handlers.items()}


def hybrid_engines(handlers: dict[str, Handler], channel: Tensor, chains: int) -> dict[str, Engine]:
    """MO-AltMin on the singular vectors, then each variant's hybrid program on what its digital program gives."""
    precoder, combiner = beamform_svd(channel)

    def fit(targets: Tensor) -> Tensor:
        return fit_digital(targets, torch.from_numpy(alternate_on_manifold(targets.numpy(), chains)))

    def bind(handler: Handler) -> Engine:
        level = torch.full((len(channel),), MAX_CSI_SNR_DB)
        found, _, estimate = handler.programs["main"]([torch.view_as_real(channel).contiguous(), level])
        return lambda: _as_weights(handler.programs[f"hybrid-{chains}"]([found, estimate]))

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


def _as_weights(outputs: Sequence[Tensor]) -> Weights:
    precoder, combiner = outputs[:2]
    return torch.view_as_complex(precoder), torch.view_as_complex(combiner)


if __name__ == "__main__":
    typer.run(main)
