from dataclasses import replace

import pytest
import torch

from training.sequences.batching import pad_rows
from training.text_classifier.network import build_network
from training.text_classifier.program import predict_logits
from training.text_classifier.recipe import DEMO

ROWS = [[5, 6, 7, 3], [8, 3], [5, 6, 9, 10, 11, 12, 3], [7, 6, 5, 3]]


@pytest.fixture(params=["transformer", "lstm"])
def network(request, tiny_recipe, tmp_path):
    torch.manual_seed(0)
    return build_network(replace(tiny_recipe, network=request.param), 20, 3, tmp_path).eval()


@torch.no_grad()
def test_padding_changes_no_answer(network):
    together = network(pad_rows(ROWS))
    alone = torch.cat([network(pad_rows([row])) for row in ROWS])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(together[0], together[3], atol=1e-3)  # the same pieces in another order


def test_every_weight_learns(network):
    network(pad_rows(ROWS)).square().sum().backward()
    assert [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()] == []


def test_answers_come_in_the_order_of_the_texts(network, monkeypatch):
    monkeypatch.setattr("training.text_classifier.program._TOKENS_PER_BATCH", 8)
    expected = torch.cat([predict_logits(network, [row], torch.device("cpu")) for row in ROWS])
    torch.testing.assert_close(predict_logits(network, ROWS, torch.device("cpu")), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "pretrained"}, "network=pretrained and weights_folder go together"),
        ({"weights_folder": "bert"}, "network=pretrained and weights_folder go together"),
        ({"low_rank": 4}, "low_rank changes a pretrained network; network=transformer learns all its weights"),
        ({"num_heads": 5}, "width=64 must be even and divisible by num_heads=5"),
        ({"max_pieces": 2}, "max_pieces=2 leaves no room for text"),
        ({"validation_fraction": 0.0}, "validation_fraction must be positive"),
    ],
)
def test_a_recipe_refuses_what_makes_no_sense(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(DEMO, **changes)
