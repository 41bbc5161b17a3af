"""A few test texts with what was written of them beside the reference, for people to read."""

from __future__ import annotations

from collections.abc import Sequence

SAMPLES = "samples.md"
NUM_SAMPLES = 10


def format_samples(sources: Sequence[str], written: Sequence[str], references: Sequence[str]) -> str:
    """Write the first texts of a test set as a Markdown table: they come in no order that flatters."""
    rows = list(zip(sources, written, references, strict=True))[:NUM_SAMPLES]
    lines = ["| text | written | reference |", "|---|---|---|"]
    lines += [f"| {' | '.join(side.replace('|', '&#124;') for side in row)} |" for row in rows]
    return "\n".join(lines) + "\n"
