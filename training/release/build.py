"""Build a model's variants: captured once, each made in a process of its own, laid out as archive content."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import torch

from handlers.target import describe_host
from host.progress import ProgressBar
from training.release.capture import capture
from training.release.content import lay_out
from training.release.spec import ReleaseSpec
from training.release.variants import LeftOutError, Recipe, make_program, required_capability, variants_for

FAILED = "could not be made"
_REFERENCE = "eager"


@dataclass(frozen=True, kw_only=True)
class Built:
    """Variant → its archive's content as a folder, and variant → why it was not built."""

    folders: dict[str, Path]
    left_out: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class _Order:
    """One program to make, and the variants that will hold it in a role."""

    role: str
    recipe: Recipe
    variants: tuple[str, ...]


def build_variants(
    spec: ReleaseSpec, *, device: torch.device, release: int, work: Path, wanted: Sequence[str] = ()
) -> Built:
    """Build the wanted variants (default: all for the device) below the folder `work`; always with the reference.

    Raises:
        ValueError: a wanted variant does not exist for this device.
    """
    variants = _choose_variants(device, wanted)
    left_out = {name: why for name, why in spec.left_out.items() if name in variants}
    orders = _write_orders(spec, device, work, [name for name in variants if name not in left_out], left_out)
    programs = _make_programs(orders, left_out)
    folders = {}
    for variant in variants:
        if variant in left_out or variant not in programs:
            continue
        target = describe_host(device) | {"capability": required_capability(variant, device)}
        folders[variant] = work / "content" / variant
        folders[variant].mkdir(parents=True)
        lay_out(folders[variant], spec, release=release, variant=variant, programs=programs[variant], target=target)
    return Built(folders=folders, left_out=left_out)


def _choose_variants(device: torch.device, wanted: Sequence[str]) -> list[str]:
    known = variants_for(device)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ValueError(f"no variant {', '.join(unknown)} for {device.type}; there are {', '.join(known)}")
    return [name for name in known if not wanted or name in wanted or name == known[0]]


def _write_orders(
    spec: ReleaseSpec, device: torch.device, work: Path, variants: Sequence[str], left_out: dict[str, str]
) -> list[_Order]:
    orders = []
    (work / "captured").mkdir(parents=True)
    for role, program in spec.programs.items():
        eager = work / "captured" / f"{role}.pt2"
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="No complete tensor found")  # channels-last weights
            torch.export.save(capture(program, device), eager)
        calibration = None
        if program.calibration is not None and program.quantization == "static" and "int8" in variants:
            calibration = work / "captured" / f"{role}-calibration.pt"
            torch.save([tuple(tensor.cpu() for tensor in batch) for batch in program.calibration()], calibration)
        shared: dict[str, list[str]] = {}
        for variant in variants:
            try:
                required_capability(variant, device)
            except LeftOutError as error:
                left_out[variant] = str(error)
                continue
            made_as = "compiled" if program.is_exact and variant != _REFERENCE else variant
            shared.setdefault(made_as, []).append(variant)
        for made_as, served in shared.items():
            recipe = Recipe(
                variant=made_as,
                eager=eager,
                folder=work / "programs" / made_as / role,
                device=str(device),
                calibration=calibration,
                quantization=program.quantization,
            )
            orders.append(_Order(role=role, recipe=recipe, variants=tuple(served)))
    return orders


def _make_programs(orders: Sequence[_Order], left_out: dict[str, str]) -> dict[str, dict[str, Path]]:
    programs: dict[str, dict[str, Path]] = {}
    # Spawned, so that a compiler's crash or memory does not reach this process; two, because most of a build is serial.
    pool = ProcessPoolExecutor(min(len(orders), os.cpu_count() or 1, 4), multiprocessing.get_context("spawn"))
    with pool, ProgressBar("making variants", total=len(orders)) as bar:
        pending: dict[Future[Path], _Order] = {pool.submit(make_program, order.recipe): order for order in orders}
        for future in as_completed(pending):
            order = pending[future]
            try:
                program = future.result()
            except LeftOutError as error:
                left_out |= dict.fromkeys(order.variants, str(error))
            except Exception as error:  # a compiler may fail in any way; the other variants are still worth having
                if _REFERENCE in order.variants:
                    raise
                left_out |= dict.fromkeys(order.variants, f"{FAILED}: {type(error).__name__}: {error}")
            else:
                for variant in order.variants:
                    programs.setdefault(variant, {})[order.role] = program
            bar.advance(1, order.recipe.variant)
    return {variant: roles for variant, roles in programs.items() if variant not in left_out}
