"""Write bytecode of what a serving process and its workers import, and of nothing else that wheels bring.

Run when an image is built, by its own Python with -B. By hash, unchecked: files carry the commit's time later, and
bytecode by time would then be compiled at every start, as what has none is: the root file system cannot be written.
"""

import contextlib
import importlib.util
import io
import pkgutil
import py_compile
import sys

ROOMS = ("handlers", "host", "model_store", "services")
# What only TorchServe and uvicorn import, by name and when they run.
LATER = ("onnxruntime", "sentencepiece", "ts.model_service_worker", "uvicorn.loops.auto", "uvicorn.protocols.http.auto")


def import_all(name: str) -> None:
    """Import a package and all modules below it, but for what needs what is not in this image."""
    try:
        found = importlib.import_module(name)
    except ImportError:
        return
    for module in pkgutil.iter_modules(getattr(found, "__path__", ()), f"{name}."):
        import_all(module.name)


def load_program() -> None:
    """Import what loading and running an exported program imports, by doing both."""
    torch = importlib.import_module("torch")  # in the image; this room itself needs none
    file = io.BytesIO()
    torch.export.save(torch.export.export(torch.nn.Linear(1, 1), (torch.zeros(1, 1),)), file)
    file.seek(0)
    torch.export.load(file).module(check_guards=False)(torch.zeros(1, 1))


def main(folder: str) -> None:
    if importlib.util.find_spec("torch"):
        load_program()
    for room in ROOMS:
        import_all(room)
    for module in LATER:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    for path in sorted({getattr(module, "__file__", None) or "" for module in [*sys.modules.values()]}):
        if path.startswith(folder) and path.endswith(".py"):
            py_compile.compile(path, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)


if __name__ == "__main__":
    main(sys.prefix)
