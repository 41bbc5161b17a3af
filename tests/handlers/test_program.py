"""Released programs, each by its own runtime."""

import numpy as np

from handlers.device import Cpu
from handlers.program import load_program


def test_an_exported_program_leaves_the_check_of_shapes_to_who_calls(content):
    (path,) = content.rglob("*.pt2")
    run = load_program(path, Cpu())
    levels = np.arange(17, dtype=np.uint8) * 15  # one row more than it was exported for
    (probabilities,) = run([np.broadcast_to(levels[:, None, None, None], (17, 8, 6, 3))])
    assert probabilities.argmax(1).tolist() == [0] * 5 + [1] * 8 + [2] * 4
