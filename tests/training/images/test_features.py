"""Who looks at generated images: InceptionV3 from a file of weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from training.images.features import FeatureNetwork, InceptionProgram

CPU = torch.device("cpu")


def test_inception_describes_grey_and_coloured_images_by_2048_features(tmp_path):
    torch.manual_seed(0)
    weights = tmp_path / "inception.pth"
    torch.save(InceptionProgram().network.state_dict(), weights)
    network = FeatureNetwork.of_inception(weights, CPU)
    grey = torch.randint(0, 256, (2, 28, 28, 1), dtype=torch.uint8)
    described = network.describe(grey)
    assert described.features.shape == (2, 2048)
    np.testing.assert_allclose(described.probabilities.sum(1), 1, atol=1e-2)
    coloured = network.describe(grey.expand(-1, -1, -1, 3))
    np.testing.assert_allclose(coloured.features, described.features, atol=1e-3)


def test_a_file_that_holds_no_inception_is_refused(tmp_path):
    weights = tmp_path / "other.pth"
    torch.save({"a": torch.zeros(2)}, weights)
    with pytest.raises(ValueError, match="does not hold torchvision's InceptionV3"):
        FeatureNetwork.of_inception(weights, CPU)
    with pytest.raises(FileNotFoundError, match="inception_weights is torchvision's"):
        FeatureNetwork.of_inception(Path(tmp_path / "missing.pth"), CPU)
