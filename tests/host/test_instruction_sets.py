import pytest
import torch

from host import instruction_sets
from host.instruction_sets import cpu_features, find_lacking

AVX512 = {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx2", "fma"}


def test_the_level_is_the_one_that_torch_sees():
    assert cpu_features()[0] == torch.backends.cpu.get_cpu_capability()


@pytest.mark.parametrize(
    ("flags", "features"),
    [
        (AVX512 | {"avx512_vnni", "avx512_bf16"}, ("AVX512", "VNNI", "BF16")),
        (AVX512 - {"avx512vl"}, ("AVX2",)),
        ({"avx2", "fma", "avx_vnni"}, ("AVX2", "VNNI")),
        ({"sve", "asimdbf16"}, ("SVE", "BF16")),
        (set(), ("DEFAULT",)),
    ],
)
def test_instruction_sets_are_named_by_the_flags_of_the_cpu(monkeypatch, flags, features):
    monkeypatch.setattr(instruction_sets, "cpu_flags", lambda: frozenset(flags))
    assert cpu_features() == features


@pytest.mark.parametrize(
    ("capability", "lacking"),
    [
        ("", []),
        ("AVX2", []),
        ("AVX512", ["AVX512"]),
        ("AVX512+VNNI", ["AVX512", "VNNI"]),
        ("VNNI", ["VNNI"]),
        ("AVX999", ["AVX999"]),
    ],
)
def test_what_an_avx2_cpu_lacks_is_named(monkeypatch, capability, lacking):
    monkeypatch.setattr(instruction_sets, "cpu_flags", lambda: frozenset({"avx2", "fma"}))
    assert find_lacking(capability) == lacking


def test_a_wider_level_implies_the_narrower(monkeypatch):
    monkeypatch.setattr(instruction_sets, "cpu_flags", lambda: frozenset(AVX512))
    assert find_lacking("AVX2") == []
