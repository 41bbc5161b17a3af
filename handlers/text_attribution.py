"""Which pieces of a text an answer was found in: integrated gradients of an exported program, from its embeddings.

Piece numbers have no gradient, the vectors that stand for them have. Dimensions: N rows, S pieces, K classes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import fx

from handlers.beam_search import PAD
from handlers.differentiable import AttributionError, DifferentiableProgram, calls, value_of


class TextAttribution:
    """Attribute the answers of one program from pieces int64 [N, S] to values [N, K]."""

    def __init__(self, program: Path) -> None:
        """Load a `.pt2`.

        Raises:
            AttributionError: it has no embedding of its input.
        """
        self._program = DifferentiableProgram(program)
        embedding = next((node for node in self._program.list_sources() if _embeds_input(node)), None)
        if embedding is None:
            raise AttributionError("the network has no embedding of the pieces, from which gradients could be taken")
        self._layer = self._program.mark(embedding)

    def attribute(
        self, pieces: np.ndarray, num_steps: int = 32, target: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Attribute each text's most probable class, or class `target`; returns float32 [N, S] and [N, K].

        The path starts from padding in place of every piece.

        Raises:
            AttributionError: no such class.
        """
        pieces_NS = torch.from_numpy(pieces)
        targets, values_NK = self._program.choose(pieces_NS, target)
        places_NS = self._program.integrate_gradients(self._layer, pieces_NS, PAD, targets, num_steps).sum(2)
        return places_NS.float().numpy(), values_NK.float().numpy()


def _embeds_input(node: fx.Node) -> bool:
    """Not places' numbers, which are counted and not sent."""
    return calls(node, "embedding") and isinstance(node.args[1], fx.Node) and _is_sent(node.args[1])


def _is_sent(node: fx.Node) -> bool:
    if node.op == "placeholder":
        return True
    return any(_is_sent(each) for each in node.all_input_nodes if value_of(each) is not None and each.op != "get_attr")
