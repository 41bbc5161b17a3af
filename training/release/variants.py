"""Make the variants of a released program: the same function in other precisions, compiled, and portable.

Each is made from the exported eager program or another variant alone, so that it can be made in a process of its own.
"""

from __future__ import annotations

import importlib.util
import logging
import shutil
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree

from handlers.onnx_providers import CUDA, TENSORRT
from handlers.target import describe_host
from host.instruction_sets import cpu_features
from training.release.capture import capture_again, leave_bounds
from training.release.left_out import LeftOutError
from training.release.rounding import DEFAULTS, Rounding

# Imported late: each variant is made in a process of its own, and onnx and torchao take seconds to load.

CPU_VARIANTS = ("eager", "compiled", "bf16", "int8", "onnx", "onnx-int8")
CUDA_VARIANTS = ("eager", "compiled", "fp16", "bf16", "int8", "fp8", "onnx", "tensorrt")
# Run by onnxruntime: bound neither to an instruction set or a GPU's architecture nor to a release of torch.
PORTABLE_VARIANTS = ("onnx", "onnx-int8")
_ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
_PROVIDERS = {"onnx": CUDA, "tensorrt": TENSORRT}  # by which onnxruntime runs variants on a GPU


@dataclass(frozen=True, kw_only=True)
class Blueprint:
    """What it takes to make one program of a variant.

    `source` is the captured program, or the variant `onnx` where it is to be quantized. `quantization` is static or
    dynamic; `calibration` is a file with a list of example inputs (torch.save), which the static one needs, and
    `rounding` says how a static one uses them, as the variant does by default if not given.
    """

    variant: str
    source: Path
    folder: Path
    device: str
    calibration: Path | None = None
    quantization: str = "static"
    rounding: Rounding | None = None

    @property
    def is_static(self) -> bool:
        """Whether int8 is rounded by ranges of calibration rows; on GPUs it never is."""
        return self.quantization == "static" and self.device == "cpu"


def variants_for(device: torch.device) -> tuple[str, ...]:
    """Names of the variants for a device, the reference first."""
    return CUDA_VARIANTS if device.type == "cuda" else CPU_VARIANTS


def required_capability(variant: str, device: torch.device) -> str:
    """The CPU instruction set or GPU architecture that a variant's program needs; '' = any.

    Raises:
        LeftOutError: this machine lacks it, or what the variant is made with.
    """
    if variant in (*PORTABLE_VARIANTS, *_PROVIDERS):
        _check_onnx()
    if device.type == "cuda" and variant in _PROVIDERS:
        from training.release.onnx_gpu import check_built_with

        check_built_with(_PROVIDERS[variant])
    if variant == "eager" or variant in PORTABLE_VARIANTS:
        return ""
    if device.type == "cuda":
        from training.release.gpu_quantization import FLOAT8_CAPABILITY

        major, minor = torch.cuda.get_device_capability(device)
        if variant == "fp8" and (major, minor) < FLOAT8_CAPABILITY:
            raise LeftOutError(f"this GPU (sm_{major}{minor}) has no float8: it takes sm_89")
        return f"sm_{major}{minor}"
    level, *extensions = cpu_features()
    if variant == "bf16" and "BF16" not in extensions:
        raise LeftOutError(f"this CPU has no BF16 instructions ({'+'.join(cpu_features())})")
    # Inductor compiles every program for VNNI where the CPU has it.
    used = [extension for extension in extensions if extension == "VNNI" or extension.lower() == variant]
    return "+".join([level, *used])


