"""A started worker: the handler of one archive, and the answers to TorchServe's calls."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from handlers.archive import open_handler
from handlers.base import Handler
from handlers.direct import DirectCallError, answer_direct
from handlers.message import decode_request, encode_failure, encode_response, encode_times
from host.memory import keep_freed_memory
from model_store.open_inference import WORKER_TIMES


def start_worker(*, folder: str, gpu_id: int | None, num_threads: int) -> Worker:
    """Start a worker on a GPU, or on the CPU with a number of threads."""
    keep_freed_memory()
    manifest = json.loads((Path(folder) / "manifest.json").read_text())
    device = f"cuda:{gpu_id or 0}" if manifest["target"]["device"] == "cuda" else "cpu"
    return Worker(open_handler(Path(folder), device, num_threads))


class Worker:
    """Answer calls with one handler."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.model: str = handler.manifest["model"]
        self.version = f"{handler.manifest['release']}-{handler.manifest['variant']}"

    def answer(self, request: Mapping[str, Any], index: int, context: Any) -> bytes | str:
        """Answer one TorchServe request: a packed OIP call from the gateway, or what somebody sent by hand."""
        packed = request.get("request")  # TorchServe's gRPC
        if packed is None and context.get_request_header(index, "url_path") == "packed":  # its REST
            packed = request.get("body")
        if packed is not None:
            return self.answer_packed(packed)
        context.set_response_content_type(index, "application/json")
        try:
            return answer_direct(self.handler, request)
        except DirectCallError as error:
            context.set_response_status(400, "Bad Request", index)
            return json.dumps({"error": str(error)}) + "\n"

    def answer_packed(self, body: bytes | bytearray) -> bytes:
        """Answer a serialized ModelInferRequest; a handler that breaks is reported inside the answer.

        TorchServe would turn an exception into UNAVAILABLE without its cause, which clients retry.
        """
        started_ns = time.monotonic_ns()
        try:
            inputs, parameters, requested = decode_request(body)
            wants_times = parameters.pop(WORKER_TIMES, False)
            outputs = self.handler.infer(inputs, parameters, requested)
            answer = encode_response(self.model, self.version, outputs.arrays, outputs.row_errors)
            return answer + encode_times(started_ns, time.monotonic_ns()) if wants_times else answer
        except Exception:  # noqa: BLE001
            return encode_failure(self.model, self.version, traceback.format_exc())
