"""The messages of the Open Inference Protocol: `open_inference.messages().ModelInferRequest` and so on."""

from __future__ import annotations

from pathlib import Path

from model_store.protobuf import ProtoPackage, load_proto

PROTO_PATH = Path(__file__).with_name("open_inference.proto")
SERVICE = "inference.GRPCInferenceService"
INFER_PATH = f"/{SERVICE}/ModelInfer"
STREAM_INFER_PATH = f"/{SERVICE}/ModelStreamInfer"
# Our extension: an output, BYTES [N], that says why each row failed, "" for good ones.
ROW_ERRORS = "row_errors"
# Our extension between worker and gateway: a parameter of an answer that says how the handler broke.
INTERNAL_ERROR = "internal_error"
# Our extension between gateway and worker: a parameter of a request that asks for the worker's times, and those of the
# answer, in nanoseconds of the machine's monotonic clock, with the worker's process id.
WORKER_TIMES = "worker_times"
WORKER_STARTED_NS, WORKER_ENDED_NS, WORKER_PROCESS = "worker_started_ns", "worker_ended_ns", "worker_process"


def messages() -> ProtoPackage:
    """Message classes of package `inference`; compiled on first use, then cached."""
    return load_proto(PROTO_PATH)
