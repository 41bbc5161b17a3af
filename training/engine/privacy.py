"""Differential privacy: each row's gradient clipped, noise added to their sum, and an account of what that gives away.

Rows are drawn each by itself for every step (Poisson sampling), which is what the account supposes. Rows and noise
come of a secret that the seed does not tell: who knew them could take the noise off again. It lies in the checkpoint.
Sources: Abadi et al. 2016, Deep Learning with Differential Privacy, https://arxiv.org/abs/1607.00133, algorithm 1;
Mironov et al. 2019, Rényi Differential Privacy of the Sampled Gaussian Mechanism, https://arxiv.org/abs/1908.10530 (the
account).
"""

from __future__ import annotations

import math
import secrets
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from training.engine.seeds import generator_for

_ROWS, _NOISE = 0, 1
_SECRET_BITS = 128
# Of Rényi's divergence; with opacus' own, to 63, the best for much noise would be the largest.
_ORDERS = [1.05, 1.1, 1.2, 1.5, 1.75, 2.25, 2.5, *range(2, 64), *(2**power for power in range(6, 13))]
_TOLERANCE = 0.01  # of epsilon, as a share: how far below what was asked for the noise may leave it


@dataclass(frozen=True, kw_only=True)
class PrivacyTerms:
    """How private a training is to be, and the norm to which each row's gradient is clipped."""

    epsilon: float
    delta: float
    clip_norm: float


class PrivateGradients:
    """Takes the place of gradients by those that single rows hardly change; kept by an `Updater`."""

    def __init__(
        self, network: nn.Module, terms: PrivacyTerms, *, num_rows: int, batch_size: int, num_steps: int
    ) -> None:
        """Hook up a network and find the noise with which `num_steps` steps keep the terms.

        `batch_size` is the mean number of rows in a step. The loss must be a mean over them.

        Raises:
            ValueError: opacus is missing, the network has no gradients of single rows, or delta is no small risk.
        """
        try:
            from opacus.accountants import RDPAccountant
            from opacus.grad_sample import GradSampleHooks
            from opacus.optimizers import DPOptimizer
        except ImportError as error:
            raise ValueError(f"differential privacy needs opacus (uv sync --group privacy): {error}") from None
        if terms.delta * num_rows >= 1:
            raise ValueError(
                f"delta={terms.delta:g} allows one of {num_rows} rows to be given away; set it below {1 / num_rows:.2g}"
            )
        _refuse_batch_norm(network)
        try:
            GradSampleHooks(network)
        except NotImplementedError as error:
            raise ValueError(f"this network's gradients do not come row by row: {error}") from None
        self.terms, self.num_rows = terms, num_rows
        self.sampling_rate = batch_size / num_rows
        self.noise_multiplier = _find_noise(terms, self.sampling_rate, num_steps)
        self.secret = secrets.randbits(_SECRET_BITS)
        self._accountant = RDPAccountant()
        self._optimizer = DPOptimizer(
            torch.optim.SGD(network.parameters(), lr=0.0),  # takes no steps: it holds the parameters
            noise_multiplier=self.noise_multiplier,
            max_grad_norm=terms.clip_norm,
            expected_batch_size=batch_size,
        )

    def draw_rows(self, step: int) -> Tensor:
        """Draw the rows of a step int64 [N], each with the same probability."""
        draws = torch.rand(self.num_rows, generator=generator_for(self.secret, _ROWS, step), dtype=torch.float64)
        return (draws < self.sampling_rate).nonzero().flatten()

    def propagate(self, loss: Tensor) -> None:
        """Run a loss backward, and keep the gradient of each row."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Full backward hook is firing")  # of rows that need no gradient
            loss.backward()

    def make_private(self, step: int) -> None:
        """Give each parameter the clipped, noisy mean of the rows' gradients, which a backward pass has left."""
        parameters = self._optimizer.params
        noise_seed = generator_for(self.secret, _NOISE, step).initial_seed()
        self._optimizer.generator = torch.Generator(parameters[0].device).manual_seed(noise_seed)
        self._optimizer.pre_step()
        for parameter in parameters:
            parameter.grad_sample = parameter.summed_grad = None
        self._accountant.step(noise_multiplier=self.noise_multiplier, sample_rate=self.sampling_rate)

    def describe(self) -> dict[str, Any]:
        """What the steps so far have spent, and how."""
        return {
            "epsilon": float(self._accountant.get_epsilon(self.terms.delta, alphas=_ORDERS)),
            "delta": self.terms.delta,
            "noise_multiplier": self.noise_multiplier,
            "clip_norm": self.terms.clip_norm,
            "sampling_rate": self.sampling_rate,
            "steps": sum(steps for _, _, steps in self._accountant.history),
            "rows": self.num_rows,
        }

    def state_dict(self) -> dict[str, Any]:
        return {"secret": self.secret, "history": list(self._accountant.history)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with an account.

        Raises:
            ValueError: its steps had other noise than the ones to come, as where a run is made longer.
        """
        for noise, rate, steps in state["history"]:
            if not (math.isclose(noise, self.noise_multiplier) and math.isclose(rate, self.sampling_rate)):
                raise ValueError(
                    f"{steps} steps were taken with noise {noise:.4g} on a share of {rate:.4g} of the rows; now it "
                    f"would be {self.noise_multiplier:.4g} on {self.sampling_rate:.4g}: a private run is neither made "
                    "longer nor changed; start anew"
                )
        self.secret = state["secret"]
        self._accountant.history = [tuple(part) for part in state["history"]]


def _refuse_batch_norm(network: nn.Module) -> None:
    for name, layer in network.named_modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            raise ValueError(
                f"{name} normalizes over a batch, so that no row has a gradient of its own: choose a network that "
                "normalizes each row by itself, or nothing"
            )


def _find_noise(terms: PrivacyTerms, sampling_rate: float, num_steps: int) -> float:
    """The least noise, in units of `clip_norm`, with which so many steps spend no more than the terms allow."""
    from opacus.accountants.utils import get_noise_multiplier

    return get_noise_multiplier(
        target_epsilon=terms.epsilon,
        target_delta=terms.delta,
        sample_rate=sampling_rate,
        steps=num_steps,
        accountant="rdp",
        epsilon_tolerance=_TOLERANCE * terms.epsilon,
        alphas=_ORDERS,
    )
