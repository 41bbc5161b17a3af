import torch

from training.images.linear_probe import probe_linearly


def test_a_linear_probe_finds_classes_that_a_plane_divides_and_no_others():
    random = torch.Generator().manual_seed(0)
    train, test = (100 * torch.randn(400, 2, generator=random) + 50 for _ in range(2))
    labels = [(rows.sum(1) > 100).long() for rows in (train, test)]
    assert (probe_linearly(train, labels[0], test) == labels[1]).float().mean() > 0.97
    corners = [((rows[:, 0] > 50) ^ (rows[:, 1] > 50)).long() for rows in (train, test)]
    assert (probe_linearly(train, corners[0], test) == corners[1]).float().mean() < 0.65
