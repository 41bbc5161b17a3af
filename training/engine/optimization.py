"""One backward pass and the steps that follow from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from training.engine.distributed import add_up_gradients
from training.engine.privacy import PrivateGradients
from training.engine.schedules import Schedule


def split_rows(rows: slice, num_parts: int) -> list[slice]:
    """Divide rows into parts as equal as can be, as many as asked for or as there are rows."""
    count = rows.stop - rows.start
    num_parts = max(1, min(num_parts, count))
    bounds = [rows.start + part * count // num_parts for part in range(num_parts + 1)]
    return [slice(*pair) for pair in pairwise(bounds)]


class Updater:
    """Optimizers that share a loss, with their schedule and gradient clipping, or private gradients instead.

    A model with several losses (a generator and its critic) holds one Updater for each.
    """

    def __init__(
        self,
        optimizers: Sequence[torch.optim.Optimizer],
        schedule: Schedule,
        *,
        clip_norm: float = 0.0,
        privacy: PrivateGradients | None = None,
    ) -> None:
        self.optimizers = list(optimizers)
        self.schedule = schedule
        self.clip_norm, self.privacy = clip_norm, privacy
        for group in self._groups():
            group.setdefault("initial_lr", group["lr"])

    def update(self, loss: Tensor, step: int) -> None:
        """Propagate a loss and take one step of every optimizer at the rates of `step`.

        Of several processes each gives its share of the loss.
        """
        self.accumulate([loss], step)

    def accumulate(self, losses: Iterable[Tensor], step: int) -> Tensor:
        """As `update`, of a loss that comes in parts: each is propagated before the next is computed.

        So no more than one part's activations are held at a time. Returns the sum, without its history.
        """
        factor = self.schedule(step)
        for group in self._groups():
            group["lr"] = group["initial_lr"] * factor
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        propagate = self.privacy.propagate if self.privacy else Tensor.backward
        parts = []
        for loss in losses:
            propagate(loss)
            parts.append(loss.detach())
        parameters = [p for group in self._groups() for p in group["params"]]
        add_up_gradients(parameters)
        if self.privacy:
            self.privacy.make_private(step)
        elif self.clip_norm:
            nn.utils.clip_grad_norm_(parameters, self.clip_norm)
        for optimizer in self.optimizers:
            optimizer.step()
        return sum(parts[1:], start=parts[0])

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = {"optimizers": [optimizer.state_dict() for optimizer in self.optimizers]}
        return state | ({"privacy": self.privacy.state_dict()} if self.privacy else {})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        if self.privacy:
            self.privacy.load_state_dict(state["privacy"])

    def _groups(self) -> Iterator[dict[str, Any]]:
        for optimizer in self.optimizers:
            yield from optimizer.param_groups
