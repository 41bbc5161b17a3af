"""Trainings that test_distributed.py runs in its own process and, by torchrun with a folder and free ports, in two."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import torch

from training.classifier import recipe, session
from training.classifier.data import load_data
from training.cli import app
from training.engine.distributed import joined_processes, leads
from training.engine.interruption import Interrupted
from training.engine.loop import Plan, fit
from training.engine.optimization import Updater
from training.engine.schedules import make_schedule
from training.engine.seeds import generator_for
from training.seq2seq.batches import TokenBatches
from training.seq2seq.objective import TranslationTask
from training.seq2seq.recurrent import RecurrentNetwork
from training.seq2seq.transformer import Transformer

NUM_STEPS = 7
CPU = torch.device("cpu")
# Fifteen images: the two processes take seven and eight.
COMPACT = replace(
    recipe.DEMO, widths=(8, 16), resolution=20, batch_size=15, lr=0.02, average_decay=0.9, precision="fp32"
)


def make_classifier(folder: Path):
    torch.manual_seed(3)
    data = load_data(f"arrays:{folder / 'images.npz'}", folder, COMPACT)
    task, _ = session.make_task(COMPACT, data, CPU, seed=3)
    # Muon rounds to bfloat16: it makes of a difference in the last bit one in the fourth digit.
    optimizer = torch.optim.SGD(session.make_parameter_groups(task.network, COMPACT), momentum=0.9)
    task.updater = Updater([optimizer], task.updater.schedule, clip_norm=1.0)
    return task


def make_translator(folder: Path, cell: str | None = None):
    """Among its batches is one of a single long sentence, which cannot be divided."""
    torch.manual_seed(3)
    lengths = [3, 3, 4, 4, 5, 6, 6, 7, 7, 8, 9, 9, 24]
    rows = [torch.randint(4, 40, (length,), generator=generator_for(0, length)).tolist() for length in lengths]
    batches = TokenBatches(rows, rows, tokens_per_batch=24, seed=0, device=CPU)
    network: Transformer | RecurrentNetwork = Transformer(
        num_pieces=40, width=16, num_layers=1, num_heads=2, hidden=16, dropout=0.0, pre_norm=True, max_pieces=32
    )
    if cell:
        network = RecurrentNetwork(num_pieces=40, cell=cell, attention="additive", width=16, num_layers=1, dropout=0.0)
    schedule = make_schedule("cosine", num_steps=NUM_STEPS, warmup_fraction=0.1)
    # The biases of keys have no gradient but rounding errors; without this eps Adam would divide these by themselves.
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2, eps=1e-4)
    return TranslationTask(
        network=network,
        batches=batches,
        validation=batches.in_order(),
        updater=Updater([optimizer], schedule, clip_norm=1.0),
        device=CPU,
        precision="fp32",
        label_smoothing=0.1,
        average_decay=0.9,
    )


TASKS = {
    "compact": make_classifier,
    "transformer": make_translator,
    "gru": lambda folder: make_translator(folder, "gru"),
}


def fit_task(task, run: Path, *, num_steps: int = NUM_STEPS, resume: bool = False) -> None:
    run.mkdir(exist_ok=True)
    plan = Plan(num_steps=num_steps, validate_every=3, monitor="accuracy", log_every=1)
    with joined_processes("cpu"):
        fit(task(), plan, run, resume=resume)


def stop_after_two_steps(task, step_number=1):
    """Let a signal reach one process alone, which is not the leader."""
    take = task.train_step

    def take_and_stop(step):
        metrics = take(step)
        if step == step_number and not leads():
            signal.raise_signal(signal.SIGTERM)
        return metrics

    task.train_step = take_and_stop
    return task


def main(folder: Path, ports: list[str]) -> None:
    """Train as one of two; each process has folders of its own, so that what one writes no other can have written."""
    own = folder / f"process{os.environ['RANK']}"
    own.mkdir()
    # Through torchrun's store processes find each other once, which is enough for a command: it trains once.
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "False"
    for name, make in TASKS.items():
        os.environ["MASTER_PORT"] = ports.pop()
        fit_task(lambda make=make: make(folder), own / name)
    os.environ["MASTER_PORT"] = ports.pop()
    begun = folder / "begun" if os.environ["RANK"] == "0" else own / "begun"
    fit_task(lambda: TASKS["compact"](folder), begun, resume=True)
    os.environ["MASTER_PORT"] = ports.pop()
    with contextlib.suppress(Interrupted):
        fit_task(lambda: stop_after_two_steps(TASKS["compact"](folder)), own / "stopped")
    os.environ["MASTER_PORT"] = ports.pop()
    session._draw = lambda *given: None
    out = ["--out", str(own / "command"), "--data", f"arrays:{folder / 'images.npz'}", "--device", "cpu"]
    fields = ["--set", "epochs=0.5", "--set", "widths=8,16", "--set", "resolution=20"]
    app(["classifier", *out, *fields], standalone_mode=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
