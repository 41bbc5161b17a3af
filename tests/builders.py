"""Manifests and releases made by hand: all that a store, a server or a report looks at, without a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from model_store.certificate import BatchTime, Certificate, HostClass, Setup
from model_store.evidence import write_evidence
from model_store.examples import write_examples
from model_store.golden import GoldenAnswer
from model_store.manifest import GoldenOutput, GoldenRows, Manifest, ReleaseIndex
from model_store.release import (
    EVIDENCE_NAME,
    EXAMPLES_NAME,
    GOLDEN_NAME,
    Release,
    archive_name,
    file_digest,
    manifest_name,
)
from model_store.store import Store
from model_store.tuning import Tuning


def make_manifest(model: str = "net", release: int = 1, variant: str = "eager", **changes: Any) -> Manifest:
    """A model of two outputs for four inputs; a variant other than eager has been compared with it."""
    paired = {"name": "McNemar", "reference": "eager", "difference": -0.001, "interval": (-0.003, 0.001)}
    fields = {
        "model": model,
        "release": release,
        "variant": variant,
        "description": "a net",
        "created": "2026-01-01T00:00:00+00:00",
        "kind": "tensor",
        "programs": {"main": "programs/main/main.pt2"},
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4], "meaning": "numbers"}],
        "input_sets": [["x"]],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 2], "meaning": "numbers"}],
        "max_rows": 8,
        "quality": {
            "metric": "accuracy",
            "value": 0.93,
            "interval": [0.92, 0.94],
            "n": 2000,
            "dataset": "digits test",
            "dataset_digest": "0" * 64,
            "paired": None if variant == "eager" else paired,
        },
        "gate": {"rule": "not worse by more than 0.003", "passed": True, "why": "difference -0.001 is within 0.003"},
        "speed": {"rows": 8, "rows_per_s": 100.0, "single_row_ms": 1.0, "threads": 1, "host": "here"},
        "size_bytes": 1_000_000,
        "target": {"device": "cpu", "capability": "", "torch_version": "2.13.0"},
        "files": {},
        "source": {"git_commit": "", "command": "release"},
    }
    return Manifest.model_validate(fields | changes)


def publish_release(
    store: Store,
    model: str = "net",
    variants: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    default: str = "",
    rejected: Mapping[str, str] | None = None,
    left_out: Mapping[str, str] | None = None,
    examples: Mapping[str, np.ndarray] | None = None,
    golden: Mapping[str, GoldenAnswer] | None = None,
    evidence: Mapping[str, bytes] | None = None,
    objective: str = "throughput",
    **changes: Any,
) -> Release:
    """Publish a signed release; `variants` maps each to changes of its manifest, and `changes` are those of all.

    The archives hold their variants' names; the last variant is the default where none is named. `golden` has one
    answer for each variant.
    """
    variants = variants or {"eager": {}, "int8": {}}
    with store.building(model) as (number, folder):
        archives, manifests = {}, {}
        for variant, own in variants.items():
            path = folder / manifest_name(model, number, variant)
            path.write_text(make_manifest(model, number, variant, **(changes | own)).model_dump_json())
            manifests[variant] = file_digest(path)
            if variant in (rejected or {}):
                continue
            archive = folder / archive_name(model, number, variant)
            archive.write_bytes(f"archive of {variant}".encode())
            archives[variant] = file_digest(archive)
        write_examples(folder / EXAMPLES_NAME, examples or {"x": np.ones((3, 4), np.float32)})
        index = ReleaseIndex(
            model=model,
            release=number,
            default=default or list(variants)[-1],
            objective=objective,
            archives=archives,
            manifests=manifests,
            rejected=dict(rejected or {}),
            left_out=dict(left_out or {}),
            examples=file_digest(folder / EXAMPLES_NAME),
            golden=None if golden is None else _write_golden(folder / GOLDEN_NAME, golden),
            evidence=None if evidence is None else _write_evidence(folder / EVIDENCE_NAME, evidence),
        )
        return store.publish(folder, index)


def make_host_class(**changes: Any) -> HostClass:
    """A small machine."""
    return HostClass.model_validate({"architecture": "x86_64", "features": ("AVX2",), "cores": 2} | changes)


def make_certificate(release: Release, variant: str = "", **changes: Any) -> Certificate:
    """What a variant (the default if none is named) holds: batches of 1 row take 2 ms, of 8 rows 9 ms."""
    variant = variant or release.index.default
    fields = {
        "model": release.model,
        "release": release.number,
        "variant": variant,
        "manifest": release.index.manifests[variant],
        "host": make_host_class(),
        "cpu": "a processor",
        "setup": Setup(workers=1, threads=1),
        "bound_ms": 30.0,
        "rows_per_s": 700.0,
        "saturated_rows_per_s": 888.0,
        "batch_times": (
            BatchTime(rows=1, seconds=0.002, deviation_s=0.0, calls=50),
            BatchTime(rows=8, seconds=0.009, deviation_s=0.0, calls=50),
        ),
        "worker_bytes": 100 * 2**20,
        "node_bytes": 400 * 2**20,
        "startup_s": 3.0,
        "created": "2026-01-01T00:00:00+00:00",
        "command": "loadtest certify",
    }
    return Certificate.model_validate(fields | changes)


def make_tuning(**changes: Any) -> Tuning:
    """Two workers with small batches are best on a small machine."""
    fields = {
        "model": "net",
        "version": "1-int8",
        "host": make_host_class(),
        "settings": {"workers": 2, "threads": 1, "max_batch_rows": 4, "batches_per_worker": 1},
        "bound_ms": 50.0,
        "rows_per_s": 600.0,
        "default_rows_per_s": 400.0,
        "tried": 8,
        "created": "2026-01-01T00:00:00+00:00",
    }
    return Tuning.model_validate(fields | changes)


def _write_evidence(path: Path, evidence: Mapping[str, bytes]) -> str:
    write_evidence(path, evidence)
    return file_digest(path)


def _write_golden(path: Path, golden: Mapping[str, GoldenAnswer]) -> GoldenRows:
    write_examples(path, {str(place): answer.expected for place, answer in enumerate(golden.values())})
    outputs = tuple(
        GoldenOutput(variant=variant, inputs=answer.inputs, output=answer.output, tolerance=answer.tolerance, why="")
        for variant, answer in golden.items()
    )
    return GoldenRows(digest=file_digest(path), outputs=outputs)
