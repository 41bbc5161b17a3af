"""What onnxruntime runs on GPUs, made at release time by a stand-in for onnxruntime's session: there is no GPU here."""

import json
import shutil
import warnings
from pathlib import Path
from typing import ClassVar

import onnxruntime
import pytest
import torch
from torch import nn

from handlers.device import Cpu
from handlers.onnx_providers import CUDA, OPTIONS_NAME, TENSORRT
from handlers.program import load_program
from training.release.capture import capture
from training.release.content import copy_program
from training.release.left_out import LeftOutError
from training.release.onnx_export import export_onnx
from training.release.onnx_gpu import build_engines, export_for_gpu
from training.release.spec import ProgramSpec
from training.release.variants import Blueprint, describe_target, make_program

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


class LackingSession(BuildingSession):
    """As onnxruntime-gpu on a machine without the libraries that it was built for: it runs on the CPU."""

    def __init__(self, path, options, providers):
        pass

    def get_providers(self):
        return ["CPUExecutionProvider"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The program's ONNX form, for tests of what is done with it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the exporter's own
        return export_onnx(capture_raised(32), tmp_path_factory.mktemp("exported") / "program.onnx")


@pytest.fixture
def _exported_before(exported, monkeypatch):
    monkeypatch.setattr("training.release.onnx_gpu.export_onnx", lambda program, path: shutil.copy(exported, path))


@pytest.mark.usefixtures("_exported_before")
@pytest.mark.parametrize(("make", "name"), [(build_engines, "Tensorrt"), (export_for_gpu, "CUDA")])
def test_without_the_providers_libraries_a_variant_is_left_out_not_broken(tmp_path, monkeypatch, make, name):
    monkeypatch.setattr(onnxruntime, "InferenceSession", LackingSession)
    with pytest.raises(LeftOutError, match=f"onnxruntime's {name}, and runs by CPUExecutionProvider here"):
        make(capture_raised(32), tmp_path / "program.onnx", "cuda")


class AskedSession(LackingSession):
    """Notes who was asked, and has all of them."""

    asked: ClassVar[list[object]] = []

    def __init__(self, path, options, providers):
        self.asked.append(providers)

    def get_providers(self):
        return [CUDA]


@pytest.mark.usefixtures("_exported_before")
def test_onnx_on_a_gpu_is_the_portable_file_run_by_cudas_kernels(tmp_path, monkeypatch):
    torch.export.save(capture_raised(32), tmp_path / "main.pt2")
    blueprint = Blueprint(variant="onnx", source=tmp_path / "main.pt2", folder=tmp_path / "made", device="cuda:1")
    with monkeypatch.context() as patch:
        patch.setattr(onnxruntime, "InferenceSession", AskedSession)
        path = make_program(blueprint)
    assert AskedSession.asked == [[(CUDA, {"device_id": 1})]]
    x, level = torch.randn(4, 7, 8), torch.ones(4, 1, 1)
    (found,) = load_program(path, Cpu())([x.numpy(), level.numpy()])
    torch.testing.assert_close(torch.from_numpy(found), Raised()(x, level))


@pytest.mark.parametrize(
    ("variant", "provider", "capability"), [("tensorrt", TENSORRT, "sm_80"), ("onnx", CUDA, "")], ids=str
)
def test_what_it_is_bound_to_and_that_it_is_left_out_where_onnxruntime_lacks_it(
    monkeypatch, variant, provider, capability
):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    name = provider.removesuffix("ExecutionProvider")
    with pytest.raises(LeftOutError, match=f"this onnxruntime has no {name}, only .*CPUExecutionProvider"):
        describe_target(variant, GPU)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [provider, "CPUExecutionProvider"])
    assert describe_target(variant, GPU) == {"device": "cuda", "capability": capability, "torch_version": ""}
