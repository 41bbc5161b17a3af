"""Replay small batches on a GPU: all kernels of a program are launched at once, where launching took longest.

A graph belongs to the shapes that it was recorded with, and keeps memory of its own for as long as its program lives.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    Run = Callable[[list[torch.Tensor]], Sequence[torch.Tensor]]
    # Runs a program once more and returns what computes the same outputs anew from what its inputs hold by then.
    Record = Callable[[Run, list[torch.Tensor]], tuple[Callable[[], None], Sequence[torch.Tensor]]]

MOST_ROWS = 8  # above, kernels take longer than their launches
_MOST_GRAPHS = 8
# How often shapes must have come: a decoder's inputs grow, and most of their shapes come once in an answer.
_CALLS_BEFORE = 3


class GraphedProgram:
    """A program that is replayed where few rows come in shapes that came before."""

    def __init__(self, run: Run, record: Record) -> None:
        self._run, self._record = run, record
        self._calls: Counter[tuple[object, ...]] = Counter()
        self._graphs: dict[
            tuple[object, ...], tuple[list[torch.Tensor], Callable[[], None], Sequence[torch.Tensor]]
        ] = {}

    def __call__(self, inputs: list[torch.Tensor]) -> Sequence[torch.Tensor]:
        if not inputs or len(inputs[0]) > MOST_ROWS:
            return self._run(inputs)
        key = tuple((tensor.shape, tensor.dtype) for tensor in inputs)
        if key not in self._graphs:
            if len(self._graphs) == _MOST_GRAPHS:
                return self._run(inputs)
            self._calls[key] += 1
            if self._calls[key] <= _CALLS_BEFORE:
                return self._run(inputs)
            del self._calls[key]
            held = [tensor.clone() for tensor in inputs]
            self._graphs[key] = (held, *self._record(self._run, held))
        held, replay, outputs = self._graphs[key]
        for place, tensor in zip(held, inputs, strict=True):
            place.copy_(tensor)
        replay()
        return [output.clone() for output in outputs]  # the next call writes into the same memory


def record_cuda_graph(run: Run, inputs: list[torch.Tensor]) -> tuple[Callable[[], None], Sequence[torch.Tensor]]:
    """Record what a program launches.

    Raises:
        RuntimeError: the program waits for its device, which cannot be recorded.
    """
    import torch

    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = run(inputs)
    return graph.replay, outputs
