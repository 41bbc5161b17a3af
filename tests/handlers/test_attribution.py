"""Attribution on a network of which one can say by hand where it looks."""

import numpy as np
import pytest
import torch

from handlers.attribution import Attribution
from handlers.differentiable import AttributionError


class Corner(torch.nn.Module):
    """Two classes for an image [N, 8, 8, 1]: how bright its upper left and its lower right quarter are."""

    def __init__(self) -> None:
        super().__init__()
        self.blur = torch.nn.Conv2d(1, 1, 3, padding=1, bias=False)
        torch.nn.init.constant_(self.blur.weight, 1 / 9)
        self.requires_grad_(False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        blurred = self.blur(image.permute(0, 3, 1, 2).float() / 255)
        scores = torch.stack((blurred[:, 0, :4, :4].sum((1, 2)), blurred[:, 0, 4:, 4:].sum((1, 2))), 1)
        return torch.softmax(scores, 1)


class Flat(torch.nn.Module):
    """The same question without a convolution."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.softmax(image.float().mean((1, 3))[:, :2] / 255, 1)


class Quarters(Corner):
    """A mask [N, 8, 8] of what is bright, by a convolution of its own; perhaps the classes of the whole image too."""

    def __init__(self, has_classes: bool) -> None:
        super().__init__()
        self.sides = torch.nn.Conv2d(1, 2, 1)
        self.has_classes = has_classes
        self.requires_grad_(False)
        torch.nn.init.zeros_(self.sides.bias)
        self.sides.weight.copy_(torch.tensor([4.0, -4.0]).reshape(2, 1, 1, 1))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        mask = self.sides(image.permute(0, 3, 1, 2).float() / 255 - 0.5).argmax(1).to(torch.uint8)
        return (mask, super().forward(image)) if self.has_classes else (mask,)


def export(module, path):
    example = torch.zeros(2, 8, 8, 1, dtype=torch.uint8)
    rows = {0: torch.export.Dim("rows", min=1, max=8)}
    torch.export.save(torch.export.export(module, (example,), dynamic_shapes=(rows,)), path)
    return path


@pytest.fixture(scope="module")
def corner(tmp_path_factory):
    return Attribution(export(Corner(), tmp_path_factory.mktemp("corner") / "main.pt2"))


@pytest.fixture
def images():
    """One image bright in its upper left quarter, one in its lower right."""
    images = np.zeros((2, 8, 8, 1), np.uint8)
    images[0, 1:3, 1:3], images[1, 5:7, 5:7] = 255, 255
    return images


def test_integrated_gradients_add_up_to_what_the_image_changed(corner, images):
    places, values = corner.attribute(images, "integrated-gradients", num_steps=64)
    black, _ = corner.attribute(np.zeros_like(images), "integrated-gradients")
    assert values.argmax(1).tolist() == [0, 1]
    assert places.sum((1, 2)) == pytest.approx(values.max(1) - 0.5, abs=1e-3)  # black is either as likely
    assert black == pytest.approx(0)


@pytest.mark.parametrize("method", ["integrated-gradients", "grad-cam"])
def test_the_quarter_that_decides_is_where_the_answer_was_found(corner, images, method):
    places, _ = corner.attribute(images, method)
    assert places.shape == (2, 8, 8)
    for row, quarter in enumerate((np.s_[:4, :4], np.s_[4:, 4:])):
        assert places[row][quarter].sum() > 0.9 * places[row].sum() > 0


def test_another_class_is_explained_where_it_is_wanted(corner, images):
    places, _ = corner.attribute(images[:1], "integrated-gradients", target=1)
    assert places[0, 1:3, 1:3].sum() < 0  # what speaks for the one speaks against the other
    with pytest.raises(AttributionError, match="there is no class 2; the program tells 2 apart"):
        corner.attribute(images, "grad-cam", target=2)


def test_without_a_convolution_only_gradients_can_say(tmp_path, images):
    flat = Attribution(export(Flat(), tmp_path / "main.pt2"))
    assert flat.attribute(images, "integrated-gradients")[0].shape == (2, 8, 8)
    with pytest.raises(AttributionError, match="no convolution over places"):
        flat.attribute(images, "grad-cam")


@pytest.mark.parametrize("method", ["integrated-gradients", "grad-cam"])
def test_of_a_mask_beside_classes_the_classes_are_explained(tmp_path, images, method):
    both = Attribution(export(Quarters(has_classes=True), tmp_path / "main.pt2"))
    places, values = both.attribute(images, method)
    assert values.argmax(1).tolist() == [0, 1]
    assert places[0][:4, :4].sum() > 0.9 * places[0].sum() > 0


def test_of_a_mask_alone_it_is_the_mean_probability_of_a_class_at_all_places(tmp_path, images):
    mask = Attribution(export(Quarters(has_classes=False), tmp_path / "main.pt2"))
    places, values = mask.attribute(images, "integrated-gradients", num_steps=64, target=0)
    bright, dark = torch.tensor([2.0, -2.0]).softmax(0).tolist()
    assert values[0] == pytest.approx([dark + (bright - dark) * 4 / 64, bright - (bright - dark) * 4 / 64], abs=1e-5)
    assert places[0][1:3, 1:3].sum() == pytest.approx((bright - dark) * 4 / 64, abs=1e-3)
    assert np.delete(places[0].ravel(), [9, 10, 17, 18]) == pytest.approx(0)


def test_without_classes_nothing_is_explained(tmp_path):
    class Mean(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image.float().mean((1, 2, 3))

    with pytest.raises(AttributionError, match="none of the program's outputs is one of classes' probabilities"):
        Attribution(export(Mean(), tmp_path / "main.pt2"))
