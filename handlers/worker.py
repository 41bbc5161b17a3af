"""A started worker: the handler of one archive, and the answers to the gateway's calls and to TorchServe's."""

from __future__ import annotations

import json
import os
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from handlers.alarm import Alarm
from handlers.archive import open_handler
from handlers.base import Handler, Outputs
from handlers.call_socket import CallSocket
from handlers.control import Control
from handlers.conversation import Conversation
from handlers.direct import DirectCallError, answer_direct
from handlers.message import decode_request, encode_failure, encode_response, encode_times
from handlers.placement import claim_gpu
from handlers.session import StreamingHandler
from handlers.shared_memory import CallMemory
from host.memory import keep_freed_memory
from model_store.call_frames import Frame
from model_store.open_inference import WORKER_TIMES


def start_worker(
    *,
    folder: str,
    gpu_id: int | None,
    num_threads: int,
    num_slots: int = 1,
    control_folder: str | None = None,
    shared_folder: str | None = None,
    gpus: Sequence[str] = (),
    has_graphs: bool = False,
    limit_s: float | None = None,
) -> Worker:
    """Start a worker on a GPU, or on the CPU with a number of threads.

    Its own sockets are in `control_folder`, and what it shares with the gateway in `shared_folder`. Of `gpus`, names
    that CUDA knows, it takes the one that fewest workers of that first folder have; without them it has `gpu_id`. It
    is at `num_slots` calls at once, and ends if a call to one of its sockets takes longer than `limit_s`.
    """
    keep_freed_memory()
    manifest = json.loads((Path(folder) / "manifest.json").read_text())
    device = f"cuda:{gpu_id or 0}" if manifest["target"]["device"] == "cuda" else "cpu"
    if gpus and device != "cpu" and control_folder is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = claim_gpu(gpus, Path(control_folder) / "gpus")  # read when CUDA starts
    handler = open_handler(Path(folder), device, num_threads, has_graphs=has_graphs, num_slots=num_slots)
    hears = isinstance(handler, StreamingHandler) or manifest.get("stops", False)
    worker = Worker(handler, Control(control_folder if hears else None), shared_folder, num_slots)
    if control_folder is not None:
        alarm = Alarm(limit_s or 0.0)
        enter = handler.device.enter_slot if num_slots > 1 else lambda: None
        for slot in range(num_slots):
            CallSocket(Path(control_folder), worker.answer_frame, alarm, slot).serve(enter)
    return worker


class Worker:
    """Answer calls with one handler, as many at once as it has slots."""

    def __init__(
        self,
        handler: Handler,
        control: Control | None = None,
        shared_folder: str | None = None,
        num_slots: int = 1,
    ) -> None:
        self.handler = handler
        self.control = control or Control(None)
        self._shared_folder = shared_folder
        self._turn = threading.Semaphore(num_slots)  # TorchServe's calls come in another thread
        self.model: str = handler.manifest["model"]
        self.version = f"{handler.manifest['release']}-{handler.manifest['variant']}"

    def answer(self, request: Mapping[str, Any], index: int, context: Any) -> bytes | str:
        """Answer one TorchServe request: a packed OIP call from the gateway, or what somebody sent by hand."""
        with self._turn:
            return self._answer_torchserve(request, index, context)

    def answer_frame(self, frame: Frame, number: int, body: bytearray, send: Callable[[bytes], None]) -> bytes:
        """Answer what came to the worker's own socket; see handlers/call_socket.py."""
        with self._turn:
            return self.answer_packed(body, number) if frame == Frame.CALL else self._hold_session(bytes(body), send)

    def _answer_torchserve(self, request: Mapping[str, Any], index: int, context: Any) -> bytes | str:
        packed = request.get("request")  # TorchServe's gRPC
        # Its REST: "packed/17" for call 17, "session".
        what, _, call = (context.get_request_header(index, "url_path") or "").partition("/")
        if what == "session":
            return self._hold_session_of_torchserve(bytes(request.get("body") or b""), context)
        if packed is None and what == "packed":
            packed = request.get("body")
        if packed is not None:
            return self.answer_packed(packed, int(call or 0))
        context.set_response_content_type(index, "application/json")
        try:
            return answer_direct(self.handler, request)
        except DirectCallError as error:
            context.set_response_status(400, "Bad Request", index)
            return json.dumps({"error": str(error)}) + "\n"

    def answer_packed(self, body: bytes | bytearray, call: int = 0) -> bytes:
        """Answer a serialized ModelInferRequest; a handler that breaks is reported inside the answer.

        `call` is the number under which the gateway tells of rows that are waited for no longer, 0 where it never does.
        TorchServe would turn an exception into UNAVAILABLE without its cause, which clients retry.
        """
        started_ns = time.monotonic_ns()
        try:
            self.handler.departed = partial(self.control.take_departed, call) if call else tuple
            inputs, parameters, requested, memory = decode_request(body, self._shared_folder)
            wants_times = parameters.pop(WORKER_TIMES, False)
            outputs = self.handler.infer(inputs, parameters, requested)
            answer = self._encode(outputs, memory)
            return answer + encode_times(started_ns, time.monotonic_ns()) if wants_times else answer
        except Exception:  # noqa: BLE001
            return encode_failure(self.model, self.version, traceback.format_exc())

    def _hold_session_of_torchserve(self, body: bytes, context: Any) -> bytes:
        from ts.handler_utils.utils import send_intermediate_predict_response  # type: ignore[import-untyped]

        def send(piece: bytes) -> None:
            send_intermediate_predict_response([piece], context.request_ids, "a piece", 200, context)

        return self._hold_session(body, send)

    def _hold_session(self, body: bytes, send: Callable[[bytes], None]) -> bytes:
        """Answer streams that share their steps; returns the last piece of an answer of which others were sent."""
        if not isinstance(self.handler, StreamingHandler):
            raise TypeError(f"{self.model} {self.version} does not stream; its manifest says so")
        return Conversation(self.handler.open_session(), self.control, self._encode, send).hold(body)

    def _encode(self, outputs: Outputs, memory: CallMemory | None = None) -> bytes:
        return encode_response(self.model, self.version, outputs.arrays, outputs.row_errors, memory)
