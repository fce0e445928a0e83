"""Encoded images as pixels: whole or refused, and always RGB."""

from __future__ import annotations

import io
import struct
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, Union

import numpy as np

from gluontricks.errors import DataError

# More than any photograph of the data sets; a file of a few bytes can claim to hold billions.
MOST_PIXELS = 1 << 26
# Those that Pillow reads by itself: for others it starts programs, or goes to the network.
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF", "PPM")
DAMAGES = (
    OSError, ValueError, SyntaxError, MemoryError, EOFError, LookupError, TypeError, struct.error,
    OverflowError,
)  # fmt: skip


@contextmanager
def opened(source: Union[bytes, Path], where: str) -> Iterator[Any]:
    """Open an image without decoding it; what fails within the block is an error that names it.

    Parameters
    ----------
    source : bytes or Path
        Content of an image file, or the file.
    where : str
        What an error calls it.

    Raises
    ------
    DataError
        If it is no image, has more than 67 million pixels, or cannot be decoded.
    """
    from PIL import Image, ImageFile, UnidentifiedImageError

    # Other packages, GluonCV among them, have all of Pillow accept half an image.
    lenient, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            stream = io.BytesIO(source) if isinstance(source, bytes) else source
            with Image.open(stream, formats=FORMATS) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise ValueError(f"{image.width} x {image.height} pixels are too many")
                yield image
    except (*DAMAGES, Image.DecompressionBombError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if isinstance(error, UnidentifiedImageError):
            reason = f"it is none of {', '.join(FORMATS)}"
        raise DataError(
            f"'{where}' is no image that can be read ({reason})",
            "leave it out, or copy it again; 'gluontricks data verify' finds all such images",
        ) from error
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = lenient


def open_image(source: Union[bytes, Path], where: str) -> Any:
    """Return an image as Pillow holds it: RGB, upright, decoded whole.

    It is turned as its EXIF orientation says: MXNet's iterator over records does so too, its
    ``imdecode`` does not. 16-bit levels become 8-bit ones, what is transparent lies on black, and
    of several pictures the first is taken.

    Parameters
    ----------
    source, where
        As of :func:`opened`.

    Raises
    ------
    DataError
        If it is no whole image, or has more than 67 million pixels.
    """
    from PIL import Image, ImageOps

    with opened(source, where) as image:
        image.load()
        upright = ImageOps.exif_transpose(image) if image.getexif() else image
        if upright.mode[0] in "IF":
            return Image.fromarray(to_bytes(np.asarray(upright))).convert("RGB")
        return on_black(upright) if has_alpha(upright) else upright.convert("RGB")


def decode(data: bytes, where: str) -> np.ndarray:
    """Return the pixels of an encoded image, uint8 (H, W, 3); see :func:`open_image`."""
    return np.asarray(open_image(data, where), dtype=np.uint8)


def pixel_count(data: bytes, where: str) -> int:
    """Return the number of an image's pixels, from its header alone."""
    with opened(data, where) as image:
        return image.width * image.height


def has_alpha(image: Any) -> bool:
    """Return whether parts of an image may be transparent."""
    return image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info


def on_black(image: Any) -> Any:
    """Return an image with its transparent parts on black."""
    from PIL import Image

    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, (0, 0, 0, 255)), layer).convert(
        "RGB"
    )


def to_bytes(levels: np.ndarray) -> np.ndarray:
    """Return whole levels, of 16 bits, as 8-bit ones; others are cut off at 0 and 255."""
    values = levels.astype(np.float64)
    if levels.dtype.kind != "f":
        values = values / 257
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
