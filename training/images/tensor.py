"""The tensor in which images travel, for those that read them and those that draw them."""

from __future__ import annotations

from training.images.splits import ImageData
from training.release.spec import TensorSpec


def describe_image_tensor(data: ImageData) -> TensorSpec:
    """Describe `image` UINT8 [N, H, W, C] for a data set's images."""
    height, width, channels = data.shape
    return TensorSpec(
        name="image",
        datatype="UINT8",
        shape=(-1, height, width, channels),
        meaning=f"{data.kind} image of {height}×{width} pixels",
        minimum=0,
        maximum=255,
    )
