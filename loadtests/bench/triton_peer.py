"""The peer: a Triton server whose Python backend computes the same tiny network with numpy.

Runs under the interpreter of nvidia-pytriton's own virtual environment, with nothing of ours.
Usage: python triton_peer.py HTTP_PORT GRPC_PORT METRICS_PORT NUM_INPUTS NUM_HIDDEN NUM_OUTPUTS MAX_ROWS
"""

from __future__ import annotations

import sys

import numpy as np
from pytriton.decorators import batch  # type: ignore[import-not-found]
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor  # type: ignore[import-not-found]
from pytriton.triton import Triton, TritonConfig  # type: ignore[import-not-found]


def main(http: int, grpc: int, metrics: int, num_inputs: int, num_hidden: int, num_outputs: int, max_rows: int) -> None:
    """Serve until a signal comes."""
    generator = np.random.default_rng(0)
    first = generator.standard_normal((num_inputs, num_hidden)).astype(np.float32)
    second = generator.standard_normal((num_hidden, num_outputs)).astype(np.float32)

    @batch
    def infer(**inputs: np.ndarray) -> dict[str, np.ndarray]:
        return {"output": np.maximum(inputs["input"] @ first, 0) @ second}

    config = TritonConfig(http_port=http, grpc_port=grpc, metrics_port=metrics)
    with Triton(config=config) as triton:
        triton.bind(
            model_name="tiny",
            infer_func=infer,
            inputs=[Tensor(name="input", dtype=np.float32, shape=(num_inputs,))],
            outputs=[Tensor(name="output", dtype=np.float32, shape=(num_outputs,))],
            # No delay: its best setting for one caller and, measured, for 64 too.
            config=ModelConfig(max_batch_size=max_rows, batcher=DynamicBatcher(max_queue_delay_microseconds=0)),
        )
        triton.serve()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
