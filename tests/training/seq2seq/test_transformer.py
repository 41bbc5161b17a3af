import dataclasses

import pytest
import torch

from training.seq2seq.network import build_network


@pytest.fixture(params=[False, True], ids=["post-norm", "pre-norm"])
def network(tiny_recipe, request):
    torch.manual_seed(0)
    recipe = dataclasses.replace(tiny_recipe, pre_norm=request.param, num_layers=2)
    return build_network(recipe, 300).eval()


def test_padding_changes_nothing(network):
    source, target = torch.randint(4, 300, (2, 5)), torch.randint(4, 300, (2, 6))
    padded = torch.cat((source, torch.zeros(2, 3, dtype=torch.int64)), 1)
    torch.testing.assert_close(network(source, target), network(padded, target), atol=1e-5, rtol=0)


def test_a_place_sees_no_later_one(network):
    source, target = torch.randint(4, 300, (1, 5)), torch.randint(4, 300, (1, 6))
    changed = target.clone()
    changed[0, 4] = 7
    before, after = network(source, target), network(source, changed)
    torch.testing.assert_close(before[:, :4], after[:, :4], atol=0, rtol=0)
    assert not torch.allclose(before[:, 4:], after[:, 4:])


def test_steps_with_a_cache_say_the_same_as_the_whole_sentence_at_once(network):
    source, target = torch.randint(4, 300, (3, 7)), torch.randint(4, 300, (3, 5))
    source[0, 4:] = 0
    memory, bias, first = network.start(source)
    cache = first[None, :, :, None].expand(-1, -1, -1, 2, -1)
    # The sentence is written alternately in the one and the other of two beams.
    ancestors, starts = torch.zeros(1, 3, 2, dtype=torch.int64), torch.zeros(3, dtype=torch.int64)
    whole = network(source, target)
    for place in range(5):
        tokens = torch.full((3, 2), 9)
        beam = place % 2
        tokens[:, beam] = target[:, place]
        step = network.step(tokens, ancestors, starts, cache, memory, bias)
        torch.testing.assert_close(step.logits[:, beam], whole[:, place], atol=1e-4, rtol=0)
        torch.testing.assert_close(step.weights.sum(-1), torch.ones(3, 2), atol=1e-5, rtol=0)
        cache = torch.cat((cache, step.entry[None]))
        ancestors = torch.cat((ancestors, torch.full((1, 3, 2), beam)))


def test_both_languages_and_the_output_share_one_embedding(network):
    assert sum(parameter.shape[0] == 300 for parameter in network.parameters()) == 1


def test_heads_must_divide_the_width(tiny_recipe):
    with pytest.raises(ValueError, match="width=32 must be even and divisible by num_heads=5"):
        build_network(dataclasses.replace(tiny_recipe, num_heads=5), 300)


def test_dropout_acts_in_training_only(tiny_recipe):
    network = build_network(dataclasses.replace(tiny_recipe, dropout=0.5), 300)
    source, target = torch.randint(4, 300, (2, 6)), torch.randint(4, 300, (2, 5))
    assert not torch.equal(network(source, target), network(source, target))
    network.eval()
    assert torch.equal(network(source, target), network(source, target))
