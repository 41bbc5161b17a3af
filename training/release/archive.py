"""Write a release: complete manifests, archives made by torch-model-archiver, and the signed index."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from model_store.evidence import parse_records, write_evidence
from model_store.examples import write_examples
from model_store.manifest import GoldenOutput, GoldenRows, Manifest, ReleaseIndex
from model_store.measured import BaselineTest, PairedTest, RowCheck
from model_store.model_card import CARD_NAME, write_card
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
from training.release.agreement import CLOSENESS
from training.release.baseline import BaselineFinding
from training.release.content import ENTRY_NAME, MANIFEST_NAME, MODEL_CONFIG_NAME, add_worker
from training.release.evaluation import Evaluated, EvaluatedParent, Evaluation
from training.release.evidence import gather_evidence
from training.release.golden import choose_examples
from training.release.input_statistics import describe_inputs
from training.release.measurement import rows_digest
from training.release.rounding import Search
from training.release.spec import ReleaseSpec


def publish(store: Store, folder: Path, spec: ReleaseSpec, evaluation: Evaluation, source: dict[str, Any]) -> Release:
    """Write manifests, archives, examples and golden rows into a folder claimed from the store, and publish it.

    `source` holds the manifest's git_commit, command and seed.
    """
    archives, manifests, rejected = {}, {}, {}
    evidence = None if spec.run is None else gather_evidence(spec.run)
    records = parse_records(evidence or {})
    for variant, evaluated in evaluation.variants.items():
        search = evaluation.searches.get(variant)
        manifest = complete_manifest(spec, evaluated, source, evaluation.parent, search, evaluation.baseline, records)
        path = folder / manifest_name(manifest.model, manifest.release, variant)
        path.write_text(manifest.model_dump_json(indent=2))
        manifests[variant] = file_digest(path)
        if not evaluated.decision.passed:
            rejected[variant] = evaluated.decision.why
            continue
        shutil.copy(path, evaluated.folder / MANIFEST_NAME)
        archive = folder / archive_name(manifest.model, manifest.release, variant)
        pack(evaluated.folder, manifest, archive)
        archives[variant] = file_digest(archive)
        release = manifest.release
    write_examples(folder / EXAMPLES_NAME, choose_examples(spec))
    index = ReleaseIndex(
        model=spec.model,
        release=release,
        default=evaluation.default,
        objective=evaluation.objective,
        archives=archives,
        manifests=manifests,
        rejected=rejected,
        left_out=evaluation.left_out,
        examples=file_digest(folder / EXAMPLES_NAME),
        golden=_write_golden(folder / GOLDEN_NAME, evaluation),
        evidence=None if evidence is None else _write_evidence(folder / EVIDENCE_NAME, evidence),
    )
    return store.publish(folder, index)


def complete_manifest(
    spec: ReleaseSpec,
    evaluated: Evaluated,
    source: dict[str, Any],
    parent: EvaluatedParent | None = None,
    search: Search | None = None,
    baseline: BaselineFinding | None = None,
    records: tuple[dict[str, Any], dict[str, Any]] = ({}, {}),
) -> Manifest:
    """Add worker and model card to a variant's folder, and to its manifest what was measured and the files' digests."""
    known = json.loads((evaluated.folder / MANIFEST_NAME).read_text())
    add_worker(evaluated.folder, spec.kind, known["target"])
    measurement = evaluated.measurement
    manifest = Manifest.model_validate(
        known
        | {
            "input_features": describe_inputs(spec.held_out.inputs),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "quality": {
                "metric": spec.held_out.metric,
                "value": measurement.value,
                "interval": measurement.interval,
                "n": len(measurement.scores),
                "dataset": spec.held_out.dataset,
                "dataset_digest": rows_digest(spec.held_out.inputs),
                "paired": _fields_of(PairedTest, evaluated.comparison),
                "against_parent": _fields_of(PairedTest, evaluated.against_parent),
                "baseline": _fields_of(BaselineTest, baseline),
            },
            "gate": dataclasses.asdict(evaluated.decision) | {"live_margin": _live_margin(spec)},
            "row_check": _fields_of(RowCheck, evaluated.finding),
            "speed": dataclasses.asdict(evaluated.speed),
            "parent": dataclasses.asdict(parent) if parent else None,
            "search": dataclasses.asdict(search) if search else None,
            "size_bytes": evaluated.size_bytes,
            "files": {},
            "source": source,
        }
    )
    (evaluated.folder / CARD_NAME).write_text(write_card(manifest, *records))
    files = sorted(path for path in evaluated.folder.rglob("*") if path.is_file() and path.name != MANIFEST_NAME)
    digests = {str(path.relative_to(evaluated.folder)): file_digest(path) for path in files}
    return manifest.model_copy(update={"files": digests})


def _live_margin(spec: ReleaseSpec) -> float | None:
    """A metric that counts right answers, or is agreement itself, falls by no more than answers change."""
    is_bounded = spec.held_out.binary or spec.held_out.metric == CLOSENESS
    return spec.margin if is_bounded and 0 < spec.margin < 1 else None


def pack(content: Path, manifest: Manifest, archive: Path) -> None:
    """Pack an archive's content as an uncompressed .mar.

    Raises:
        RuntimeError: torch-model-archiver failed; carries its output.
    """
    private = archive.with_name(f".packing-{archive.stem}")
    private.mkdir()
    command = [sys.executable, "-m", "model_archiver.model_packaging"]
    command += ["--model-name", manifest.model, "--version", manifest.version, "--archive-format", "zip-store"]
    command += ["--handler", str(content / ENTRY_NAME), "--config-file", str(content / MODEL_CONFIG_NAME)]
    command += ["--extra-files", str(content), "--export-path", str(private), "--runtime", "python3"]
    # It stages in $TMPDIR/<model>, where two builds of one model would meet.
    environment = os.environ | {"TMPDIR": str(private)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"torch-model-archiver failed:\n{done.stderr or done.stdout}")
    os.rename(private / f"{manifest.model}.mar", archive)
    shutil.rmtree(private)


def _fields_of(part: type[BaseModel], measured: Any) -> dict[str, Any] | None:
    """Those attributes of what was measured that a part of the manifest has."""
    return {name: getattr(measured, name) for name in part.model_fields} if measured is not None else None


def _write_evidence(path: Path, evidence: Mapping[str, bytes]) -> str:
    write_evidence(path, evidence)
    return file_digest(path)


def _write_golden(path: Path, evaluation: Evaluation) -> GoldenRows:
    """Write the expected outputs of all variants into one file, by their places in the list that describes them."""
    outputs: list[GoldenOutput] = []
    arrays = {}
    for variant, evaluated in evaluation.variants.items():
        for answer in evaluated.golden.answers:
            arrays[str(len(outputs))] = answer.expected
            fields = {name: getattr(answer, name) for name in ("inputs", "output", "tolerance")}
            outputs.append(GoldenOutput.model_validate(fields | {"variant": variant}))
        outputs += [
            GoldenOutput.model_validate(dataclasses.asdict(left) | {"variant": variant})
            for left in evaluated.golden.left_out
        ]
    write_examples(path, arrays)
    return GoldenRows(digest=file_digest(path), outputs=tuple(outputs))
