"""What all peers run: the ONNX program on one thread. Runs inside a peer's environment, with nothing of ours."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime


class Session:
    """The program that `PEER_CONFIG` describes."""

    def __init__(self) -> None:
        self.config: dict[str, Any] = json.loads(Path(os.environ["PEER_CONFIG"]).read_text())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            self.config["program"], options, providers=["CPUExecutionProvider"]
        )
        self.dtype = np.dtype(self.config["dtype"])
        self.row_shape = tuple(self.config["row_shape"])
        self.max_rows = int(self.config["max_rows"])

    def run(self, rows: np.ndarray) -> np.ndarray:
        """Run rows [N, …] and return the first output [N, …]."""
        found: np.ndarray = self._session.run([self.config["output"]], {self.config["input"]: rows})[0]
        return found

    def run_bytes(self, rows: list[bytes]) -> list[bytes]:
        """Run rows that are given as raw bytes, one each."""
        arrays = [np.frombuffer(row, self.dtype).reshape(self.row_shape) for row in rows]
        return [answer.tobytes() for answer in self.run(np.stack(arrays))]
