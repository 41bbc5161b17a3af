"""Search how `onnx-int8` is best rounded: each way is built, packed, judged by the gate's rule and timed.

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
from handlers.target import cpu_features
from host.progress import ProgressBar
from training.release.build import SEARCHED, Built
from training.release.content import MANIFEST_NAME
from training.release.gate import judge
from training.release.measurement import compare, measure_quality, measure_speed
from training.release.rounding import Ranges, Rounding, Search, Trial
from training.release.spec import ReleaseSpec
from training.release.variants import Recipe, find_sensitive_layers, make_program

# Ways whose rows/s differ by less are equally fast; the earlier one is taken, the default first of all.
_SAME_SPEED = 0.95
_RANGES: tuple[Ranges, ...] = ("extremes", "percentile", "entropy")
_NUMS_IN_FLOATS = (0, 1, 2)


def search_rounding(built: Built, spec: ReleaseSpec, device: torch.device, work: Path) -> Built:
    """Replace `onnx-int8` by its fastest rounding that passes on the held-out rows of `spec`, the search's own.

    Where none passes it is the one that comes nearest to it. Nothing is searched where the variant was not built, or
    is rounded as its rows come.
    """
    if SEARCHED not in built.folders or not built.recipes:
        return built
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        ranked = dict(zip(built.recipes, pool.map(find_sensitive_layers, built.recipes.values()), strict=True))
        ways = _list_ways(ranked)
        folders = {}
        with ProgressBar("trying ways to round", total=len(ways)) as bar:
            recipes = [_write_recipes(built.recipes, way, work / str(place)) for place, way in enumerate(ways)]
            made = [{role: pool.submit(make_program, recipe) for role, recipe in roles.items()} for roles in recipes]
            for place, (way, programs) in enumerate(zip(ways, made, strict=True)):
                paths = {role: program.result() for role, program in programs.items()}
                folders[str(place)] = _lay_out(built.folders[SEARCHED], work / f"{place}-content", paths, way)
                bar.advance(1, _in_words(way))
    trials = _try(built, folders, ways, spec, device)
    chosen = choose(trials)
    trials[chosen] = dataclasses.replace(trials[chosen], is_chosen=True)
    found = Search(
        dataset=spec.held_out.dataset, n=len(next(iter(spec.held_out.inputs.values()))), trials=tuple(trials)
    )
    return dataclasses.replace(built, folders=built.folders | {SEARCHED: folders[str(chosen)]}, search=found)


def choose(trials: Sequence[Trial]) -> int:
    """The place of the first trial that passed and is as fast as the fastest of these; else of the nearest to it."""
    fastest = max((trial.rows_per_s for trial in trials if trial.passed), default=None)
    if fastest is None:
        return max(range(len(trials)), key=lambda place: trials[place].interval[0])
    return next(
        place for place, trial in enumerate(trials) if trial.passed and trial.rows_per_s >= _SAME_SPEED * fastest
    )


def _list_ways(ranked: Mapping[str, Sequence[str]]) -> list[dict[str, Rounding]]:
    """Ways to round, each of all roles: those for every CPU first, the default as the first of all."""
    most = max(len(layers) for layers in ranked.values())
    ways = [
        {role: Rounding(ranges=ranges, in_floats=tuple(layers[:count])) for role, layers in ranked.items()}
        for count in _NUMS_IN_FLOATS
        if count < most
        for ranges in _RANGES
    ]
    if "VNNI" in cpu_features():
        ways.append({role: Rounding(weight_bits=8) for role in ranked})
    return ways


def _write_recipes(recipes: Mapping[str, Recipe], way: Mapping[str, Rounding], folder: Path) -> dict[str, Recipe]:
    return {
        role: dataclasses.replace(recipe, folder=folder / role, rounding=way[role]) for role, recipe in recipes.items()
    }


def _lay_out(content: Path, folder: Path, programs: Mapping[str, Path], way: Mapping[str, Rounding]) -> Path:
    """Copy an archive's content with other programs; 8-bit weights bind it to CPUs that can add their products."""
    shutil.copytree(content, folder)
    manifest = json.loads((folder / MANIFEST_NAME).read_text())
    for role, path in programs.items():
        shutil.copy(path, folder / manifest["programs"][role])
    if any(rounding.is_bound for rounding in way.values()):
        manifest["target"]["capability"] = "VNNI"
        (folder / MANIFEST_NAME).write_text(json.dumps(manifest, indent=2))
    return folder


def _try(
    built: Built,
    folders: Mapping[str, Path],
    ways: Sequence[Mapping[str, Rounding]],
    spec: ReleaseSpec,
    device: torch.device,
) -> list[Trial]:
    reference = next(iter(built.folders))
    handlers: dict[str, Handler] = {place: open_handler(folder, str(device)) for place, folder in folders.items()}
    exact = measure_quality(open_handler(built.folders[reference], str(device)), spec.held_out, spec.max_rows)
    timings = measure_speed(handlers, spec.held_out, spec.max_rows)
    trials = []
    for (place, handler), way in zip(handlers.items(), ways, strict=True):
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


def _in_words(way: Mapping[str, Rounding]) -> str:
    if len({rounding.in_words for rounding in way.values()}) == 1:
        return next(iter(way.values())).in_words
    return "; ".join(f"{role}: {rounding.in_words}" for role, rounding in way.items())
