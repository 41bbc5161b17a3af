import dataclasses

import pytest
import torch

from training.seq2seq.network import build_network
from training.seq2seq.recipe import Recipe


@pytest.fixture(params=[("rnn", "additive"), ("gru", "multiplicative"), ("lstm", "additive")], ids="-".join)
def network(tiny_recipe, request):
    torch.manual_seed(0)
    cell, attention = request.param
    recipe = dataclasses.replace(tiny_recipe, network=cell, attention=attention, num_layers=2)
    return build_network(recipe, 300).eval()


def test_padding_changes_nothing(network):
    source, target = torch.randint(4, 300, (2, 5)), torch.randint(4, 300, (2, 6))
    padded = torch.cat((source, torch.zeros(2, 3, dtype=torch.int64)), 1)
    torch.testing.assert_close(network(source, target), network(padded, target), atol=1e-5, rtol=0)


def test_steps_say_the_same_as_the_whole_sentence_at_once(network):
    source, target = torch.randint(4, 300, (3, 7)), torch.randint(4, 300, (3, 4))
    source[0, 4:] = 0
    memory, bias, first = network.start(source)
    cache = first[None, :, :, None].expand(-1, -1, -1, 2, -1)
    ancestors, starts = torch.zeros(1, 3, 2, dtype=torch.int64), torch.zeros(3, dtype=torch.int64)
    whole = network(source, target)
    for place in range(4):
        tokens = torch.full((3, 2), 9)
        beam = place % 2
        tokens[:, beam] = target[:, place]
        step = network.step(tokens, ancestors, starts, cache, memory, bias)
        torch.testing.assert_close(step.logits[:, beam], whole[:, place], atol=1e-5, rtol=0)
        torch.testing.assert_close(step.weights.sum(-1), torch.ones(3, 2), atol=1e-5, rtol=0)
        cache = torch.cat((cache, step.entry[None]))
        ancestors = torch.cat((ancestors, torch.full((1, 3, 2), beam)))


def test_scheduled_sampling_replaces_true_pieces_after_the_first(network):
    source, target = torch.randint(4, 300, (2, 5)), torch.randint(4, 300, (2, 6))
    other = target.clone()
    other[:, 1:] = 17
    torch.testing.assert_close(network(source, target, 1.0), network(source, other, 1.0), atol=0, rtol=0)
    assert not torch.allclose(network(source, target), network(source, other))


def test_sampling_is_refused_for_a_network_that_writes_all_at_once():
    with pytest.raises(ValueError, match="sampling is for networks that write piece by piece"):
        Recipe(sampling=0.1)
