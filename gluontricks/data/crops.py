"""Which part of an image the network sees: random in training, its middle in evaluation."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Tuple

import numpy as np

# Bag of Tricks (section 2.1, step 2).
ASPECT = (3 / 4, 4 / 3)
TRIES = 10


class Box(NamedTuple):
    """A rectangle of pixels: ``left <= x < right``, ``top <= y < bottom``."""

    left: int
    top: int
    right: int
    bottom: int


def random_box(word: int, height: int, width: int, *, min_scale: float) -> Box:
    """Return the random crop of one image.

    Its area is uniform in ``min_scale`` to 1 of the image's, the logarithm of its aspect ratio
    (width by height) uniform between those of 3/4 and 4/3, as MXNet and GluonCV draw them. What
    does not fit into the image is drawn again, ten times in all; after that it is the largest box
    of an allowed ratio in the middle.

    Parameters
    ----------
    word : int
        64 random bits, on which all draws depend.
    height, width : int
        Of the image, in pixels.
    min_scale : float
        In (0, 1].

    References
    ----------
    He et al., Bag of Tricks, section 2.1; Szegedy et al., Going deeper with convolutions, 2015.
    """
    u = uniforms_of(word, 4 * TRIES).reshape(TRIES, 4)
    for area_part, aspect_part, x_part, y_part in u.tolist():
        area = (min_scale + (1 - min_scale) * area_part) * height * width
        aspect = ASPECT[0] * (ASPECT[1] / ASPECT[0]) ** aspect_part
        w, h = max(round(math.sqrt(area * aspect)), 1), max(round(math.sqrt(area / aspect)), 1)
        if w <= width and h <= height:
            left, top = int(x_part * (width - w + 1)), int(y_part * (height - h + 1))
            return Box(left, top, left + w, top + h)
    w, h = within(height, width)
    left, top = (width - w) // 2, (height - h) // 2
    return Box(left, top, left + w, top + h)


def within(height: int, width: int) -> Tuple[int, int]:
    """Return width and height of the largest box of an allowed ratio in an image."""
    w = min(width, max(math.floor(height * ASPECT[1]), 1))
    return w, min(height, max(math.floor(width / ASPECT[0]), 1))


def uniforms_of(word: int, count: int) -> np.ndarray:
    """Return ``count`` numbers uniform in (0, 1) that follow from one random word."""
    key = np.array([word, 0], dtype=np.uint64)
    raw = np.random.Philox(key=key).random_raw(count)
    return ((raw >> np.uint64(12)) + 0.5) * 2.0**-52


def random_crop(
    image: Any, word: int, size: int, *, min_scale: float, flip: bool = False
) -> np.ndarray:
    """Return the random crop of a Pillow image, resized to uint8 (``size``, ``size``, 3).

    ``flip`` mirrors it from left to right.
    """
    box = random_box(word, image.height, image.width, min_scale=min_scale)
    return resized(image, box, (size, size), flip=flip)


def centre_crop(image: Any, size: int, *, crop_ratio: float) -> np.ndarray:
    """Return the middle of a Pillow image, uint8 (``size``, ``size``, 3).

    Its shorter side is resized to ``size / crop_ratio``, rounded up: 256 for 224 at 0.875 (Bag of
    Tricks, section 2.1). Resizing and cropping are done at once, on the pixels that are seen.
    """
    shorter = math.ceil(size / crop_ratio)
    scale = shorter / min(image.width, image.height)
    width, height = (max(round(side * scale), shorter) for side in (image.width, image.height))
    left, top = (width - size) // 2, (height - size) // 2
    across, down = image.width / width, image.height / height
    box = (left * across, top * down, (left + size) * across, (top + size) * down)
    return resized(image, box, (size, size))


def resized(image: Any, box: Any, size: Tuple[int, int], *, flip: bool = False) -> np.ndarray:
    """Return a part of a Pillow image, resized bilinearly, averaging where it shrinks."""
    from PIL import Image

    if size != image.size or tuple(box) != (0, 0, *image.size):
        image = image.resize(size, Image.Resampling.BILINEAR, box=tuple(box))
    if flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(image, dtype=np.uint8)
