"""Open the handler of an unpacked archive."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

from handlers.base import Handler
from handlers.device import open_device
from handlers.target import check_target


def open_handler(
    folder: Path, device: str, num_threads: int | None = None, *, has_graphs: bool = False, num_slots: int = 1
) -> Handler:
    """Open the handler of an unpacked archive on `cpu`, `cuda` or `cuda:N`, there with replayed graphs or without.

    So many threads as it has slots may ask it at once.

    Without `num_threads`, torch keeps those of this process and onnxruntime, whose threads never change, has one.

    Raises:
        RuntimeError: the program was built for another target.
        ValueError: the archive names a handler that its package does not have.
    """
    manifest = json.loads((folder / "manifest.json").read_text())
    check_target(manifest["target"], device)
    kind = manifest["kind"] if "kind" in manifest else manifest["handler"]  # the latter in older archives
    files = manifest["programs"].values()
    for_onnx = bool(files) and all(file.endswith(".onnx") for file in files)
    opened = open_device(device, num_threads, has_graphs=has_graphs, num_slots=num_slots, for_onnx=for_onnx)
    return find_handler(kind)(manifest, folder, opened)


def find_handler(kind: str) -> type[Handler]:
    """Find the one Handler class of the module `handlers.<kind>`.

    Raises:
        ValueError: there is no such module, or not exactly one Handler in it.
    """
    try:
        module = importlib.import_module(f"handlers.{kind}")
    except ModuleNotFoundError as error:
        if error.name != f"handlers.{kind}":
            raise
        raise ValueError(f"there is no handler {kind!r}: no module handlers/{kind}.py") from None
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Handler) and value.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise ValueError(f"handlers/{kind}.py must define exactly one Handler, it defines {len(found)}")
    return found[0]
