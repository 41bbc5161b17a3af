"""What the translator is trained on: the next piece, with smoothed labels, token batch by token batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.engine.averaging import WeightAverage
from training.engine.checkpoint import Resumable
from training.engine.device import autocast
from training.engine.optimization import Updater, split_rows
from training.seq2seq.batches import Batch, TokenBatches
from training.sequences.vocabulary import PAD


class TranslationTask(Resumable):
    """A network, its data and its optimizer, as the fit loop sees them."""

    parts = ("network", "updater", "average")

    def __init__(
        self,
        *,
        network: nn.Module,
        batches: TokenBatches,
        validation: list[Batch],
        updater: Updater,
        device: torch.device,
        precision: str,
        label_smoothing: float,
        average_decay: float,
        accumulation: int = 1,
        sampling: Callable[[int], float] = lambda step: 0.0,
    ) -> None:
        self.network, self.batches, self.validation = network, batches, validation
        self.updater, self.device, self.precision = updater, device, precision
        self.label_smoothing, self.accumulation, self.sampling = label_smoothing, accumulation, sampling
        self.average = WeightAverage(network, average_decay) if average_decay else None

    @property
    def best_network(self) -> nn.Module:
        """The network to evaluate and release: the average where there is one."""
        return self.average.network if self.average else self.network

    def train_step(self, step: int) -> Mapping[str, Tensor]:
        """Fit one batch; log its loss per piece and its tokens."""
        whole = self.batches.at(step)
        batch = whole.take_share()
        self.network.train()
        parts = split_rows(slice(0, len(batch.source)), self.accumulation)
        num_pieces = whole.num_pieces
        losses = (self._measure(batch.take(part), step) / num_pieces for part in parts)
        loss = self.updater.accumulate(losses, step)
        if self.average:
            self.average.update(self.network)
        return {"loss": loss}

    def _measure(self, batch: Batch, step: int) -> Tensor:
        """The loss summed over a batch's pieces."""
        with autocast(self.device, self.precision):
            logits = self.network(batch.source, batch.target_in, self.sampling(step))
        return F.cross_entropy(
            logits.float().flatten(0, 1),
            batch.target_out.flatten(),
            ignore_index=PAD,
            label_smoothing=self.label_smoothing,
            reduction="sum",
        )

    @torch.no_grad()
    def validate(self) -> Mapping[str, float]:
        """Measure perplexity and the share of right next pieces, given the true ones before them."""
        return measure_prediction(self.best_network, self.validation, self.device, self.precision)


@torch.no_grad()
def measure_prediction(
    network: nn.Module, batches: list[Batch], device: torch.device, precision: str
) -> dict[str, float]:
    """Perplexity per piece and accuracy of the next piece under teacher forcing."""
    network.eval()
    loss, right, count = 0.0, 0.0, 0.0
    for batch in batches:
        with autocast(device, precision):
            logits = network(batch.source, batch.target_in).float().flatten(0, 1)
        target = batch.target_out.flatten()
        real = target != PAD
        loss += float(F.cross_entropy(logits, target, ignore_index=PAD, reduction="sum"))
        right += float(((logits.argmax(-1) == target) & real).sum())
        count += float(real.sum())
    return {"accuracy": right / count, "perplexity": math.exp(loss / count)}


def inverse_sqrt_factor(step: int, *, warmup_steps: int, num_steps: int, num_cooldown_steps: int) -> float:
    """Rise linearly to 1 over the warm-up, then fall as 1/√step, and over the cool-down linearly to 0 besides.

    Source: Vaswani et al. 2017, eq. 3, scaled; Zhai et al. 2022, Scaling Vision Transformers, for the cool-down.
    """
    factor = min((step + 1) / warmup_steps, math.sqrt(warmup_steps / (step + 1)))
    return factor * min(1.0, (num_steps - step) / (num_cooldown_steps + 1))


def make_inverse_sqrt(warmup_steps: int, num_steps: int, cooldown_fraction: float) -> Callable[[int], float]:
    """Bind the schedule to its warm-up and to the length of a run."""
    return partial(
        inverse_sqrt_factor,
        warmup_steps=warmup_steps,
        num_steps=num_steps,
        num_cooldown_steps=round(cooldown_fraction * num_steps),
    )
