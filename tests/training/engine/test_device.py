import pytest
import torch

from training.engine.device import autocast, choose_device


def test_chooses_the_cpu_by_name():
    assert choose_device("cpu") == torch.device("cpu")


def test_rejects_unknown_device_and_precision():
    with pytest.raises(ValueError, match="unknown device 'tpu'; use auto, cpu, cuda"):
        choose_device("tpu")
    with pytest.raises(ValueError, match="unknown precision 'fp8'"):
        autocast(torch.device("cpu"), "fp8")


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_asking_for_a_missing_gpu_says_what_to_do():
    with pytest.raises(ValueError, match="sees no CUDA device; use --device cpu or auto"):
        choose_device("cuda")


def test_bf16_autocast_multiplies_in_bf16():
    with autocast(torch.device("cpu"), "bf16"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    with autocast(torch.device("cpu"), "fp32"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
