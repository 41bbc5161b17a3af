"""Encoders of patches: what finished runs rely on."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from training.sequences.patch_encoders import ConvolutionalEncoder, PatchSizes, SideBySide


def test_convolutions_weigh_their_features_as_finished_runs_hold_them():
    sizes = PatchSizes(network="cnn", num_patches=4, patch=3, width=5, num_layers=1, num_heads=1, dropout=0.0)
    output = SideBySide(sizes, 2)
    encoder = ConvolutionalEncoder(sizes, output).eval()
    patches = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    features = F.relu(encoder.embedding(patches.transpose(1, 2)))
    features = features + F.relu(encoder.layers[0](features))
    by_feature = F.linear(features.flatten(1), output.weight, output.bias)
    torch.testing.assert_close(encoder(patches), by_feature)
