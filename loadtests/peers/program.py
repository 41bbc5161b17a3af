"""The program that every server runs: a variant's file, taken out of its archive, and real rows for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from loadtests.generate.payload import read_rows
from loadtests.subject import Subject
from model_store.release import Release
from model_store.tensors import DTYPES

# What the servers run, in environments of their own: nothing there imports ours.
SERVERS = Path(__file__).with_name("servers")
TOLERANCE = 1e-2
TIMEOUT_S = 120


class ProgramError(ValueError):
    """A variant cannot be run by other servers; says why and what would do."""


@dataclass(frozen=True)
class Engine:
    """What runs a program: its name in tables, and the packages for it."""

    name: str
    packages: tuple[str, ...]


@dataclass(frozen=True)
class PeerProgram:
    """One file whose only input is a variant's, what runs it, and what it answers to the first example row."""

    subject: Subject
    engine: Engine
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


def find_engine(path: str, torch_version: str) -> Engine | None:
    """Find what runs a program's file; None where other servers cannot."""
    torch = (f"torch=={torch_version}" if torch_version else "torch", "numpy")
    engines = {
        ".onnx": Engine("onnxruntime", ("onnxruntime>=1.20,<2",)),
        ".pt2": Engine("torch", torch),
        ".so": Engine("torch", torch),
    }
    return engines.get(Path(path).suffix)


def extract_program(release: Release, subject: Subject, folder: Path) -> PeerProgram:
    """Take a variant's program out of its archive and describe it in `peer.json` for the servers' scripts.

    Raises:
        ProgramError: it is not one program that takes the variant's input as it is, and answers in float32.
    """
    manifest = subject.manifest
    paths = list(manifest.programs.values())
    names = subject.input_names
    engine = find_engine(paths[0], manifest.target.torch_version) if len(paths) == 1 and len(names) == 1 else None
    if engine is None:
        raise ProgramError(
            f"{subject.name} is not one program of one input, which other servers could run: it has "
            f"{len(paths)} program(s) and takes {', '.join(names)}"
        )
    if manifest.target.device != "cpu":
        raise ProgramError(f"{subject.name} runs on {manifest.target.device}; compare a variant for the CPU")
    with zipfile.ZipFile(release.archive_path(manifest.variant)) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if name.startswith("programs/")])
    row = read_rows(subject.examples_path, names)[names[0]][:1]
    tensor = manifest.input(names[0])
    assert tensor is not None
    config = folder / "peer.json"
    described = {
        "program": str(folder / paths[0]),
        "dtype": np.dtype(DTYPES[tensor.datatype]).name,
        "row_shape": list(row.shape[1:]),
        "max_rows": manifest.max_rows,
    }
    config.write_text(json.dumps(described))
    try:
        expected = run_program(config, row, folder)
    except ProgramError as error:
        raise ProgramError(f"{subject.name}: its program does not take {names[0]!r} as it is: {error}") from error
    if expected.dtype != np.float32:
        raise ProgramError(f"{subject.name}: its first output is {expected.dtype}, float32 is compared")
    config.write_text(json.dumps(described | {"output_shape": list(expected.shape[1:])}))
    return PeerProgram(subject, engine, folder, config, tensor.datatype, row, expected)


def run_program(config: Path, rows: np.ndarray, folder: Path) -> np.ndarray:
    """Run a program as the peers do, in a process of our own environment; returns its first output.

    Raises:
        ProgramError: it did not run; ends with what was said.
    """
    given, answered = folder / "rows.npy", folder / "answer.npy"
    np.save(given, rows)
    command = [sys.executable, str(SERVERS / "peer_session.py"), str(given), str(answered)]
    environment = os.environ | {"PEER_CONFIG": str(config)}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise ProgramError(f"no answer in {TIMEOUT_S} s") from error
    if done.returncode != 0:
        raise ProgramError(done.stderr.strip()[-600:])
    found: np.ndarray = np.load(answered)
    return found
