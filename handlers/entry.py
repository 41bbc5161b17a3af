"""What TorchServe calls: a module-level `handle`, the file at the root of every archive.

A function, because TorchServe accepts a handler module only with exactly one class or with `handle`, and because it
masks an ImportError in the module by importing `ts.torch_handler.<name>` instead: imports that may fail are inside.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from typing import Any

from model_store.worker_failure import FAILURE_PREFIX


def handle(data: list[dict[str, Any]] | None, context: Any) -> list[bytes | str] | None:
    """Start the worker when `data` is None; otherwise answer each request of the batch."""
    if data is None:
        context.millrace_worker = _start_worker(context)
        return None
    worker = context.millrace_worker
    return [worker.answer(request, index, context) for index, request in enumerate(data)]


def _start_worker(context: Any) -> Any:
    try:
        from handlers.worker import start_worker  # Imported late: it may fail, and see above

        properties = context.system_properties
        served = context.model_yaml_config or {}  # how this machine serves it, not the release
        worker = start_worker(
            folder=properties["model_dir"],
            gpu_id=properties.get("gpu_id"),
            num_threads=int(os.environ.get("MILLRACE_THREADS", "1")),
            control_folder=os.environ.get("MILLRACE_CONTROL"),
            shared_folder=os.environ.get("MILLRACE_SHARED"),
            gpus=served.get("gpus", ()),
            num_slots=served.get("slots", 1),
            has_graphs=served.get("cudaGraphs", False),
            limit_s=served.get("responseTimeout"),
        )
    except BaseException:
        # TorchServe forwards a worker's stderr as warnings and its stdout as info, which serving does not log.
        for line in traceback.format_exc().splitlines():
            print(f"{FAILURE_PREFIX}{line}", file=sys.stderr, flush=True)
        raise
    # The worker loop logs two lines a request at INFO, which Java reads and parses; "started" has been seen by now.
    logging.getLogger().setLevel(logging.WARNING)
    return worker
