import torch

from training.segmenter.scenes import VOID, label_masks
from training.segmenter.shapes import CLASSES, draw_scenes


def draw(seed, count=200, side=32):
    return draw_scenes(count, side, torch.Generator().manual_seed(seed))


def test_the_same_seed_gives_the_same_scenes_and_another_seed_others():
    assert torch.equal(draw(1, 5).images, draw(1, 5).images)
    assert torch.equal(draw(1, 5).masks, draw(1, 5).masks)
    assert not torch.equal(draw(1, 5).masks, draw(2, 5).masks)


def test_every_class_is_there_and_background_is_most():
    scenes = draw(0)
    assert scenes.images.shape == (200, 32, 32, 3)
    shares = torch.bincount(scenes.masks.flatten().long(), minlength=len(CLASSES)) / scenes.masks.numel()
    assert len(shares) == len(CLASSES)
    assert shares[0] > 0.5
    assert shares[1:].min() > 0.005


def test_some_scenes_are_empty_and_some_hold_several_classes():
    num_classes = torch.tensor([len(mask.unique()) for mask in draw(0).masks])
    assert num_classes.min() == 1
    assert num_classes.max() >= 4


def test_shapes_differ_in_colour_from_what_is_behind_them():
    scenes = draw(0)
    images, inside = scenes.images.float(), scenes.masks > 0
    rows = inside.flatten(1).float().mean(1) > 0.05
    pairs = zip(images[rows], inside[rows], strict=True)
    contrasts = [(image[mask].mean(0) - image[~mask].mean(0)).abs().max() for image, mask in pairs]
    assert torch.stack(contrasts).median() > 20


def test_the_label_is_the_class_of_most_pixels_beside_the_background():
    masks = torch.zeros(3, 4, 4, dtype=torch.uint8)
    masks[0, 0, :3], masks[0, 1, :2] = 2, 1
    masks[1] = VOID
    masks[1, 0, 0] = 5
    assert label_masks(masks, 6).tolist() == [2, 5, 0]
