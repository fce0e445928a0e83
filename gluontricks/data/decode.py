"""Encoded images as pixels: whole or refused, and always RGB."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any, Union

import numpy as np

from gluontricks.errors import DataError

# More than any photograph of the data sets; a file of a few bytes can claim to hold billions.
MOST_PIXELS = 1 << 26
SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I", "F")


def open_image(source: Union[bytes, Path], where: str) -> Any:
    """Return an image as Pillow holds it: RGB, upright, decoded whole.

    It is turned as its EXIF orientation says, which MXNet's decoder ignores: what is trained on is
    then what one sees. 16-bit grey levels become 8-bit ones; what is transparent lies on black.

    Parameters
    ----------
    source : bytes or Path
        Content of an image file, or the file.
    where : str
        What an error calls it.

    Raises
    ------
    DataError
        If it is no whole image, or has more than 67 million pixels.
    """
    from PIL import Image, ImageFile, ImageOps

    # Other packages, GluonCV among them, have all of Pillow accept half an image.
    lenient, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise ValueError(f"{image.width} x {image.height} pixels are too many")
                image.load()
                upright = ImageOps.exif_transpose(image) if image.getexif() else image
                if upright.mode in SIXTEEN_BITS:
                    return Image.fromarray(to_bytes(np.asarray(upright))).convert("RGB")
                return on_black(upright) if has_alpha(upright) else upright.convert("RGB")
    except (OSError, ValueError, SyntaxError, MemoryError, Image.DecompressionBombError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"'{where}' is no image that can be read ({reason})",
            "leave it out, or copy it again; 'gluontricks data verify' finds all such images",
        ) from error
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = lenient


def decode(data: bytes, where: str) -> np.ndarray:
    """Return the pixels of an encoded image, uint8 (H, W, 3); see :func:`open_image`."""
    return np.asarray(open_image(data, where), dtype=np.uint8)


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


def to_bytes(pixels: np.ndarray) -> np.ndarray:
    """Return 16-bit grey levels as 8-bit ones, and others cut off at 0 and 255."""
    values = pixels.astype(np.float64)
    if values.max(initial=0) > 255:
        values = values / 257
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
