from __future__ import annotations

import io
import resource
import struct
import zlib

import numpy as np
import pytest
from image_folders import encoded, photograph
from PIL import Image, ImageFile

from gluontricks.data.decode import MOST_PIXELS, decode
from gluontricks.errors import DataError

RGB = photograph(0, size=(6, 9))
GREY = RGB[..., 0]


def file_of(image, kind="PNG", **settings):
    content = io.BytesIO()
    image.save(content, kind, **settings)
    return content.getvalue()


def turned(orientation):
    """A PNG that says how it is to be turned."""
    image = Image.fromarray(RGB)
    exif = image.getexif()
    exif[0x0112] = orientation
    return file_of(image, exif=exif)


def rgba():
    alpha = np.full(GREY.shape, 255, np.uint8)
    alpha[:, :4] = 0
    return np.dstack([RGB, alpha])


CMYK = np.dstack([255 - RGB, np.zeros_like(GREY)])
PALETTE = Image.fromarray(RGB).quantize(16)
ON_BLACK = np.where(np.arange(9)[None, :, None] < 4, 0, RGB).astype(np.uint8)

# What a file holds, and the RGB it stands for.
KINDS = {
    "rgb": (file_of(Image.fromarray(RGB)), RGB),
    "bmp": (file_of(Image.fromarray(RGB), "BMP"), RGB),
    "webp": (file_of(Image.fromarray(RGB), "WEBP", lossless=True), RGB),
    "grey": (file_of(Image.fromarray(GREY)), np.dstack([GREY] * 3)),
    "grey and alpha": (
        file_of(Image.merge("LA", [Image.fromarray(GREY), Image.new("L", (9, 6), 255)])),
        np.dstack([GREY] * 3),
    ),
    "black and white": (
        file_of(Image.fromarray(GREY > 80)), np.dstack([np.where(GREY > 80, 255, 0)] * 3),
    ),
    "16 bits": (file_of(Image.fromarray(GREY.astype(np.uint16) * 257)), np.dstack([GREY] * 3)),
    "palette": (file_of(PALETTE), np.asarray(PALETTE.convert("RGB"))),
    "transparent": (file_of(Image.fromarray(rgba(), "RGBA")), ON_BLACK),
    "cmyk": (file_of(Image.fromarray(CMYK, "CMYK"), "TIFF"), RGB),
    "turned by 180": (turned(3), RGB[::-1, ::-1]),
    "turned to the right": (turned(6), np.rot90(RGB, -1)),
    "turned to the left": (turned(8), np.rot90(RGB)),
    "mirrored": (turned(2), RGB[:, ::-1]),
    "one pixel": (file_of(Image.fromarray(RGB[:1, :1])), RGB[:1, :1]),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_image_becomes_the_rgb_it_stands_for(kind):
    content, expected = KINDS[kind]
    pixels = decode(content, kind)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, expected)


def test_a_cmyk_jpeg_is_read():
    content = file_of(Image.fromarray(CMYK, "CMYK"), "JPEG", quality=95)
    assert np.abs(decode(content, "cmyk").astype(int) - RGB).mean() < 12


@pytest.mark.parametrize("lenient", [False, True])
def test_every_truncation_of_a_jpeg_is_refused(monkeypatch, lenient):
    # As GluonCV sets it for all of Pillow.
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    content = encoded(photograph(1, size=(60, 80)), quality=90)
    # The end of the file's last block may be missing without a loss: two bytes mark the end.
    for length in range(0, len(content) - 2, 7):
        with pytest.raises(DataError, match="'a.jpg' is no image that can be read") as caught:
            decode(content[:length], "a.jpg")
        assert "data verify" in caught.value.remedy
    assert lenient == ImageFile.LOAD_TRUNCATED_IMAGES


@pytest.mark.parametrize("content", [b"", b"\0" * 500, b"<html>404</html>", b"GIF89a"])
def test_what_is_no_image_is_refused(content):
    with pytest.raises(DataError):
        decode(content, "x")


def png_header(width, height):
    """A PNG of a few bytes that claims a size."""

    def chunk(kind, content):
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )  # fmt: skip


def test_a_decompression_bomb_is_refused_without_its_memory():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for side in (30_000, 9_000):
        assert side * side > MOST_PIXELS
        with pytest.raises(DataError):
            decode(png_header(side, side), "bomb.png")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200 * 1024
