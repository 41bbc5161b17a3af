"""The tensors in which images travel, for those that read them and those that draw them."""

from __future__ import annotations

from training.release.spec import TensorSpec

MAX_ENCODED_BYTES = 8 * 2**20
MAX_PIXELS = 40_000_000  # a 24-megapixel photograph passes, a decompression bomb does not
Shape = tuple[int, int, int]


def describe_image_tensor(shape: Shape) -> TensorSpec:
    """Describe `image` UINT8 [N, H, W, C] for images of a shape [H, W, C]."""
    height, width, _ = shape
    return TensorSpec(
        name="image",
        datatype="UINT8",
        shape=(-1, *shape),
        meaning=f"{name_colours(shape)} image of {height}×{width} pixels",
        minimum=0,
        maximum=255,
    )


def describe_image_inputs(shape: Shape) -> tuple[TensorSpec, TensorSpec]:
    """Describe the two ways in which a handler takes an image: its pixels, or as the file `encoded`."""
    height, width, _ = shape
    encoded = TensorSpec(
        name="encoded",
        datatype="BYTES",
        shape=(-1,),
        meaning=f"PNG or JPEG file of any size; resized to {height}×{width} {name_colours(shape)}",
        max_element_bytes=MAX_ENCODED_BYTES,
    )
    return describe_image_tensor(shape), encoded


def list_image_options(shape: Shape) -> dict[str, int]:
    """What a handler must know to decode image files (`handlers.images.read_images`)."""
    height, width, channels = shape
    return {"height": height, "width": width, "channels": channels, "max_pixels": MAX_PIXELS}


def name_colours(shape: Shape) -> str:
    """What images are, in a word."""
    return "grey" if shape[2] == 1 else "RGB"
