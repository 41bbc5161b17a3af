"""Search how `int8` and `onnx-int8` are best rounded: each way is built, packed, judged by the gate's rule and timed.

The rows that choose are not the rows that judge: of many ways, the one that looks best on some rows looks better there
than it is, and a gate that asked the same rows again would let too much pass. So the search has one half of the
held-out rows for itself, and the gate judges all variants on the other half alone, by its usual rule. Nor does it see
the rows that calibrate, which say only which layers bear rounding least.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from handlers.archive import open_handler
from handlers.base import Handler
from host.exclusion import Alone
from host.instruction_sets import cpu_features
from host.progress import ProgressBar
from training.release.build import Built
from training.release.content import MANIFEST_NAME, copy_program
from training.release.gate import judge
from training.release.measurement import compare, measure_quality, measure_speed
from training.release.rounding import COMPILED, DEFAULTS, Ranges, Rounding, Search, Trial
from training.release.spec import ReleaseSpec
from training.release.variants import Blueprint, find_sensitive_layers, make_program

# Ways whose rows/s differ by less are equally fast; the earlier one is taken, the default first of all.
_SAME_SPEED = 0.95
_RANGES: tuple[Ranges, ...] = ("extremes", "percentile", "entropy")
_NUMS_IN_FLOATS = (0, 1, 2)
Way = Mapping[str, Rounding]  # role → how its program is rounded


def search_roundings(built: Built, spec: ReleaseSpec, device: torch.device, work: Path, alone: Alone) -> Built:
    """Replace each static int8 variant by its fastest rounding that passes on the held-out rows of `spec`.

    Where none passes it is the one that comes nearest to it. What is rounded as its rows come is not searched. Ways are
    timed in the context that `alone` makes.
    """
    for variant, blueprints in built.blueprints.items():
        if variant in built.folders:
            built = _search_variant(built, variant, blueprints, spec, device, work / variant, alone)
    return built


def _search_variant(
    built: Built,
    variant: str,
    blueprints: Mapping[str, Blueprint],
    spec: ReleaseSpec,
    device: torch.device,
    work: Path,
    alone: Alone,
) -> Built:
    default = dict.fromkeys(blueprints, DEFAULTS[variant])
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        ranked, left_out = _rank_layers(pool, blueprints)
        others = list_ways(variant, ranked)
        made = [
            {
                role: pool.submit(make_program, blueprint)
                for role, blueprint in _round(blueprints, way, work / str(place)).items()
            }
            for place, way in enumerate(others)
        ]
        tried: list[tuple[Way, Path]] = [(default, built.folders[variant])]
        with ProgressBar(f"trying ways to round {variant}", total=len(others)) as bar:
            for place, (way, programs) in enumerate(zip(others, made, strict=True)):
                try:
                    paths = {role: program.result() for role, program in programs.items()}
                except Exception as error:  # noqa: BLE001 - a compiler may fail in any way; other ways are worth a try
                    left_out[_in_words(way)] = _say(error)
                else:
                    content = work / f"{place}-content"
                    tried.append((way, _lay_out(built.folders[variant], content, paths, way)))
                bar.advance(1, _in_words(way))
    trials = _try(built, tried, spec, device, alone)
    chosen = choose(trials)
    trials[chosen] = dataclasses.replace(trials[chosen], is_chosen=True)
    found = Search(
        dataset=spec.held_out.dataset,
        n=len(next(iter(spec.held_out.inputs.values()))),
        trials=tuple(trials),
        left_out=left_out,
    )
    return dataclasses.replace(
        built,
        folders=built.folders | {variant: tried[chosen][1]},
        searches=built.searches | {variant: found},
    )


def _rank_layers(
    pool: ProcessPoolExecutor, blueprints: Mapping[str, Blueprint]
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Role → its layers by their sensitivity, none where they cannot be ranked; and why they cannot."""
    ranked, left_out = {}, {}
    for role, found in {
        role: pool.submit(find_sensitive_layers, blueprint) for role, blueprint in blueprints.items()
    }.items():
        try:
            ranked[role] = found.result()
        except Exception as error:  # noqa: BLE001 - as of a way that cannot be built
            ranked[role] = []
            left_out[f"{role}: layers in floats"] = _say(error)
    return ranked, left_out


