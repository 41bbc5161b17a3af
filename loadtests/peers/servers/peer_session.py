"""What all peers run: the program on one thread. Runs inside a peer's environment, with nothing of ours."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Run = Callable[[np.ndarray], np.ndarray]


class Session:
    """The program that `PEER_CONFIG` describes: its one input, its first output."""

    def __init__(self) -> None:
        self.config: dict[str, Any] = json.loads(Path(os.environ["PEER_CONFIG"]).read_text())
        path = Path(self.config["program"])
        self._run = _LOADERS[path.suffix](path)
        self.dtype = np.dtype(self.config["dtype"])
        self.row_shape = tuple(self.config["row_shape"])
        self.max_rows = int(self.config["max_rows"])

    def run(self, rows: np.ndarray) -> np.ndarray:
        """Run rows [N, …] and return the first output [N, …]."""
        return self._run(rows)

    def run_bytes(self, rows: list[bytes]) -> list[bytes]:
        """Run rows that are given as raw bytes, one each."""
        arrays = [np.frombuffer(row, self.dtype).reshape(self.row_shape) for row in rows]
        return [answer.tobytes() for answer in self.run(np.stack(arrays))]


def _load_onnx(path: Path) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (taken,), output = session.get_inputs(), session.get_outputs()[0]

    def run(rows: np.ndarray) -> np.ndarray:
        found: np.ndarray = session.run([output.name], {taken.name: rows})[0]
        return found

    return run


def _load_exported(path: Path) -> Run:
    import torch

    exported = torch.export.load(path)
    module: Any = exported.module(check_guards=False)
    # Our workers check each shape once only: to check it at every call would slow the peers, not their servers.
    module.validate_inputs = False
    in_spec: Any = exported.call_spec.in_spec

    def run(tensors: list[torch.Tensor]) -> Any:
        arguments, keywords = torch.utils._pytree.tree_unflatten(tensors, in_spec)
        return torch.utils._pytree.tree_leaves(module(*arguments, **keywords))

    return _wrap_tensors(run)


def _load_compiled(path: Path) -> Run:
    import torch

    return _wrap_tensors(torch._C._aoti.AOTIModelContainerRunnerCpu(str(path), 1).run)


def _wrap_tensors(run: Callable[[list[Any]], Any]) -> Run:
    import torch

    torch.set_num_threads(1)

    def run_rows(rows: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            found: np.ndarray = run([torch.from_numpy(np.require(rows, requirements=["C", "W"]))])[0].numpy()
        return found

    return run_rows


_LOADERS = {".onnx": _load_onnx, ".pt2": _load_exported, ".so": _load_compiled}


if __name__ == "__main__":
    # Rows from one .npy file, their answer into another: what every server has to answer.
    np.save(sys.argv[2], Session().run(np.load(sys.argv[1])))
