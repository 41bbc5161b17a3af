"""The content of an archive as a folder: what a worker finds when TorchServe has unpacked it."""

from __future__ import annotations

import ast
import dataclasses
import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from handlers.onnx_providers import OPTIONS_NAME
from handlers.target import is_portable
from training.release.spec import ReleaseSpec

# Imported late: a worker's folder alone needs the protocol compiler.

MANIFEST_NAME = "manifest.json"
ENTRY_NAME = "entry.py"
MODEL_CONFIG_NAME = "model-config.yaml"
STARTUP_NAME = "sitecustomize.py"
_ROOT = Path(__file__).resolve().parents[2]
_PACKED_ROOMS = ("handlers", "model_store", "host")
_RESERVED = (*_PACKED_ROOMS, "programs", "MAR-INF", MANIFEST_NAME, ENTRY_NAME, MODEL_CONFIG_NAME, STARTUP_NAME)
# minWorkers at registration is ignored where a model has a config file; maxBatchDelay 0 would mean 100 ms.
_MODEL_CONFIG = {"minWorkers": 1, "maxWorkers": 1, "batchSize": 1, "maxBatchDelay": 1, "responseTimeout": 120}


def lay_out(
    folder: Path,
    spec: ReleaseSpec,
    *,
    release: int,
    variant: str,
    programs: Mapping[str, Path],
    target: Mapping[str, str],
) -> None:
    """Fill a folder with what a handler reads: programs, extra files, and a manifest without what is measured later.

    Raises:
        ValueError: two files of the archive have the same name.
    """
    for name, path in spec.extra_files.items():
        if Path(name).parts[0] in _RESERVED:
            raise ValueError(f"extra file {name!r} has the name of a file that every archive holds; rename it")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / name)
    files = {}
    for role, path in programs.items():
        copy_program(path, folder / "programs" / role)
        files[role] = f"programs/{role}/{path.name}"
    manifest = describe(spec, release=release, variant=variant, programs=files, target=target)
    (folder / MANIFEST_NAME).write_text(json.dumps(manifest, indent=2))


def copy_program(path: Path, folder: Path) -> None:
    """Copy a program's file into a new folder, with the kernels or engines beside it that it needs."""
    folder.mkdir(parents=True)
    has_more = path.suffix == ".so" or (path.parent / OPTIONS_NAME).exists()
    for file in path.parent.iterdir() if has_more else (path,):
        shutil.copy(file, folder)


def describe(
    spec: ReleaseSpec, *, release: int, variant: str, programs: Mapping[str, str], target: Mapping[str, str]
) -> dict[str, Any]:
    """The part of a manifest that is known before anything is measured; all that a handler reads."""
    return {
        "format": 1,
        "model": spec.model,
        "kind": spec.kind,
        "release": release,
        "variant": variant,
        "description": spec.description,
        "handler_options": dict(spec.handler_options),
        "programs": dict(programs),
        "inputs": [dataclasses.asdict(tensor) for tensor in spec.inputs],
        "input_sets": [list(names) for names in spec.input_sets],
        "outputs": [dataclasses.asdict(tensor) for tensor in spec.outputs],
        "default_outputs": list(spec.default_outputs),
        "parameters": [dataclasses.asdict(parameter) for parameter in spec.parameters],
        "max_rows": spec.max_rows,
        "streams": spec.streams,
        "stops": spec.stops,
        "shared_memory": True,
        "own_socket": True,
        # Sessions, and rows that are told to have left, belong to a worker's one call.
        "several_slots": not (spec.streams or spec.stops),
        "usage": spec.usage,
        "target": dict(target),
    }


def add_worker(folder: Path, kind: str, target: Mapping[str, str]) -> None:
    """Add what TorchServe starts: the entry, the model's settings, and the modules that the handler needs.

    Raises:
        FileNotFoundError: there is no such handler.
    """
    shutil.copy(_ROOT / "handlers" / ENTRY_NAME, folder / ENTRY_NAME)
    settings = _MODEL_CONFIG | ({"deviceType": "gpu"} if target["device"] == "cuda" else {})
    (folder / MODEL_CONFIG_NAME).write_text("".join(f"{key}: {value}\n" for key, value in settings.items()))
    if is_portable(target):
        shutil.copy(_ROOT / "host" / "deferred_torch.py", folder / STARTUP_NAME)
    _copy_modules(folder, kind)


def _copy_modules(folder: Path, kind: str) -> None:
    from model_store.open_inference import PROTO_PATH
    from model_store.protobuf import COMPILED_SUFFIX, compile_proto

    for module in needed_modules(("handlers.entry", "handlers.explain", f"handlers.{kind}")):
        source = _module_path(module)
        place = folder / source.relative_to(_ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, place)
    shutil.copy(PROTO_PATH, folder / "model_store")
    (folder / "model_store" / PROTO_PATH.name).with_suffix(COMPILED_SUFFIX).write_bytes(compile_proto(PROTO_PATH))


def needed_modules(roots: Iterable[str]) -> list[str]:
    """List modules of the packed rooms that `roots` import, directly or not, wherever in a file; with packages."""
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        module = waiting.pop()
        if module in found or module.split(".")[0] not in _PACKED_ROOMS:
            continue
        found.add(module)
        waiting.append(module.split(".")[0])
        for node in ast.walk(ast.parse(_module_path(module).read_text())):
            if isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                waiting.append(node.module)
    return sorted(found)


def _module_path(module: str) -> Path:
    path = _ROOT / Path(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not file.is_file():
        raise FileNotFoundError(f"no module {module}: {file} is missing")
    return file
