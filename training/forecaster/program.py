"""The form in which a forecaster is served: the network as it is, whose scaling is inside already."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from training.forecaster.network import Forecaster

_ROWS = 500


@torch.no_grad()
def forecast_network(network: Forecaster, history: Tensor) -> np.ndarray:
    """Quantiles float32 [N, H, Q] of any number of histories [N, L], on the CPU."""
    device = network.linear.weight.device
    return torch.cat([network.eval()(rows.to(device)).cpu() for rows in history.split(_ROWS)]).numpy()
