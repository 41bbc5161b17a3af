"""Run an unpacked archive's own handler; a script for a subprocess, which imports nothing but what the archive brings.

Reads seconds from stdin, line by line, and answers with the rows a second that the handler made in that time.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any


def main(arguments: dict[str, Any]) -> None:
    """Open the handler and measure whenever asked."""
    sys.path.insert(0, arguments["folder"])
    worker = importlib.import_module("handlers.worker")
    handler = worker.open_handler(Path(arguments["folder"]), "cpu", arguments["threads"])
    message = importlib.import_module("handlers.message")
    request = message.decode_request(Path(arguments["request"]).read_bytes())
    handler.infer(*request)
    print("ready", flush=True)
    for line in sys.stdin:
        print(_measure(handler, request, float(line)), flush=True)


def _measure(handler: Any, request: Any, duration_s: float) -> float:
    num_rows = len(next(iter(request.inputs.values())))
    start_s = time.perf_counter()
    count = 0
    while (elapsed_s := time.perf_counter() - start_s) < duration_s:
        handler.infer(*request)
        count += 1
    return count * num_rows / elapsed_s


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
