"""Which networks the classifier can be."""

from __future__ import annotations

from typing import get_args

from torch import nn

from training.classifier.compact import CompactNetwork
from training.classifier.depthwise import DepthwiseNetwork
from training.classifier.recipe import Network, Recipe
from training.classifier.resnet import ResNet18
from training.classifier.tempered import TemperedNetwork
from training.classifier.transfer import PRETRAINED, PretrainedNetwork
from training.classifier.vgg import Vgg
from training.classifier.vit import VisionTransformer

NETWORKS: tuple[Network, ...] = get_args(Network)


def build_network(recipe: Recipe, shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """Build a network for images of a shape (height, width, channels), with random weights.

    Raises:
        ValueError: unknown network, or one that cannot take this shape.
    """
    height, width, channels = shape
    name = recipe.network
    if name == "compact":
        return CompactNetwork(
            channels=channels,
            num_classes=num_classes,
            widths=recipe.widths,
            depth=recipe.depth,
            kernel=recipe.whiten_kernel,
            whiten_epochs=recipe.whiten_epochs,
        )
    if name in ("resnet18", "plain18"):
        return ResNet18(
            channels=channels,
            num_classes=num_classes,
            resolution=min(height, width),
            attention=recipe.attention,
            normalization=recipe.normalization,
            shortcuts=name == "resnet18",
        )
    if name in ("vgg11", "vgg16"):
        return Vgg(
            layers=int(name[3:]),
            channels=channels,
            num_classes=num_classes,
            dropout=recipe.dropout,
            normalization=recipe.normalization,
        )
    if name == "depthwise":
        return DepthwiseNetwork(
            channels=channels,
            num_classes=num_classes,
            resolution=min(height, width),
            dropout=recipe.dropout,
            normalization=recipe.normalization,
        )
    if name == "tempered":
        return TemperedNetwork(shape=shape, num_classes=num_classes)
    if name in ("vit", "deit"):
        return VisionTransformer(
            shape=shape,
            num_classes=num_classes,
            patch_px=recipe.patch_px,
            convolutional_stem=recipe.stem == "convolutions",
            width=recipe.token_width,
            num_layers=recipe.num_layers,
            num_heads=recipe.num_heads,
            dropout=recipe.dropout,
            distilled=name == "deit",
        )
    if name in PRETRAINED:
        return PretrainedNetwork(name, channels=channels, num_classes=num_classes, frozen_epochs=recipe.frozen_epochs)
    raise ValueError(f"unknown network {name!r}; use one of {', '.join(NETWORKS)}")
