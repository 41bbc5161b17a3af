"""Programs that compute in float32 in every variant are made once."""

from types import SimpleNamespace

import pytest
import torch

from training.release.build import build_variants
from training.release.spec import ProgramSpec
from training.release.variants import LeftOutError, required_capability

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
