"""Attribution of texts on a network that adds up what its pieces are worth."""

import numpy as np
import pytest
import torch

from handlers.differentiable import AttributionError
from handlers.text_attribution import TextAttribution

WORTH = [0.0, 0.5, -0.25, 2.0]


class Sum(torch.nn.Module):
    """Two classes for pieces [N, S], by the sum of what they are worth; their places have an embedding too."""

    def __init__(self) -> None:
        super().__init__()
        self.places = torch.nn.Embedding(16, 1)
        self.pieces = torch.nn.Embedding.from_pretrained(torch.tensor(WORTH)[:, None])
        self.requires_grad_(False)

    def forward(self, pieces: torch.Tensor) -> torch.Tensor:
        places = self.places(torch.arange(pieces.shape[1]))
        score = (self.pieces(pieces) + 0 * places).sum((1, 2))
        return torch.stack((score, -score), 1)


class Count(torch.nn.Module):
    def forward(self, pieces: torch.Tensor) -> torch.Tensor:
        return torch.stack((pieces.float().sum(1), pieces.float().mean(1)), 1)


def export(module, path):
    rows, length = torch.export.Dim("rows", min=1, max=8), torch.export.Dim("length", min=1, max=16)
    example = torch.ones(2, 3, dtype=torch.int64)
    torch.export.save(torch.export.export(module, (example,), dynamic_shapes=({0: rows, 1: length},)), path)
    return path


@pytest.fixture(scope="module")
def attribution(tmp_path_factory):
    return TextAttribution(export(Sum(), tmp_path_factory.mktemp("sum") / "main.pt2"))


def test_each_piece_counts_what_it_is_worth_and_padding_nothing(attribution):
    places, values = attribution.attribute(np.array([[1, 2, 3, 3], [3, 1, 0, 0]]))
    assert values[:, 0] == pytest.approx([4.25, 2.5])
    assert places == pytest.approx(np.array([[0.5, -0.25, 2, 2], [2, 0.5, 0, 0]]), abs=1e-5)
    assert places.dtype == np.float32


def test_what_speaks_for_one_class_speaks_against_the_other(attribution):
    places, _ = attribution.attribute(np.array([[1, 2, 3]]), target=1)
    assert places == pytest.approx(np.array([[-0.5, 0.25, -2]]), abs=1e-5)
    with pytest.raises(AttributionError, match="there is no class 2; the program tells 2 apart"):
        attribution.attribute(np.array([[1]]), target=2)


def test_without_an_embedding_there_is_no_gradient(tmp_path):
    with pytest.raises(AttributionError, match="no embedding of the pieces"):
        TextAttribution(export(Count(), tmp_path / "main.pt2"))
