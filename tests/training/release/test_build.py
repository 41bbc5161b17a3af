"""Programs that compute in float32 in every variant are made once."""

from concurrent.futures import Executor, Future
from types import SimpleNamespace

import pytest
import torch

from training.release.build import build_variants
from training.release.capture import capture
from training.release.left_out import LeftOutError
from training.release.spec import ProgramSpec
from training.release.variants import make_program, required_capability

CPU = torch.device("cpu")


def describe_program(**options):
    rows = torch.export.Dim("rows", min=1, max=8)
    return ProgramSpec(
        module=torch.nn.Linear(4, 4), example_inputs=(torch.randn(2, 4),), dynamic_shapes=({0: rows},), **options
    )


@pytest.fixture
def laid_out(monkeypatch):
    """Variant → role → program file; the archives' content is of no interest here."""
    found = {}
    monkeypatch.setattr(
        "training.release.build.lay_out", lambda *args, variant, programs, **rest: found.update({variant: programs})
    )
    return found


class AtOnce(Executor):
    """Do a task when it is submitted: torch's exporter does not bear another thread that captures meanwhile."""

    def submit(self, task, /, *arguments, **keywords):
        done = Future()
        try:
            done.set_result(task(*arguments, **keywords))
        except LeftOutError as error:
            done.set_exception(error)
        return done


@pytest.fixture(autouse=True)
def _no_process_for_each(monkeypatch):
    """Make programs in this process: in a new one torch and ONNX take longer to import than these programs to make."""
    monkeypatch.setattr("training.release.orders.ProcessPoolExecutor", lambda *given: AtOnce())


@pytest.mark.timeout(300)
def test_an_exact_program_is_compiled_once_for_all_variants_of_lower_precision(laid_out, tmp_path):
    try:
        required_capability("bf16", CPU)
    except LeftOutError as reason:
        pytest.skip(str(reason))
    programs = {"main": describe_program(), "exact": describe_program(is_exact=True)}
    spec = SimpleNamespace(programs=programs, left_out={})
    build_variants(spec, device=CPU, release=1, work=tmp_path, wanted=("compiled", "bf16"))
    assert laid_out["bf16"]["exact"] == laid_out["compiled"]["exact"]
    assert laid_out["bf16"]["main"] != laid_out["compiled"]["main"]
    assert laid_out["eager"]["exact"].suffix == ".pt2"


@pytest.mark.timeout(300)
def test_portable_variants_are_made_one_from_the_other_and_exact_programs_stay_in_floats(laid_out, tmp_path):
    calibration = [(torch.randn(8, 4),)]
    programs = {"main": describe_program(calibration=lambda: calibration), "exact": describe_program(is_exact=True)}
    spec = SimpleNamespace(programs=programs, left_out={})
    built = build_variants(spec, device=CPU, release=1, work=tmp_path, wanted=("onnx-int8",))
    assert built.left_out == {}
    assert {*laid_out} == {"eager", "onnx-int8"}
    assert laid_out["onnx-int8"]["exact"] == tmp_path / "programs/onnx/exact/program.onnx"
    assert laid_out["onnx-int8"]["main"] == tmp_path / "programs/onnx-int8/main/program.onnx"


@pytest.mark.timeout(300)
def test_what_cannot_be_said_in_onnx_leaves_both_portable_variants_out(laid_out, tmp_path):
    rows = torch.export.Dim("rows", min=1, max=8)
    examples = (torch.eye(3).repeat(4, 1, 1),)
    program = ProgramSpec(module=Inverse(), example_inputs=examples, dynamic_shapes=({0: rows},))
    spec = SimpleNamespace(programs={"main": program}, left_out={})
    built = build_variants(spec, device=CPU, release=1, work=tmp_path, wanted=("onnx", "onnx-int8"))
    assert built.left_out == dict.fromkeys(("onnx", "onnx-int8"), "ONNX has no form of aten.linalg_inv_ex")
    assert {*laid_out} == {"eager"}


@pytest.mark.timeout(300)
def test_a_variant_that_one_role_leaves_out_is_not_made_in_the_others(laid_out, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr("training.release.orders.os.cpu_count", lambda: 1)
    monkeypatch.setattr(
        "training.release.orders.make_program",
        lambda blueprint: (made.append((blueprint.source.stem, blueprint.variant)), make_program(blueprint))[1],
    )
    rows = torch.export.Dim("rows", min=1, max=8)
    inverse = ProgramSpec(module=Inverse(), example_inputs=(torch.eye(3).repeat(4, 1, 1),), dynamic_shapes=({0: rows},))
    spec = SimpleNamespace(programs={"main": inverse, "second": describe_program()}, left_out={})
    built = build_variants(spec, device=CPU, release=1, work=tmp_path, wanted=("onnx", "onnx-int8"))
    assert made == [("main", "onnx")]
    assert {*built.left_out} == {"onnx", "onnx-int8"}
    assert {*laid_out} == {"eager"}


def test_programs_of_one_role_are_begun_before_the_next_is_captured(laid_out, tmp_path, monkeypatch):
    events = []
    monkeypatch.setattr("training.release.build.capture", lambda *given: (events.append("capture"), capture(*given))[1])
    monkeypatch.setattr(
        "training.release.orders.make_program",
        lambda blueprint: (events.append(f"make {blueprint.source.stem}"), blueprint.source)[1],
    )
    spec = SimpleNamespace(programs={"main": describe_program(), "second": describe_program()}, left_out={})
    build_variants(spec, device=CPU, release=1, work=tmp_path, wanted=("compiled",))
    assert events == ["capture", "make main", "capture", "make second"]
    assert {*laid_out["compiled"]} == {*laid_out["eager"]} == {"main", "second"}


class Inverse(torch.nn.Module):
    def forward(self, x):
        return torch.linalg.inv(x)
