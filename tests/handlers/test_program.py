"""Released programs, each by its own runtime."""

import threading
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from handlers.device import Cpu
from handlers.program import load_program


def test_an_exported_program_checks_the_same_shapes_once_and_refuses_others(content, monkeypatch):
    name = "torch.export._unlift._check_input_constraints_for_module"
    check = Mock(wraps=torch.export._unlift._check_input_constraints_for_module)
    monkeypatch.setattr(name, check)
    (path,) = content.rglob("*.pt2")
    run = load_program(path, Cpu())
    for num_rows, num_checks in ((2, 1), (2, 1), (3, 2), (2, 2)):
        (probabilities,) = run([np.zeros((num_rows, 8, 6, 3), np.uint8)])
        assert probabilities.argmax(1).tolist() == [0] * num_rows
        assert check.call_count == num_checks
    for _ in range(2):
        with pytest.raises(RuntimeError, match="to be <= 16, but got 17"):
            run([np.zeros((17, 8, 6, 3), np.uint8)])


def test_an_exported_program_checks_shapes_that_are_new_while_others_run(content):
    """Slots of a worker share it: a known shape beside a new one must not let that pass."""
    (path,) = content.rglob("*.pt2")
    run = load_program(path, Cpu(num_slots=2))
    known = [np.zeros((2, 8, 6, 3), np.uint8)]
    run(known)
    is_over = threading.Event()

    def repeat():
        while not is_over.is_set():
            run(known)

    with ThreadPoolExecutor(1) as threads:
        beside = threads.submit(repeat)
        try:
            for _ in range(50):
                with pytest.raises(RuntimeError, match="to be <= 16, but got 17"):
                    run([np.zeros((17, 8, 6, 3), np.uint8)])
        finally:
            is_over.set()
        beside.result()
