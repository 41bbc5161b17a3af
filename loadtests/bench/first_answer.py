"""Start one worker as TorchServe does, let it answer, and print what that took; a script for a subprocess.

The archive comes first on the path, as TorchServe puts it: what is imported is what it brings, and TorchServe's worker.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
from pathlib import Path
from types import SimpleNamespace

PAGE_BYTES = resource.getpagesize()


def main(folder: str, request: str) -> None:
    """Answer one request, and print processor seconds and resident bytes as JSON."""
    importlib.import_module("ts.model_service_worker")
    entry = importlib.import_module("entry")
    context = SimpleNamespace(
        system_properties={"model_dir": folder, "gpu_id": None},
        model_yaml_config={},
        get_request_header=lambda index, name: None,
    )
    entry.handle(None, context)
    entry.handle([{"request": Path(request).read_bytes()}], context)
    used = resource.getrusage(resource.RUSAGE_SELF)
    resident_bytes = int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES
    print(json.dumps({"processor_s": used.ru_utime + used.ru_stime, "resident_bytes": resident_bytes}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
