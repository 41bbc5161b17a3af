"""Where programs run, and how arrays get there and back.

On the CPU every value is a numpy array, whatever runs the program; on a GPU a torch tensor, but where onnxruntime runs
all programs: it takes arrays and copies them itself. Only tensors need torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np


class Device(Protocol):
    """What handlers ask of a device. `num_threads` bounds its programs; None: whatever the process has set.

    One that `has_graphs` replays compiled programs of small batches. `num_slots` threads may run a program at once.
    """

    type: str
    name: str
    num_threads: int | None
    has_graphs: bool
    num_slots: int

    def enter_slot(self) -> None:
        """Let the calling thread compute beside others from now on: on a GPU, on a stream of its own."""

    def put(self, arrays: Sequence[np.ndarray]) -> list[Any]:
        """Move arrays to the device."""

    def fetch(self, values: Sequence[Any]) -> list[np.ndarray]:
        """Bring values back as arrays."""

    def empty(self, shape: Sequence[int], like: Any) -> Any:
        """Make a value of a shape, of the dtype of another, with anything in it."""

    def take(self, values: Any, index: np.ndarray, axis: int, out: Any = None) -> Any:
        """Copy the elements that an index names along an axis, into `out` if given."""


def open_device(
    name: str,
    num_threads: int | None = None,
    *,
    has_graphs: bool = False,
    num_slots: int = 1,
    for_onnx: bool = False,
) -> Device:
    """Open `cpu`, `cuda` or `cuda:N`; there `for_onnx` says that onnxruntime runs all programs."""
    if name == "cpu":
        return Cpu(num_threads, num_slots)
    return OnnxGpu(name, num_threads, num_slots) if for_onnx else Gpu(name, num_threads, has_graphs, num_slots)


class Cpu:
    """The CPU: values are arrays already."""

    type = name = "cpu"
    has_graphs = False

    def __init__(self, num_threads: int | None = None, num_slots: int = 1) -> None:
        self.num_threads, self.num_slots = num_threads, num_slots

    def enter_slot(self) -> None:
        pass

    def put(self, arrays: Sequence[np.ndarray]) -> list[Any]:
        return list(arrays)

    def fetch(self, values: Sequence[Any]) -> list[np.ndarray]:
        return list(values)

    def empty(self, shape: Sequence[int], like: np.ndarray) -> np.ndarray:
        return np.empty(shape, like.dtype)

    def take(self, values: np.ndarray, index: np.ndarray, axis: int, out: np.ndarray | None = None) -> np.ndarray:
        # With the mode `raise`, numpy would fill a copy of `out` first.
        return np.take(values, index, axis, out=out, mode="clip")


class OnnxGpu(Cpu):
    """A CUDA device all of whose programs onnxruntime runs; its calls wait for no other's."""

    type = "cuda"

    def __init__(self, name: str, num_threads: int | None = None, num_slots: int = 1) -> None:
        super().__init__(num_threads, num_slots)
        self.name = name


class Gpu:
    """A CUDA device: values are torch tensors on it."""

    type = "cuda"

    def __init__(self, name: str, num_threads: int | None = None, has_graphs: bool = False, num_slots: int = 1) -> None:
        import torch

        self.name, self.num_slots = name, num_slots
        self.has_graphs = has_graphs
        self.num_threads = num_threads
        self._torch = torch

    def enter_slot(self) -> None:
        # Weights were put there on the stream of the thread that loaded them, for which others do not wait.
        self._torch.cuda.synchronize(self.name)
        self._torch.cuda.set_stream(self._torch.cuda.Stream(self.name))

    def put(self, arrays: Sequence[np.ndarray]) -> list[Any]:
        return [self._torch.from_numpy(np.ascontiguousarray(array)).to(self.name) for array in arrays]

    def fetch(self, values: Sequence[Any]) -> list[np.ndarray]:
        return [value.cpu().numpy() for value in values]

    def empty(self, shape: Sequence[int], like: Any) -> Any:
        return like.new_empty(tuple(shape))

    def take(self, values: Any, index: np.ndarray, axis: int, out: Any = None) -> Any:
        return self._torch.index_select(values, axis, self._torch.from_numpy(index).to(self.name), out=out)
