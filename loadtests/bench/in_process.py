"""Run an unpacked archive's own handler; a script for a subprocess, which imports nothing but what the archive brings.

Reads seconds from stdin, line by line, and answers with the rows a second that the handler made in that time.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def main(arguments: dict[str, Any]) -> None:
    """Open the handler and measure whenever asked."""
    sys.path.insert(0, arguments["folder"])
    worker = importlib.import_module("handlers.worker")
    handler = worker.open_handler(Path(arguments["folder"]), "cpu", arguments["threads"])
    message = importlib.import_module("handlers.message")
    request = message.decode_request(Path(arguments["request"]).read_bytes())
    run = _choose(handler, request, arguments["program"])
    run()
    num_rows = len(next(iter(request.inputs.values())))
    print("ready", flush=True)
    for line in sys.stdin:
        print(_measure(run, num_rows, float(line)), flush=True)


def _choose(handler: Any, request: Any, program: str) -> Callable[[], Any]:
    """What is measured: the whole handler, or one program that its inputs go into."""
    if not program:
        return lambda: handler.infer(request.inputs, request.parameters, request.requested)
    values = handler.stack(handler.decode(request.inputs, request.parameters).arrays)
    return lambda: handler.programs[program](values)


def _measure(run: Callable[[], Any], num_rows: int, duration_s: float) -> float:
    start_s = time.perf_counter()
    count = 0
    while (elapsed_s := time.perf_counter() - start_s) < duration_s:
        run()
        count += 1
    return count * num_rows / elapsed_s


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
