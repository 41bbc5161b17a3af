"""The handler contract: decode → stack → run → unstack → encode.

A model's handler overrides the steps that differ; the `tensor` handler overrides none. Row counts never change on the
way: a row that cannot be decoded travels as zeros, and its outputs are zeroed again at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from handlers.device import Device
from handlers.program import load_program


class RowError(ValueError):
    """A row that cannot be answered; the message is for the caller."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Arrays for the program, in its order, all with N rows; `row_errors` has N entries, or none if all is well."""

    arrays: Sequence[np.ndarray]
    row_errors: Sequence[str | None] = ()


@dataclass(frozen=True, slots=True)
class Outputs:
    """Output arrays by name, and why rows failed; a failed row is zeros (b"" in BYTES outputs)."""

    arrays: dict[str, np.ndarray]
    row_errors: Sequence[str | None] = ()


class Handler:
    """Serve one variant of one released model."""

    def __init__(self, manifest: Mapping[str, Any], folder: Path, device: Device) -> None:
        """Load the programs of an unpacked archive; `manifest` is its manifest.json as plain JSON."""
        self.manifest = manifest
        self.options: Mapping[str, Any] = manifest["handler_options"]
        self.device = device
        self.programs = {role: load_program(folder / file, device) for role, file in manifest["programs"].items()}
        self.input_names = tuple(tensor["name"] for tensor in manifest["inputs"])
        self.output_names = tuple(tensor["name"] for tensor in manifest["outputs"])
        self.default_outputs = tuple(manifest["default_outputs"]) or self.output_names
        # Rows of the call under way that nobody waits for any longer: handlers that work in steps ask before each.
        self.departed: Callable[[], Iterable[int]] = tuple

    def infer(
        self, inputs: Mapping[str, np.ndarray], parameters: Mapping[str, Any], requested: Sequence[str] = ()
    ) -> Outputs:
        """Answer N rows. `requested` names the outputs to make; empty means the manifest's default outputs."""
        decoded = self.decode(inputs, parameters)
        results = self.unstack(self.run(self.stack(decoded.arrays), parameters))
        arrays = self.encode(results, parameters, requested or self.default_outputs)
        for row, error in enumerate(decoded.row_errors):
            if error:
                for array in arrays.values():
                    array[row] = b"" if array.dtype == np.object_ else 0
        return Outputs(arrays, decoded.row_errors)

    def decode(self, inputs: Mapping[str, np.ndarray], parameters: Mapping[str, Any]) -> Decoded:
        """Turn OIP inputs into the program's arrays; here: the inputs in the manifest's order."""
        return Decoded([inputs[name] for name in self.input_names])

    def stack(self, arrays: Sequence[np.ndarray]) -> list[Any]:
        """Move arrays to the device."""
        return self.device.put(arrays)

    def run(self, values: list[Any], parameters: Mapping[str, Any]) -> Sequence[Any]:
        """Run the program on all rows; models of several programs (an encoder and a decoder) drive them here."""
        return self.programs["main"](values)

    def unstack(self, results: Sequence[Any]) -> list[np.ndarray]:
        """Bring the results back as arrays."""
        return self.device.fetch(results)

    def encode(
        self, results: Sequence[np.ndarray], parameters: Mapping[str, Any], requested: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """Turn results into the requested outputs; here: the results are the manifest's outputs, in its order."""
        named = dict(zip(self.output_names, results, strict=True))
        return {name: named[name] for name in requested}
