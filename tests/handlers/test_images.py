import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from handlers.images import ImageError, decode_image

SIZE = {"height": 8, "width": 6, "channels": 3, "max_pixels": 10_000}


def encode(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def gradient(mode="RGB", width=6, height=8):
    pixels = np.linspace(0, 255, width * height).reshape(height, width).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


def png_header(width, height):
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 100) + b"IDAT"


def test_png_of_the_right_size_arrives_unchanged():
    image = gradient()
    np.testing.assert_array_equal(decode_image(encode(image), **SIZE), np.asarray(image))


def test_grey_images_become_colour_and_colour_grey():
    grey = decode_image(encode(gradient("L")), **SIZE)
    assert grey.shape == (8, 6, 3)
    np.testing.assert_array_equal(grey[..., 0], grey[..., 2])
    assert decode_image(encode(gradient("RGB")), **(SIZE | {"channels": 1})).shape == (8, 6, 1)


@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGBA", "I;16"])
def test_every_png_mode_is_read(mode):
    image = Image.fromarray(np.full((8, 6), 40_000, np.uint16)) if mode == "I;16" else gradient("RGB").convert(mode)
    decoded = decode_image(encode(image), **SIZE)
    assert decoded.shape == (8, 6, 3)
    if mode == "I;16":
        assert set(decoded.ravel()) == {40_000 >> 8}


def test_other_sizes_are_scaled_and_the_middle_kept():
    wide = Image.new("L", (60, 8), 0)
    wide.paste(200, (27, 0, 33, 8))
    np.testing.assert_array_equal(decode_image(encode(wide), **SIZE), 200)
    large = decode_image(encode(gradient(width=60, height=80), "JPEG", quality=95), **SIZE)
    assert np.abs(large.astype(int) - np.asarray(gradient())).mean() < 8


def test_orientation_of_photographs_is_respected():
    image = Image.new("L", (6, 8), 0)
    image.paste(255, (0, 0, 6, 4))  # the upper half is white
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    decoded = decode_image(encode(image, "JPEG", exif=exif), **SIZE)
    assert decoded[:3].mean() < 20
    assert decoded[-3:].mean() > 235


def test_too_many_pixels_are_refused_from_the_header_alone():
    with pytest.raises(ImageError, match=r"200×100 pixels, at most 10,000 are decoded; scale it down"):
        decode_image(png_header(200, 100), **SIZE)
    with pytest.raises(ImageError, match=r"pixels.*at most 10,000"):
        decode_image(png_header(60_000, 60_000), **SIZE)


def test_truncated_files_say_so():
    for kind in ("PNG", "JPEG"):
        data = encode(gradient(width=60, height=80), kind)
        with pytest.raises(ImageError, match="corrupt or truncated"):
            decode_image(data[: len(data) // 2], **SIZE)


@pytest.mark.parametrize("data", [b"", b"hello", b"GIF89a" + bytes(20), b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"])
def test_other_files_are_refused(data):
    with pytest.raises(ImageError, match=r"not a PNG or JPEG file|corrupt"):
        decode_image(data, **SIZE)


def test_other_formats_are_not_even_tried():
    for kind in ("GIF", "BMP", "TIFF"):
        with pytest.raises(ImageError, match="not a PNG or JPEG file"):
            decode_image(encode(gradient(), kind), **SIZE)


def test_corrupt_bytes_anywhere_raise_nothing_else():
    generator = np.random.default_rng(0)
    for kind in ("PNG", "JPEG"):
        original = encode(gradient(width=20, height=20), kind)
        for _ in range(150):
            data = bytearray(original)
            for position in generator.integers(0, len(data), 3):
                data[position] = generator.integers(0, 256)
            try:
                assert decode_image(bytes(data), **SIZE).shape == (8, 6, 3)
            except ImageError as error:
                assert str(error)  # noqa: PT017 (either outcome is fine, anything else is not)
