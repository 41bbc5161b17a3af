"""Triton by pytriton: its dynamic batching without a delay, one instance, Open Inference Protocol over gRPC."""

from __future__ import annotations

import sys

import numpy as np
from peer_session import Session  # type: ignore[import-not-found]
from pytriton.decorators import batch  # type: ignore[import-not-found]
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor  # type: ignore[import-not-found]
from pytriton.triton import Triton, TritonConfig  # type: ignore[import-not-found]


def main(grpc: int, http: int, metrics: int) -> None:
    """Serve until a signal comes."""
    session = Session()

    @batch
    def infer(**inputs: np.ndarray) -> dict[str, np.ndarray]:
        return {"output": session.run(inputs["input"])}

    config = TritonConfig(http_port=http, grpc_port=grpc, metrics_port=metrics)
    with Triton(config=config) as triton:
        triton.bind(
            model_name="peer",
            infer_func=infer,
            inputs=[Tensor(name="input", dtype=session.dtype.type, shape=session.row_shape)],
            outputs=[Tensor(name="output", dtype=np.float32, shape=tuple(session.config["output_shape"]))],
            config=ModelConfig(max_batch_size=session.max_rows, batcher=DynamicBatcher(max_queue_delay_microseconds=0)),
        )
        triton.serve()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
