"""What `make gpu-check` finds wrong, with stand-ins for handlers and for the GPUs of a machine."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from handlers.base import Outputs
from training import gpu_answers
from training.gpu_answers import check, check_answer, list_openings
from training.release.build import FAILED

SPEC = SimpleNamespace(max_rows=4, held_out=SimpleNamespace(inputs={"x": np.arange(3, dtype=np.float32)}))


def make_handler(answer, asked):
    def infer(inputs, parameters, requested):
        asked.append(len(inputs["x"]))
        return Outputs({"y": answer(inputs["x"])})

    return SimpleNamespace(infer=infer, output_names=("y",))


def make_evaluation(left_out=(), rejected=()):
    def make_result(name):
        return SimpleNamespace(folder=name, decision=SimpleNamespace(passed=name not in rejected))

    return SimpleNamespace(
        variants={name: make_result(name) for name in ("eager", "compiled")}, left_out=dict(left_out)
    )


@pytest.fixture
def opened(monkeypatch):
    """Each variant is opened plainly and with graphs; `answers` says what the latter gives."""
    opened = SimpleNamespace(answers=lambda x: 2 * x, asked=[])

    def list_both(folder, device):
        return {
            "": lambda: make_handler(lambda x: 2 * x, []),
            " with graphs on cuda": lambda: make_handler(opened.answers, opened.asked),
        }

    monkeypatch.setattr(gpu_answers, "list_openings", list_both)
    return opened


def test_graphs_are_asked_until_they_are_replayed_and_nothing_is_wrong_with_the_same_answers(opened):
    assert check(SPEC, make_evaluation(), torch.device("cuda")) == []
    assert opened.asked == 2 * ([1] * 5 + [3] * 5 + [4] * 5)


def test_a_way_that_answers_otherwise_or_breaks_is_named_beside_variants_that_failed(opened):
    opened.answers = lambda x: 2 * x + (len(x) == 4)
    evaluation = make_evaluation([("fp16", f"{FAILED}: RuntimeError: no"), ("bf16", "no such GPU")])
    assert check(SPEC, evaluation, torch.device("cuda")) == [
        f"fp16: {FAILED}: RuntimeError: no",
        "eager with graphs on cuda: 4 rows: output y is 1 from what the first way answers",
        "compiled with graphs on cuda: 4 rows: output y is 1 from what the first way answers",
    ]
    opened.answers = lambda x: 1 / 0
    problems = check(SPEC, make_evaluation(rejected=["compiled"]), torch.device("cuda"))
    assert problems == [
        "eager with graphs on cuda: ZeroDivisionError: division by zero",
        "compiled with graphs on cuda: ZeroDivisionError: division by zero",
        "the compiled variant does not pass the gate",
        "no variant but the reference passes the gate",
    ]


def test_rows_that_are_missing_and_values_that_are_no_numbers_are_wrong():
    good = {"y": np.ones(2, np.float32)}
    assert check_answer(good, good, 2) == []
    assert check_answer(good, good, 3) == ["output y has 2 rows"]
    assert check_answer({"y": np.array([1, np.nan])}, good, 2) == ["output y is not finite"]


def test_every_gpu_of_the_same_kind_runs_a_variant_and_compiled_ones_are_replayed_on_each(tmp_path, monkeypatch):
    capabilities = {"cuda": (9, 0), 1: (8, 0), 2: (9, 0)}
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(
        torch.cuda, "get_device_capability", lambda device: capabilities[getattr(device, "type", device)]
    )
    asked = []
    monkeypatch.setattr(gpu_answers, "open_handler", lambda *given, **options: asked.append((given[1], options)))
    (tmp_path / "programs" / "main").mkdir(parents=True)
    assert list(list_openings(tmp_path, torch.device("cuda"))) == ["", " on cuda:2"]
    (tmp_path / "programs" / "main" / "program.so").touch()
    openings = list_openings(tmp_path, torch.device("cuda"))
    assert list(openings) == ["", " on cuda:2", " with graphs on cuda", " with graphs on cuda:2"]
    for opening in openings.values():
        opening()
    graphs = {"has_graphs": True}
    assert asked == [("cuda", {}), ("cuda:2", {}), ("cuda", graphs), ("cuda:2", graphs)]
    assert list(list_openings(tmp_path, torch.device("cpu"))) == [""]
