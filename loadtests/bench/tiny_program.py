"""Write a network of a few kFLOP as an exported program; a script for a subprocess, because it needs torch.

Usage: python tiny_program.py FOLDER   (writes tiny.pt2 and rows.npz)
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

NUM_INPUTS, NUM_HIDDEN, NUM_OUTPUTS = 16, 64, 8
MAX_ROWS = 64


def main(folder: Path) -> None:
    """Write the program and example rows."""
    torch = importlib.import_module("torch")
    numpy = importlib.import_module("numpy")
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Linear(NUM_INPUTS, NUM_HIDDEN), torch.nn.ReLU(), torch.nn.Linear(NUM_HIDDEN, NUM_OUTPUTS)
    )
    rows = torch.export.Dim("rows", min=1, max=MAX_ROWS)
    program = torch.export.export(network.eval(), (torch.randn(2, NUM_INPUTS),), dynamic_shapes=({0: rows},))
    torch.export.save(program, folder / "tiny.pt2")
    examples = numpy.random.default_rng(0).standard_normal((256, NUM_INPUTS)).astype(numpy.float32)
    numpy.savez(folder / "rows.npz", input=examples)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
