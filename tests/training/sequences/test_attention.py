import pytest
import torch
from torch import nn

from training.sequences.attention import CrossAttention, Past, SelfAttention


def hide(lengths, size):
    mask = torch.arange(size) >= torch.tensor(lengths)[:, None]
    return mask, torch.zeros(mask.shape).masked_fill(mask, -torch.inf)[:, None, None]


@pytest.fixture
def reference():
    torch.manual_seed(0)
    module = nn.MultiheadAttention(24, 4, batch_first=True)
    nn.init.normal_(module.in_proj_bias)
    nn.init.normal_(module.out_proj.bias)
    return module.eval()


def test_self_attention_is_that_of_torch(reference):
    ours = SelfAttention(24, 4).eval()
    ours.project.weight, ours.project.bias = reference.in_proj_weight, reference.in_proj_bias
    ours.output.load_state_dict(reference.out_proj.state_dict())
    features = torch.randn(3, 7, 24)
    mask, bias = hide([7, 4, 1], 7)
    expected, _ = reference(features, features, features, key_padding_mask=mask)
    torch.testing.assert_close(ours(features, bias), expected, atol=1e-5, rtol=0)


def test_cross_attention_and_its_weights_are_those_of_torch(reference):
    ours = CrossAttention(24, 4).eval()
    query, key_value = reference.in_proj_weight.detach().split((24, 48))
    query_bias, key_value_bias = reference.in_proj_bias.detach().split((24, 48))
    ours.query.load_state_dict({"weight": query, "bias": query_bias})
    ours.key_value.load_state_dict({"weight": key_value, "bias": key_value_bias})
    ours.output.load_state_dict(reference.out_proj.state_dict())
    features, memory = torch.randn(3, 5, 24), torch.randn(3, 7, 24)
    mask, bias = hide([7, 4, 1], 7)
    expected, weights = reference(features, memory, memory, key_padding_mask=mask, average_attn_weights=False)
    mixed, ours_weights = ours(features, ours.remember(memory), bias)
    torch.testing.assert_close(mixed, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours_weights, weights, atol=1e-5, rtol=0)


def test_a_step_after_what_was_read_and_what_was_written_is_a_place_of_the_whole():
    torch.manual_seed(1)
    attention = SelfAttention(24, 4).eval()
    features = torch.randn(3, 7, 24)
    bias = torch.full((7, 7), -torch.inf).triu(1)
    whole, keys_values = attention.read(features, bias)
    keys, values = (part.transpose(0, 1)[:, :, None] for part in keys_values.chunk(2, -1))
    none = torch.zeros(1, 1, 1, 1, 1)
    # Of the place before the first, which nobody has written, nothing may be seen.
    written = Past(*(torch.cat([torch.ones_like(part[:1]), part[4:6]]) for part in (keys, values)), none.clone())
    hidden = torch.tensor([-torch.inf, 0, 0])[:, None, None, None, None]
    found, entry = attention.step(features[:, 6:], Past(keys[:4], values[:4], none), written._replace(bias=hidden))
    torch.testing.assert_close(found, whole[:, 6:], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(entry[:, :, 0], torch.stack(keys_values[:, 6].chunk(2, -1)))