def _say(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def choose(trials: Sequence[Trial]) -> int:
    """The place of the first trial that passed and is as fast as the fastest of these; else of the nearest to it."""
    fastest = max((trial.rows_per_s for trial in trials if trial.passed), default=None)
    if fastest is None:
        return max(range(len(trials)), key=lambda place: trials[place].interval[0])
    return next(
        place for place, trial in enumerate(trials) if trial.passed and trial.rows_per_s >= _SAME_SPEED * fastest
    )


def list_ways(variant: str, ranked: Mapping[str, Sequence[str]]) -> list[Way]:
    """Ways to round besides the default, each of all roles; `ranked` has the layers by their sensitivity."""
    most = max(len(layers) for layers in ranked.values())

    def make_way(ranges: Ranges, num_in_floats: int, weight_bits: int) -> Way:
        return {
            role: Rounding(ranges=ranges, weight_bits=weight_bits, in_floats=tuple(layers[:num_in_floats]))
            for role, layers in ranked.items()
        }

    counts = [count for count in _NUMS_IN_FLOATS if count < max(1, most)]
    if variant == "int8":  # each way takes a compiler half a minute: ranges and layers, not their product
        bits = COMPILED.weight_bits
        by_ranges = [make_way(ranges, 0, bits) for ranges in ("extremes", "percentile")]
        return by_ranges + [make_way(COMPILED.ranges, count, bits) for count in counts if count]
    bits = DEFAULTS[variant].weight_bits
    _, *ways = [make_way(ranges, count, bits) for count in counts for ranges in _RANGES]  # the first is the default
    if "VNNI" in cpu_features():
        ways.append({role: Rounding(weight_bits=8) for role in ranked})
    return ways


def _round(blueprints: Mapping[str, Blueprint], way: Way, folder: Path) -> dict[str, Blueprint]:
    return {
        role: dataclasses.replace(blueprint, folder=folder / role, rounding=way[role])
        for role, blueprint in blueprints.items()
    }


def _lay_out(content: Path, folder: Path, programs: Mapping[str, Path], way: Way) -> Path:
    """Copy an archive's content with other programs; 8-bit weights bind it to CPUs that can add their products."""
    shutil.copytree(content, folder)
    manifest = json.loads((folder / MANIFEST_NAME).read_text())
    for role, path in programs.items():
        shutil.rmtree(folder / "programs" / role)
        copy_program(path, folder / "programs" / role)
    if not manifest["target"]["capability"] and any(rounding.is_bound for rounding in way.values()):
        manifest["target"]["capability"] = "VNNI"
        (folder / MANIFEST_NAME).write_text(json.dumps(manifest, indent=2))
    return folder


def _try(
    built: Built, tried: Sequence[tuple[Way, Path]], spec: ReleaseSpec, device: torch.device, alone: Alone
) -> list[Trial]:
    reference = next(iter(built.folders))
    handlers: dict[str, Handler] = {
        str(place): open_handler(folder, str(device)) for place, (_, folder) in enumerate(tried)
    }
    exact = measure_quality(open_handler(built.folders[reference], str(device)), spec.held_out, spec.max_rows)
    with alone():
        timings = measure_speed(handlers, spec.held_out, spec.max_rows)
    trials = []
    for (place, handler), (way, _) in zip(handlers.items(), tried, strict=True):
        measured = measure_quality(handler, spec.held_out, spec.max_rows)
        comparison = compare(measured, exact, spec.held_out, reference)
        trials.append(
            Trial(
                rounding=_in_words(way),
                difference=comparison.difference,
                interval=comparison.interval,
                rows_per_s=timings[place].rows_per_s,
                passed=judge(comparison, spec.margin, [measured.fault] if measured.fault else ()).passed,
            )
        )
    return trials


def _in_words(way: Way) -> str:
    if len({rounding.in_words for rounding in way.values()}) == 1:
        return next(iter(way.values())).in_words
    return "; ".join(f"{role}: {rounding.in_words}" for role, rounding in way.items())
