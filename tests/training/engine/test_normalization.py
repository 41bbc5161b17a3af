import pytest
import torch

from training.engine.normalization import make_normalization


@pytest.mark.parametrize(("name", "over"), [("layer", (1, 2, 3)), ("instance", (2, 3)), ("batch", (0, 2, 3))])
def test_what_is_named_has_mean_0_and_deviation_1(name, over):
    maps = 3 * torch.randn(5, 6, 7, 7, generator=torch.Generator().manual_seed(0)) + 4
    normalized = make_normalization(name, 6)(maps)
    torch.testing.assert_close(normalized.mean(over), torch.zeros_like(normalized.mean(over)), atol=1e-5, rtol=0)
    deviation = normalized.std(over, unbiased=False)
    torch.testing.assert_close(deviation, torch.ones_like(deviation), atol=1e-4, rtol=0)


def test_groups_divide_the_channels():
    assert make_normalization("group", 8).num_groups == 4
    assert make_normalization("group", 6).num_groups == 2


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(ValueError, match="unknown normalization 'weight'; use one of batch, layer, group, instance"):
        make_normalization("weight", 4)
