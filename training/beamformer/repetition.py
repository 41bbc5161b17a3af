"""Steps that are repeated: in an exported program a loop, not one copy of the step behind the other."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch._higher_order_ops.while_loop import while_loop


def repeat(step: Callable[[Tensor, Tensor], Tensor], start: Tensor, count: int, *, in_loop: bool = True) -> Tensor:
    """Apply a step `count` times to a tensor whose shape it keeps; it is told which time it is, int64 [].

    A loop of an exported program is captured and compiled in a fraction of the time; it has no gradients.
    Within `full_precision`, or what else switches autocast, there can be none: torch 2.13 cannot save it.
    """
    if not (in_loop and torch.compiler.is_exporting()):
        for index in torch.arange(count, device=start.device).unbind():
            start = step(index, start)
        return start

    def is_going(index: Tensor, _: Tensor) -> Tensor:
        return index < count

    def advance(index: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        return index + 1, step(index, value).contiguous()

    first = torch.zeros((), dtype=torch.int64, device=start.device)
    return while_loop(is_going, advance, (first, start.contiguous()))[1]
