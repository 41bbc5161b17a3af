"""A simulation as a small SVG: load, pods, waiting rows, p99 and cost over the same time.

Dashed are the latency to hold, and what the most pods would have cost all the time.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape

from k8s.simulation.run import PERCENTILE_S, Result

WIDTH: Final = 720
PANEL: Final = 90
LEFT: Final = 84
NUM_POINTS: Final = 240


def draw(title: str, trace: Sequence[float], result: Result, slo_s: float, pod_hour: float | None = None) -> str:
    """Draw five panels, one under the other; the cost is in pod hours where a pod's hour has no price."""
    hours = len(trace) / 3600
    costs = [pod_s / 3600 * (pod_hour or 1) for pod_s in itertools.accumulate(result.replicas)]
    always_most = max(result.replicas) * hours * (pod_hour or 1)
    panels = [
        ("rows/s", trace, None),
        ("pods", result.replicas, None),
        ("waiting rows", result.waiting_rows, None),
        ("p99, ms", [1000 * value for value in result.p99_s for _ in range(PERCENTILE_S)], 1000 * slo_s),
        ("pod hours" if pod_hour is None else "cost", costs, always_most),
    ]
    parts = [f'<text x="{LEFT}" y="16" font-weight="bold">{escape(title)}, {hours:.1f} h</text>']
    for number, (name, values, mark) in enumerate(panels):
        parts += _panel(name, values, mark, 28 + number * (PANEL + 16))
    height = 28 + len(panels) * (PANEL + 16)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" '
        f'font-size="11">\n<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _panel(name: str, values: Sequence[float], mark: float | None, top: int) -> list[str]:
    bucket = max(1, -(-len(values) // NUM_POINTS))
    points = [max(values[start : start + bucket]) for start in range(0, len(values), bucket)]
    most = max(max(points), mark or 0.0, 1e-9)
    across = (WIDTH - LEFT - 10) / max(1, len(points) - 1)
    line = " ".join(f"{LEFT + i * across:.0f},{top + PANEL * (1 - value / most):.0f}" for i, value in enumerate(points))
    parts = [
        f'<rect x="{LEFT}" y="{top}" width="{WIDTH - LEFT - 10}" height="{PANEL}" fill="none" stroke="#ccc"/>',
        f'<text x="{LEFT - 6}" y="{top + 10}" text-anchor="end">{most:,.0f}</text>',
        f'<text x="{LEFT - 6}" y="{top + PANEL / 2:.0f}" text-anchor="end">{escape(name)}</text>',
        f'<polyline points="{line}" fill="none" stroke="#0b6fb8" stroke-width="1.5"/>',
    ]
    if mark is not None:
        height = top + PANEL * (1 - mark / most)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - 10}" y1="{height:.0f}" y2="{height:.0f}" stroke="#c33" '
            'stroke-dasharray="4 3"/>'
        )
    return parts
