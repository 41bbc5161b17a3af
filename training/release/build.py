"""Build a model's variants: captured once, each made in a process of its own, laid out as archive content."""

from __future__ import annotations

import shutil
import warnings
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from training.release.capture import capture
from training.release.content import lay_out
from training.release.left_out import LeftOutError
from training.release.onnx_program import SUFFIX, OnnxNetwork
from training.release.orders import Order, carry_out
from training.release.rounding import Search
from training.release.spec import ReleaseSpec
from training.release.variants import (
    PORTABLE_VARIANTS,
    Blueprint,
    describe_target,
    make_program,
    variants_for,
)

FAILED = "could not be made"
SEARCHED = ("int8", "onnx-int8")  # the variants that may be rounded in more than one way
# How variants of lower precision hold a program that is exact; `compiled` where not named.
_EXACT_FORMS = {"eager": "eager", "onnx": "onnx", "onnx-int8": "onnx"}


@dataclass(frozen=True, kw_only=True)
class Built:
    """Variant → its archive's content as a folder, and variant → why it was not built.

    `blueprints` maps the roles of each searched variant that are rounded statically to how they were made; `searches`
    is what came of it.
    """

    folders: dict[str, Path]
    left_out: dict[str, str]
    blueprints: dict[str, dict[str, Blueprint]] = field(default_factory=dict)
    searches: dict[str, Search] = field(default_factory=dict)


def build_variants(
    spec: ReleaseSpec, *, device: torch.device, release: int, work: Path, wanted: Sequence[str] = ()
) -> Built:
    """Build the wanted variants (default: all for the device) below the folder `work`; always with the reference.

    Raises:
        ValueError: a wanted variant does not exist for this device.
    """
    variants = _choose_variants(spec, device, wanted)
    left_out = {name: why for name, why in spec.left_out.items() if name in variants}
    orders = _write_orders(spec, device, work, [name for name in variants if name not in left_out], left_out)
    captured = _write_sources(spec, device, orders)
    programs, blueprints = _make_programs(orders, captured, left_out, reference=variants[0])
    folders = {}
    for variant in variants:
        if variant in left_out or variant not in programs:
            continue
        folders[variant] = work / "content" / variant
        folders[variant].mkdir(parents=True)
        target = describe_target(variant, device)
        lay_out(folders[variant], spec, release=release, variant=variant, programs=programs[variant], target=target)
    return Built(folders=folders, left_out=left_out, blueprints=blueprints)


def _choose_variants(spec: ReleaseSpec, device: torch.device, wanted: Sequence[str]) -> list[str]:
    known = variants_for(device)
    if any(isinstance(program.module, OnnxNetwork) for program in spec.programs.values()):
        if device.type != "cpu":
            raise ValueError(f"an ONNX program is released for CPUs, not for {device.type}; give --device cpu")
        known = PORTABLE_VARIANTS
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ValueError(f"no variant {', '.join(unknown)} for {device.type}; there are {', '.join(known)}")
    return [name for name in known if not wanted or name in wanted or name == known[0]]


def _write_orders(
    spec: ReleaseSpec, device: torch.device, work: Path, variants: Sequence[str], left_out: dict[str, str]
) -> list[Order]:
    """Order all programs, role by role; what they are made from is written by `_write_sources`."""
    orders: list[Order] = []
    (work / "captured").mkdir(parents=True)
    for role, program in spec.programs.items():
        source = work / "captured" / role
        is_static = program.calibration is not None and program.quantization == "static"
        made_as: dict[str, tuple[str, ...]] = {}
        for variant in variants:
            try:
                describe_target(variant, device)
            except LeftOutError as error:
                left_out[variant] = str(error)
                continue
            if program.is_exact and variant == "tensorrt":
                left_out[variant] = f"{role} is exact, and engines have half precision"
                continue
            form = _EXACT_FORMS.get(variant, "compiled") if program.is_exact else variant
            made_as[form] = (*made_as.get(form, ()), variant)
        blueprint = Blueprint(
            variant="",
            source=source.with_suffix(SUFFIX if isinstance(program.module, OnnxNetwork) else ".pt2"),
            folder=work / "programs",
            device=str(device),
            calibration=source.with_suffix(".calibration") if is_static and {*SEARCHED} & {*variants} else None,
            quantization=program.quantization,
        )
        orders += _write_orders_of(role, blueprint, made_as)
    return orders


def _write_sources(spec: ReleaseSpec, device: torch.device, orders: Sequence[Order]) -> Iterator[str]:
    """Write what all variants are made from; yields each role as soon as its own is there.

    That is the captured program, or a user's ONNX file as it is, and the rows that calibrate.
    """
    for role, program in spec.programs.items():
        blueprint = next(order.blueprint for order in orders if order.role == role)
        source, calibration = blueprint.source, blueprint.calibration
        if isinstance(program.module, OnnxNetwork):
            shutil.copy(program.module.path, source)
        else:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="No complete tensor found")  # channels-last weights
                torch.export.save(capture(program, device), source)
        if calibration is not None:
            assert program.calibration is not None
            torch.save([tuple(tensor.cpu() for tensor in batch) for batch in program.calibration()], calibration)
        yield role


def _write_orders_of(role: str, blueprint: Blueprint, made_as: Mapping[str, tuple[str, ...]]) -> list[Order]:
    """Order what variants hold in a role; `made_as` maps the form of a program to the variants that hold it."""

    def order(form: str, then: Order | None = None) -> Order:
        own = replace(blueprint, variant=form, folder=blueprint.folder / form / role)
        return Order(role=role, blueprint=own, variants=made_as.get(form, ()), then=then)

    orders = [order(form) for form in made_as if form not in PORTABLE_VARIANTS]
    if "onnx-int8" in made_as:
        orders.append(order("onnx", then=order("onnx-int8")))
    elif "onnx" in made_as:
        orders.append(order("onnx"))
    return orders


def _make_programs(
    orders: Sequence[Order], captured: Iterator[str], left_out: dict[str, str], *, reference: str
) -> tuple[dict[str, dict[str, Path]], dict[str, dict[str, Blueprint]]]:
    programs: dict[str, dict[str, Path]] = {}
    blueprints: dict[str, dict[str, Blueprint]] = {}
    waiting: deque[Order] = deque()
    made_anew = [order for order in orders if not order.is_copy]
    for order, made in carry_out(made_anew, captured, waiting, left_out):
        try:
            program = made.result()
        except LeftOutError as error:
            left_out |= dict.fromkeys(order.all_variants, str(error))
        except Exception as error:  # a compiler may fail in any way; other variants are still worth having
            if reference in order.variants:
                raise
            left_out |= dict.fromkeys(order.all_variants, f"{FAILED}: {type(error).__name__}: {error}")
        else:
            for variant in order.variants:
                programs.setdefault(variant, {})[order.role] = program
            if order.blueprint.variant in SEARCHED and order.blueprint.is_static:
                blueprints.setdefault(order.blueprint.variant, {})[order.role] = order.blueprint
            if order.then is not None:
                then = replace(order.then, blueprint=replace(order.then.blueprint, source=program))
                waiting.appendleft(then)
    for order in orders:
        if order.is_copy:  # for which no process need load torch
            for variant in order.variants:
                programs.setdefault(variant, {})[order.role] = make_program(order.blueprint)
    return {variant: roles for variant, roles in programs.items() if variant not in left_out}, blueprints