def _check_onnx() -> None:
    """Pass where what makes and runs ONNX files is; the GPU check needs nothing but torch and numpy."""
    missing = [name for name in _ONNX_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise LeftOutError(f"not installed: {', '.join(missing)}")


def describe_target(variant: str, device: torch.device) -> dict[str, str]:
    """Say what a variant made here is bound to, as a manifest's target.

    Raises:
        LeftOutError: this machine cannot make it.
    """
    target = describe_host(device) | {"capability": required_capability(variant, device)}
    return target | {"torch_version": ""} if variant in (*PORTABLE_VARIANTS, *_PROVIDERS) else target


def load_compiler() -> None:
    """Load what most programs are made with, for seconds: a process that will make some has time for it before."""
    _silence()
    importlib.import_module("torch._inductor.compile_fx")


def make_program(blueprint: Blueprint) -> Path:
    """Make one program of a variant; returns its file in the blueprint's folder.

    Raises:
        LeftOutError: the variant makes no sense for this program.
    """
    _silence()
    blueprint.folder.mkdir(parents=True, exist_ok=True)
    if blueprint.variant == "eager":
        return Path(shutil.copy(blueprint.source, blueprint.folder))
    device = torch.device(blueprint.device)
    if device.type == "cuda" and blueprint.variant in _PROVIDERS:
        from training.release.onnx_gpu import build_engines, export_for_gpu

        make = build_engines if blueprint.variant == "tensorrt" else export_for_gpu
        return make(torch.export.load(blueprint.source), blueprint.folder / "program.onnx", blueprint.device)
    if blueprint.variant in PORTABLE_VARIANTS:
        return _make_portable(blueprint)
    program = torch.export.load(blueprint.source)
    if blueprint.variant in ("bf16", "fp16"):
        dtype = torch.bfloat16 if blueprint.variant == "bf16" else torch.float16
        module = _drop_dtype_checks(program.module(check_guards=False))
        program = capture_again(_Autocast(module, device.type, dtype), program)
    elif blueprint.variant in ("int8", "fp8"):
        program = _quantize(program, blueprint, device)
    return compile_program(program, blueprint.folder / f"{blueprint.source.stem}-{blueprint.variant}", device)


def compile_program(program: ExportedProgram, folder: Path, device: torch.device) -> Path:
    """Compile a program with AOTInductor; returns the library in `folder`, its kernels beside it.

    Raises:
        LeftOutError: a size's bound is too small for its number to stay free.
    """
    from torch._inductor import aoti_compile_and_package

    program = leave_bounds(program)
    folder.mkdir(parents=True)
    package = folder / "package.pt2"
    with torch.no_grad():
        aoti_compile_and_package(program, package_path=str(package), inductor_configs=_compiler_options(device))
    with zipfile.ZipFile(package) as archive:
        files = {Path(entry).name: entry for entry in archive.namelist() if "/data/aotinductor/" in entry}
        (library,) = (Path(name).stem for name in files if name.endswith(".so"))
        for name, entry in files.items():
            if name == f"{library}.so":
                name = "program.so"
            elif name == f"{library}.json":  # which operators the library calls through torch; looked for by this name
                name = "program.json"
            elif not name.endswith((".cubin", ".hsaco", ".spv", ".bin", ".blob")):
                continue
            (folder / name).write_bytes(archive.read(entry))
    package.unlink()
    return folder / "program.so"


def _silence() -> None:
    """Keep still what compilers say of themselves and of a missing CUDA; what matters comes as an exception."""
    warnings.simplefilter("ignore")
    for name in ("torch", "onnxscript", "onnx_ir", "onnxruntime"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _make_portable(blueprint: Blueprint) -> Path:
    path = blueprint.folder / "program.onnx"
    if blueprint.variant == "onnx" and blueprint.source.suffix == ".onnx":
        return Path(shutil.copy(blueprint.source, path))
    if blueprint.variant == "onnx":
        from training.release.onnx_export import export_onnx

        return export_onnx(torch.export.load(blueprint.source), path)
    if blueprint.quantization == "dynamic":
        from training.release.onnx_products import quantize_products

        return quantize_products(blueprint.source, path)
    if blueprint.calibration is None:
        raise LeftOutError("there are no calibration rows")
    from training.release.onnx_quantization import quantize_statically

    rounding = blueprint.rounding or DEFAULTS[blueprint.variant]
    return quantize_statically(blueprint.source, path, _read_calibration(blueprint.calibration), rounding)


def find_sensitive_layers(blueprint: Blueprint) -> list[str]:
    """Name the layers of a static int8 program, first the one whose rounding harms its outputs most."""
    assert blueprint.calibration is not None, "without calibration rows there is no such program"
    _silence()
    if blueprint.variant == "int8":
        from training.release.quantization import rank_operations

        return rank_operations(torch.export.load(blueprint.source), torch.load(blueprint.calibration))
    from training.release.onnx_quantization import rank_layers

    return rank_layers(blueprint.source, _read_calibration(blueprint.calibration))


def _read_calibration(path: Path) -> list[list[np.ndarray]]:
    return [[tensor.numpy() for tensor in batch] for batch in torch.load(path)]


def _quantize(program: ExportedProgram, blueprint: Blueprint, device: torch.device) -> ExportedProgram:
    from training.release.dynamic_quantization import check_integers_pay, quantize_dynamically
    from training.release.gpu_quantization import FLOAT8_MULTIPLE, INT8_MULTIPLE, Float8Linear, PaddedLinear
    from training.release.quantization import NotQuantizableError, quantize

    try:
        if blueprint.variant == "fp8":
            return quantize_dynamically(program, Float8Linear, FLOAT8_MULTIPLE)
        if device.type == "cuda":  # whatever the spec says: nothing there runs static int8 convolutions
            return quantize_dynamically(program, PaddedLinear, INT8_MULTIPLE)
        if blueprint.quantization == "dynamic":
            check_integers_pay()
            return quantize_dynamically(program)
        if blueprint.calibration is None:
            raise LeftOutError("there are no calibration rows")
        rounding = blueprint.rounding or DEFAULTS[blueprint.variant]
        return quantize(program, torch.load(blueprint.calibration), rounding)
    except NotQuantizableError as error:
        raise LeftOutError(str(error)) from error


def _compiler_options(device: torch.device) -> dict[str, Any]:
    options: dict[str, Any] = {"freezing": True}
    if device.type == "cpu":
        # Without it the number of threads at release time is compiled in, and a worker's own is ignored.
        options["cpp.dynamic_threads"] = True
        levels = {"AVX512": "x86-64-v4", "AVX2": "x86-64-v3"}
        level = cpu_features()[0]
        if level in levels and hasattr(torch._inductor.config.cpp, "march"):
            # The default, native, uses whatever this CPU has, which the manifest's target does not name.
            options["cpp.march"] = levels[level]
    return options


def _drop_dtype_checks(module: torch.fx.GraphModule) -> torch.fx.GraphModule:
    """Remove what export wrote in front of each conversion: that its input has the dtype it had without autocast."""
    for node in list(module.graph.nodes):
        if node.target is torch.ops.aten._assert_tensor_metadata.default:
            module.graph.erase_node(node)
    module.recompile()
    return module


class _Autocast(torch.nn.Module):
    """Run a module in a lower precision where autocast holds it safe; outputs keep their dtypes."""

    def __init__(self, module: torch.nn.Module, device_type: str, dtype: torch.dtype) -> None:
        super().__init__()
        self.module = module
        self.device_type = device_type
        self.dtype = dtype

    def forward(self, *inputs: torch.Tensor) -> list[torch.Tensor]:
        with torch.autocast(self.device_type, self.dtype):
            outputs = pytree.tree_leaves(self.module(*inputs))
        return [output.float() if output.dtype == self.dtype else output for output in outputs]
