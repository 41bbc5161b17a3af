"""Replay small batches on a GPU: all kernels of a program are launched at once, where launching took longest.

A graph belongs to the shapes that it was recorded with, and keeps memory of its own for as long as its program lives.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    Run = Callable[[list[torch.Tensor]], Sequence[torch.Tensor]]
    # Runs a program once more and returns what computes the same outputs anew from what its inputs hold by then.
    Record = Callable[[Run, list[torch.Tensor]], tuple[Callable[[], None], Sequence[torch.Tensor]]]

_LOG = logging.getLogger(__name__)
MOST_ROWS = 8  # above, kernels take longer than their launches
_MOST_GRAPHS = 8
# How often shapes must have come: a decoder's inputs grow, and most of their shapes come once in an answer.
_CALLS_BEFORE = 3


class GraphedProgram:
    """A program that is replayed where few rows come in shapes that came before.

    One that cannot be recorded is run as ever: callers would otherwise be told of it, in every fourth of their calls.
    """

    def __init__(self, run: Run, record: Record) -> None:
        self._run, self._record = run, record
        self._is_recordable = True
        self._calls: Counter[tuple[object, ...]] = Counter()
        self._graphs: dict[
            tuple[object, ...], tuple[list[torch.Tensor], Callable[[], None], Sequence[torch.Tensor]]
        ] = {}

    def __call__(self, inputs: list[torch.Tensor]) -> Sequence[torch.Tensor]:
        if not inputs or len(inputs[0]) > MOST_ROWS:
            return self._run(inputs)
        key = tuple((tensor.shape, tensor.dtype) for tensor in inputs)
        if key not in self._graphs:
            if not self._is_recordable or len(self._graphs) == _MOST_GRAPHS:
                return self._run(inputs)
            self._calls[key] += 1
            if self._calls[key] <= _CALLS_BEFORE:
                return self._run(inputs)
            del self._calls[key]
            held = [tensor.clone() for tensor in inputs]
            try:
                self._graphs[key] = (held, *self._record(self._run, held))
            except RuntimeError as error:
                _LOG.warning("it is not replayed as CUDA graphs, because it cannot be recorded: %s", error)
                self._is_recordable = False
                return self._run(inputs)
        held, replay, outputs = self._graphs[key]
        for place, tensor in zip(held, inputs, strict=True):
            place.copy_(tensor)
        replay()
        return [output.clone() for output in outputs]  # the next call writes into the same memory


def record_cuda_graph(run: Run, inputs: list[torch.Tensor]) -> tuple[Callable[[], None], Sequence[torch.Tensor]]:
    """Record what a program launches, on the device of its inputs.

    Raises:
        RuntimeError: the program waits for its device, which cannot be recorded.
    """
    import torch

    device = inputs[0].device
    # The calling thread's device may be another, and torch would record what is launched there: nothing.
    with torch.cuda.device(device):
        before = torch.cuda.current_stream(device)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=torch.cuda.Stream(device)):
                outputs = run(inputs)
        finally:
            torch.cuda.set_stream(before)  # where recording fails torch leaves its own in place (2.13)
    return graph.replay, outputs
