"""What is asked of onnxruntime on a GPU, with a stand-in for its session: there is no GPU here."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from handlers.device import Cpu, OnnxGpu, open_device
from handlers.onnx_providers import CUDA, OPTIONS_NAME, TENSORRT, ProviderMissingError
from handlers.program import load_program
from tests.handlers.conftest import BRIGHTNESS_ONNX

BUILT_WITH = {"trt_fp16_enable": True, "trt_profile_max_shapes": "images:16x8x6x3"}
make_session = onnxruntime.InferenceSession


class Sessions:
    """Sessions that run on the CPU and tell what they were asked for; `there` is what this machine would have."""

    def __init__(self, there):
        self.there, self.asked = there, []

    def __call__(self, path, options, providers):
        self.asked.append(providers)
        session = make_session(path, options, providers=["CPUExecutionProvider"])
        session.get_providers = lambda: self.there
        return session


@pytest.fixture
def program(tmp_path) -> Path:
    onnx.save(onnx.parser.parse_model(BRIGHTNESS_ONNX), tmp_path / "program.onnx")
    (tmp_path / OPTIONS_NAME).write_text(json.dumps(BUILT_WITH))
    return tmp_path / "program.onnx"


def load(program, device, monkeypatch, there):
    sessions = Sessions(there)
    monkeypatch.setattr(onnxruntime, "InferenceSession", sessions)
    return load_program(program, device), sessions.asked


def test_engines_are_looked_for_beside_the_program_as_they_were_built(program, monkeypatch):
    there = [TENSORRT, CUDA, "CPUExecutionProvider"]
    run, asked = load(program, open_device("cuda:1", for_onnx=True), monkeypatch, there)
    cache = {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(program.parent)}
    assert asked == [[(TENSORRT, BUILT_WITH | cache | {"device_id": 1}), (CUDA, {"device_id": 1})]]
    (probabilities,) = run([np.full((2, 8, 6, 3), 250, np.uint8)])
    assert probabilities.argmax(1).tolist() == [2, 2]


def test_without_engines_the_program_is_for_cudas_kernels(program, monkeypatch):
    (program.parent / OPTIONS_NAME).unlink()
    run, asked = load(program, open_device("cuda", for_onnx=True), monkeypatch, [CUDA, "CPUExecutionProvider"])
    assert asked == [[(CUDA, {"device_id": 0})]]
    assert run([np.full((1, 8, 6, 3), 3, np.uint8)])[0].argmax(1).tolist() == [0]


@pytest.mark.parametrize(
    ("has_engines", "there", "message"),
    [
        (True, [CUDA, "CPUExecutionProvider"], f"onnxruntime's Tensorrt, and runs by {CUDA}, CPUExecutionProvider"),
        (False, ["CPUExecutionProvider"], "onnxruntime's CUDA, and runs by CPUExecutionProvider here; install"),
    ],
)
def test_a_worker_without_what_was_released_for_refuses(program, monkeypatch, has_engines, there, message):
    if not has_engines:
        (program.parent / OPTIONS_NAME).unlink()
    with pytest.raises(ProviderMissingError, match=message):
        load(program, OnnxGpu("cuda"), monkeypatch, there)


def test_on_a_cpu_nothing_else_is_asked_whatever_onnxruntime_has(program, monkeypatch):
    _, asked = load(program, Cpu(), monkeypatch, ["CPUExecutionProvider"])
    assert asked == [["CPUExecutionProvider"]]
