import pytest
import torch

from handlers.target import check_target, describe_host
from host.instruction_sets import cpu_features

CPU = torch.device("cpu")


@pytest.fixture
def host():
    return describe_host(CPU)


def test_accepts_its_own_host_and_programs_for_any_cpu(host):
    check_target(host, "cpu")
    check_target(host | {"capability": ""}, "cpu")


def test_a_portable_program_is_at_home_on_every_cpu_and_a_compiled_one_is_not(host, monkeypatch):
    """As a release made on another machine finds this one: a CPU without its instructions."""
    monkeypatch.setattr("host.instruction_sets.cpu_flags", lambda: frozenset({"avx2", "fma", "sse4_2"}))
    check_target({"device": "cpu", "capability": "", "torch_version": ""}, "cpu")
    check_target(host | {"capability": "AVX2"}, "cpu")
    with pytest.raises(RuntimeError, match=r"built for cpu \(AVX512\+VNNI, .*this worker is cpu \(AVX2, torch"):
        check_target(host | {"capability": "AVX512+VNNI"}, "cpu")


@pytest.mark.skipif("AVX512" not in cpu_features(), reason="needs an AVX-512 CPU")
def test_accepts_what_a_better_cpu_implies(host):
    check_target(host | {"capability": "AVX2"}, "cpu")


@pytest.mark.parametrize(
    ("change", "theirs"),
    [
        ({"capability": "AVX999"}, r"cpu \(AVX999, torch"),
        ({"torch_version": "1.0.0"}, r"torch 1\.0\.0"),
        ({"device": "cuda", "capability": "sm_90"}, r"cuda \(sm_90, torch"),
    ],
)
def test_refuses_other_targets_and_names_both(host, change, theirs):
    with pytest.raises(RuntimeError, match=f"built for .*{theirs}") as caught:
        check_target(host | change, "cpu")
    assert "this worker is" in str(caught.value) or "no CUDA device" in str(caught.value)
