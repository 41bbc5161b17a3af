"""Engines that are built at release time, by a stand-in for onnxruntime's session: there is no GPU here."""

import json
from pathlib import Path

import onnxruntime
import pytest
import torch
from torch import nn

from handlers.tensorrt import OPTIONS_NAME, TENSORRT
from training.release.capture import capture
from training.release.content import copy_program
from training.release.left_out import LeftOutError
from training.release.spec import ProgramSpec
from training.release.tensorrt import build_engines
from training.release.variants import describe_target

CPU, GPU = torch.device("cpu"), torch.device("cuda")


class BuildingSession:
    """Builds an engine where it is told to keep it, if there is none."""

    def __init__(self, path, options, providers):
        (_, asked), _ = providers
        (Path(asked["trt_engine_cache_path"]) / "program_sm80.engine").write_text(json.dumps(asked))

    def get_providers(self):
        return [TENSORRT]

    def get_inputs(self):
        return []

    get_outputs = get_inputs


class Raised(nn.Module):
    def forward(self, x, level):
        return (x + level).sum(1)


def capture_raised(max_length):
    rows = torch.export.Dim("rows", min=1, max=16)
    length = torch.export.Dim("length", min=2, max=max_length)
    shapes = ({0: rows, 1: length}, {0: rows})
    examples = (torch.randn(3, 5, 8), torch.ones(3, 1, 1))
    return capture(ProgramSpec(module=Raised(), example_inputs=examples, dynamic_shapes=shapes), CPU)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # the exporter's own
def test_engines_are_built_for_all_sizes_and_go_into_the_archive(tmp_path, monkeypatch):
    monkeypatch.setattr(onnxruntime, "InferenceSession", BuildingSession)
    (tmp_path / "made").mkdir()
    path = build_engines(capture_raised(32), tmp_path / "made" / "program.onnx", "cuda")
    copy_program(path, tmp_path / "packed")
    assert json.loads((tmp_path / "packed" / OPTIONS_NAME).read_text()) == {
        "trt_fp16_enable": True,
        "trt_profile_min_shapes": "x:1x2x8,level:1x1x1",
        "trt_profile_opt_shapes": "x:16x32x8,level:16x1x1",
        "trt_profile_max_shapes": "x:16x32x8,level:16x1x1",
    }
    names = {file.name for file in (tmp_path / "packed").iterdir()}
    assert names == {"program.onnx", OPTIONS_NAME, "program_sm80.engine"}


def test_sizes_without_a_bound_are_left_out(tmp_path):
    with pytest.raises(LeftOutError, match=r"a bound for every free size; export it with Dim\(…, max=…\)"):
        build_engines(capture_raised(None), tmp_path / "program.onnx", "cuda")


def test_it_is_bound_to_the_gpu_and_left_out_where_onnxruntime_lacks_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    with pytest.raises(LeftOutError, match=r"this onnxruntime has no TensorRT, only .*CPUExecutionProvider"):
        describe_target("tensorrt", GPU)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [TENSORRT, "CPUExecutionProvider"])
    assert describe_target("tensorrt", GPU) == {"device": "cuda", "capability": "sm_80", "torch_version": ""}
