from __future__ import annotations

import importlib.util
import io
import resource
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_folders import encoded, photograph
from PIL import Image, ImageFile

from gluontricks.data.decode import MOST_PIXELS, decode, pixel_count
from gluontricks.errors import DataError

RGB = photograph(0, size=(6, 9))
GREY = RGB[..., 0]


def file_of(image, kind="PNG", **settings):
    content = io.BytesIO()
    image.save(content, kind, **settings)
    return content.getvalue()


def png(width, height, rows, *, bits=8):
    """A PNG of colours, whatever size its header claims."""

    def chunk(kind, content):
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )  # fmt: skip


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


def turned_in_kind(kind):
    image = Image.fromarray(RGB)
    exif = image.getexif()
    exif[0x0112] = 8
    return file_of(image, kind, exif=exif, lossless=True)


def deep_png(levels):
    """A PNG of 16-bit colours, uint16 (H, W, 3), which Pillow does not write."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    return png(levels.shape[1], levels.shape[0], rows, bits=16)


def seen_through():
    """A palette whose first colour is transparent, and what is seen of it."""
    content = file_of(PALETTE, transparency=0)
    seen = np.asarray(PALETTE.convert("RGB")).copy()
    seen[np.asarray(PALETTE) == 0] = 0
    return content, seen


def two_pictures():
    first, second = Image.fromarray(GREY), Image.fromarray(255 - GREY)
    return file_of(first, "GIF", save_all=True, append_images=[second])


CMYK = np.dstack([255 - RGB, np.zeros_like(GREY)])
PALETTE = Image.fromarray(RGB).quantize(16)
ON_BLACK = np.where(np.arange(9)[None, :, None] < 4, 0, RGB).astype(np.uint8)

LEVELS = np.linspace(0, 65535, 54).astype(np.uint16).reshape(6, 9)

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
    "16 bits, dark": (file_of(Image.fromarray(GREY.astype(np.uint16))), np.dstack(
        [np.round(GREY / 257).astype(np.uint8)] * 3)),
    "16 bits, TIFF": (
        file_of(Image.fromarray(LEVELS), "TIFF"),
        np.dstack([np.round(LEVELS / 257).astype(np.uint8)] * 3),
    ),
    # Written by hand: an older Pillow reads it and cannot write it.
    "16 bits, PGM": (b"P5 9 6 65535\n" + (GREY.astype(">u2") * 257).tobytes(),
                     np.dstack([GREY] * 3)),
    "16 bits, colour": (deep_png(RGB.astype(np.uint16) * 257), RGB),
    "floats": (
        file_of(Image.fromarray(GREY * np.float32(1.5)), "TIFF"),
        np.dstack([np.clip(np.round(GREY * np.float32(1.5)), 0, 255).astype(np.uint8)] * 3),
    ),
    "palette with a transparent colour": seen_through(),
    "the first of two pictures": (two_pictures(), np.dstack([GREY] * 3)),
    "palette": (file_of(PALETTE), np.asarray(PALETTE.convert("RGB"))),
    "transparent": (file_of(Image.fromarray(rgba(), "RGBA")), ON_BLACK),
    "cmyk": (file_of(Image.fromarray(CMYK, "CMYK"), "TIFF"), RGB),
    "turned by 180": (turned(3), RGB[::-1, ::-1]),
    "turned to the right": (turned(6), np.rot90(RGB, -1)),
    "turned to the left": (turned(8), np.rot90(RGB)),
    "mirrored": (turned(2), RGB[:, ::-1]),
    "upside down": (turned(4), RGB[::-1]),
    "transposed": (turned(5), RGB.transpose(1, 0, 2)),
    "transposed the other way": (turned(7), RGB[::-1, ::-1].transpose(1, 0, 2)),
    "turned, WebP": (turned_in_kind("WEBP"), np.rot90(RGB)),
    "one pixel": (file_of(Image.fromarray(RGB[:1, :1])), RGB[:1, :1]),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_image_becomes_the_rgb_it_stands_for(kind):
    content, expected = KINDS[kind]
    pixels = decode(content, kind)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize(("mode", "most"), [("L", 2), ("RGB", 6), ("CMYK", 6)])
def test_jpegs_of_every_mode_are_read(mode, most):
    smooth = np.asarray(Image.fromarray(RGB).resize((90, 60), Image.BILINEAR))
    source, expected = Image.fromarray(smooth), smooth
    if mode == "L":
        source = source.convert("L")
        expected = np.dstack([np.asarray(source)] * 3)
    elif mode == "CMYK":
        source = Image.fromarray(np.dstack([255 - smooth, np.zeros_like(smooth[..., 0])]), "CMYK")
    content = file_of(source, "JPEG", quality=98, subsampling=0)
    assert np.abs(decode(content, mode).astype(int) - expected).max() <= most


def mxnet():
    if importlib.util.find_spec("mxnet") is None:
        pytest.skip("needs MXNet")
    from gluontricks.mxnet_shim import mx

    return mx


def test_a_photograph_is_turned_as_mxnets_records_turn_it(tmp_path):
    mx = mxnet()
    halves = np.zeros((60, 90, 3), np.uint8)
    halves[:, :45] = 255
    image = Image.fromarray(halves)
    exif = image.getexif()
    exif[0x0112] = 6
    content = file_of(image, "JPEG", exif=exif)
    record = mx.recordio.MXRecordIO(str(tmp_path / "a.rec"), "w")
    record.write(mx.recordio.pack(mx.recordio.IRHeader(0, 0, 0, 0), content))
    record.close()
    images = mx.io.ImageRecordIter(
        path_imgrec=str(tmp_path / "a.rec"), data_shape=(3, 60, 60), batch_size=1, verbose=False
    )
    theirs = next(images).data[0].asnumpy()[0].transpose(1, 2, 0)
    ours = decode(content, "a").astype(int)
    assert ours.shape == (90, 60, 3)
    assert np.abs(ours[15:75] - theirs).max() <= 2
    # Its other decoder leaves it as it lies.
    assert mx.image.imdecode(content).shape == (60, 90, 3)


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
    with pytest.raises(DataError, match="'x' is no image"):
        decode(content, "x")
    with pytest.raises(DataError, match="'x' is no image"):
        pixel_count(content, "x")


def test_programs_are_not_started_to_read_an_image():
    # Pillow hands PostScript to an interpreter.
    script = file_of(Image.fromarray(RGB), "EPS")
    with pytest.raises(DataError, match="it is none of JPEG"):
        decode(script, "a.jpg")


MUTABLE = [
    encoded(photograph(1, size=(40, 50))),
    file_of(Image.fromarray(photograph(2, size=(40, 50))).quantize(16)),
    file_of(Image.fromarray(RGB), "WEBP"),
    file_of(Image.fromarray(RGB), "TIFF"),
    file_of(Image.fromarray(RGB), "GIF"),
    file_of(Image.fromarray(RGB), "BMP"),
    file_of(Image.fromarray(RGB), "PPM"),
    turned(6),
]


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_damaged_bytes_give_an_image_or_the_error_that_says_so(data):
    content = bytearray(data.draw(st.sampled_from(MUTABLE)))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        pixels = decode(content, "x")
    except DataError:
        return
    assert pixels.dtype == np.uint8
    assert pixels.shape[2:] == (3,)
    assert pixels.shape[0] * pixels.shape[1] == pixel_count(content, "x")


def test_a_decompression_bomb_is_refused_without_its_memory():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for side in (30_000, 9_000):
        assert side * side > MOST_PIXELS
        with pytest.raises(DataError):
            decode(png(side, side, bytes(1000)), "bomb.png")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200 * 1024
