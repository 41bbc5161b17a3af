"""The program that every server runs: a variant's ONNX file, taken out of its archive, and real rows for it."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from loadtests.generate.payload import read_rows
from loadtests.subject import Subject
from model_store.release import Release
from model_store.tensors import DTYPES

TOLERANCE = 1e-2


class ProgramError(ValueError):
    """A variant cannot be run by other servers; says why and what would do."""


@dataclass(frozen=True)
class PeerProgram:
    """One ONNX file whose only input is a variant's, and what it answers to the first example row."""

    subject: Subject
    folder: Path
    config: Path
    datatype: str
    row: np.ndarray
    expected: np.ndarray

    def explain_mismatch(self, answer: bytes) -> str:
        """Say how an answer (float32, one row) differs from what the program computes; '' where it does not."""
        if len(answer) != self.expected.nbytes:
            return f"an answer of {len(answer)} bytes, {self.expected.nbytes} are right"
        difference = float(np.abs(np.frombuffer(answer, np.float32) - self.expected.ravel()).max())
        allowed = TOLERANCE * max(1.0, float(np.abs(self.expected).max()))
        return "" if difference <= allowed else f"its answer differs by {difference:.3g}, {allowed:.3g} is allowed"


def extract_program(release: Release, subject: Subject, folder: Path) -> PeerProgram:
    """Take a variant's program out of its archive and describe it in `peer.json` for the servers' scripts.

    Raises:
        ProgramError: it is not one ONNX file that takes the variant's input as it is, and answers in float32.
    """
    import onnxruntime

    manifest = subject.manifest
    paths = list(manifest.programs.values())
    names = subject.input_names
    if len(paths) != 1 or not paths[0].endswith(".onnx") or len(names) != 1:
        portable = [name for name in release.variants if name.startswith("onnx")]
        raise ProgramError(
            f"{subject.name} is not one ONNX program of one input, which other servers could run; "
            f"{'try --variant ' + portable[0] if portable else 'release it with --variants onnx'}"
        )
    path = folder / "program.onnx"
    with zipfile.ZipFile(release.archive_path(manifest.variant)) as archive:
        path.write_bytes(archive.read(paths[0]))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (taken,), output = session.get_inputs(), session.get_outputs()[0]
    row = read_rows(subject.examples_path, names)[names[0]][:1]
    try:
        expected = session.run([output.name], {taken.name: row})[0]
    except Exception as error:  # whatever the runtime makes of a wrong type or shape
        raise ProgramError(f"{subject.name}: its program does not take {names[0]!r} as it is: {error}") from error
    if expected.dtype != np.float32:
        raise ProgramError(f"{subject.name}: its first output is {expected.dtype}, float32 is compared")
    tensor = manifest.input(names[0])
    assert tensor is not None
    config = folder / "peer.json"
    config.write_text(
        json.dumps(
            {
                "program": str(path),
                "input": taken.name,
                "output": output.name,
                "dtype": np.dtype(DTYPES[tensor.datatype]).name,
                "row_shape": list(row.shape[1:]),
                "output_shape": list(expected.shape[1:]),
                "max_rows": manifest.max_rows,
            }
        )
    )
    return PeerProgram(subject, folder, config, tensor.datatype, row, expected)
